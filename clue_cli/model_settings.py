"""`clue.json` of a model directory: what a prediction needs beside the weights. Data, never code; no torch here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clue_cli.contract import FORMAT_VERSION
from clue_cli.errors import UserError

SETTINGS = "clue.json"

SAFETENSORS, ONNX = "safetensors", "onnx"
"""Forms that a model's weights can have; `format_of_weights` says it where it is not the first."""


@dataclass(frozen=True)
class ModelSettings:
    """What `clue.json` holds beside the task. Lengths are tokens; `threshold` None is the head's own."""

    head: str
    pooling: str
    segments: str
    max_length: int
    overlap: int
    threshold: float | None = None


@dataclass(frozen=True)
class ExportOrigin:
    """What an export keeps of the run it was made from: the metric that ranks, the seed, whether its data were the
    shipped sample; and what it computes in ("float32" or "int8")."""

    metric: str
    seed: int
    sample: bool
    precision: str


def weights_format(document: dict[str, Any], directory: Path) -> str:
    """The form of the weights beside a `clue.json`; UserError for one that this program does not know."""
    form = document.get("format_of_weights", SAFETENSORS)
    if form not in (SAFETENSORS, ONNX):
        raise UserError(f"weights in the form {form!r} are not known here", where=str(directory), hint="update clue")
    return str(form)


def export_origin(document: dict[str, Any], directory: Path) -> ExportOrigin | None:
    """Where an export comes from, None for the model of a run; UserError where it does not say."""
    if weights_format(document, directory) != ONNX:
        return None
    try:
        facts = document["export"]
        return ExportOrigin(str(facts["metric"]), int(facts["seed"]), bool(facts["sample"]), str(facts["precision"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"not an export of clue's: {error!r}", where=str(directory / SETTINGS)) from error


def settings_of(document: dict[str, Any], directory: Path) -> tuple[ModelSettings, dict[str, Any]]:
    """The settings in a `clue.json`, and the arguments of its head; UserError where something is missing or wrong."""
    try:
        settings = ModelSettings(
            head=document["head"],
            pooling=document["pooling"],
            segments=document["segments"],
            max_length=int(document["max_length"]),
            overlap=int(document["overlap"]),
            threshold=None if document["threshold"] is None else float(document["threshold"]),
        )
        return settings, dict(document["head_config"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"not a model of clue's: {error!r}", where=str(directory / SETTINGS)) from error


def read_settings(directory: Path) -> dict[str, Any]:
    """`clue.json` of a model directory, checked. UserError where it is missing, broken or newer than this program."""
    path = directory / SETTINGS
    if not path.is_file():
        raise UserError("this is not a model directory: clue.json is missing", where=str(directory))
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"clue.json can't be read: {error}", where=str(path)) from error
    if not isinstance(document, dict) or not isinstance(document.get("task"), dict):
        raise UserError("clue.json does not describe a model of clue's", where=str(path))
    if not isinstance(document.get("format"), int) or document["format"] > FORMAT_VERSION:
        raise UserError(
            f"format {document.get('format')} is newer than this program's {FORMAT_VERSION}",
            where=str(path),
            hint="update clue",
        )
    return document
