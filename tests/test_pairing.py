"""`clue score`: a file of predictions from anywhere against a file of gold."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clue_cli.contract import Answering, Tally
from clue_cli.errors import ClueError, RowError, UserError
from clue_cli.main import run
from clue_cli.pairing import score_files
from clue_cli.registry import find_task, tasks
from clue_cli.scoring import make_metric, score
from clue_cli.sources import Row, Source, locate
from tasks.cluener import TASK as CLUENER
from tasks.families.classification import TextClassification

PAIRS = TextClassification(name="pairs", title="", labels=("no", "yes"), texts=("a", "b"), left_out=("-",))
GOLD = [
    {"text": "王明在上海", "label": {"name": {"王明": [[0, 1]]}, "address": {"上海": [[3, 4]]}}},
    {"text": "《围城》好看", "label": {"book": {"《围城》": [[0, 3]]}}},
]
OFFICIAL = [{"label": GOLD[0]["label"]}, {"label": {"movie": {"《围城》": [[0, 3]]}}}]


def lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    return lines(tmp_path / "dev.json", GOLD)


def labelled(*labels: str, ids: Sequence[Any] = ()) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"a": f"a{i}", "b": "b", "label": label} for i, label in enumerate(labels)]
    for row, key in zip(rows, ids, strict=False):
        row["id"] = key
    return rows


def test_every_metric_of_the_task_the_ranking_one_first(gold: Path, tmp_path: Path) -> None:
    result = score_files(CLUENER, gold, lines(tmp_path / "p.json", OFFICIAL))
    assert list(result.scores) == ["cluener:official", "span:micro_f1"]
    assert result.scores["cluener:official"].figure == pytest.approx(2 / 10)
    assert result.scores["span:micro_f1"].figure == pytest.approx(2 / 3)
    assert (result.paired_by, result.official, result.gold, result.pred) == ("order", False, "dev.json", "p.json")
    only = score_files(CLUENER, gold, tmp_path / "p.json", "span:micro_f1")
    assert list(only.scores) == ["span:micro_f1"]


def test_gold_is_official_where_all_of_its_files_are(tmp_path: Path) -> None:
    """C3's split is two files."""
    task, source = find_task("c3"), Source.open(tmp_path)
    for name, choices in (("d-dev.json", ["甲", "乙"]), ("m-dev.json", ["丙", "丁"])):
        row = {"id": name, "passage": "文", "question": "谁？", "choices": choices, "answer": 0}
        written(tmp_path / name, [row])
    pred = lines(tmp_path / "p.jsonl", [{"id": f"{kind}-dev.json", "label": 0} for kind in "dm"])
    for known in ((), ("d-dev.json",), ("d-dev.json", "m-dev.json")):
        official = {name: source.sha256(name) for name in known}
        assert score_files(replace(task, official=official), tmp_path, pred).official is (len(known) == 2)


def test_our_own_answers_and_a_runs_dev_predictions_are_read(gold: Path, tmp_path: Path) -> None:
    ours = [
        {**GOLD[0], "entities": [{"start": 0, "end": 2, "type": "name", "text": "王明", "probability": 0.5}]},
        {**GOLD[1], "entities": []},
    ]
    figure = score_files(CLUENER, gold, lines(tmp_path / "ours.jsonl", ours), "span:micro_f1").scores["span:micro_f1"]
    assert (figure.figures["precision"], figure.figures["recall"]) == (1.0, pytest.approx(1 / 3))
    dev = [
        {"number": i, "id": None, "gold": {"entities": []}, "prediction": {"entities": row["entities"]}}
        for i, row in enumerate(ours)
    ]
    same = score_files(CLUENER, gold, lines(tmp_path / "predictions.dev.jsonl", dev), "span:micro_f1")
    assert same.scores["span:micro_f1"].figures == figure.figures


