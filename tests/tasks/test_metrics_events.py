"""Each rule of scoring events against the same rule said slowly: every matching tried, every event looked at."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clue_cli.contract import Example, Metric, Prediction
from clue_cli.errors import Where
from clue_cli.lines import Row
from clue_cli.registry import find_task
from clue_cli.scoring import make_metric, score
from tasks.families.event_forms import Argument, Event, Mention
from tasks.metrics.events import DueeArgument, DueeCharacter, DueeEvent, DueeFinGreedy, shared_characters

TYPES, ROLES = ("结婚", "裁员"), ("谁", "时间")
# Equal words in two cases, at two places; full-width and combining characters, emoji, one that grows in lower case.
WORDS = ("北京", "北京市", "市京", "Abc", "abC", "ＡＢ", "😀😀", "İx", "e\u0301")
# Drawn from lists made beforehand: hypothesis spends its time on the rows, not on their parts.
ARGUMENTS = [
    Argument(role, words, place, others)
    for role in ROLES
    for words in WORDS
    for place, others in ((-1, ()), (2, ()), (3, ("北京",)), (2, ("abc", "京")))
]
TRIGGERS = [Mention(), Mention("北京", 0), Mention("北京", 3)]
sides = st.lists(
    st.builds(
        lambda type_, trigger, some: Event(type_, trigger, tuple(some)),
        st.sampled_from(TYPES),
        st.sampled_from(TRIGGERS),
        st.lists(st.sampled_from(ARGUMENTS), max_size=4),
    ),
    max_size=3,
)
rows_of = st.lists(st.tuples(sides, st.one_of(st.none(), sides)), max_size=2)
Rows = list[tuple[list[Event], list[Event] | None]]


def totals_of(metric: Any, rows: Rows) -> np.ndarray:
    totals = np.zeros(len(metric.columns))
    for number, (gold, answer) in enumerate(rows):
        example = Example(number, None, ("",), tuple(gold), {}, Where("f", number))
        for cluster, counts in metric.units(example, None if answer is None else Prediction(tuple(answer))):
            assert cluster == number
            for column, amount in counts.items():
                totals[column] += amount
    return totals


def figures(credit: float, predicted: float, gold: float) -> tuple[float, float, float]:
    """Precision, recall, F1; 0 where there is nothing to divide by."""
    precision = credit / predicted if predicted else 0.0
    recall = credit / gold if gold else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def character_f1(predicted: str, gold: str) -> float:
    """Precision and recall of characters, each character of the one crossed out against one of the other."""
    left = list(gold)
    shared = 0
    for character in predicted:
        if character in left:
            left.remove(character)
            shared += 1
    return figures(shared, len(predicted), len(gold))[2]


def by_character(rows: Rows) -> tuple[float, float, float]:
    """Every way to give predicted arguments gold ones of their type and role; the best sum counts."""
    credit, predicted_count, gold_count = 0.0, 0, 0
    for gold, answer in rows:
        for type_, role in itertools.product(TYPES, ROLES):
            wanted: dict[str, set[str]] = {}
            for argument in [a for event in gold if event.type == type_ for a in event.arguments if a.role == role]:
                wordings = wanted.setdefault(argument.text.lower(), set())
                wordings |= {argument.text.lower(), *(other.lower() for other in argument.wordings)}
            made = {
                a.text.lower()
                for event in answer or []
                if event.type == type_
                for a in event.arguments
                if a.role == role
            }
            predicted_count += len(made)
            gold_count += len(wanted)
            credit += best_matching(sorted(made), list(wanted.values()))
    return figures(credit, predicted_count, gold_count)


def best_matching(made: list[str], wanted: list[set[str]]) -> float:
    """The largest sum of all ways to give each prediction one gold argument, or none."""
    if not made:
        return 0.0
    first, *others = made
    ways = [best_matching(others, wanted)]
    for index, wordings in enumerate(wanted):
        own = max(character_f1(first, other) for other in wordings)
        ways.append(own + best_matching(others, wanted[:index] + wanted[index + 1 :]))
    return max(ways)


def by_event(rows: Rows) -> tuple[float, float, float]:
    right = predicted_count = gold_count = 0
    for gold, answer in rows:

        def whole(event: Event) -> tuple[Any, ...]:
            return (
                event.type,
                event.trigger.text,
                event.trigger.start,
                sorted({(a.role, a.text, a.start) for a in event.arguments}),
            )

        wanted, made = [], []
        for event in gold:
            if whole(event) not in wanted:
                wanted.append(whole(event))
        for event in answer or []:
            if whole(event) not in made:
                made.append(whole(event))
        right += sum(event in wanted for event in made)
        predicted_count += len(made)
        gold_count += len(wanted)
    return figures(right, predicted_count, gold_count)


def by_argument(rows: Rows) -> tuple[float, float, float]:
    right = predicted_count = gold_count = 0
    for gold, answer in rows:
        wanted = {(e.type, a.role, a.text, a.start) for e in gold for a in e.arguments}
        made = {(e.type, a.role, a.text, a.start) for e in answer or [] for a in e.arguments}
        right, predicted_count, gold_count = (
            right + len(wanted & made),
            predicted_count + len(made),
            gold_count + len(wanted),
        )
    return figures(right, predicted_count, gold_count)


def by_greed(rows: Rows) -> tuple[float, float, float]:
    """Gold events in the order of the file take the predicted event with most right arguments, which is then gone."""
    right = predicted_count = gold_count = 0
    for gold, answer in rows:
        left = list(answer or [])
        predicted_count += sum(len({(a.role, a.text) for a in event.arguments}) for event in left)
        for event in gold:
            own = {(a.role, a.text) for a in event.arguments}
            gold_count += len(own)
            best, most = None, 0
            for candidate in left:
                if candidate.type == event.type:
                    common = len(own & {(a.role, a.text) for a in candidate.arguments})
                    if common > most:
                        best, most = candidate, common
            if best is not None:
                right += most
                left = [candidate for candidate in left if candidate is not best]
    return figures(right, predicted_count, gold_count)


RULES = [
    (DueeCharacter, by_character, "duee:character"),
    (DueeEvent, by_event, "duee:event"),
    (DueeArgument, by_argument, "duee:argument"),
    (DueeFinGreedy, by_greed, "duee_fin:greedy"),
]
every_rule = pytest.mark.parametrize(("kind", "slow", "id_"), RULES, ids=[rule[2] for rule in RULES])


@every_rule
@settings(max_examples=120)
@given(rows=rows_of)
def test_the_figure_is_that_of_the_rule_said_slowly(kind: Any, slow: Any, id_: str, rows: Rows) -> None:
    metric = kind(TYPES)
    result = metric.result(totals_of(metric, rows))
    found = result["precision"], result["recall"], result["f1"]
    assert [float(value) for value in found] == pytest.approx(slow([(g, copies(a)) for g, a in rows]), abs=1e-12)


def copies(answer: list[Event] | None) -> list[Event] | None:
    """Events that are not one and the same object, so that `is` tells them apart."""
    return None if answer is None else [Event(*event) for event in answer]


@every_rule
@settings(max_examples=50)
@given(rows=rows_of)
def test_sums_by_type_are_all_there_is_and_gold_is_perfect(kind: Any, slow: Any, id_: str, rows: Rows) -> None:
    metric = kind(TYPES)
    parts = np.stack([totals_of(metric, [row]) for row in rows] or [totals_of(metric, [])])
    for name, values in metric.result(parts).items():
        assert values.tolist() == [float(metric.result(part)[name]) for part in parts]
    totals = totals_of(metric, rows)
    np.testing.assert_allclose(totals, parts.sum(axis=0))
    table = metric.per_label(totals)
    assert [row["label"] for row in table] == list(TYPES)
    assert sum(row["support"] for row in table) == totals[4:6].sum()
    perfect = totals_of(metric, [(gold, gold) for gold, _ in rows])
    if perfect.any():
        assert metric.result(perfect)["f1"] == pytest.approx(1.0)


@every_rule
def test_each_is_a_metric_of_its_own_name(kind: Any, slow: Any, id_: str) -> None:
    metric = kind(TYPES)
    assert isinstance(metric, Metric)
    assert (metric.id, metric.primary, len(metric.columns)) == (id_, "f1", 6)
    stranger = Event("地震", Mention("震", 0), (Argument("地点", "川", 1),))
    with pytest.raises(KeyError):
        totals_of(metric, [([], [stranger])])


def event(type_: str, *pairs: tuple[str, str], trigger: str = "") -> Event:
    return Event(type_, Mention(trigger, 0) if trigger else Mention(), tuple(Argument(*pair, 5) for pair in pairs))


def test_characters_are_counted_as_often_as_both_have_them() -> None:
    assert shared_characters("aab", "abb") == pytest.approx(2 / 3)
    assert shared_characters("北京", "京北") == 1.0
    assert shared_characters("", "a") == shared_characters("", "") == 0.0


def test_character_credit_by_hand() -> None:
    """900余人 for 近900人: 4 of 5 and 4 of 5 characters; a role that is wrong earns nothing; groups do not matter."""
    gold = [event("裁员", ("谁", "IBM"), ("时间", "近900人")), event("结婚", ("谁", "王明"))]
    answer = [event("裁员", ("谁", "ibm")), event("裁员", ("时间", "900余人")), event("裁员", ("谁", "王明"))]
    metric = DueeCharacter(TYPES)
    result = metric.result(totals_of(metric, [(gold, answer)]))
    assert result["precision"] == pytest.approx((1 + 0.8) / 3)
    assert result["recall"] == pytest.approx((1 + 0.8) / 3)
    strict = DueeArgument(TYPES)
    assert strict.result(totals_of(strict, [(gold, answer)]))["f1"] == 0.0


def test_one_gold_argument_is_matched_once_and_to_the_best_sum() -> None:
    """The best pair first would be ab with ab and nothing for b; ab with aa and b with ab are more together."""
    metric = DueeCharacter(TYPES)
    gold = [event("裁员", ("谁", "ab"), ("谁", "aa"))]
    assert totals_of(metric, [(gold, [event("裁员", ("谁", "ab"), ("谁", "b"))])])[1] == pytest.approx(1 / 2 + 2 / 3)
    assert totals_of(metric, [(gold, [event("裁员", ("谁", "ab"), ("谁", "ab"))])])[1] == pytest.approx(1.0)
    assert totals_of(metric, [(gold, [event("裁员", ("谁", "ab"), ("谁", "xy"))])])[1] == pytest.approx(1.0)


def test_the_best_wording_counts() -> None:
    gold = [Event("裁员", Mention(), (Argument("谁", "国际商业机器", 0, ("IBM", "蓝色巨人")),))]
    metric = DueeCharacter(TYPES)
    assert totals_of(metric, [(gold, [event("裁员", ("谁", "ibm"))])])[1] == 1.0


def test_greed_by_hand() -> None:
    """The first gold event takes the second prediction (two right), the second what is left; the third finds none."""
    one, two = event("裁员", ("谁", "甲"), ("时间", "昨天")), event("裁员", ("谁", "甲"))
    gold = [one, two, event("裁员", ("谁", "乙"))]
    answer = [event("裁员", ("谁", "甲"), ("时间", "今天")), one, event("结婚", ("谁", "乙"))]
    metric = DueeFinGreedy(TYPES)
    totals = totals_of(metric, [(gold, answer)])
    assert totals.tolist() == [0, 3, 1, 4, 0, 4]
    # The order of gold decides: here the smaller event takes the better prediction away.
    assert totals_of(metric, [([two, one], [one, two])])[1] == 2
    assert totals_of(metric, [([one, two], [one, two])])[1] == 3


def test_a_prediction_without_a_right_argument_is_left_for_others() -> None:
    gold = [event("裁员", ("谁", "甲")), event("裁员", ("谁", "乙"))]
    metric = DueeFinGreedy(TYPES)
    assert totals_of(metric, [(gold, [event("裁员", ("谁", "乙"))])])[1] == 1


@pytest.mark.parametrize("order", [1, -1])
def test_equal_events_of_a_document_all_count(order: int) -> None:
    """As they are read, in whatever order their arguments are written."""
    task: Any = find_task("duee_fin")
    arguments = [{"role": "公司名称", "argument": "甲公司"}, {"role": "净亏损", "argument": "1亿"}]
    entry = {"event_type": "亏损", "trigger": "亏损", "arguments": arguments}
    row = {"id": "1", "title": "公告", "text": "甲公司亏损1亿。", "event_list": [entry]}
    gold = task.example(Row(row, Where("f", 1)), 0, labelled=True)
    twice = {"event_list": [entry, {**entry, "arguments": arguments[::order]}]}
    found = score(make_metric(task), [(gold, task.read_prediction(Row(twice, Where("p", 1)), gold))]).figures
    assert (found["precision"], found["recall"]) == (0.5, 1.0)
