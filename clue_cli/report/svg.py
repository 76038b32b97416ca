"""A figure of matplotlib as SVG that is part of a page: text stays text, colours are the page's own.

matplotlib draws with a colour of `COLOURS` for each of the page's (`--text`, `--series-1` ...); in the SVG the page's
variables stand in their place, so that one drawing serves light and dark. Names inside a drawing begin with the
drawing's own, since all of them share one page. The same figure gives the same bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from clue_cli.pages import visible

SERIES = tuple(f"series-{number}" for number in range(1, 7))
COLOURS = {"text": "#010101", "faint": "#020202", "line": "#030303", "back": "#040404"} | {
    name: f"#0a0a{number:02d}" for number, name in enumerate(SERIES, start=1)
}
"""The page's colours by name, as matplotlib is given them: values that nothing else draws with."""

FONT = 11
"""Height of the text in units of the drawing, which is about as wide as a phone."""


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """A figure of `width` x `height` units; text in it is taken as it is (no mathematics between $)."""
    text, faint, line = COLOURS["text"], COLOURS["faint"], COLOURS["line"]
    style: Any = {
        "svg.fonttype": "none", "svg.hashsalt": "clue", "text.parse_math": False, "font.size": FONT,
        "text.color": text, "axes.labelcolor": text, "axes.edgecolor": faint, "axes.labelsize": FONT,
        "xtick.color": faint, "ytick.color": faint, "xtick.labelcolor": text, "ytick.labelcolor": text,
        "xtick.labelsize": FONT, "ytick.labelsize": FONT, "legend.fontsize": FONT, "legend.frameon": False,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": line,
        "grid.linewidth": 0.8, "axes.axisbelow": True, "axes.unicode_minus": True,
    }  # fmt: skip
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own style of matplotlib is not the page's
        mpl.rcParams.update(style)
        figure = Figure(figsize=(width / 72, height / 72))
        FigureCanvasSVG(figure)
        yield figure


def inline(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as an `svg` element that screen readers announce by `title` and `description`."""
    file = io.StringIO()
    with warnings.catch_warnings():
        # The browser draws the text with its own fonts; that matplotlib's has no Chinese changes nothing.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    root = ElementTree.fromstring(file.getvalue())
    _simplify(root)
    _rename(root, name)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib |= {"class": "chart", "role": "img", "aria-labelledby": f"{name}-title {name}-desc"}
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(tag, {"id": f"{name}-{tag}"})
        element.text = visible(text)
        root.insert(position, element)
    return ElementTree.tostring(root, encoding="unicode")


def _simplify(element: ElementTree.Element) -> None:
    """Take away what a page does not need: namespaces, metadata, fonts, blanks, digits; put in the page's colours."""
    element.tag = element.tag.rpartition("}")[2]
    element.text = visible(element.text) if element.tag == "text" and element.text else None
    element.tail = None
    for key in list(element.attrib):
        value = element.attrib.pop(key)
        if key == "style":
            value = _style(value)
        elif key in ("d", "x", "y", "transform"):
            value = " ".join(re.sub(r"-?\d+\.\d{3,}", _rounded, value).split())
        if value and not (key == "transform" and value.startswith("rotate(-0 ")):
            element.attrib[key.rpartition("}")[2]] = value
    for child in list(element):
        if child.tag.rpartition("}")[2] in ("metadata", "style"):
            element.remove(child)
        else:
            _simplify(child)


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number.group()):.2f}".rstrip("0").rstrip(".")


_FONT = re.compile(r"font: .*?([\d.]+px).*")
"""How releases of matplotlib before 3.10 say size and family of a font."""


def _style(style: str) -> str:
    """The rules of an element without the family of its font, and with the page's colours."""
    rules = [_FONT.sub(r"font-size: \1", rule.strip()) for rule in style.split(";")]
    kept = ";".join(rule.replace(": ", ":") for rule in rules if rule and not rule.startswith("font-family"))
    for name, colour in COLOURS.items():
        kept = kept.replace(colour, f"var(--{name})")
    return kept


_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def _rename(root: ElementTree.Element, name: str) -> None:
    """Number the names that are referred to, and take away the others."""
    used: dict[str, str] = {}
    for element in root.iter():
        for key, value in element.attrib.items():
            found = [value[1:]] if key == "href" else _REFERENCE.findall(value)
            for reference in found:
                used.setdefault(reference, f"{name}-{len(used)}")
    for element in root.iter():
        own = element.attrib.pop("id", None)
        if own in used:
            element.attrib["id"] = used[own]
        for key, value in element.attrib.items():
            if key == "href":
                element.attrib[key] = f"#{used[value[1:]]}"
            else:
                element.attrib[key] = _REFERENCE.sub(lambda found: f"url(#{used[found.group(1)]})", value)
