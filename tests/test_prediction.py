"""Streaming prediction: answers in input order, whatever the lengths, batches, windows, processes and interruptions."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pandas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clue_cli import prediction
from clue_cli.contract import Answering, Example, Feature, Limits, Prediction, Tally
from clue_cli.errors import RowError, RunError, UserError, Where
from clue_cli.pipeline import Processes, Workers, read_ahead
from clue_cli.prediction import Predictor, token_batches

WINDOW = 8
LOOK = 6


class FakeTask:
    """One text; a text over WINDOW characters becomes windows; texts with `|` are questions with choices (one unit)."""

    name = "fake"
    ranked = True
    fields: tuple[str, ...] = ("text",)

    def example(self, row: Any, number: int, *, labelled: bool) -> Example:
        if not isinstance(row.data.get("text"), str):
            raise RowError("a text was expected", row.where)
        return make_example(row.data["text"], number)

    def features(
        self, examples: Sequence[Example], text_encoder: Any, limits: Limits, tally: Tally, **how: Any
    ) -> Iterator[Feature]:
        unit = 0
        for item, example in enumerate(examples):
            text = example.texts[0]
            choices = "|" in text
            pieces = text.split("|") if choices else [text[i : i + WINDOW] for i in range(0, len(text) or 1, WINDOW)]
            for piece in pieces:
                yield Feature(item, unit, {"input_ids": [1, *map(ord, piece), 2]})
                unit += not choices
            unit += choices

    def predictions(
        self, example: Example, features: Sequence[Feature], candidates: Sequence[Any], options: Answering
    ) -> Prediction:
        return Prediction(tuple(candidates))

    def answer_fields(self, example: Example, prediction: Prediction, options: Answering, **how: Any) -> dict[str, Any]:
        return {"sum": list(prediction.answer), "top": options.top_k, "above": options.threshold}


def make_example(text: str, number: int) -> Example:
    return Example(number, None, (text,), None, {"text": text}, Where("rows.txt", number + 1))


def expected(text: str) -> tuple[int, ...]:
    """The slow statement: one window after the other, alone."""
    pieces = text.split("|") if "|" in text else [text[i : i + WINDOW] for i in range(0, len(text) or 1, WINDOW)]
    return tuple(sum(map(ord, piece)) + 3 for piece in pieces)


class FakeModel:
    """Sums token ids; remembers the batches; may fail. Threads share it: it must have been made ready before them."""

    def __init__(self, fail: Callable[[Sequence[Feature]], None] = lambda features: None) -> None:
        self.task, self.text_encoder, self.limits, self.segments = FakeTask(), None, Limits(128), "pair"
        self.threshold: float | None = 0.25
        self.head = SimpleNamespace(flat=True, thresholded=True, by_row=False)
        self.settings = SimpleNamespace(head="fake")
        self.device = torch.device("cpu")
        self.batches: list[list[list[int]]] = []
        self.fail = fail
        self.ready_in: str | None = None

    def make_ready(self) -> None:
        self.ready_in = threading.current_thread().name

    def predict(self, features: Sequence[Feature], options: Answering) -> list[int]:
        assert self.ready_in is not None
        self.fail(features)
        self.batches.append([feature.inputs["input_ids"] for feature in features])
        return [sum(feature.inputs["input_ids"]) for feature in features]


@pytest.fixture(autouse=True)
def short_lookahead(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(prediction, "LOOKAHEAD", LOOK)
    monkeypatch.setattr(prediction, "LOOKAHEAD_CHARACTERS", 60)
    yield
    leaked = [thread.name for thread in threading.enumerate() if thread.name.startswith("clue-")]
    assert leaked == []


def predictor(model: FakeModel | None = None, tokens: int = 24, processes: Processes | None = None) -> Predictor:
    return Predictor(model or FakeModel(), tokens=tokens, processes=processes)  # type: ignore[arg-type]


def examples_of(texts: Iterable[str]) -> Iterator[Example]:
    return (make_example(text, number) for number, text in enumerate(texts))


texts_strategy = st.lists(st.text(alphabet="天地人|ab", max_size=40), max_size=40)


@settings(max_examples=60, deadline=None)
@given(texts=texts_strategy, tokens=st.integers(1, 60))
def test_answers_come_in_input_order_and_equal_those_one_by_one(texts: list[str], tokens: int) -> None:
    stream = list(predictor(tokens=tokens).examples(examples_of(texts)))
    assert [example.number for example, _ in stream] == list(range(len(texts)))
    assert [prediction.answer for _, prediction in stream] == [expected(text) for text in texts]


@settings(max_examples=60, deadline=None)
@given(texts=texts_strategy, tokens=st.integers(1, 60))
def test_batches_keep_the_budget_and_units_whole(texts: list[str], tokens: int) -> None:
    features = list(FakeTask().features(list(examples_of(texts)), None, Limits(128), Tally()))
    batches = token_batches(features, tokens)
    assert sorted(itertools.chain.from_iterable(batches)) == list(range(len(features)))
    home = {}
    for number, batch in enumerate(batches):
        units = {features[i].unit for i in batch}
        longest = max(features[i].length for i in batch)
        assert len(units) == 1 or longest * len(batch) <= tokens
        for unit in units:
            assert home.setdefault(unit, number) == number
    longest_of = [max(features[i].length for i in batch) for batch in batches]
    assert longest_of == sorted(longest_of, reverse=True)


@settings(max_examples=60, deadline=None)
@given(texts=texts_strategy, tokens=st.integers(1, 60))
def test_rows_that_need_no_others_are_sorted_one_by_one(texts: list[str], tokens: int) -> None:
    features = list(FakeTask().features(list(examples_of(texts)), None, Limits(128), Tally()))
    batches = token_batches(features, tokens, by_row=True)
    order = list(itertools.chain.from_iterable(batches))
    assert sorted(order) == list(range(len(features)))
    lengths = [features[i].length for i in order]
    assert lengths == sorted(lengths, reverse=True)
    assert all(len(batch) == 1 or features[batch[0]].length * len(batch) <= tokens for batch in batches)


@settings(max_examples=30, deadline=None)
@given(texts=texts_strategy, tokens=st.integers(1, 60))
def test_answers_are_the_same_row_by_row(texts: list[str], tokens: int) -> None:
    model = FakeModel()
    model.head.by_row = True
    answers = [prediction.answer for _, prediction in predictor(model, tokens).examples(examples_of(texts))]
    assert answers == [expected(text) for text in texts]


@settings(max_examples=40, deadline=None)
@given(texts=texts_strategy, answered=st.integers(0, 45))
def test_going_on_after_an_interruption_meets_the_same_batches(texts: list[str], answered: int) -> None:
    whole, rest = FakeModel(), FakeModel()
    everything = list(predictor(whole).examples(examples_of(texts)))
    told: list[int] = []
    later = list(predictor(rest).examples(examples_of(texts), answered=answered, on_rows=told.append))
    assert later == everything[answered:]
    assert sum(told) == len(later)
    assert not Counter(map(str, rest.batches)) - Counter(map(str, whole.batches))


def test_rows_are_told_once_their_last_window_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "LOOKAHEAD_CHARACTERS", 600)
    texts = ["天" * 20, "地", "人" * 18, "a|b", "天地人", "地" * 17]  # one look-ahead; windows of 8, 8 and 1 to 4
    features = list(FakeTask().features(list(examples_of(texts)), None, Limits(128), Tally()))
    batches = token_batches(features, 24)
    told: list[int] = []
    list(predictor().examples(examples_of(texts), answered=1, on_rows=told.append))
    for number in range(1, len(batches) + 1):
        computed = {position for batch in batches[:number] for position in batch}
        missing = {feature.item for position, feature in enumerate(features) if position not in computed}
        assert sum(told[:number]) == len({1, 2, 3, 4, 5} - missing)
    assert 0 < sum(told[: len(batches) - 1]) < 5


def test_reads_only_a_bounded_part_of_an_endless_stream() -> None:
    drawn = 0

    def endless() -> Iterator[Example]:
        nonlocal drawn
        for drawn in itertools.count(1):
            yield make_example("天", drawn - 1)

    stream = predictor().examples(endless())
    for answers in range(1, 50):
        next(stream)
        assert drawn <= (answers // LOOK + 1 + 5) * LOOK
    stream.close()


def test_a_lookahead_of_long_texts_is_short() -> None:
    drawn: list[int] = []

    def long() -> Iterator[Example]:
        for number in itertools.count():
            drawn.append(number)
            yield make_example("天" * 50, number)

    stream = predictor().examples(long())
    next(stream)
    assert len(drawn) <= 5 * 2
    stream.close()


@pytest.mark.parametrize("bad", [0, 1, LOOK - 1, LOOK, 2 * LOOK + 3])
def test_a_bad_row_is_raised_after_the_answers_before_it(bad: int) -> None:
    closed = []

    def rows() -> Iterator[Example]:
        try:
            yield from examples_of(["天"] * bad)
            raise RowError("no text", Where("rows.txt", bad + 1))
        finally:
            closed.append(threading.current_thread().name)

    count = 0
    stream = predictor().examples(rows())
    with pytest.raises(RowError, match=f"rows.txt:{bad + 1}: no text"):
        for _ in stream:
            count += 1
    assert count == bad
    assert closed


def test_leaving_early_closes_the_input_and_ends_the_thread() -> None:
    closed = threading.Event()

    def rows() -> Iterator[Example]:
        try:
            yield from examples_of(["天"] * 1000)
        finally:
            closed.set()

    stream = predictor().examples(rows())
    next(stream)
    stream.close()
    assert closed.is_set()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError])
def test_what_stops_the_model_stops_the_reader(kind: type[BaseException]) -> None:
    def fail(features: Sequence[Feature]) -> None:
        raise kind

    with pytest.raises(kind):
        list(predictor(FakeModel(fail)).examples(examples_of(["天"] * 100)))


def test_an_interrupt_in_the_reader_thread_is_not_swallowed() -> None:
    def rows() -> Iterator[int]:
        yield 1
        raise SystemExit(3)

    ahead = read_ahead(rows())
    assert next(ahead) == 1
    with pytest.raises(SystemExit):
        next(ahead)


class Crew:
    """Processes as threads that meet at a barrier."""

    def __init__(self, size: int) -> None:
        self.size, self.barrier, self.slots = size, threading.Barrier(size, timeout=300), [None] * size

    def member(self, rank: int) -> Processes:
        crew = self

        class Member(Processes):
            def gather(self, mine: Any) -> list[Any]:
                crew.slots[rank] = mine
                crew.barrier.wait()
                everything = list(crew.slots)
                crew.barrier.wait()
                return everything

        member = Member()
        member.rank, member.size = rank, self.size
        return member


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    "rows, answered, broken", [(0, 0, False), (5, 0, False), (50, 0, False), (50, 17, False), (40, 0, True)]
)
def test_several_processes_give_the_answers_of_one(size: int, rows: int, answered: int, broken: bool) -> None:
    def source() -> Iterator[Example]:
        yield from examples_of([f"{'天' * (number % 19)}{number}" for number in range(rows)])
        if broken:
            raise RowError("no text", Where("rows.txt", rows + 1))

    def run(model: FakeModel, processes: Processes) -> list[Any]:
        result: list[Any] = []
        told: list[int] = []
        try:
            stream = predictor(model, processes=processes).examples(source(), answered=answered, on_rows=told.append)
            for example, prediction in stream:
                result.append((example.number, prediction.answer))
        except RowError as error:
            result.append(str(error))
        assert sum(told) == max(rows - answered, 0)
        return result

    alone = FakeModel()
    wanted = run(alone, Processes())
    crew, models = Crew(size), [FakeModel() for _ in range(size)]
    found: list[Any] = [None] * size

    def work(rank: int) -> None:
        found[rank] = run(models[rank], crew.member(rank))

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * size
    # The work is shared, and cut into the batches of one process.
    assert sorted(map(str, itertools.chain.from_iterable(m.batches for m in models))) == sorted(map(str, alone.batches))
    if rows == 50:
        assert all(model.batches for model in models)


def test_out_of_device_memory_halves_the_batch_between_units() -> None:
    texts = ["天地", "a|b|c", "人" * 20, "天"] * 5

    def small(features: Sequence[Feature]) -> None:
        if len(features) > 3:
            raise torch.OutOfMemoryError("out of memory")

    stream = predictor(FakeModel(small), tokens=500).examples(examples_of(texts))
    assert [prediction.answer for _, prediction in stream] == [expected(text) for text in texts]

    def nothing(features: Sequence[Feature]) -> None:
        raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(RunError, match="memory does not hold"):
        list(predictor(FakeModel(nothing)).examples(examples_of(texts)))


def test_rows_of_one_example_are_taken_apart_only_where_the_head_allows() -> None:
    def small(features: Sequence[Feature]) -> None:
        if len(features) > 2:
            raise torch.OutOfMemoryError("out of memory")

    model = FakeModel(small)
    with pytest.raises(RunError, match="memory does not hold"):
        list(predictor(model).examples(examples_of(["a|b|c"])))
    model.head.by_row = True
    ((_, prediction),) = predictor(model).examples(examples_of(["a|b|c"]))
    assert prediction.answer == expected("a|b|c")


def test_predict_takes_texts_tuples_and_rows() -> None:
    answers = predictor().predict(["天", ("地",), {"text": "天", "id": 7}, "天"], top_k=3)
    assert [answer["sum"] for answer in answers] == [list(expected(text)) for text in "天地天天"]
    assert answers[0] == answers[2] == answers[3]
    assert answers[0]["top"] == 3
    assert answers[0]["above"] == 0.25
    assert predictor().predict([]) == []
    assert predictor().predict((text for text in ["天"]), threshold=0.0)[0]["above"] == 0.0


@pytest.mark.parametrize("item", [None, 3, ("a", "b"), ("a", 3), {"text": 3}, {}])
def test_predict_names_the_bad_item(item: Any) -> None:
    with pytest.raises(UserError, match="item 2"):
        predictor().predict(["天", "地", item, None])


@pytest.mark.parametrize("items", ["天", {"text": "天"}])
def test_predict_wants_a_list(items: Any) -> None:
    with pytest.raises(UserError, match="to_dict"):
        predictor().predict(pandas.DataFrame({"text": ["a", "b"]}))
    with pytest.raises(UserError, match="list"):
        predictor().predict(items)


def test_options_that_make_no_sense_are_refused() -> None:
    model = FakeModel()
    model.head.thresholded = False
    with pytest.raises(UserError, match="--threshold"):
        predictor(model).answering(threshold=0.5)
    with pytest.raises(UserError, match="--top-k"):
        predictor(model).answering(top_k=0)
    assert predictor(model).answering().flat is True


@pytest.mark.parametrize(
    "layout, message",
    [([], "no such run"), (["model"], "not a run directory"), (["last"], "not finished"), (["weights"], "not a run")],
)
def test_what_is_no_run_is_named(tmp_path: Any, layout: list[str], message: str) -> None:
    run = tmp_path / "run"
    for name in layout:
        (run / name).mkdir(parents=True)
    with pytest.raises(UserError, match=message):
        Predictor.load(run)


def test_a_file_is_no_run(tmp_path: Any) -> None:
    (tmp_path / "run").write_text("x")
    with pytest.raises(UserError, match="this is a file"):
        Predictor.load(tmp_path / "run")


def test_workers_that_overlap_give_back_the_threads_of_before() -> None:
    def in_a_thread() -> int:
        """How many threads workers take that a new thread begins."""
        found: list[int] = []

        def begin() -> None:
            with Workers("cpu") as workers:
                assert list(workers.map(lambda batch: [torch.get_num_threads()], [[1]])) == [[1]]
                found.append(workers._count)

        thread = threading.Thread(target=begin)
        thread.start()
        thread.join()
        return found[0]

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with Workers("cpu") as workers:
            list(workers.map(lambda batch: batch, [[1], [2], [3]]))
            assert in_a_thread() == 3
            assert in_a_thread() == 3
        assert in_a_thread() == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
