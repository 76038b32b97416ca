"""Whether a pronoun means a given noun: the Winograd schema challenge in Chinese (CLUE).

train 1,244, dev 304, test 2,574 rows (`test.json`, version 1.1; `test1.0.json` has 290). Accuracy; always answering
"false" gives 0.63 on dev. Leaderboard files `cluewsc10_predict.json` and `cluewsc11_predict.json`. A row, made up:

    {"target": {"span1_text": "小明", "span1_index": 0, "span2_text": "他", "span2_index": 5},
     "idx": 3, "label": "true", "text": "小明说，等他回来再吃饭。"}

Both spans are marked in the text as CLUE-bert4keras does: the noun `_小明_`, the pronoun `[他]`. Oddities: the pronoun
comes first in 464 rows of `test.json` and nowhere else; `idx` repeats; with so few rows, scores of several seeds differ
by points. Not offered: RoFormerV2's code marks both spans alike, `[[ ]]`.
"""

from dataclasses import dataclass

from clue_cli.errors import RowError
from clue_cli.sources import Row
from tasks.families.classification import TextClassification
from tasks.families.recipes import CLUE_BERT4KERAS
from tasks.families.values import kind


@dataclass(frozen=True, kw_only=True, eq=False)
class MarkedSpans(TextClassification):
    """One text with a noun (`span1`) and a pronoun (`span2`) marked in it."""

    def input_texts(self, row: Row) -> tuple[str, ...]:
        """The text with its marks; RowError where a span does not stand where the row says."""
        text, target = self.text(row, "text"), self.value(row, "target")
        if not isinstance(target, dict):
            raise RowError(f"an object with two spans was expected, found {kind(target)}", row.at("target"))
        inserts = []
        for name, before, after in (("span1", "_", "_"), ("span2", "[", "]")):
            start, end = self._span(row, text, target, name)
            inserts += [(start, 1, -end, before), (end, 0, -start, after)]
        # From the right, since a mark shifts what follows it; where one span ends and the other starts, the end first.
        for position, _, _, mark in sorted(inserts, reverse=True):
            text = text[:position] + mark + text[position:]
        return (text,)

    def _span(self, row: Row, text: str, target: dict[str, object], name: str) -> tuple[int, int]:
        words, start = target.get(f"{name}_text"), target.get(f"{name}_index")
        place = row.at(f"target.{name}")
        if not isinstance(words, str) or not words or not isinstance(start, int) or isinstance(start, bool):
            raise RowError(f"{name}_text (a text) and {name}_index (a number) were expected", place)
        if start < 0 or text[start : start + len(words)] != words:
            found = text[max(start, 0) : max(start, 0) + len(words)]
            raise RowError(f"{words!r} does not stand at character {start}; there is {found!r}", place)
        return start, start + len(words)


TASK = MarkedSpans(
    name="cluewsc2020",
    title="Does the pronoun mean the noun",
    homepage="https://github.com/CLUEbenchmark/CLUEWSC2020",
    texts=("text",),
    labels=("false", "true"),
    files={"train": ("train.json",), "dev": ("dev.json",), "test1.0": ("test1.0.json",), "test1.1": ("test.json",)},
    official={
        "train.json": "5a7fd0b28b8a30baf4ad3e50ed79810825124f2d82d95015f43b5229ecd0a93f",
        "dev.json": "f2e7b4529da40100a23113ed1a9e32c51254c6debe32ce5125394ba7acdff3ec",
        "test1.0.json": "36f6b4b78a879bab715074648afa61c207b553d8dc1833602cb56a000e2ea8c1",
        "test.json": "583fe44a0f55fbc146bbb8d80dcb235c75952af9ec09994e2f76fa27e4561df4",
    },
    counts={"train": 1_244, "dev": 304, "test1.0": 290, "test1.1": 2_574},
    submissions={"test1.0": "cluewsc10_predict.json", "test1.1": "cluewsc11_predict.json"},
    recipe={"epochs": 30},
    recipes={
        "small": {"epochs": 10, "learning_rate": 2e-4},
        "base": {"batch_size": 16},
        "large": {"batch_size": 16},
    },
    named_recipes={"clue-bert4keras": CLUE_BERT4KERAS | {"epochs": 30}},
    hub="cluewsc2020",
)
