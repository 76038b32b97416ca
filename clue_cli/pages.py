"""Pages of HTML that need nothing beside themselves: the templates, filled in, every text escaped.

A page loads nothing and runs nothing, and says so to the browser (its content security policy). What a page shows is
other people's text: characters that would reorder or break the page around them are shown by name.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_DIRECTIONS = {
    "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO",
    "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI",
}  # fmt: skip
"""Characters that turn the direction of what follows, by their names in Unicode's bidirectional algorithm."""


def visible(text: str) -> str:
    """`text` as a page can hold it: control characters as their pictures (␀), turns of direction by name (‹RLO›).

    Half surrogate pairs and code points that are no characters become U+FFFD; everything else stays as it is.
    """
    return _UNSHOWN.sub(_picture, text)


def _picture(found: re.Match[str]) -> str:
    character = found.group()
    if character in _DIRECTIONS:
        return f"‹{_DIRECTIONS[character]}›"
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))
    return "␡" if character == "\x7f" else "\ufffd"


def percent(figure: float | None, digits: int = 2) -> str:
    """A figure in [0, 1] as percent, without the sign; a dash for none."""
    return "–" if figure is None else f"{100 * figure:.{digits}f}"


def p_value(p: float) -> str:
    """A p-value with four digits."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("clue_cli", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.filters.update(percent=percent, p_value=p_value, thousands=lambda number: f"{number:,}")
    return environment


def _finalized(value: Any) -> Any:
    """What a template prints: markup of ours as it is, text `visible` (and then escaped)."""
    return visible(value) if type(value) is str else value


def render(template: str, **content: Any) -> str:
    """The page that `template` makes of `content`."""
    return _environment().get_template(template).render(**content)
