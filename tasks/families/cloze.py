"""Cloze: blanks in passages, filled from one list of candidates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from clue_cli.contract import Answering, Example, Feature, Limits, Prediction, Tally, TextEncoder
from clue_cli.errors import RowError, Where
from clue_cli.sources import Row
from tasks.families.blanks import TAG, Asked, Blank, blanks_of, encoded_blanks, tags_of
from tasks.families.choosing import Choosing, field_of, index_in, raw_scores
from tasks.families.values import json_cell, kind, rounded, softmax, texts_cell

if TYPE_CHECKING:
    import numpy as np

    from clue_cli.lines import Bad
    from clue_cli.sources import Source

CROWDED = "lines with more blanks than candidates, where a candidate may fill several blanks"
UNUSED = "answers of tags that no passage holds"


class Scores(NamedTuple):
    """What stands beside the answers of a line: each blank's own best candidate, and its candidates' probabilities."""

    independent: tuple[int, ...]
    probabilities: np.ndarray | None = None
    """(blanks, candidates) float32; None for predictions that were read from a file."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cloze(Choosing):
    """Lines of passages with blanks that share one list of candidates, as many as there are.

    Reads ChID's form, JSON lines of `candidates` and `content` (a list of passages, or one text) with blanks written
    `#idiom000378#`, and beside them a file of answers, one object of tag and index of the candidate; or rows that hold
    their gold themselves: `answers` as such an object, or for one blank alone `answer`, its index.

    An example is a line, a unit (and so a training example) a blank: `texts` are the passages with blanks, then the
    candidates; gold is the tuple of indices in the order of the blanks. Inputs: `[CLS] candidate [SEP] context [SEP]`,
    the blank as `[unused1]`, another blank as four mask tokens (`contract.Mark` says what tokenizers without these
    get), the context cut around the blank (`blanks.cut`) to max_length less the longest candidate of the line, three
    special tokens and the mark. Where a tokenizer makes more tokens than characters, so that this is not enough, the
    context is cut further in the same way: blank and candidate are always whole.

    Blanks of a line exclude each other: answers maximise the sum of raw scores with every candidate used once (linear
    sum assignment). Where a line has more blanks than candidates, each may be used as often as an even share demands.

    numbered:     tags have numbers of their own, and answers are known by tag; else each line has one blank, and
                  answers are known by the line's id.
    answer_files: split -> names of its file of answers.
    """

    family: str = "cloze"
    texts: tuple[str, ...] = ("content", "candidates")
    answers: str = "answers"
    numbered: bool = True
    answer_files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    family_metrics: ClassVar[Mapping[str, str]] = {"chid:accuracy": "tasks.metrics.choice:ClozeAccuracy"}
    family_recipe: ClassVar[Mapping[str, Any]] = {"max_length": 64, "batch_size": 24, "epochs": 3}

    def _check_declaration(self) -> None:
        super()._check_declaration()
        if len(self.fields) != 2:
            raise ValueError(f"task {self.name!r}: the fields of passages and candidates, not {self.fields}")

    # ---------------------------------------------------------------- reading

    def files_of(self, source: Source, split: str) -> tuple[str, ...]:
        """The file of lines, and the file of answers where there is one."""
        split = self.split(split)
        answers = [name for name in self.answer_files.get(split, ()) if source.has(name)]
        return (self.file_of(source, split), *answers[:1])

    def rows(self, source: Source, file: str, bad: Bad | None = None) -> Iterator[Row]:
        """The lines of a file, with their answers from the file beside it under `answers`; none for a file of answers.

        RowError for a tag that occurs twice in lines with such a file, and for an answer that is no whole number.
        """
        if file in self._answer_names():
            return
        answers = self._answers_beside(source, file)
        first_place: dict[Any, Where] = {}
        for row in super().rows(source, file, bad):
            if answers is None:
                yield row
                continue
            if self.answers in row.data:
                raise RowError("the line has answers of its own beside the file of answers", row.at(self.answers))
            found = {tag: answers[tag] for tag in self._new_tags(row, first_place) if tag in answers}
            yield Row({**row.data, self.answers: found}, row.where)

    def read(self, source: Source, split: str, tally: Tally) -> Iterator[Example]:
        """The lines of a split; answers for tags that no passage holds are counted."""
        answered = 0
        for example in super().read(source, split, tally):
            answered += len(example.gold or ())
            yield example
        answers = self._answers_beside(source, self.file_of(source, split))
        tally.add(UNUSED, amount=0 if answers is None else len(answers) - answered)

    def _answer_names(self) -> list[str]:
        return [name for names in self.answer_files.values() for name in names]

    def _answers_beside(self, source: Source, file: str) -> dict[str, int] | None:
        """Tag -> index from the file of answers that belongs to a file of lines; None without one."""
        splits = [split for split, names in self.files.items() if file in names and split in self.answer_files]
        name = next((name for split in splits for name in self.answer_files[split] if source.has(name)), None)
        if name is None:
            return None
        document, place = source.document(name), source.place(name)
        if not isinstance(document, dict):
            raise RowError("one object of tag and index was expected", Where(place))
        for tag, index in document.items():
            if not isinstance(index, int) or isinstance(index, bool):
                raise RowError(f"the index of a candidate was expected, found {kind(index)}", Where(place, None, tag))
        return document

    def _check_repeated(self, row: Row, first_place: dict[Any, Where]) -> None:
        if not self.numbered:
            super()._check_repeated(row, first_place)
            return
        self._new_tags(row, first_place)

    def _new_tags(self, row: Row, first_place: dict[Any, Where]) -> list[str]:
        """The tags of a row, now in `first_place`; RowError for one that is there already."""
        tags = tags_of(_texts_in(row.data.get(self.fields[0])))
        for tag in tags:
            if tag in first_place:
                raise RowError(f"the blank {tag} stands in line {first_place[tag].line} too", row.at(self.fields[0]))
            first_place[tag] = row.where
        return tags

    @property
    def gold_names(self) -> tuple[str, ...]:
        """Answers by tag, or the index of one."""
        return self.answers, self.label

    def expected(self) -> str:
        """What a row of this task looks like, for messages."""
        return f"task {self.name} expects {', '.join(self.fields)} and {self.answers if self.numbered else self.label}"

    def example(self, row: Row, number: int, *, labelled: bool) -> Example:
        """One line as an example; RowError names the field that is wrong. Passages without a blank are left out."""
        content, listed = self.fields
        passages = self._passages(row, content)
        candidates = self.choices_in(self.value(row, listed), row.at(listed))
        for index, candidate in enumerate(candidates):
            if candidate in candidates[:index]:
                raise RowError(f"the candidate {candidate!r} is listed twice", row.at(listed))
            if TAG.search(candidate):
                raise RowError(f"the candidate {candidate!r} holds a blank", row.at(listed))
        gold = self._gold(row, tags_of(passages), candidates) if labelled else None
        return Example(number, self.identity(row), (*passages, *candidates), gold, row.data, row.where)

    def _passages(self, row: Row, name: str) -> list[str]:
        value, where = texts_cell(self.value(row, name)), row.at(name)
        passages = _texts_in(value)
        if not isinstance(value, (str, list)) or (isinstance(value, list) and len(passages) != len(value)):
            raise RowError(f"a text or a list of texts was expected, found {kind(value)}", where)
        tags = tags_of(passages)
        if not tags:
            raise RowError("there is no blank in it; one is written #idiom000378# or #idiom#", where)
        if repeated := next((tag for i, tag in enumerate(tags) if tag in tags[:i]), None):
            raise RowError(f"the blank {repeated} occurs twice in one line; tags must differ", where)
        if not self.numbered and len(tags) > 1:
            raise RowError(f"one blank a line was expected, found {len(tags)}", where)
        return [passage for passage in passages if TAG.search(passage)]

    def _gold(self, row: Row, tags: Sequence[str], candidates: Sequence[str]) -> tuple[int, ...]:
        given = self.gold_field(row)
        if given is None:
            hint = f"no {' or '.join(self._answer_names())} lies beside it" if self.answer_files else None
            raise RowError(f"no answers: neither {self.answers!r} nor {self.label!r} is there", row.where, hint=hint)
        return self._indices(row, given, tags, candidates)

    def _indices(self, row: Row, name: str, tags: Sequence[str], candidates: Sequence[str]) -> tuple[int, ...]:
        """The indices in a field, either form: an object by tag, or for one blank alone the index itself."""
        value = row.data[name]
        if isinstance(value, dict) or (isinstance(value, str) and value.lstrip().startswith("{")) or len(tags) > 1:
            return self._by_tag(row, name, tags, candidates)
        return (index_in(value, candidates, row.at(name)),)

    def _by_tag(self, row: Row, name: str, tags: Sequence[str], candidates: Sequence[str]) -> tuple[int, ...]:
        """The indices that an object of tag and index in field `name` holds, for every tag and no other."""
        where = row.at(name)
        value = json_cell(row.data[name], "an object of tag and index was", where)
        if not isinstance(value, dict):
            raise RowError(f"an object of tag and index was expected, found {kind(value)}", where)
        for tag in tags:
            if tag not in value:
                raise RowError(f"the blank {tag} has no answer", where)
        if unknown := next((tag for tag in value if tag not in tags), None):
            raise RowError(f"there is no blank {unknown} in the passages", where)
        return tuple(index_in(value[tag], candidates, where.at(tag)) for tag in tags)

    def labels_of(self, gold: Any) -> Iterable[str]:
        """The indices of the right candidates, as the official prediction file has them."""
        return [str(index) for index in gold]

    # ---------------------------------------------------------------- features

    def features(
        self, examples: Sequence[Example], text_encoder: TextEncoder, limits: Limits, tally: Tally, *,
        segments: str = "pair", flat: bool = False,
    ) -> Iterator[Feature]:  # fmt: skip
        """One feature for each candidate of each blank, blank by blank; those of a blank are one unit."""
        asked: list[Asked] = []
        for item, example in enumerate(examples):
            blanks, candidates = parts(example)
            if len(blanks) > len(candidates):
                tally.add(CROWDED, example.where)
            gold: Sequence[int | None] = [None] * len(blanks) if example.gold is None else example.gold
            asked += [Asked(item, *one, candidates, example.where) for one in zip(blanks, gold, strict=True)]
        encoded = encoded_blanks(asked, text_encoder, limits, segments, tally)
        for unit, (one, windows) in enumerate(zip(asked, encoded, strict=True)):
            for index, window in enumerate(windows):
                targets = {} if one.gold is None else {"labels": int(index == one.gold)}
                yield Feature(one.item, unit, window.inputs, targets=targets)

    def predictions(
        self, example: Example, features: Sequence[Feature], candidates: Sequence[Any], options: Answering
    ) -> Prediction:
        """The candidate of every blank of a line: chosen together, or with `options.joint` False each by itself."""
        blanks, choices = parts(example)
        scores = raw_scores(candidates, example).reshape(len(blanks), len(choices))
        independent = tuple(scores.argmax(axis=1).tolist())
        answer = assigned(scores) if options.joint else independent
        return Prediction(answer, Scores(independent, softmax(scores)))

    # ---------------------------------------------------------------- answers

    def answer_fields(
        self, example: Example, prediction: Prediction, options: Answering, *, probabilities: bool
    ) -> dict[str, Any]:
        """`answers`, `idioms` by tag, and what each blank alone would take (`answers_independent`).

        A line that is known by its id has `answer` and `idiom`. With `probabilities` also those of the answers; with
        `options.top_k` above 1 `top`, that many [index, probability] pairs of each blank, best first.
        """
        blanks, candidates = parts(example)
        answers, scores = prediction.answer, prediction.scores
        found = {"answers": answers, "idioms": [candidates[index] for index in answers]}
        if scores is not None:
            found["answers_independent"] = scores.independent
        if scores is not None and scores.probabilities is not None:
            if probabilities:
                found["probabilities"] = [rounded(p[i]) for p, i in zip(scores.probabilities, answers, strict=True)]
            if options.top_k > 1:
                found["top"] = [_best(each, options.top_k) for each in scores.probabilities]
        if self.numbered:
            tags = [blank.tag for blank in blanks]
            return {name: dict(zip(tags, values, strict=True)) for name, values in found.items()}
        found.pop("answers_independent", None)
        names = {"answers": "answer", "idioms": "idiom", "probabilities": "probability"}
        return {names.get(name, name): values[0] for name, values in found.items()}

    def read_prediction(self, row: Row, example: Example) -> Prediction:
        """The predicted candidates of a row: `answers` by tag, or for one blank `answer` (or `label`), its index."""
        blanks, candidates = parts(example)
        tags = [blank.tag for blank in blanks]
        answer = self._indices(row, field_of(row, ("answers", "answer", "label")), tags, candidates)
        alone = "answers_independent"
        if alone in row.data:
            return Prediction(answer, Scores(self._by_tag(row, alone, tags, candidates)))
        return Prediction(answer, Scores(answer) if len(tags) == 1 else None)

    def submission_ids(self, example: Example) -> tuple[str | int, ...]:
        """The tags of the line's blanks, or its id where tags have no numbers or, in a user's own data, come again."""
        if not self.numbered or not self.submissions:
            return super().submission_ids(example)
        return tuple(blank.tag for blank in parts(example)[0])

    def submission_row(self, example: Example, prediction: Prediction) -> dict[str, Any]:
        """FewCLUE's line: the row's own id and the index of the candidate."""
        return {"id": example.id, "answer": prediction.answer[0]}

    def submission_document(self, predictions: Iterable[tuple[Example, Prediction]]) -> Any:
        """One object of tag and index where tags have numbers; else None (JSON lines)."""
        if not self.numbered:
            return None
        return {
            tag: index
            for example, prediction in predictions
            for tag, index in zip(self.submission_ids(example), prediction.answer, strict=True)
        }

    def unpack_predictions(self, document: Any, place: str) -> Iterator[Row]:
        """A row `{"id": tag, "answer": index}` for every tag of an official prediction file."""
        if not self.numbered:
            yield from super().unpack_predictions(document, place)
        if not isinstance(document, dict):
            raise RowError(f"one object of tag and index was expected, found {kind(document)}", Where(place))
        for tag, index in document.items():
            yield Row({"id": tag, "answer": index}, Where(place, None, tag))

    def read_predictions(self, rows: Sequence[Row], example: Example) -> Prediction:
        """The prediction of a line from one row, or from the rows of its tags; `UNANSWERED` for a tag without one."""
        blanks, candidates = parts(example)
        by_tag = {row.data.get("id"): row for row in rows}
        if len(rows) == 1 and not (len(blanks) > 1 and by_tag.keys() <= {blank.tag for blank in blanks}):
            return self.read_prediction(rows[0], example)
        given = {
            tag: index_in(row.data[field_of(row, ("answer",))], candidates, row.where) for tag, row in by_tag.items()
        }
        return Prediction(tuple(given.get(blank.tag, UNANSWERED) for blank in blanks))


