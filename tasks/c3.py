"""C3: multiple choice on dialogues and short prose, from exams of Chinese as a second language.

Source: https://github.com/nlpdata/c3, in CLUE's names. train 11,869 questions (d-train.json 5,856 on dialogues,
m-train.json 6,013 on prose; the split is both), dev 3,816 (d-dev.json, m-dev.json), test1.0 3,892, test1.1 1,625.
Accuracy. Leaderboard files `c310_predict.json` and `c311_predict.json`, lines of id and label, the index of the choice.
One JSON array; an item, made up:

    [["男：明天几点开会？", "女：九点，别迟到。"],
     [{"question": "会议几点开始？", "choice": ["八点", "九点"], "answer": "九点"}], "1-1"]

Oddities: 2 to 4 choices, but six questions of test1.1 have 5 to 10; CLUE-bert4keras scores four and pads with a text of
its own, here all real choices are scored and nothing else. Five train questions, one of dev and one of test1.1 repeat a
choice. Test items have no id at the end; their questions have numbers, in test1.0 not in the order of the file. test1.0
holds the questions of nlpdata's own test files in another order.
"""

from tasks.families.choice import MultipleChoice
from tasks.families.recipes import CLUE_BERT4KERAS

TRAIN, DEV = ("d-train.json", "m-train.json"), ("d-dev.json", "m-dev.json")

TASK = MultipleChoice(
    name="c3",
    title="Multiple choice on dialogues and prose, 2 to 10 choices",
    homepage="https://github.com/nlpdata/c3",
    files={"train": TRAIN, "dev": DEV, "test1.0": ("test1.0.json",), "test1.1": ("test1.1.json",)},
    together={"train": TRAIN, "dev": DEV},
    official={
        "d-train.json": "baf81f327dee84c6f451c9a4dd662e6193c67473b8791ffb72cce75cdb528f20",
        "m-train.json": "4c84a534f1eec2c72e5f60f0c044cc39e2e42a88df01134e677e03217472d6af",
        "d-dev.json": "8c7054930a40aeb288ad7c51c42fa93d54aef678ccab29c75d46a7432f4f6278",
        "m-dev.json": "357d0d8d2a29bc845cbe50e048c263629f5e527b70f24c3e0838c387c8d3cb54",
        "test1.0.json": "32d0133483f32068d02b064a82c66cc2def0f5ba7b69d4613306355b702216e8",
        "test1.1.json": "29325c7fb8b7088d7acf52a4c81c522b9fc64d819b47f0667817c1e1b3aa0cc9",
    },
    counts={"train": 11_869, "dev": 3_816, "test1.0": 3_892, "test1.1": 1_625},
    submissions={"test1.0": "c310_predict.json", "test1.1": "c311_predict.json"},
    recipes={"small": {"epochs": 2}},
    named_recipes={"clue-bert4keras": CLUE_BERT4KERAS | {"max_length": 512, "batch_size": 16}},
)
