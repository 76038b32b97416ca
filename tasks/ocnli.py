"""Natural language inference written by Chinese students, not translated (OCNLI; CLUE 1.1).

train 50,486 (`train.50k.json`; smaller ones of 30k, 10k and 3k exist), dev 3,000, test 3,000 rows; without "-" 50,437
and 2,950. Accuracy over the 2,950. Leaderboard file `ocnli_50k_predict.json`. A row, made up (fields left out):

    {"level": "easy", "sentence1": "我们明天要开会", "sentence2": "会议已经开完了", "label": "contradiction", "id": 7}

Oddities: rows labelled "-" are left out of train and dev, and counted. Nearly all premises of dev and test also stand
in train, so nothing may be held out of train by row.
"""

from tasks.families.classification import TextClassification
from tasks.families.recipes import CLUE_BERT4KERAS

TASK = TextClassification(
    name="ocnli",
    title="Entailment, neutral or contradiction (original Chinese)",
    homepage="https://github.com/CLUEbenchmark/OCNLI",
    texts=("sentence1", "sentence2"),
    labels=("entailment", "neutral", "contradiction"),
    left_out=("-",),
    files={
        "train": ("train.50k.json", "train.30k.json", "train.10k.json", "train.3k.json", "train.json"),
        "dev": ("dev.json",),
        "test": ("test.json",),
    },
    official={
        "train.50k.json": "cb47a6c00105bfb49bbb791dd537b284d3138f9f1ad5cd1e187afc470ff004e0",
        "dev.json": "001ded235d73a18dac68a45a38cd5f9b3f9311fa4246df623e199422c073ddc5",
        "test.json": "5fb387fd5188ea7de7c13dda0c56d44fba50d526a126a7926a5e5d131fde86bb",
    },
    counts={"train": 50_486, "dev": 3_000, "test": 3_000},
    submissions={"test": "ocnli_50k_predict.json"},
    recipes={"small": {"learning_rate": 3e-4}, "base": {"batch_size": 16, "epochs": 5}},
    named_recipes={"clue-bert4keras": CLUE_BERT4KERAS},
    hub="ocnli",
)