def test_entities_off_their_places_count_by_their_words_where_the_rule_does(
    gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shifted = {"name": {"王明": [[1, 2]]}, "address": {"上海": []}}
    rows = [{"label": shifted}, {"label": {"book": {"《围城》": [[0, 3]]}}}]
    pred = lines(tmp_path / "p.json", rows)
    result = score_files(CLUENER, gold, pred)
    assert result.scores["cluener:official"].figure == pytest.approx(3 / 10)
    micro = result.scores["span:micro_f1"].figures
    assert (micro["precision"], micro["recall"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert (result.wrong, result.tally.as_dict()) == (2, {})
    assert run(["score", "cluener", "--gold", str(gold), "--pred", str(pred)]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "2 parts of answers outside the schema or off their place: wrong, unless a metric ignores places" in told
    assert "'明在' in the text, not '王明'" in told and "left out" not in told
    assert run(["score", "cluener", "--gold", str(gold), "--pred", str(pred), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["left_out"], document["wrong"]["count"]) == ({}, 2)
    assert document["wrong"]["first"].endswith("it stands at character 0)")
    own = [
        {"entities": [{"start": 1, "end": 3, "type": "name", "text": "王明"}, {"start": 9, "end": 99, "type": "book"}]},
        {"entities": [{"start": 0, "end": 4, "type": "book"}]},
    ]
    result = score_files(CLUENER, gold, lines(tmp_path / "own.json", own))
    assert (result.wrong, result.scores["cluener:official"].figures["recall"]) == (2, pytest.approx(2 / 10))


@pytest.mark.parametrize(
    ("predicate", "slots"),
    [("主演过", "王明"), ("导演", {"@value": "王明", "inWork": "围城"})],
)
def test_relations_outside_the_schema_are_each_one_wrong_answer(tmp_path: Path, predicate: str, slots: Any) -> None:
    text = "王明导演了《围城》"
    right = {"predicate": "导演", "subject": "围城", "object": {"@value": "王明"}}
    gold_file = lines(tmp_path / "dev.json", [{"text": text, "spo_list": [right]}])
    wrong = {"predicate": predicate, "subject": "围城", "object": slots}
    p = tmp_path / "p.json"
    result = score_files(find_task("duie"), gold_file, lines(p, [{"text": text, "spo_list": [right, wrong]}]))
    for figures in (each.figures for each in result.scores.values()):
        assert (figures["precision"], figures["recall"]) == (0.5, 1.0)
    assert result.wrong == 1
    if isinstance(slots, str):
        slots = {"@value": slots}
    places = {"王明": {"start": 0, "end": 2}, "围城": {"start": 6, "end": 8}}
    own = [
        {**one, "subject": places["围城"], "object": {slot: places[words] for slot, words in given.items()}}
        for one, given in ((right, right["object"]), (wrong, slots))
    ]
    assert score_files(find_task("duie"), gold_file, lines(p, [{"text": text, "relations": own}])).wrong == 1


def test_a_relation_without_an_object_is_refused_whatever_its_predicate(tmp_path: Path) -> None:
    gold_file = lines(tmp_path / "dev.json", [{"text": "王明", "spo_list": []}])
    spo = {"predicate": "主演过", "subject": "王明", "object": {}}
    pred = lines(tmp_path / "p.json", [{"text": "王明", "spo_list": [spo]}])
    with pytest.raises(RowError, match="no slot '@value'"):
        score_files(find_task("duie"), gold_file, pred)


def test_arguments_off_their_place_count_by_their_words_where_the_rule_does(tmp_path: Path) -> None:
    def row(start: int) -> dict[str, Any]:
        argument = {"role": "裁员方", "argument": "甲厂", "argument_start_index": start}
        event = {"event_type": "组织关系-裁员", "trigger": "裁员", "trigger_start_index": 2, "arguments": [argument]}
        return {"id": "a", "text": "甲厂裁员", "event_list": [event]}

    gold_file, pred = lines(tmp_path / "dev.json", [row(0)]), lines(tmp_path / "p.json", [row(1)])
    result = score_files(find_task("duee"), gold_file, pred)
    assert result.wrong == 1
    assert [result.scores[f"duee:{name}"].figure for name in ("character", "argument", "event")] == [1, 0, 0]


def test_events_outside_the_schema_are_wrong_in_every_metric(tmp_path: Path) -> None:
    right = {"event_type": "公司上市", "arguments": [{"role": "环节", "argument": "正式上市"}]}
    others = [
        {"event_type": "公司上市", "arguments": [{"role": "环节", "argument": "敲钟"}]},
        {"event_type": "公司离市", "arguments": [{"role": "公司", "argument": "甲"}]},
        {"event_type": "公司上市", "arguments": [{"role": "公司", "argument": "甲"}]},
    ]
    rows = {"id": "a", "text": "甲公司上市", "title": "上市"}
    full = {**right, "trigger": "上市"}
    gold_file = lines(tmp_path / "dev.json", [{**rows, "event_list": [full]}])
    pred = lines(tmp_path / "p.json", [{"id": "a", "event_list": [right, *others]}])
    result = score_files(find_task("duee_fin"), gold_file, pred)
    assert result.wrong == 3
    figures = result.scores["duee_fin:greedy"].figures
    assert (figures["precision"], figures["recall"]) == (0.25, 1.0)
    for each in result.scores.values():
        assert sum(line["predicted"] for line in each.per_label) == 4


def test_ids_pair_rows_in_any_order(tmp_path: Path) -> None:
    gold = lines(tmp_path / "gold.jsonl", labelled("yes", "no", "yes", ids=(7, 8, 9)))
    answers = [{"id": "9", "label": "yes"}, {"id": 7, "label": "yes"}, {"id": 8, "label": "yes"}]
    result = score_files(PAIRS, gold, lines(tmp_path / "p.jsonl", answers))
    assert result.paired_by == "id"
    assert result.scores["accuracy"].figure == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([{"id": 7, "label": "yes"}], r"p\.jsonl: no prediction for id 8"),
        ([{"id": i, "label": "yes"} for i in (7, 8, 5)], r"p\.jsonl:3: id 5: no such id"),
        ([{"id": i, "label": "yes"} for i in (7, 8, 7)], r"p\.jsonl:3: id: id 7 was already used in line 1"),
        ([{"id": 7, "label": "yes"}, {"label": "yes"}], r"p\.jsonl:2: this row has no 'id'"),
        ([{"id": 7, "label": "maybe"}, {"id": 8, "label": "no"}], r"p\.jsonl:1: label: unknown label 'maybe'"),
        ([{"id": 7, "label": "no", "a": "a1"}, {"id": 8, "label": "no"}], r"p\.jsonl:1: a: the text is not that of"),
    ],
)
def test_ids_that_do_not_fit_are_refused(answers: list[dict[str, Any]], words: str, tmp_path: Path) -> None:
    gold = lines(tmp_path / "gold.jsonl", labelled("yes", "no", ids=(7, 8)))
    with pytest.raises(ClueError, match=words):
        score_files(PAIRS, gold, lines(tmp_path / "p.jsonl", answers))


@pytest.mark.parametrize(("ids", "fits"), [
    ((0, 1, 2), True), ((1, 2, 3), True), ((2, 0, 1), False), (("3", "1", "2"), False), ((9, 7, 30), True),
    (("c", "a", "b"), True),
])  # fmt: skip
def test_numbers_of_rows_in_another_order_are_refused(ids: tuple[Any, ...], fits: bool, tmp_path: Path) -> None:
    """The gold has no ids: rows are paired by order, which numbers of rows would contradict."""
    gold = lines(tmp_path / "gold.jsonl", labelled("yes", "no", "yes"))
    answers = lines(tmp_path / "p.jsonl", [{"id": i, "label": "yes"} for i in ids])
    if fits:
        assert score_files(PAIRS, gold, answers).paired_by == "order"
    else:
        with pytest.raises(UserError, match="count the rows in another order"):
            score_files(PAIRS, gold, answers)


def test_blanks_of_own_lines_may_have_the_same_tags(tmp_path: Path) -> None:
    """A user's own cloze: rows are paired by id or order, not by the tags of ChID."""
    (tmp_path / "task.toml").write_text('family = "cloze"\n', encoding="utf-8")
    rows = [
        {"content": f"他{said}#idiom1#。", "candidates": ["甲", "乙"], "answers": {"#idiom1#": i}}
        for i, said in enumerate(("说", "笑"))
    ]
    gold = lines(tmp_path / "dev.jsonl", rows)
    answers = lines(tmp_path / "p.jsonl", [{**row, "answers": {"#idiom1#": 0}} for row in rows])
    assert score_files(find_task(str(tmp_path)), gold, answers).scores["chid:accuracy"].figure == 0.5


def test_of_a_line_with_several_blanks_only_the_missing_ones_are_wrong(tmp_path: Path) -> None:
    task = find_task("chid")
    source, _ = locate("chid", None)
    gold = Path(source.location)
    answers = json.loads((gold / "dev_answer.json").read_text("utf-8"))
    line = next(line for line in map(json.loads, (gold / "dev.json").read_text("utf-8").splitlines())
                if sum(text.count("#idiom") for text in line["content"]) > 2)  # fmt: skip
    tags = re.findall(r"#idiom\d+#", "".join(line["content"]))
    for kept in (tags[1:], tags[:1]):
        some = {tag: index for tag, index in answers.items() if tag not in tags or tag in kept}
        path = tmp_path / "p.json"
        path.write_text(json.dumps(some), encoding="utf-8")
        found = score_files(task, gold, path, missing_wrong=True).scores["chid:accuracy"]
        assert found.figures["accuracy"] == pytest.approx(len(some) / len(answers))


def test_ids_repeated_in_the_gold_are_refused(tmp_path: Path) -> None:
    gold = lines(tmp_path / "gold.jsonl", labelled("yes", "no", ids=(7, 7)))
    with pytest.raises(RowError, match=r"gold\.jsonl:2: id: id 7 was already used in line 1"):
        score_files(PAIRS, gold, lines(tmp_path / "p.jsonl", [{"label": "yes"}] * 2))


def test_without_ids_the_counts_must_be_equal(gold: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"p\.json: 1 predictions for the 2 rows of .*dev\.json"):
        score_files(CLUENER, gold, lines(tmp_path / "p.json", OFFICIAL[:1]))


@pytest.mark.parametrize("ids", [(), (1, 2, 3)])
def test_rows_without_usable_gold_are_left_out_on_both_sides(ids: tuple[int, ...], tmp_path: Path) -> None:
    gold = lines(tmp_path / "gold.jsonl", labelled("yes", "-", "no", ids=ids))
    answers = labelled("yes", "yes", "no", ids=ids)
    for some in (answers, [answers[0], answers[2]]):
        result = score_files(PAIRS, gold, lines(tmp_path / "p.jsonl", some))
        assert (result.scores["accuracy"].figure, result.scores["accuracy"].items) == (1.0, 2)
        assert result.tally.counts == {"rows labelled '-'": 1}


def test_texts_that_disagree_are_refused(gold: Path, tmp_path: Path) -> None:
    swapped = [{**OFFICIAL[1], "text": GOLD[1]["text"]}, {**OFFICIAL[0], "text": GOLD[0]["text"]}]
    with pytest.raises(RowError, match=r"p\.json:1: text: the text is not that of the gold row .*dev\.json:1"):
        score_files(CLUENER, gold, lines(tmp_path / "p.json", swapped))


def test_csv_files_serve_on_both_sides(tmp_path: Path) -> None:
    (tmp_path / "gold.csv").write_text("a,b,label\nx,y,yes\nx,z,no\n", encoding="utf-8")
    (tmp_path / "p.csv").write_text("label\nyes\nyes\n", encoding="utf-8")
    assert score_files(PAIRS, tmp_path / "gold.csv", tmp_path / "p.csv").scores["accuracy"].figure == 0.5


# -------------------------------------------------------------------- official files of other forms


def squad(*questions: tuple[str, str]) -> dict[str, Any]:
    """A document on one passage: (id, answer) each."""
    context = "王明在上海出生，后来去了北京。"
    qas = [
        {"id": key, "question": f"问题{key}", "answers": [{"text": text, "answer_start": context.index(text)}]}
        for key, text in questions
    ]
    return {"version": "1", "data": [{"paragraphs": [{"context": context, "qas": qas}]}]}


@pytest.fixture
def passages(tmp_path: Path) -> Path:
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(squad(("Q1", "王明"), ("Q2", "上海"), ("Q3", "北京"))), encoding="utf-8")
    return path


def written(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def test_one_object_of_answers_is_scored_against_a_nested_document(passages: Path, tmp_path: Path) -> None:
    task = find_task("cmrc2018")
    pred = written(tmp_path / "p.json", {"Q2": "上海", "Q3": "南京", "Q1": "王明"})
    result = score_files(task, passages, pred, "cmrc2018:official")
    assert (result.paired_by, result.tally.counts) == ("id", {})
    assert result.scores["cmrc2018:official"].figures["em"] == pytest.approx(2 / 3)
    rows = [{"id": "Q2", "answer": "上海"}, {"id": "Q3", "answer": "南京"}, {"id": "Q1", "answer": "王明"}]
    flat = score_files(task, passages, lines(tmp_path / "p.jsonl", rows), "cmrc2018:official")
    assert flat.scores["cmrc2018:official"].figures == result.scores["cmrc2018:official"].figures


def test_a_file_of_one_row_is_a_row_and_no_document(tmp_path: Path) -> None:
    gold = written(tmp_path / "dev.json", squad(("Q1", "王明")))
    pred = lines(tmp_path / "p.json", [{"id": "Q1", "answer": "王明"}])
    task = find_task("cmrc2018")
    assert score_files(task, gold, pred).scores["cmrc2018:official"].figures["em"] == 1.0
    dev = [{"number": 0, "id": "Q1", "gold": {"answers": []}, "prediction": {"answer": "王明", "start": 0, "end": 2}}]
    assert score_files(task, gold, lines(tmp_path / "d.jsonl", dev)).scores["cmrc2018:official"].figures["em"] == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"Q1": "王明", "Q2": "上海"}', r"p\.json: no prediction for id Q3 \(--missing wrong counts"),
        ('{"Q1": "", "Q2": "", "Q3": "", "Q4": ""}', r"p\.json: Q4: id Q4: no such id in the gold"),
        ('{"Q1": "王明",\n "Q1": "王",\n "Q2": "", "Q3": ""}', r"p\.json:2: 'Q1' occurs twice in one object"),
        ('{"Q1": 3, "Q2": "", "Q3": ""}', r"p\.json: Q1: a text was expected, found the number 3"),
        ('["Q1"]', r"p\.json: one object \{id: answer\} was expected"),
        ('{"Q1": "王明"', r"p\.json:1: no valid JSON"),
    ],
)
def test_objects_that_do_not_fit_are_refused(text: str, words: str, passages: Path, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=words):
        score_files(find_task("cmrc2018"), passages, tmp_path / "p.json")


