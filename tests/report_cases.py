"""Runs made up for the tests of the report: their answers are written down, nothing is trained."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clue_cli.contract import FORMAT_VERSION
from clue_cli.record import Epoch
from tests.record_cases import make_record

HOSTILE = (
    "<script>alert(1)</script>",
    "]]></svg></style><img src=x onerror=alert(1)>",
    "\u202e反过来 <b>粗</b> & \"'",
    "👩‍👩‍👧 emoji 𠮷 \u2028 行 \u2029 段",
    "\x00\x07\x1b[31m 控制 $\\frac{1}{2}$ {{ 7*7 }} {% raw %}",
    "\ud800 半个 \ufffe",
)
"""Texts that break a page that takes them for its own."""


def make_run(
    path: Path,
    lines: Iterable[Mapping[str, Any]],
    *,
    task: str = "afqmc",
    fields: Sequence[str] = ("sentence1", "sentence2"),
    metric: str = "accuracy",
    figure: float = 0.5,
    losses: Sequence[float] = (0.9, 0.7, 0.6),
    texts: bool = True,
    **more: Any,
) -> Path:
    """A finished run of `task` whose lines of predictions on dev are `lines` (gold, prediction, statistics ...)."""
    (path / "model").mkdir(parents=True)
    primary = {"accuracy": "accuracy"}.get(metric, "f1")
    epochs = [
        Epoch(i + 1, 10 * (i + 1), 2.0, loss, {metric: {primary: 0.4 + 0.05 * i}}) for i, loss in enumerate(losses)
    ]
    make_record(task, figures={metric: figure}, epochs=epochs, chosen_epoch=len(losses) or None, **more).save(path)
    document = {"format": FORMAT_VERSION, "task": {"name": task, "version": 1, "fields": list(fields)}}
    (path / "model" / "clue.json").write_text(json.dumps(document), encoding="utf-8")
    with (path / "predictions.dev.jsonl").open("w", encoding="utf-8") as file:
        for number, line in enumerate(lines):
            whole = {"number": number, "id": None, **line}
            if not texts:
                whole.pop("texts", None)
            file.write(json.dumps(whole) + "\n")
    log = [json.dumps({"step": 10 * (i + 1), "loss": loss}) + "\n" for i, loss in enumerate(losses)]
    (path / "log.jsonl").write_text("".join(log), encoding="utf-8")
    return path


def label_line(
    gold: str, said: str, probability: float | None = None, texts: Sequence[str] = ("甲", "乙")
) -> dict[str, Any]:
    """One line of a run that gives labels."""
    counts = {f"predicted:{said}": 1.0, f"gold:{gold}": 1.0} | ({f"right:{gold}": 1.0} if gold == said else {})
    prediction: dict[str, Any] = {"label": said}
    if probability is not None:
        prediction["probability"] = probability
    return {
        "texts": list(texts), "gold": {"label": gold}, "prediction": prediction, "statistics": {"accuracy": counts},
    }  # fmt: skip


Spans = Sequence[tuple[int, int, str]]


def span_line(text: str, gold: Spans, said: Sequence[tuple[int, int, str, float]]) -> dict[str, Any]:
    """One line of a run that marks spans, with its statistics by exact borders."""

    def written(spans: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
        return [
            {"start": s, "end": e, "type": t, "text": text[s:e], **({"probability": p[0]} if p else {})}
            for s, e, t, *p in spans
        ]

    made, wanted = {(s, e, t) for s, e, t, _ in said}, set(gold)
    kinds = {"right": made & wanted, "predicted": made, "gold": wanted}
    counts = {f"{kind}:{t}": float(n) for kind, some in kinds.items() for t, n in Counter(t for *_, t in some).items()}
    return {
        "texts": [text], "gold": {"entities": written(gold)}, "prediction": {"entities": written(said)},
        "statistics": {"cluener:official": counts, "span:micro_f1": counts},
    }  # fmt: skip


def make_labels(path: Path, amount: int = 40, every: int = 3, **more: Any) -> Path:
    """A run of labels, some wrong (others for another `every`), with hostile texts among them."""
    lines = []
    for i in range(amount):
        gold, said = str(i % 2), str((i // every) % 2)
        texts = (f"第{i}句话", "借呗怎么还款" * (i % 9 + 1))
        lines.append(label_line(gold, said, 0.5 + (i % 10) / 20, texts))
    lines += [label_line("0", "1", 0.99, (hostile, "乙")) for hostile in HOSTILE]
    right = sum(line["gold"]["label"] == line["prediction"]["label"] for line in lines)
    return make_run(path, lines, figure=right / len(lines), **more)


def make_spans(path: Path, **more: Any) -> Path:
    """A run of spans: right, missed, wrong, overlapping, inside each other, with hostile texts."""
    text = "浙商银行企业信贷部叶老桂博士从另一个角度看"
    lines = [
        span_line(text, [(0, 4, "company"), (9, 12, "name")], [(0, 4, "company", 0.9), (9, 12, "name", 0.8)]),
        span_line(text, [(0, 4, "company")], [(0, 9, "organization", 0.97), (9, 12, "name", 0.4)]),
        span_line(text, [(0, 9, "company"), (4, 9, "organization")], [(0, 4, "company", 0.6)]),
        span_line(text, [(9, 12, "name"), (12, 14, "position")], []),
        span_line(text, [(9, 12, "name")], [(9, 12, "position", 0.99)]),
        *(span_line(hostile, [(0, 3, "game")], [(1, 4, "movie", 0.7)]) for hostile in HOSTILE),
        span_line("长" * 900 + text, [(900, 904, "company")], [(3, 9, "scene", 0.2)]),
    ]
    return make_run(
        path, lines, task="cluener", fields=("text",), metric="cluener:official", figure=0.3, head="crf", **more
    )  # fmt: skip
