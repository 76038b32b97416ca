"""Topics of short news titles from Toutiao (CLUE).

train 53,360, dev 10,000, test 10,000 rows (`test.json`, version 1.1; `test1.0.json` is the older one). Accuracy.
Leaderboard files `tnews10_predict.json` and `tnews11_predict.json`. A row, made up:

    {"label": "108", "label_desc": "news_edu", "sentence": "高考分数线今天公布", "keywords": "高考,分数线"}

Oddities: labels 105 and 111 do not exist; 11 % of the dev titles also stand in train; `keywords` (comma-joined, often
empty; `--fields sentence,keywords` reads them too) are empty in all of `test.json`, so a model that needs them breaks
there. Scores published for "test" mix both versions.
"""

from tasks.families.classification import TextClassification
from tasks.families.recipes import CLUE_BERT4KERAS

TASK = TextClassification(
    name="tnews",
    title="Toutiao news titles, 15 topics",
    homepage="https://github.com/CLUEbenchmark/CLUE",
    texts=("sentence",),
    optional_texts=("keywords",),
    labels=("100", "101", "102", "103", "104", "106", "107", "108", "109", "110", "112", "113", "114", "115", "116"),
    label_names={
        "100": "story", "101": "culture", "102": "entertainment", "103": "sports", "104": "finance", "106": "house",
        "107": "car", "108": "edu", "109": "tech", "110": "military", "112": "travel", "113": "world", "114": "stock",
        "115": "agriculture", "116": "game",
    },
    files={"train": ("train.json",), "dev": ("dev.json",), "test1.0": ("test1.0.json",), "test1.1": ("test.json",)},
    official={
        "train.json": "e2c6c008569d23b50778a45abe4c2d9cef140177982203ed7dbad9ddcd748b25",
        "dev.json": "0dd33323dfdf224a690f684746b00048a46b70f3b244d411293c8470572644ef",
        "test1.0.json": "a15a4e7a9dabdbae6a8282312a27dbdfdf5a5e344765abed9d5f56d1588d8652",
        "test.json": "74f199325768fbf2d6020711edfff23d653e99e0f8ac31a126a54db29c3a0ca8",
    },
    counts={"train": 53_360, "dev": 10_000, "test1.0": 10_000, "test1.1": 10_000},
    submissions={"test1.0": "tnews10_predict.json", "test1.1": "tnews11_predict.json"},
    recipes={"small": {"epochs": 2}, "base": {"batch_size": 16, "learning_rate": 2e-5}},
    named_recipes={"clue-bert4keras": CLUE_BERT4KERAS},
    hub="tnews",
)  # fmt: skip