def test_missing_predictions_count_as_wrong_where_that_is_wished(passages: Path, tmp_path: Path) -> None:
    pred = written(tmp_path / "p.json", {"Q1": "王明", "Q2": "上海"})
    result = score_files(find_task("cmrc2018"), passages, pred, missing_wrong=True)
    score = result.scores["cmrc2018:official"]
    assert (score.figures["em"], score.items, score.missing) == (pytest.approx(2 / 3), 3, 1)
    assert result.tally.counts == {"rows without a prediction, counted as wrong or empty": 1}


BLANKS = [
    {"groupId": 0, "candidates": ["一帆风顺", "马到成功", "画蛇添足"], "content": ["祝#idiom000001#，#idiom000002#。"]},
    {"groupId": 1, "candidates": ["一帆风顺", "马到成功", "画蛇添足"], "content": ["别#idiom000007#了。"]},
]


def test_answers_by_blank_are_put_together_by_line(tmp_path: Path) -> None:
    task = find_task("chid")
    lines(tmp_path / "dev.json", BLANKS)
    written(tmp_path / "dev_answer.json", {"#idiom000001#": 0, "#idiom000002#": 1, "#idiom000007#": 2})
    pred = written(tmp_path / "p.json", {"#idiom000007#": 2, "#idiom000001#": 0, "#idiom000002#": 2})
    result = score_files(task, tmp_path, pred)
    assert result.paired_by == "id"
    assert result.scores[task.default_metric].figure == pytest.approx(2 / 3)
    ours = [{**BLANKS[0], "answers": {"#idiom000001#": 0, "#idiom000002#": 2}}, {"answers": {"#idiom000007#": 2}}]
    same = score_files(task, tmp_path, lines(tmp_path / "ours.jsonl", ours))
    assert same.paired_by == "order"
    assert same.scores[task.default_metric].figure == pytest.approx(2 / 3)
    written(pred, {"#idiom000007#": 2, "#idiom000001#": 0})
    with pytest.raises(UserError, match="no prediction for id #idiom000002#"):
        score_files(task, tmp_path, pred)
    half = score_files(task, tmp_path, pred, missing_wrong=True)
    assert half.scores[task.default_metric].figure == pytest.approx(2 / 3)  # over blanks, of which one has no answer


