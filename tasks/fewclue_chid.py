"""FewCLUE's ChID: one idiom cut out of a piece of news, seven candidates, few training rows. Not CLUE's chid.

Source: https://github.com/CLUEbenchmark/FewCLUE, datasets/chid. train and dev 202 rows each (train_few_all.json,
dev_few_all.json; train_0.json to train_4.json are five smaller parts of 42), test_public.json 2,002 labelled rows,
test.json 2,000 rows without answers, unlabeled.json 7,585. Accuracy. A row, made up:

    {"id": 7, "candidates": ["一帆风顺", ...], "content": "祝你#idiom#，早日回来。...", "answer": 0}

Texts are other ones than ChID's, newer and cut to about 120 characters, so figures on it stand beside no figure on
CLUE's chid. Two splits to test on: `test` is test_public.json, whose answers are public, so that `clue eval --split
test` scores it; `test_hidden` is test.json, of which FewCLUE's leaderboard takes `chidf_predict.json`, JSON lines of
`id` and `answer`.
"""

from tasks.families.cloze import Cloze

PARTS = range(5)

TASK = Cloze(
    name="fewclue_chid",
    title="One idiom for the blank of a text, 7 candidates, 202 training rows",
    homepage="https://github.com/CLUEbenchmark/FewCLUE",
    numbered=False,
    files={
        "train": ("train_few_all.json", *(f"train_{part}.json" for part in PARTS)),
        "dev": ("dev_few_all.json", *(f"dev_{part}.json" for part in PARTS)),
        "test": ("test_public.json",),
        "test_hidden": ("test.json",),
    },
    labelled_tests=("test",),
    official={
        "train_few_all.json": "3c947439d7d6144093dac32da66c2d20baaeec02a4bc38388f72c286da6238bc",
        "dev_few_all.json": "9a826d6173e032e5cf73b41be48b293dc553ad306a9c8b913ffb6829abc68a2f",
        "test_public.json": "95ced0f30b80a964994ef3eff486ba7b2880e5e4f3aa5be571eb1e88066eed4b",
        "test.json": "26672295692164a2601d98f4631e6ef95ef7ff4066a667fcc5c950403d99879f",
    },
    counts={"train": 202, "dev": 202, "test": 2_002, "test_hidden": 2_000},
    submissions={"test_hidden": "chidf_predict.json"},
    recipe={"max_length": 128, "batch_size": 8, "epochs": 10},
)
