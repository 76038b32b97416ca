"""CMRC2018: questions on paragraphs of the Chinese Wikipedia; the answer is a piece of the paragraph.

Source: https://github.com/ymcui/cmrc2018, folder squad-style-data; CLUE's zip cmrc2018_public.zip has the same train
and dev, and a test of its own. Questions: train 10,142, trial 1,002, dev 3,219 (three answers each), test 2,000
(placeholders `FAKE_ANSWER_1` to 3 for answers).

    {"version": "v1.0", "data": [{"id", "title", "paragraphs": [{"id", "context", "qas": [
        {"question": "...", "id": "TRAIN_186_QUERY_0", "answers": [{"text": "...", "answer_start": 30}]}]}]}]}

Oddities: 21 answers of train and 7 of dev stand one or two characters beside their `answer_start`; 193 answers of dev,
never the first one, are not in the paragraph at all and have the start -1 (4 and 177, once a question's equal answers
are one); two questions of trial are empty.
Metrics: CLUE ranks by exact match of the official script. The "dev" column of CLUE-bert4keras and of the GAU-alpha
table (near 57) is exact spans against the first answer, another number under its own id.
Different from the reference: with --recipe clue-bert4keras windows share 128 tokens, where the reference's move by 128
characters (14,721 windows of train for its 19,130), and a batch is 22 questions, near its 32 windows; a window that
holds a part of the answer teaches nothing, there it is one without an answer.
"""

from tasks.families.reading import Reading
from tasks.families.recipes import CLUE_BERT4KERAS

TASK = Reading(
    name="cmrc2018",
    version=1,
    title="CMRC2018: answers found in paragraphs of the Chinese Wikipedia",
    homepage="https://github.com/ymcui/cmrc2018",
    files={
        "train": ("train.json", "train.jsonl"),
        "trial": ("trial.json",),
        "dev": ("dev.json", "dev.jsonl"),
        "test": ("test.json", "test.jsonl"),
    },
    blank_questions=("trial",),
    counts={"train": 10_142, "trial": 1_002, "dev": 3_219, "test": 2_000},
    metrics={
        "cmrc2018:official": "tasks.metrics.reading:CmrcOfficial",
        "cmrc2018:span": "tasks.metrics.reading:CmrcSpan",
    },
    submissions={"test": "cmrc2018_predict.json"},
    official={
        "train.json": "5497aa2f81908e31d6b0e27d99b1f90ab63a8f58fa92fffe5d17cf62eba0c212",
        "trial.json": "166d076e6b25deaf8fb7f9539444a9459bfba01d52d52e96451ab0889c71a209",
        "dev.json": "e9ff74231f05c230c6fa88b84441ee334d97234cbb610991cd94b82db00c7f1f",
        "test.json": "d8d4c914bece2ce8364f68a5edf357c7356c4f5d4e1048af8b7aaaa4a4fb9ba4",
    },
    hub="cmrc2018",
    named_recipes={"clue-bert4keras": CLUE_BERT4KERAS | {"max_length": 512, "overlap": 128, "batch_size": 22}},
)