def test_a_split_of_several_files_is_paired_by_the_order_of_both(tmp_path: Path) -> None:
    task = find_task("c3")
    for name, right in (("d-dev.json", "八点"), ("m-dev.json", "九点")):
        question = {"question": "几点开会？", "choice": ["八点", "九点"], "answer": right}
        written(tmp_path / name, [[["男：几点开会？"], [question, question], "1"]])
    answers = [{"id": number, "label": label} for number, label in enumerate((0, 1, 1, 1))]
    result = score_files(task, tmp_path, lines(tmp_path / "p.json", answers))
    assert (result.paired_by, result.scores["accuracy"].figure) == ("order", 0.75)


@pytest.mark.parametrize("name", sorted(tasks()))
def test_the_official_form_and_ours_give_every_task_the_figures_of_its_predictions(name: str, tmp_path: Path) -> None:
    task: Any = find_task(name)
    sample, _ = locate(name, None)
    examples = list(task.read(sample, "dev", Tally()))
    right = [task.read_prediction(Row(task.gold_fields(example), example.where), example) for example in examples]
    # Every third row gets an answer that fits it and is mostly wrong: that of a row with the same choices, or none.
    wrong = {"entities": {"entities": []}, "reading": {"answer": "错"}, "relations": {"spo_list": []},
             "events": {"event_list": []}, "classification": {"label": [*task.labels, ""][0]}}  # fmt: skip
    answer = wrong.get(task.family)
    pairs = [
        (e, task.read_prediction(Row(answer, e.where), e) if answer and number % 3 == 0 else prediction)
        for number, (e, prediction) in enumerate(zip(examples, right, strict=True))
    ]
    expected = {metric: score(make_metric(task, metric), pairs).figures for metric in task.metrics}
    ours = [
        {**({} if e.id is None else {task.id: e.id}), **task.answer_fields(e, p, Answering(), probabilities=False)}
        for e, p in pairs
    ]
    official = [
        {key: value for key, value in task.submission_row(e, p).items() if value is not None} for e, p in pairs
    ] if task.submission_document(()) is None else None  # fmt: skip
    files = [lines(tmp_path / "ours.jsonl", ours)]
    if official is None:
        files.append(written(tmp_path / "official.json", task.submission_document(pairs)))
    else:
        files.append(lines(tmp_path / "official.json", official))
    for file, metrics in zip(files, (list(expected), [task.default_metric]), strict=True):
        # The official form may lack what another metric needs: DuEE's has neither triggers nor places.
        result = score_files(task, sample.location, file)
        assert {metric: result.scores[metric].figures for metric in metrics} == {m: expected[m] for m in metrics}


