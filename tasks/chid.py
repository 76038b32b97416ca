"""ChID: idioms cut out of passages, to be put back from a list of candidates.

Source: https://github.com/CLUEbenchmark/CLUE (chid_public.zip), made of https://github.com/chujiezheng/ChID-Dataset.
train 84,709, dev 3,218, test 3,231 by CLUE's README, which does not say whether lines or passages; test1.0.json and
test1.1.json. Accuracy over blanks. Leaderboard files `chid10_predict.json` and `chid11_predict.json`, one object
`{"#idiom000000#": 3, ...}`. JSON lines and beside them, for train and dev, one object of answers; made up:

    train.json         {"groupId": 0, "candidates": ["一帆风顺", ...], "content": ["祝你#idiom000000#。", ...]}
    train_answer.json  {"#idiom000000#": 0, ...}

All passages of a line share its candidates (ten), and no two blanks of a line have the same idiom: answers are chosen
for the whole line at once, about six points above choosing one by one (kexue.fm/archives/8739).

The official files were not at hand when this was written: form and names are those that CLUE's README, its loaders
and CLUE-bert4keras agree on, and no hash is known. Not offered: RoFormerV2's code has the candidate between the two
sides, `[CLS] left [SEP] candidate [SEP] right [SEP]`, and other blanks as five underscores.
"""

from tasks.families.cloze import Cloze
from tasks.families.recipes import CLUE_BERT4KERAS

TASK = Cloze(
    name="chid",
    title="Idioms for the blanks of passages, chosen for a line at once",
    homepage="https://github.com/CLUEbenchmark/CLUE",
    files={
        "train": ("train.json",),
        "dev": ("dev.json",),
        "test1.0": ("test1.0.json",),
        "test1.1": ("test1.1.json", "test.json"),
    },
    answer_files={"train": ("train_answer.json",), "dev": ("dev_answer.json",)},
    counts={"train": 84_709, "dev": 3_218, "test1.0": 3_231},
    submissions={"test1.0": "chid10_predict.json", "test1.1": "chid11_predict.json"},
    named_recipes={"clue-bert4keras": CLUE_BERT4KERAS | {"max_length": 64, "batch_size": 24, "epochs": 5}},
)
