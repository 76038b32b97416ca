"""JSON into dataclasses: every field checked, every message naming the field by its path."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from clue_cli.errors import ClueError, UserError


class Check:
    """Reads a JSON document into dataclasses, and says where it does not fit.

    `file` stands in the messages, `what` names what the file should have been.
    """

    def __init__(self, file: str, what: str = "record") -> None:
        self.file, self.what = file, what

    def wrong(self, path: str, expected: str, found: Any) -> UserError:
        """The error for the field at `path`."""
        shown = "nothing" if found is MISSING else json.dumps(found, ensure_ascii=False, default=repr)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        place = f"{self.file}: {path}" if path else self.file
        hint = f"the {self.what} is damaged or not one"
        return UserError(f"expected {expected}, found {shown}", where=place, hint=hint)

    def read(self, kind: Any, value: Any, path: str) -> Any:
        """`value` as `kind`: a dataclass, list[X], dict[str, X], X | None, or a plain type."""
        origin, arguments = get_origin(kind), get_args(kind)
        if kind is Any:
            return self.plain(value, path)
        if origin in (Union, UnionType):
            inner = next(a for a in arguments if a is not NoneType)
            return None if value is None else self.read(inner, value, path)
        if origin is list:
            if not isinstance(value, list):
                raise self.wrong(path, "a list", value)
            return [self.read(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value)]
        if origin is dict:
            if not isinstance(value, dict):
                raise self.wrong(path, "an object", value)
            return {key: self.read(arguments[1], item, f"{path}.{key}") for key, item in value.items()}
        if hasattr(kind, "__dataclass_fields__"):
            return self.object(kind, value, path)
        return self.scalar(kind, value, path)

    def object(self, kind: Any, value: Any, path: str) -> Any:
        """The dataclass `kind` from an object with its fields, no others; those with defaults may be absent."""
        if not isinstance(value, dict):
            raise self.wrong(path, "an object", value)
        hints, prefix = get_type_hints(kind), f"{path}." if path else ""
        known = {f.name: f for f in fields(kind)}
        if unknown := sorted(set(value) - set(known)):
            raise self.wrong(prefix + unknown[0], f"one of the fields {', '.join(known)}", unknown[0])
        read = {}
        for name, declared in known.items():
            if name in value:
                read[name] = self.read(hints[name], value[name], prefix + name)
            elif declared.default is MISSING and declared.default_factory is MISSING:
                raise self.wrong(prefix + name, _word(hints[name]), MISSING)
        return kind(**read)

    def scalar(self, kind: Any, value: Any, path: str) -> Any:
        """A string, bool, int or finite float; an int passes for a float, a bool for nothing but itself."""
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind is float and number:
            if math.isfinite(value):
                return float(value)
        elif (kind is bool or not isinstance(value, bool)) and isinstance(value, kind):
            return value
        raise self.wrong(path, _word(kind), value)

    def plain(self, value: Any, path: str) -> Any:
        """Whatever JSON can hold, without NaN and infinity."""
        if isinstance(value, float) and not math.isfinite(value):
            raise self.wrong(path, "a finite number", value)
        if isinstance(value, dict):
            return {key: self.plain(item, f"{path}.{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [self.plain(item, f"{path}[{i}]") for i, item in enumerate(value)]
        if not (value is None or isinstance(value, (str, bool, int, float))):
            raise self.wrong(path, "something JSON can hold", value)
        return value

    def that(self, holds: bool, path: str, expected: str, found: Any) -> None:
        """UserError unless `holds`."""
        if not holds:
            raise self.wrong(path, expected, found)


def _word(kind: Any) -> str:
    words = {str: "a string", int: "a whole number", float: "a finite number", bool: "true or false"}
    if kind in words:
        return words[kind]
    return "a list" if get_origin(kind) is list else "an object"


def read_json(path: Path) -> Any:
    """The document in `path`; UserError for what is missing, unreadable, or what is not strict JSON."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError("no such file", where=str(path), hint="a record was expected") from None
    except IsADirectoryError:
        raise UserError("is a directory; a record was expected", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 at byte {error.start}", where=str(path), hint="the record is damaged") from None
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None

    def constant(name: str) -> Any:
        raise UserError(f"holds {name}, which JSON does not have", where=str(path), hint="the record is damaged")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            names = [name for name, _ in items]
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"the field {twice!r} occurs twice", where=str(path), hint="the record is damaged")
        return found

    try:
        return json.loads(text, parse_constant=constant, object_pairs_hook=pairs)
    except ClueError:
        raise
    except json.JSONDecodeError as error:
        raise UserError(
            f"not JSON: {error.msg} at column {error.colno}",
            where=f"{path}:{error.lineno}",
            hint="the record is damaged or not one",
        ) from None
    except (RecursionError, ValueError):
        raise UserError("not JSON that can be read", where=str(path), hint="the record is damaged") from None
