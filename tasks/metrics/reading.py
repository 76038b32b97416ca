"""Scoring of answers to questions on a passage: CMRC2018's official figures, CLUE-bert4keras's, and DuReader's.

Three rules, three ids: published "cmrc2018 dev" figures near 57 are exact spans (`cmrc2018:span`), those from 65 on
exact match by the official script (`cmrc2018:official`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np

from clue_cli.contract import Counts, Example, Prediction
from tasks.metrics import segmentation
from tasks.metrics.counts import ratio

Normal = Callable[[str], str]
Segments = Callable[[str], list[str]]


def exact_match(answers: Iterable[str], predicted: str, normal: Normal) -> float:
    """1 if the predicted text equals any answer, both made `normal`; else 0."""
    text = normal(predicted)
    return float(any(normal(answer) == text for answer in answers))


def run_f1(answers: Iterable[str], predicted: str, segments: Segments) -> float:
    """F1 of the longest run of segments that the prediction shares with an answer; the best over answers.

    precision = run / segments of the prediction, recall = run / segments of the answer; 0 where they share nothing,
    also where both are empty.
    """
    made, best = segments(predicted), 0.0
    for answer in answers:
        wanted = segments(answer)
        run = segmentation.longest_common_run(made, wanted)
        if run:
            best = max(best, 2.0 * run / (len(made) + len(wanted)))
    return best


class _AnswerMetric:
    """Means over all questions of exact match and F1; a question without a prediction counts 0."""

    columns = ("questions", "em", "f1")
    normal: Normal
    segments: Segments

    def __init__(self, labels: Sequence[str] = ()) -> None:
        """`labels` are taken as every metric takes them; there is but one kind of answer."""

    def units(self, example: Example, prediction: Prediction | None) -> Iterable[tuple[Hashable, Counts]]:
        """The question's own cluster: 1, its exact match, its F1."""
        counts = {0: 1.0}
        if prediction is not None:
            answers = [answer.text for answer in example.gold]
            counts[1] = exact_match(answers, prediction.answer.text, self.normal)
            counts[2] = run_f1(answers, prediction.answer.text, self.segments)
        yield example.number, counts

    def result(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """`em`, `f1` and their mean `average` from sums (..., 3), each (...)."""
        questions, em, f1 = np.moveaxis(np.asarray(totals, dtype=np.float64), -1, 0)
        em, f1 = ratio(em, questions), ratio(f1, questions)
        return {"em": em, "f1": f1, "average": (em + f1) / 2}


class CmrcOfficial(_AnswerMetric):
    """Exact match (primary: CLUE ranks by it) and F1 by the official script of CMRC2018.

    Both texts are made lower case, stripped and freed of a fixed set of punctuation (`segmentation.CMRC_DELETED`). F1
    cuts them into Chinese characters and English words. Any of the answers may be met; the means are over all
    questions. Source: https://github.com/ymcui/cmrc2018.
    """

    id, primary = "cmrc2018:official", "em"
    normal = staticmethod(segmentation.cmrc_normal)
    segments = staticmethod(segmentation.cmrc_segments)


class DureaderEmF1(_AnswerMetric):
    """F1 (primary: the challenge ranks by it) and exact match by the rule that DuReader's scripts share.

    DuReader-robust's own script is not public; this is the rule of the scripts of the same group (LIC2021), a working
    definition: lower case, `segmentation.DUREADER_DELETED` deleted, blanks kept; segments are Chinese characters, `=`,
    and whole runs of everything else.
    """

    id, primary = "dureader_robust:em_f1", "f1"
    normal = staticmethod(segmentation.dureader_normal)
    segments = staticmethod(segmentation.dureader_segments)


class CmrcSpan:
    """The share of questions whose predicted piece of the passage is exactly the first answer's (primary: `accuracy`).

    What CLUE-bert4keras selects its checkpoints by, and its tables print: token spans must be equal, other answers do
    not count, and a question scores 0 if the window that was chosen does not hold the answer. Here characters are
    compared, start and end in the whole passage, which says the same for every window at once; only an answer whose
    border falls inside a token, and so cannot be right here, could be right there. A prediction without a place (an
    official prediction file has none) is right if its text is the first answer's; `notes` says how many there were.
    """

    id, primary = "cmrc2018:span", "accuracy"
    columns = ("questions", "right", "without a place")

    def __init__(self, labels: Sequence[str] = ()) -> None:
        """`labels` are taken as every metric takes them; there is but one kind of answer."""

    def units(self, example: Example, prediction: Prediction | None) -> Iterable[tuple[Hashable, Counts]]:
        """The question's own cluster."""
        counts = {0: 1.0}
        if prediction is not None:
            answer, gold = prediction.answer, example.gold[0]
            placed = answer.located and gold.located
            same = (answer.start, answer.end) == (gold.start, gold.end) if placed else answer.text == gold.text
            counts |= {1: float(same), 2: float(not answer.located)}
        yield example.number, counts

    def result(self, totals: np.ndarray) -> dict[str, np.ndarray]:
        """`accuracy` from sums (..., 3), shape (...)."""
        totals = np.asarray(totals, dtype=np.float64)
        return {"accuracy": ratio(totals[..., 1], totals[..., 0])}

    def notes(self, totals: np.ndarray) -> list[str]:
        """How many predictions had no place, from sums (3,); empty if none."""
        amount = int(totals[2])
        if not amount:
            return []
        return [f"{amount} predictions without a place in the passage: compared by their text with the first answer"]
