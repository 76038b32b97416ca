"""Whether all given keywords belong to the abstract of a paper (Chinese Scientific Literature, CLUE).

train 20,000, dev 3,000, test 3,000 rows, half of them "1" = all keywords are real. Accuracy. Leaderboard file
`csl_predict.json`. A row, made up:

    {"id": 12, "abst": "为提高桥梁监测的精度，提出一种……", "keyword": ["桥梁", "监测", "传感器"], "label": "1"}

The input is the pair (keywords joined by `；`, abstract), as in CLUE-bert4keras. Oddities: 2 to 4 keywords a row; only
3,954 different abstracts in train, so a part held out of it must be cut by abstract; abstracts have about 300
characters and are cut at 128 tokens; test ids start at 2415 and are not in order.
"""

from tasks.families.classification import TextClassification
from tasks.families.recipes import CLUE_BERT4KERAS

TASK = TextClassification(
    name="csl",
    title="Are the keywords those of the abstract",
    homepage="https://github.com/CLUEbenchmark/CLUE",
    texts=("keyword", "abst"),
    lists={"keyword": "；"},
    labels=("0", "1"),
    official={
        "train.json": "34e3b5d263ba3582d2eb431ea489efda6c11819461e240cad30664f20b488f02",
        "dev.json": "63fc66476ed5b98aa66f2d78fd6a84a92c5626962d48345030bab0de020bd2a8",
        "test.json": "b2b475e1829dc49982c852b6c36e2aec197a371153e78998e8631ffa28174e4e",
    },
    counts={"train": 20_000, "dev": 3_000, "test": 3_000},
    submissions={"test": "csl_predict.json"},
    recipe={"max_length": 256},
    recipes={
        "small": {"learning_rate": 3e-4, "epochs": 2},
        "base": {"batch_size": 16, "learning_rate": 1e-5, "epochs": 5},
        "large": {"batch_size": 16, "learning_rate": 1e-5, "epochs": 5},
    },
    named_recipes={"clue-bert4keras": CLUE_BERT4KERAS},
    hub="csl",
)