# -------------------------------------------------------------------- DuIE: rows known by their text

SPO = {"predicate": "导演", "subject": "围城", "object": {"@value": "黄蜀芹"}, "subject_type": "影视作品"}


def relations(*rows: tuple[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [{"text": text, "spo_list": spo} for text, spo in rows]


def test_relations_are_paired_by_their_text(tmp_path: Path) -> None:
    task = find_task("duie")
    gold = lines(tmp_path / "gold.json", relations(("围城由黄蜀芹导演", [SPO]), ("今天", [])))
    result = score_files(task, gold, lines(tmp_path / "p.json", relations(("今天", []), ("围城由黄蜀芹导演", [SPO]))))
    assert (result.paired_by, result.scores["duie:official"].figure) == ("text", 1.0)
    # As the official scorer has it: the last row of a text counts, texts that are not gold are nobody's.
    more = relations(("围城由黄蜀芹导演", [SPO]), ("今天", []), ("明天", [SPO]), ("围城由黄蜀芹导演", []))
    result = score_files(task, gold, lines(tmp_path / "p.json", more))
    assert result.scores["duie:official"].figure == 0.0
    assert result.tally.counts == {
        "predictions for a text that has another one further down, which counts": 1,
        "predictions for texts that are not in the gold": 1,
    }
    with pytest.raises(UserError, match="no prediction for text 今天"):
        score_files(task, gold, lines(tmp_path / "p.json", relations(("围城由黄蜀芹导演", [SPO]))))
    with pytest.raises(RowError, match=r"p\.json:1: no prediction is for a text of the gold"):
        score_files(task, gold, lines(tmp_path / "p.json", relations(("围城 由黄蜀芹导演", [SPO]))))


def test_texts_that_stand_twice_in_the_gold_share_a_prediction(tmp_path: Path) -> None:
    gold = lines(tmp_path / "gold.json", relations(("围城由黄蜀芹导演", []), ("围城由黄蜀芹导演", [SPO])))
    pred = lines(tmp_path / "p.json", relations(("围城由黄蜀芹导演", [SPO])))
    assert score_files(find_task("duie"), gold, pred, "duie:official").scores["duie:official"].figure == 1.0


def test_the_only_member_of_a_zip_is_scored(tmp_path: Path) -> None:
    gold = lines(tmp_path / "gold.json", relations(("围城由黄蜀芹导演", [SPO])))
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.write(gold, "duie.json")
    assert score_files(find_task("duie"), gold, tmp_path / "p.zip").scores["duie:official"].figure == 1.0
    with zipfile.ZipFile(tmp_path / "p.zip", "a") as archive:
        archive.write(gold, "other.json")
    with pytest.raises(UserError, match=r"p\.zip: one file of predictions was expected in it, found 2"):
        score_files(find_task("duie"), gold, tmp_path / "p.zip")


def test_aliases_reach_the_metrics_that_take_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gold = lines(tmp_path / "gold.json", relations(("围城由黄蜀芹导演", [SPO])))
    pred = lines(tmp_path / "p.json", relations(("围城由黄蜀芹导演", [{**SPO, "subject": "电视剧围城"}])))
    alias = tmp_path / "alias.txt"
    alias.write_text("围城\t电视剧围城\n电视剧围城\t围城\n", encoding="utf-8")
    files = ["--gold", str(gold), "--pred", str(pred), "--json"]

    def figures(*more: str) -> dict[str, float]:
        assert run(["score", "duie", *files, *more]) == 0
        return {m["metric"]: m["figures"]["f1"] for m in json.loads(capsys.readouterr().out)["metrics"]}

    assert figures() == {"duie:official": 0.0, "duie:triple": 0.0}
    assert figures("--alias", str(alias)) == {"duie:official": 1.0, "duie:triple": 0.0}
    assert run(["score", "duie", *files, "--alias", str(alias), "--metric", "duie:triple"]) == 2
    assert "no metric of task duie that is asked for takes aliases" in capsys.readouterr().err
    assert run(["score", "duie", *files, "--alias", str(tmp_path / "none.txt")]) == 2
    assert "none.txt: does not exist" in capsys.readouterr().err
    assert run(["score", "duie", *files, "--missing", "wrnog"]) == 2
    assert "did you mean wrong" in capsys.readouterr().err


# -------------------------------------------------------------------- the verb


def test_the_verb_prints_figures_with_errors_and_labels(
    gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pred = lines(tmp_path / "p.json", OFFICIAL)
    assert run(["score", "cluener", "--gold", str(gold), "--pred", str(pred)]) == 0
    out = capsys.readouterr().out
    assert "cluener:official" in out
    assert "66.67" in out
    assert "± item" in out
    assert "never predicted right" in out
    assert "organization" in out
    assert "not an official file" in out
    assert run(["score", "cluener", "--gold", str(gold), "--pred", str(pred), "--no-per-label"]) == 0
    assert "by label" not in capsys.readouterr().out


def test_the_verb_prints_one_json_document(gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pred = lines(tmp_path / "p.json", OFFICIAL)
    command = ["score", "cluener", "--gold", str(gold), "--pred", str(pred)]
    assert run([*command, "--metric", "span:micro_f1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    [metric] = document["metrics"]
    assert (metric["metric"], metric["primary"], metric["items"]) == ("span:micro_f1", "f1", 2)
    assert set(metric["errors"]) == {"f1", "precision", "recall"}
    assert metric["figures"]["f1"] == pytest.approx(2 / 3)
    assert {"label": "movie", "support": 0}.items() <= metric["per_label"][5].items()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"--pred": "nothing.json"}, "nothing.json: does not exist"),
        ({"--gold": "nothing.json"}, "nothing.json: does not exist"),
        ({"--metric": "span:mikro_f1"}, "span:micro_f1"),
        ({"--encoding": "utf-99"}, "utf-99"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    changed: dict[str, str], words: str, gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"--gold": str(gold), "--pred": str(lines(tmp_path / "p.json", OFFICIAL)), **changed}
    assert run(["score", "cluener", *(part for pair in options.items() for part in pair)]) == 2
    caught = capsys.readouterr()
    assert words in caught.err
    assert caught.err.count("\n") == 1
    assert caught.out == ""
