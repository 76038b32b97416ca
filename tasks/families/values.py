"""Values of rows and declarations: what they are in words, and their way to JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clue_cli.errors import RowError, Where

if TYPE_CHECKING:
    import numpy as np

_KINDS = {str: "the text", bool: "the truth value", int: "the number", float: "the number", list: "the list"}


def kind(value: Any) -> str:
    """What a JSON value is, in words and shortened, for messages."""
    if value is None:
        return "null"
    if isinstance(value, (list, dict)) and not value:
        return f"an empty {'list' if isinstance(value, list) else 'object'}"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return f"{_KINDS.get(type(value), 'the object')} {text if len(text) <= 40 else text[:37] + '...'}"


def json_cell(value: Any, wanted: str, where: Where) -> Any:
    """`value`, or what it says where it is a string of JSON (a csv cell); RowError if that is broken."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise RowError(f"{wanted} expected, found {kind(value)}", where) from None


def texts_cell(value: Any) -> Any:
    """`value`, or the list of texts that it spells (a csv cell has lists as JSON)."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        texts = json.loads(value)
    except ValueError:
        return value
    return texts if isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts) else value


def jsonable(value: Any) -> Any:
    """Tuples as lists, mappings as dicts, all the way down."""
    if isinstance(value, Mapping):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    return value


def frozen(value: Any) -> Any:
    """Lists as tuples, all the way down: the inverse of `jsonable`."""
    if isinstance(value, Mapping):
        return {key: frozen(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(frozen(item) for item in value)
    return value


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis, float32."""
    import numpy as np

    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float32)


def probability_in(value: Any, place: Where) -> float | None:
    """The probability that a field says, None where it says none; RowError for what is no number."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise RowError(f"a number was expected, found {kind(value)}", place)
    return None if value is None else float(value)


def rounded(probability: Any) -> float:
    """Six digits: float32 has no more, and files stay readable."""
    return round(float(probability), 6)
