"""Whether two questions put to a payment service mean the same (Ant Financial Question Matching Corpus, CLUE).

train 34,334, dev 4,316, test 3,861 rows; 1 = the same. Accuracy; always answering "0" gives 0.69 on dev.
Leaderboard file `afqmc_predict.json`. A row, made up:

    {"sentence1": "怎样修改还款日期", "sentence2": "还款日能改到几号", "label": "1"}

Oddities: digits are masked as `***`.
"""

from tasks.families.classification import TextClassification
from tasks.families.recipes import CLUE_BERT4KERAS

TASK = TextClassification(
    name="afqmc",
    title="Same question or not, from finance",
    homepage="https://github.com/CLUEbenchmark/CLUE",
    texts=("sentence1", "sentence2"),
    labels=("0", "1"),
    official={
        "train.json": "41c0ed462fe3da60c575c4f81f4799ba8fbe51155f962adcfc19c26b2de3f012",
        "dev.json": "20b35a40e1aec2141e50247f798b2eef0e974accb9ca7196105ecb547c65c7b8",
        "test.json": "9d2a78d43215a0d4d34230f4aaca1d2cdbad03e1f268bef9da0468e0dc9eb4e5",
    },
    counts={"train": 34_334, "dev": 4_316, "test": 3_861},
    submissions={"test": "afqmc_predict.json"},
    recipes={"base": {"batch_size": 16, "learning_rate": 2e-5}},
    named_recipes={"clue-bert4keras": CLUE_BERT4KERAS},
    hub="afqmc",
)
