"""DuReader-robust (LIC2020): questions of users of a search engine on pieces of web pages.

Source: https://github.com/baidu/DuReader, folder DuReader-Robust; LIC2020's reading track. Questions: train 14,520 (one
answer each), dev 1,417 (one to eight), test about 5,000 (unlabelled).

    {"data": [{"title": "", "paragraphs": [{"context": "...", "qas": [
        {"question": "...", "id": "...", "answers": [{"text": "...", "answer_start": 76}]}]}]}]}

Oddities: every `answer_start` of dev is -1, so the first place where an answer stands is taken (381 first answers stand
at several); one answer of dev is an empty text. Train and dev may come from different sets: `--data` takes a directory
with CMRC2018's train.json and DuReader's dev.json in it, as both have one form.
Metric: F1 ranks. The organisers' script is not public; see `tasks.metrics.reading.DureaderEmF1`.
"""

from tasks.families.reading import Reading

TASK = Reading(
    name="dureader_robust",
    version=1,
    title="DuReader-robust: answers found in pieces of web pages (LIC2020)",
    homepage="https://github.com/baidu/DuReader",
    files={
        "train": ("train.json", "train.jsonl"),
        "dev": ("dev.json", "dev.jsonl"),
        "test": ("test.json", "test1.json", "test.jsonl"),
    },
    counts={"train": 14_520, "dev": 1_417},
    metrics={"dureader_robust:em_f1": "tasks.metrics.reading:DureaderEmF1"},
    submissions={"test": "dureader_robust_predict.json"},
    official={"dev.json": "eda029d96334a413a5b58d003b318cb84a8a81ce09280de7f9ea82b1c4999006"},
)
