"""DuIE's official figure and micro F1 over triples, each against its rule said slowly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clue_cli.contract import Example, Metric, Prediction
from clue_cli.errors import UserError, Where
from clue_cli.scoring import score
from tasks.families.relation_forms import Relation
from tasks.metrics.relations import DuieOfficial, TripleMicroF1, normalised, read_aliases

PREDICATES = ("作者", "饰演", "获奖")
WORDS = ("甲", "《甲》", "乙", "《乙", "Ab", "aB", "《aB》", "丙 ")
ALIASES = {"甲": frozenset({"乙"}), "乙": frozenset({"甲", "ab"}), "ab": frozenset({"丙 "}), "丙 ": frozenset({"ab"})}

objects = st.dictionaries(st.sampled_from(("inWork", "onDate")), st.sampled_from(WORDS), max_size=2)
relations = st.builds(
    lambda predicate, subject, value, slots: Relation(predicate, subject, (("@value", value), *slots.items())),
    st.sampled_from(PREDICATES), st.sampled_from(WORDS), st.sampled_from(WORDS), objects,
)  # fmt: skip
several = st.lists(relations, max_size=5)
Row = tuple[str, list[Relation], list[Relation] | None]
row_lists = st.lists(st.tuples(st.sampled_from("xyz"), several, st.one_of(st.none(), several)), max_size=5)
alias_sets = st.sampled_from([{}, ALIASES])


def scored(metric: Metric, rows: list[Row]) -> dict[str, float]:
    pairs = [
        (
            Example(number, text, (text,), tuple(dict.fromkeys(gold)), {}, Where("f", number)),
            None if answer is None else Prediction(tuple(answer)),
        )
        for number, (text, gold, answer) in enumerate(rows)
    ]
    return score(metric, pairs).figures


# -------------------------------------------------------------------- the official rule, literally


def spo(relation: Relation) -> dict[str, Any]:
    def norm(words: str) -> str:
        words = words.lower()
        if words.startswith("《") and words.endswith("》"):
            words = words[1:-1]
        return words

    return {
        "subject": norm(relation.subject),
        "predicate": relation.predicate,
        "object": {slot: norm(words) for slot, words in relation.object},
    }


def same_object(one: dict[str, str], other: dict[str, str], aliases: dict[str, frozenset[str]]) -> bool:
    for slot, value in one.items():
        if slot not in other:
            return False
        if other[slot] != value and other[slot] not in aliases.get(value, set()):
            return False
    for slot, value in other.items():
        if slot not in one:
            return False
        if one[slot] != value and one[slot] not in aliases.get(value, set()):
            return False
    return True


def in_list(target: dict[str, Any], entries: list[dict[str, Any]], aliases: dict[str, frozenset[str]]) -> bool:
    if target in entries:
        return True
    names = {target["subject"]} | set(aliases.get(target["subject"], set()))
    for entry in entries:
        alike = entry["predicate"] == target["predicate"] and entry["subject"] in names
        if alike and same_object(entry["object"], target["object"], aliases):
            return True
    return False


def once(entries: list[dict[str, Any]], aliases: dict[str, frozenset[str]]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for entry in entries:
        if not in_list(entry, kept, aliases):
            kept.append(entry)
    return kept


def official(rows: list[Row], aliases: dict[str, frozenset[str]]) -> tuple[float, float, float]:
    """Both files as maps from the text; the numerators of precision and of recall counted apart."""
    gold_by_text = {text: [spo(relation) for relation in gold] for text, gold, _ in rows}
    answer_by_text = {text: [spo(relation) for relation in answer or []] for text, _, answer in rows}
    right = predicted = found = wanted = 0
    for text, gold in gold_by_text.items():
        gold_once, answer = once(gold, aliases), answer_by_text.get(text, [])
        answer_once = once(answer, aliases)
        predicted += len(answer_once)
        wanted += len(gold_once)
        right += sum(in_list(entry, gold_once, aliases) for entry in answer_once)
        found += sum(in_list(entry, answer, aliases) for entry in gold_once)
    precision = right / predicted if predicted else 0.0
    recall = found / wanted if wanted else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return precision, recall, f1


@settings(max_examples=200, deadline=None)
@given(row_lists, alias_sets)
@example([("x", [Relation("作者", "甲", (("@value", "乙"),))], None)], {})
@example(
    [("x", [Relation("作者", "甲", (("@value", "丙 "),))], [Relation("作者", "《乙》", (("@value", "AB"),))])], ALIASES
)
@example([("x", [Relation("作者", "乙", (("@value", "甲"),))], [Relation("作者", "ab", (("@value", "甲"),))])], ALIASES)
def test_the_official_figure_follows_the_rule(rows: list[Row], aliases: dict[str, frozenset[str]]) -> None:
    if not rows:
        return
    found = scored(DuieOfficial(PREDICATES, aliases), rows)
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx(official(rows, aliases), abs=1e-12)


def test_aliases_may_count_on_one_side_only() -> None:
    # 乙 has the alias ab, ab has not 乙: a predicted 乙 is found among gold ab, a gold ab not among predicted 乙.
    rows: list[Row] = [
        ("x", [Relation("作者", "Ab", (("@value", "丙"),))], [Relation("作者", "乙", (("@value", "丙"),))])
    ]
    assert scored(DuieOfficial(PREDICATES, ALIASES), rows) == {"precision": 1.0, "recall": 0.0, "f1": 0.0}


def test_of_rows_with_one_text_the_last_counts() -> None:
    first, second = Relation("作者", "甲", (("@value", "乙"),)), Relation("饰演", "甲", (("@value", "丙"),))
    rows: list[Row] = [("x", [first], [first]), ("x", [second], []), ("y", [first], [first])]
    assert scored(DuieOfficial(PREDICATES), rows)["recall"] == 0.5


def test_an_object_counts_with_all_its_slots_or_not_at_all() -> None:
    gold = Relation("饰演", "甲", (("@value", "乙"), ("inWork", "丙")))
    bare = Relation("饰演", "甲", (("@value", "乙"),))
    rows: list[Row] = [("x", [gold], [bare])]
    assert scored(DuieOfficial(PREDICATES), rows)["f1"] == 0.0
    assert scored(TripleMicroF1(PREDICATES), rows) == pytest.approx({"precision": 1, "recall": 0.5, "f1": 2 / 3})


def test_words_are_lower_cased_and_lose_one_pair_of_title_marks() -> None:
    assert [normalised(words) for words in ("《Ab》", "《《甲》》", "《甲", "甲》", "《》", "《甲》乙《丙》")] == [
        "ab", "《甲》", "《甲", "甲》", "", "甲》乙《丙",
    ]  # fmt: skip


# -------------------------------------------------------------------- triples


@settings(max_examples=100, deadline=None)
@given(row_lists)
def test_triples_follow_the_rule(rows: list[Row]) -> None:
    if not rows:
        return
    right = wrong = lost = 0
    for _, gold, answer in rows:
        wanted, made = [], []
        for relations_, listed in ((gold, wanted), (answer or [], made)):
            for relation in relations_:
                for slot, words in relation.object:
                    if (relation.predicate, relation.subject, slot, words) not in listed:
                        listed.append((relation.predicate, relation.subject, slot, words))
        right += len([triple for triple in made if triple in wanted])
        wrong += len([triple for triple in made if triple not in wanted])
        lost += len([triple for triple in wanted if triple not in made])
    precision = right / (right + wrong) if right else 0.0
    recall = right / (right + lost) if right else 0.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    found = scored(TripleMicroF1(PREDICATES), rows)
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx((precision, recall, f1), abs=1e-12)


# -------------------------------------------------------------------- around them


@pytest.mark.parametrize("kind", [DuieOfficial, TripleMicroF1])
def test_each_predicate_has_its_row_and_the_text_is_the_cluster(kind: type) -> None:
    metric = kind(PREDICATES)
    assert isinstance(metric, Metric)
    author, role = Relation("作者", "甲", (("@value", "乙"),)), Relation("饰演", "甲", (("@value", "丙"),))
    row = Example(4, None, ("正文",), (author, role), {}, Where("f", 1))
    ((cluster, counts),) = metric.units(row, Prediction((author, Relation("饰演", "丁", (("@value", "丙"),)))))
    assert cluster == "正文"
    totals = np.zeros(len(metric.columns))
    for column, amount in counts.items():
        totals[column] += amount
    table = {line["label"]: line for line in metric.per_label(totals)}
    assert list(table) == list(PREDICATES)
    assert table["作者"] == {
        "label": "作者", "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1, "predicted": 1
    }  # fmt: skip
    assert (table["饰演"]["f1"], table["饰演"]["support"], table["饰演"]["predicted"]) == (0.0, 1, 1)
    assert table["获奖"]["support"] == 0
    assert metric.result(np.stack([totals, 2 * totals]))["f1"].tolist() == [0.5, 0.5]


def test_an_alias_file_is_read_lower_cased(tmp_path: Path) -> None:
    path = tmp_path / "alias.txt"
    path.write_text("北京大学 \t北大\t PKU\n\nPKU\t北京大学\n北大\n北京大学\t燕园\n", encoding="utf-8")
    assert read_aliases(path) == {
        "北京大学": frozenset({"北大", "pku", "燕园"}), "pku": frozenset({"北京大学"}), "北大": frozenset(),
    }  # fmt: skip
    path.write_text("北京大学\t北大\n\t北大\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"alias\.txt:2: a word and its aliases"):
        DuieOfficial.read_aliases(path)
