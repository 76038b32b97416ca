"""clue report: the verb, and what stands on its pages."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from clue_cli.main import run
from clue_cli.pages import visible
from clue_cli.report.page import report
from tests.report_cases import HOSTILE, label_line, make_labels, make_run, make_spans

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """What a page is made of, as far as the tests ask; AssertionError where elements do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        assert "svg" in self.open, tag
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, (self.open, tag)
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open:
            self.texts.append((self.open[-1], data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(text for _, text in self.texts).split())


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Pages about runs of labels, of spans, without texts, and of several runs beside each other."""
    place = tmp_path_factory.mktemp("runs")
    labels = make_labels(place / "labels", encoder="<b>mini</b> $x^2$")
    other = make_labels(place / "other", seed=2, every=4, chosen={"epochs": 9})
    spans = make_spans(place / "spans", sample=True)
    old = make_spans(place / "old", texts=False)
    return {
        "labels": report([labels]),
        "spans": report([spans]),
        "old": report([old]),
        "several": report([labels, other], resamples=200),
    }


@pytest.mark.parametrize("name", ["labels", "spans", "old", "several"])
def test_pages_are_well_formed_and_can_be_found_through(name: str, pages: dict[str, str]) -> None:
    page = Page(pages[name])
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("header")) == len(page.all("nav")) == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and all(after - before <= 1 for before, after in itertools.pairwise(levels))
    ids = Counter(attributes["id"] for _, attributes in page.tags if "id" in attributes)
    assert max(ids.values()) == 1
    for _, attributes in page.tags:
        for key in ("aria-labelledby", "aria-describedby"):
            assert set((attributes.get(key) or "").split()) <= ids.keys()
        target = attributes.get("href") or ""
        assert not target or target.removeprefix("#") in ids, target
    assert page.tags[[tag for tag, _ in page.tags].index("body") + 1] == ("a", {"class": "skip", "href": "#main"})
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(cell.get("scope") in ("row", "col") for cell in page.all("th"))
    for region in (some for some in page.all("div") if "wide" in (some.get("class") or "")):
        assert region["tabindex"] == "0" and region["role"] == "region" and region["aria-labelledby"]
    charts = [some for some in page.all("svg") if some.get("role") == "img"]
    assert len(charts) == len(page.all("svg")) == len(page.all("figure")) == len(page.all("desc")) >= 3
    assert page.all("html")[0]["lang"] == "en"


@pytest.mark.parametrize("name", ["labels", "spans", "old", "several"])
def test_data_never_become_markup_and_nothing_is_loaded(name: str, pages: dict[str, str]) -> None:
    text = pages[name]
    page = Page(text)
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "img", "link", "iframe", "object", "embed", "image", "foreignobject"}
    for _, attributes in page.tags:
        assert not {"src", "srcset", "action", "background"} & attributes.keys()
        assert not any(key.startswith("on") for key in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"url\((?!#)|@import|https?://", text)
    assert "default-src 'none'" in text
    if name == "labels":
        shown = "".join(data for _, data in page.texts)
        assert all(visible(hostile) in shown for hostile in HOSTILE)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\ud800-\udfff]", text)
    text.encode("utf-8")


def test_the_same_runs_give_the_same_page(tmp_path: Path, pages: dict[str, str]) -> None:
    again = make_spans(tmp_path / "spans", sample=True)
    assert report([again]) == pages["spans"]


def test_the_page_says_what_the_figure_is(pages: dict[str, str]) -> None:
    text = Page(pages["spans"]).text
    assert "30.00 % ± 1.20" in text
    assert "f1 of cluener:official on dev" in text
    assert "shipped sample data, not the benchmark" in text
    assert "By the items below the figure is" in text  # the record's figure is made up
    for said in ("mini-zh", "learning_rate", "default", "train.json", "the official file", "rows labelled '-'",
                 "some processor", "2 cores", "torch", "clue train cluener", "Wilson"):  # fmt: skip
        assert said in text, said
    assert "gold company" in text and "predicted position 0.99" in text
    assert "spurious" in text and "missed" in text
    assert "characters …" in text


def test_charts_keep_text_and_take_the_colours_of_the_page(pages: dict[str, str]) -> None:
    for text in pages.values():
        for chart in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
            assert not re.search(r"#[0-9a-f]{6}\b", re.sub(r"(href=\"|url\()#[\w-]+", "", chart))
            assert "var(--series-1)" in chart and "<text" in chart
            assert "DejaVu" not in chart and "metadata" not in chart
    assert "organization</text>" in pages["spans"]
    assert "&lt;b&gt;mini&lt;/b&gt; $x^2$" in pages["several"]


def test_a_run_without_texts_says_how_to_get_them(pages: dict[str, str]) -> None:
    text = Page(pages["old"]).text
    assert "This run keeps no texts beside its answers" in text
    assert "clue eval RUN" in text
    assert "By length" not in text
    assert "浙商银行" in text  # the words of the elements are there


def test_several_runs_stand_beside_each_other(pages: dict[str, str]) -> None:
    text = Page(pages["several"]).text
    assert "2 runs beside each other" in text
    assert "A − B" in text and "not told apart" in text and "McNemar" in text
    assert re.search(r"A and B: 12 of \d\d items", text)
    assert re.search(r"gold 0 A [01] B [01]", text)
    assert re.search(r"epochs \S* ?\d+ 9", text)


def test_a_page_of_many_rows_stays_small_and_says_what_is_not_shown(tmp_path: Path) -> None:
    lines = [
        label_line(str(i % 2), "0", 0.5 + i % 50 / 100, (f"第{i}行" + "很长的一句话" * 40, "乙")) for i in range(12_000)
    ]
    text = report([make_run(tmp_path / "big", lines, losses=[1.0] * 3)])
    assert len(text.encode("utf-8")) < 400_000
    assert (
        "6,000 of 12,000 items have something wrong in their answer; the first 40 are shown, 5,960 are not"
        in Page(text).text
    )


def test_many_labels_become_pairs(tmp_path: Path) -> None:
    from clue_cli.registry import find_task

    labels = find_task("iflytek").labels[:60]
    lines = [label_line(labels[i % 60], labels[(i * i) % 60], 0.5, ("文",)) for i in range(300)]
    text = Page(report([make_run(tmp_path / "many", lines, task="iflytek", fields=("sentence",))])).text
    assert "60 labels are too many for a matrix" in text
    assert "The 40 most frequent of" in text
    assert "The 30 labels with the most gold; 30 more are in the table only." in text


def test_a_run_of_one_item_all_right_and_without_a_log_has_a_page(tmp_path: Path) -> None:
    path = make_run(tmp_path / "one", [label_line("0", "0")], figure=1.0, losses=())
    (path / "log.jsonl").unlink()
    text = Page(report([path])).text
    assert "Every item is right." in text
    assert "carry no probabilities" in text
    assert "Learning curve" not in text


# ---------------------------------------------------------------- the verb


def test_the_verb_writes_beside_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_labels(tmp_path / "run")
    assert run(["report", str(path), "--json"]) == 0
    page = path / "report.html"
    found = json.loads(capsys.readouterr().out)
    assert found == {"output": str(page), "bytes": page.stat().st_size, "split": "dev", "runs": [str(path)]}
    assert run(["report", str(path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert run(["report", str(path), "--force"]) == 0
    assert str(page) in capsys.readouterr().out.replace("\n", "")
    assert run(["report", str(path), "--metric", "acuracy", "--force"]) == 2
    assert "accuracy" in capsys.readouterr().err


def test_several_runs_make_a_page_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [str(make_labels(tmp_path / name, seed=i)) for i, name in enumerate("ab")]
    assert run(["report", *runs, "--resamples", "100"]) == 0
    assert (tmp_path / "report.html").is_file()
    assert run(["report", *runs, "--resamples", "100", "-o", "b/page.html"]) == 0
    assert (tmp_path / "b" / "page.html").is_file()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("none", "no such run"),
        ("answers", r"clue eval \S+ --split dev"),
        ("broken", ":2"),
        ("tnews", "a run of tnews"),
        ("cluener", "a run of cluener"),  # which has other metrics
    ],
)
def test_what_has_no_page_is_refused(
    change: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_labels(tmp_path / "run")
    runs, answers = [str(path)], path / "predictions.dev.jsonl"
    if change == "none":
        runs = [str(tmp_path / "nothing")]
    elif change == "answers":
        answers.unlink()
    elif change == "broken":
        answers.write_text(answers.read_text().splitlines()[0] + "\n{\n", encoding="utf-8")
    else:
        other, fields = [label_line("100", "101", 0.5, ("文",))] * 40, ("sentence" if change == "tnews" else "text",)
        runs.append(str(make_run(tmp_path / "other", other, task=change, fields=fields)))
    assert run(["report", *runs]) == 2
    assert re.search(said, capsys.readouterr().err)
    assert not (path / "report.html").exists()


# ---------------------------------------------------------------- colours

TEMPLATES = resources.files("clue_cli") / "templates"
BLOCKS = re.findall(r":root \{(.*?)\}", (TEMPLATES / "style.css").read_text(encoding="utf-8"), re.DOTALL)


def colours(block: str) -> dict[str, tuple[float, ...]]:
    found = {}
    for name, value in re.findall(r"--([\w-]+): ([^;]+);", block):
        digits = re.fullmatch(r"#([0-9a-f]{6})", value)
        found[name] = tuple(bytes.fromhex(digits[1])) if digits else tuple(map(float, value.split()))
    return found


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The contrast ratio of WCAG 2.2."""

    def luminance(colour: tuple[float, ...]) -> float:
        shares = [part / 255 for part in colour]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_has_contrast_in_light_and_dark() -> None:
    assert len(BLOCKS) == 2
    light, dark = map(colours, BLOCKS)
    assert light.keys() == dark.keys()
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    for mode in (light, dark):
        pairs = [(name, ground) for ground in ("back", "stripe") for name in ("text", "faint", "link", "best")]
        pairs += [(name, f"{name}-back") for name in ("right", "gold", "predicted", "mark")]
        pairs += [("text", f"{name}-back") for name in ("right", "gold", "predicted")]
        for name, ground in pairs:
            assert contrast(mode[name], mode[ground]) >= 4.5, (name, ground)
        for name in ("heat", "heat-right"):
            shade = tuple(0.4 * over + 0.6 * under for over, under in zip(mode[name], mode["back"], strict=True))
            assert contrast(mode["text"], shade) >= 4.5, name
        # What is drawn and not written needs 3 to 1.
        for number in range(1, 7):
            assert contrast(mode[f"series-{number}"], mode["back"]) >= 3, number
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    assert "step * 4" in css and "range(1, 11)" in css  # the strongest shade is 40 %, as reckoned above


def test_the_leaderboard_has_the_same_style() -> None:
    from clue_cli.leaderboard import build
    from clue_cli.leaderboard_filters import Filters
    from clue_cli.leaderboard_formats import as_html
    from tests.record_cases import make_record

    page = as_html(build([make_record()], Filters(), published="none"))
    Page(page)
    assert all(block in page for block in BLOCKS)
    assert 'href="#main"' in page and "default-src 'none'" in page
