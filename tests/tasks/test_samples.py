"""The records that ship: made by the script, of the official form, learnable without being given away."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from clue_cli.contract import Tally
from clue_cli.registry import find_task
from clue_cli.sources import locate
from tasks.samples import make
from tasks.samples.grammar import HELD_OUT_EVERY, Dice, Lexicon, draw

TASKS = ("afqmc", "cluener", "cluewsc2020", "cmnli", "csl", "iflytek", "ocnli", "tnews")
TRAIN = dict.fromkeys(TASKS, "train.json") | {"ocnli": "train.50k.json"}
NLI = ("entailment", "neutral", "contradiction")

# The official label sets, written out again on purpose: the readers' own are not asked.
TNEWS = {
    "100": "news_story", "101": "news_culture", "102": "news_entertainment", "103": "news_sports",
    "104": "news_finance", "106": "news_house", "107": "news_car", "108": "news_edu", "109": "news_tech",
    "110": "news_military", "112": "news_travel", "113": "news_world", "114": "news_stock",
    "115": "news_agriculture", "116": "news_game",
}  # fmt: skip
IFLYTEK_NAMES = (
    "打车 地图导航 免费WIFI 租车 同城服务 快递物流 婚庆 家政 公共交通 政务 社区服务 "
    "薅羊毛 魔幻 仙侠 卡牌 飞行空战 射击游戏 休闲益智 动作类 体育竞技 棋牌中心 经营养成 "
    "策略 MOBA 辅助工具 约会社交 即时通讯 工作社交 论坛圈子 婚恋社交 情侣社交 社交工具 "
    "生活社交 微博博客 新闻 漫画 小说 技术 教辅 问答交流 搞笑 杂志 百科 影视娱乐 求职 "
    "兼职 视频 短视频 音乐 直播 电台 K歌 成人 中小学 职考 公务员 英语 视频教育 高等教育 "
    "成人教育 艺术 语言(非英语) 旅游资讯 综合预定 民航 铁路 酒店 行程管理 民宿短租 出国 "
    "工具 亲子儿童 母婴 驾校 违章 汽车咨询 汽车交易 日常养车 行车辅助 租房 买房 装修家居 "
    "电子产品 问诊挂号 养生保健 医疗服务 减肥瘦身 美妆美业 菜谱 餐饮店 体育咨讯 运动健身 "
    "支付 保险 股票 借贷 理财 彩票 记账 银行 美颜 影像剪辑 摄影修图 相机 绘画 二手 电商 "
    "团购 外卖 电影票务 社区超市 购物咨询 笔记 办公 日程管理 女性 经营 收款 其他"
)
IFLYTEK = IFLYTEK_NAMES.split()
LABELS: dict[str, set[str]] = {
    "afqmc": {"0", "1"},
    "cluewsc2020": {"true", "false"},
    "cmnli": set(NLI),
    "csl": {"0", "1"},
    "iflytek": {str(number) for number in range(119)},
    "ocnli": {*NLI, "-"},
    "tnews": set(TNEWS),
}
ENTITIES = {
    "address", "book", "company", "game", "government", "movie", "name", "organization", "position", "scene",
}  # fmt: skip
KEYS = {
    "afqmc": (["sentence1", "sentence2", "label"], ["id", "sentence1", "sentence2"]),
    "cluener": (["text", "label"], ["id", "text"]),
    "cluewsc2020": (["target", "idx", "label", "text"], ["id", "target", "text"]),
    "cmnli": (["sentence1", "sentence2", "label"], ["id", "sentence1", "sentence2"]),
    "csl": (["id", "abst", "keyword", "label"], ["id", "abst", "keyword"]),
    "iflytek": (["label", "label_des", "sentence"], ["id", "sentence"]),
    "ocnli": (
        ["level", "sentence1", "sentence2", "label", *(f"label{n}" for n in range(5)), "genre", "prem_id", "id"],
        ["sentence1", "sentence2", "id"],
    ),
    "tnews": (["label", "label_desc", "sentence", "keywords"], ["id", "sentence", "keywords"]),
}
INPUTS = ("text", "sentence", "sentence1", "sentence2", "abst")


def raw(task: str, file: str) -> str:
    return (make.HERE / task / file).read_bytes().decode("utf-8")


def rows(task: str, file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in raw(task, file).split("\n") if line]


def names(task: str) -> list[str]:
    return sorted(path.name for path in (make.HERE / task).glob("*.json"))


def test_the_files_are_what_the_script_makes(capsys: pytest.CaptureFixture[str]) -> None:
    assert make.main(["--check"]) == 0, capsys.readouterr().err


def test_the_check_names_what_differs(tmp_path: Path) -> None:
    made = {Path("afqmc/dev.json"): b"{}\n", Path("tnews/dev.json"): b"{}\n"}
    (tmp_path / "afqmc").mkdir()
    (tmp_path / "afqmc" / "dev.json").write_bytes(b"{}")
    (tmp_path / "afqmc" / "more.json").write_bytes(b"{}")
    assert make.differences(made, tmp_path) == [
        "afqmc/dev.json differs", "tnews/dev.json is missing", "afqmc/more.json is not made by this script",
    ]  # fmt: skip


def test_check_fails_when_a_file_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # differences() has its default root bound already, so the script's own call is given another one
    compare = make.differences
    monkeypatch.setattr(make, "differences", lambda made: compare(made, tmp_path))
    assert make.main(["--check"]) == 1
    assert "tnews/train.json is missing" in capsys.readouterr().err


def test_sizes() -> None:
    files = [path for task in TASKS for path in (make.HERE / task).iterdir()]
    assert sum(path.stat().st_size for path in files) < 1_500_000
    assert max(path.stat().st_size for path in files) < 300_000
    for task in TASKS:
        assert 300 <= len(rows(task, TRAIN[task])) <= 720
        assert 100 <= len(rows(task, "dev.json")) <= 200
        assert 50 <= len(rows(task, "test.json")) <= 100


@pytest.mark.parametrize("task", TASKS)
def test_official_names_and_keys_in_official_order(task: str) -> None:
    tests = ["test.json", "test1.0.json"] if task in ("tnews", "cluewsc2020") else ["test.json"]
    assert names(task) == sorted(["dev.json", TRAIN[task], *tests])
    labelled, unlabelled = KEYS[task]
    for file in (TRAIN[task], "dev.json"):
        assert {tuple(row) for row in rows(task, file)} == {tuple(labelled)}
    assert {tuple(row) for row in rows(task, "test.json")} == {tuple(unlabelled)}
    for file in tests:
        ids = [row["id"] for row in rows(task, file)]
        assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("task", sorted(LABELS))
def test_labels_are_the_official_ones_and_all_occur_in_train(task: str) -> None:
    train = Counter(row["label"] for row in rows(task, TRAIN[task]))
    assert set(train) == LABELS[task]
    assert {row["label"] for row in rows(task, "dev.json")} <= LABELS[task]
    assert all(isinstance(label, str) for label in train)


def test_label_descriptions_are_the_official_ones() -> None:
    for file in ("train.json", "dev.json"):
        assert all(row["label_desc"] == TNEWS[row["label"]] for row in rows("tnews", file))
        assert all(row["label_des"] == IFLYTEK[int(row["label"])] for row in rows("iflytek", file))


def test_entities_match_the_text_with_inclusive_ends() -> None:
    for file in ("train.json", "dev.json"):
        types = Counter()
        for row in rows("cluener", file):
            assert len(row["text"]) <= 50
            assert row["label"]
            for kind, found in row["label"].items():
                for entity, spans in found.items():
                    for start, end in spans:
                        assert row["text"][start : end + 1] == entity
                        types[kind] += 1
        assert set(types) == ENTITIES
        assert min(types.values()) >= 15


def test_most_entities_of_dev_are_new() -> None:
    def entities(file: str) -> set[tuple[str, str]]:
        return {(kind, name) for row in rows("cluener", file) for kind, found in row["label"].items() for name in found}

    train, dev = entities("train.json"), entities("dev.json")
    assert 0.05 < len(dev & train) / len(dev) < 0.5


def test_some_books_hold_a_company() -> None:
    nested = [
        row
        for row in rows("cluener", "train.json")
        if any(firm in book for book in row["label"].get("book", {}) for firm in row["label"].get("company", {}))
    ]
    assert len(nested) == 5


def test_pronouns_and_nouns_stand_where_the_row_says() -> None:
    for file in names("cluewsc2020"):
        for row in rows("cluewsc2020", file):
            target = row["target"]
            for span in ("span1", "span2"):
                assert row["text"].startswith(target[f"{span}_text"], target[f"{span}_index"])
        after = [row["target"]["span1_index"] > row["target"]["span2_index"] for row in rows("cluewsc2020", file)]
        assert any(after) == (file == "test.json")


@pytest.mark.parametrize("task", TASKS)
def test_splits_share_no_input_and_repeat_none(task: str) -> None:
    def key(row: dict[str, Any]) -> str:
        inputs = {name: row[name] for name in (*INPUTS, "keyword", "target") if name in row}
        return json.dumps(inputs, sort_keys=True, ensure_ascii=False)

    seen = Counter(key(row) for file in names(task) for row in rows(task, file))
    assert seen.most_common(1)[0][1] == 1


@pytest.mark.parametrize(("task", "field"), [("csl", "abst"), ("cluewsc2020", "text")])
def test_a_text_with_several_rows_stays_in_one_file(task: str, field: str) -> None:
    homes: dict[str, set[str]] = {}
    for file in names(task):
        for row in rows(task, file):
            homes.setdefault(row[field], set()).add(file)
    assert all(len(files) == 1 for files in homes.values())


@pytest.mark.parametrize("task", sorted(set(LABELS) - {"iflytek"}))
def test_labels_are_balanced_about_as_in_the_official_files(task: str) -> None:
    train = Counter(row["label"] for row in rows(task, TRAIN[task]) if row["label"] != "-")
    share = {"afqmc": (0.55, 0.7), "cluewsc2020": (0.5, 0.65)}.get(task, (0.0, 0.55))
    assert share[0] <= max(train.values()) / sum(train.values()) <= share[1]


def test_oddities_of_real_files() -> None:
    assert sum("\u2028" in row["sentence"] for file in names("iflytek") for row in rows("iflytek", file)) == 6
    assert all("\u2028" not in raw(task, file) for task in TASKS if task != "iflytek" for file in names(task))
    unterminated = {(task, file) for task in TASKS for file in names(task) if not raw(task, file).endswith("\n")}
    assert unterminated == {
        ("tnews", "test.json"), ("cluewsc2020", "test.json"),
        ("csl", "train.json"), ("csl", "dev.json"), ("csl", "test.json"),
        ("ocnli", "train.50k.json"), ("ocnli", "dev.json"), ("ocnli", "test.json"),
    }  # fmt: skip
    assert all(row["keywords"] == "" for row in rows("tnews", "test.json"))
    assert 0.15 < sum(row["keywords"] == "" for row in rows("tnews", "train.json")) / 510 < 0.4
    assert sum(row["label"] == "-" for row in rows("ocnli", "train.50k.json")) == 4
    assert sum(row["label"] == "-" for row in rows("ocnli", "dev.json")) == 3


def test_five_annotators_agree_with_the_label_of_ocnli() -> None:
    annotated = 0
    for file in ("train.50k.json", "dev.json"):
        for row in rows("ocnli", file):
            votes = Counter(row[f"label{number}"] for number in range(5))
            if None in votes:
                assert votes == {None: 5}
                assert file == "train.50k.json"
                continue
            annotated += 1
            (label, amount) = votes.most_common(1)[0]
            assert (label if amount >= 3 else "-") == row["label"]
    assert annotated > 150


def test_texts_are_clean() -> None:
    for task in TASKS:
        for file in names(task):
            assert "\r" not in raw(task, file)
            for row in rows(task, file):
                for name in INPUTS:
                    text = row.get(name, "x")
                    assert text, (task, file)
                    assert text == text.strip(), (task, file)
                    assert not set(text) & set("{}|<>[]") - set("<>" if task == "csl" else ""), text


@pytest.mark.parametrize("name", TASKS)
def test_the_tasks_read_every_split_and_leave_out_undecided_rows_only(name: str) -> None:
    task, (source, sample) = find_task(name), locate(name, None)
    assert sample
    for split, files in task.files.items():
        tally = Tally()
        examples = list(task.read(source, split, tally))
        left_out = sum(tally.as_dict().values())
        assert len(examples) + left_out == len(rows(name, next(file for file in files if source.has(file))))
        assert left_out == ({"train": 4, "dev": 3}.get(split, 0) if name == "ocnli" else 0)


def test_train_never_draws_what_is_kept_for_dev() -> None:
    words = [f"w{number}" for number in range(12)]
    kept = set(words[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY])
    dice = Dice("any")
    assert {draw(dice, words, "train") for _ in range(400)} == set(words) - kept
    assert {draw(dice, words, "dev") for _ in range(400)} == set(words)


def test_a_template_marks_its_slots() -> None:
    lexicon = Lexicon({"city": "甲 乙 丙", "firm": ["{city}行"]})
    filled = lexicon.fill("在{city}的{firm}与{city}", Dice("any"), "train")
    city = filled.words["city"]
    assert filled.text == f"在{city}的{filled.words['firm']}与{city}"
    assert [(name, filled.text[start:end]) for name, start, end in filled.marks] == [
        ("city", city), ("firm", filled.words["firm"]), ("city", filled.words["firm"][0]), ("city", city),
    ]  # fmt: skip
