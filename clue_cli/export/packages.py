"""The packages that an export needs and clue alone does without, imported when they are needed."""

from __future__ import annotations

import importlib
import importlib.metadata
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from clue_cli.environment import DISTRIBUTION
from clue_cli.errors import UserError

EXTRA = "export"
"""The extra of this distribution that brings them."""

MAKING, RUNNING = ("onnx", "onnxscript", "onnxruntime"), ("onnxruntime",)
"""What making an export takes, and what running one takes."""


def package(name: str) -> Any:
    """The module `name`; UserError that says how to get it where it is not installed or does not load."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # of a package whose own needs are not met anything may come
        top = name.partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name == top
        reason = "is not installed" if missing else f"does not load: {first_line(error)}"
        raise UserError(f"{top} {reason}", hint=f"pip install '{DISTRIBUTION}[{EXTRA}]'") from error


def versions() -> dict[str, str]:
    """The version of torch and of each package that made an export."""
    return {name: importlib.metadata.version(name) for name in ("torch", *MAKING)}


def first_line(error: Exception) -> str:
    """The first line of an error's message, its name where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings, log lines and prints of exporters, which speak to their own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
