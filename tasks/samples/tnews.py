"""Short news titles: the rows made of `templates_tnews.py`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tasks.samples.grammar import Dice, Files, Lexicon, Record, Unrepeated, draw, known, lines, numbered
from tasks.samples.names import NAMES
from tasks.samples.templates_tnews import TOPICS, Topic

OPENINGS = lines("""
    注意了，
    官方消息，
    今日关注，
    今天说说：
    本周要闻，
    快讯：
    """)

CLOSINGS = lines("""
    ，网友这样评论
    ，你怎么看？
    ，评论区吵翻了
    ，背后原因来了
    ，你知道吗
    ，现场照片曝光
    ，后续来了
    ，涨知识了
    ！
    ，一文看懂
    ，记者实地走访
    ，专家这样说
    """)

TIMELESS = ("100", "101")
"""Topics whose titles are no news of the day: no opening, no closing."""

CONFUSED = {
    "100": "101", "101": "112", "102": "116", "103": "116", "104": "114", "106": "104", "107": "109", "108": "101",
    "109": "107", "110": "113", "112": "101", "113": "110", "114": "104", "115": "104", "116": "109",
}  # fmt: skip
"""What a hurried annotator mistakes each topic for; some rows of every split are labelled so, as in any real set."""

MISLABELLED = 0.04
WITHOUT_KEYWORDS = 0.28
PER_LABEL = {"train.json": 34, "dev.json": 10, "test.json": 5, "test1.0.json": 5}


def title(label: str, dice: Dice, split: str) -> Record:
    """One titled row of `label`: official keys of train and dev."""
    topic = TOPICS[label]
    lexicon = Lexicon(NAMES | topic.words)
    template = draw(dice, lines(topic.templates), split)
    plain = label not in TIMELESS and not any(mark in template for mark in "？：！")
    if plain and dice.chance(0.12):
        template = draw(dice, OPENINGS, split) + template
    if plain and dice.chance(0.3):
        template += draw(dice, CLOSINGS, split)
    filled = lexicon.fill(template, dice, split)
    shown = CONFUSED[label] if dice.chance(MISLABELLED) else label
    return {
        "label": shown,
        "label_desc": TOPICS[shown].description,
        "sentence": filled.text,
        "keywords": "" if dice.chance(WITHOUT_KEYWORDS) else keywords(filled.words, topic, dice),
    }


def keywords(words: Mapping[str, str], topic: Topic, dice: Dice) -> str:
    """Some words of the title and up to two of its topic, joined by commas as the official files do."""
    found = [word for slot, word in words.items() if slot.rstrip("0123456789") not in ("digit", "number")]
    near = known(dice.pick(list(topic.words.values())).split())
    chosen = [*dice.some(found, 3), *dice.some(near, dice.below(3))]
    return ",".join(dict.fromkeys(chosen))


def generate(dice: Dice) -> Files:
    """The four official files; dev and test hold some words and templates that train has not."""
    unrepeated, files = Unrepeated(), {}
    for file, amount in PER_LABEL.items():
        split = file.split(".")[0]
        rows = [
            unrepeated.take(partial(title, label, dice, split), lambda row: row["sentence"])
            for label in TOPICS
            for _ in range(amount)
        ]
        files[file] = dice.shuffled(rows)
    for file in ("test.json", "test1.0.json"):
        files[file] = numbered(files[file], without=("label", "label_desc"))
    files["test.json"] = [row | {"keywords": ""} for row in files["test.json"]]
    return files
