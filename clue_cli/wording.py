"""Answers in words: what one says in a short line for people, told by its form alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTHING = "nothing"

_UNSAID = {
    "start", "end", "probability", "probabilities", "score", "answer_start", "subject_type", "object_type",
    "text", "type", "role",
}  # fmt: skip


def brief(value: Any, width: int = 60) -> str:
    """An answer in at most `width` characters: what it says, without positions and probabilities."""
    if isinstance(value, Mapping):
        # A list of things says all; a second one says the same in another form.
        value = next((part for part in value.values() if isinstance(part, list) and all(map(_is_thing, part))), value)
    text = _said(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def _is_thing(part: Any) -> bool:
    return isinstance(part, Mapping)


def _said(value: Any, *, typed: bool = True) -> str:
    """`typed`: with the types of words; those of a relation follow from its predicate."""
    if isinstance(value, Mapping):
        named = ("role", "text", "type") if typed else ("role", "text")
        own = "/".join(str(value[name]) for name in named if value.get(name) is not None)
        typed = typed and "predicate" not in value
        rest = [_said(part, typed=typed) for name, part in value.items() if name not in _UNSAID and part is not None]
        said = [part for part in dict.fromkeys((own, *rest)) if part]
        return " ".join([part for part in said if part != NOTHING] or said)
    if isinstance(value, list):
        return ", ".join(dict.fromkeys(_said(part, typed=typed) for part in value)) or NOTHING
    return NOTHING if value is None else str(value)
