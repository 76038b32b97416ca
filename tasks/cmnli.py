"""Natural language inference: XNLI and a machine translation of MNLI (CLUE 1.0; OCNLI replaces it in 1.1).

train 391,782, dev 12,426 (12,241 without "-"), test 13,880 rows. Accuracy. Leaderboard file `cmnli_predict.json`.
A row, made up:

    {"sentence1": "他昨天坐火车去了南京", "sentence2": "他昨天没有出门", "label": "contradiction"}

Oddities: rows labelled "-" (annotators disagreed) are left out of train and dev. Label orders differ between programs
(entailment, neutral, contradiction here; other loaders have others): exchange names, never indices. The translation is
clumsy in places.
"""

from tasks.families.classification import TextClassification
from tasks.families.recipes import CLUE_BERT4KERAS

TASK = TextClassification(
    name="cmnli",
    title="Entailment, neutral or contradiction (translated)",
    homepage="https://github.com/CLUEbenchmark/CLUE",
    texts=("sentence1", "sentence2"),
    labels=("entailment", "neutral", "contradiction"),
    left_out=("-",),
    official={"dev.json": "05386d604ccb00a3a5ccab59849b35b75eb5fdab61f662f0ab1e18a477b0d9d8"},
    counts={"train": 391_782, "dev": 12_426, "test": 13_880},
    submissions={"test": "cmnli_predict.json"},
    recipes={
        "small": {"learning_rate": 3e-4, "epochs": 2},
        "base": {"batch_size": 64, "epochs": 2},
        "large": {"batch_size": 64, "epochs": 2},
    },
    named_recipes={"clue-bert4keras": CLUE_BERT4KERAS},
    hub="cmnli",
)