UNANSWERED = -1
"""The answer to a blank that has none: the index of no candidate."""


def parts(example: Example) -> tuple[list[Blank], tuple[str, ...]]:
    """The blanks of a line and its candidates (`Example.texts`: passages hold a blank, candidates none)."""
    blanks = [blank for text in example.texts for blank in blanks_of(text)]
    return blanks, tuple(text for text in example.texts if not TAG.search(text))


def assigned(scores: np.ndarray) -> tuple[int, ...]:
    """The column of every row of `scores` (n, m) with the greatest sum, no column taken more than ceil(n / m) times.

    With n <= m every column is taken once at most: the assignment problem, solved exactly.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    rows, columns = scores.shape
    _, taken = linear_sum_assignment(-np.tile(scores, -(-rows // columns)))
    return tuple((taken % columns).tolist())


def _texts_in(value: Any) -> list[str]:
    """The texts of a field that holds one or a list of them; what is no text is left out."""
    value = texts_cell(value)
    if isinstance(value, list):
        return [text for text in value if isinstance(text, str)]
    return [value] if isinstance(value, str) else []


def _best(probabilities: np.ndarray, amount: int) -> list[list[Any]]:
    best = sorted(range(len(probabilities)), key=lambda index: -probabilities[index])[:amount]
    return [[index, rounded(probabilities[index])] for index in best]
