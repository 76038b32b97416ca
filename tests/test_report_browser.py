"""Pages of clue report as a browser lays them out: headless Chromium, where it is installed.

All pages stand in frames of several widths of one document, so that the browser starts once. A script in copies of
the pages measures them; the pages themselves have none.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from typing import Any

import pytest

from clue_cli.leaderboard import build
from clue_cli.leaderboard_filters import Filters
from clue_cli.leaderboard_formats import as_html
from clue_cli.report.page import report
from tests.record_cases import make_record
from tests.report_cases import make_labels, make_spans

WIDTHS = (390, 1200)

MEASURE = """
addEventListener("load", () => {
  const root = document.documentElement, own = document.querySelectorAll("body *");
  const name = (one) => one.tagName + "." + (one.getAttribute("class") || one.id);
  const scrolled = [...own].filter((one) => one.scrollWidth > one.clientWidth + 1
    && ["auto", "scroll"].includes(getComputedStyle(one).overflowX));
  const tall = [...document.querySelectorAll("svg.chart text")].map((one) => one.getBoundingClientRect().height);
  parent.postMessage({
    page: new URLSearchParams(location.search).get("page"), width: innerWidth, over: root.scrollWidth - innerWidth,
    wider: [...own].filter((one) => one.getBoundingClientRect().right > innerWidth + 1
      && !one.closest(".wide, .skip, .sr")).map(name).slice(0, 5),
    unreachable: scrolled.filter((one) => one.tabIndex < 0).map(name), scrolled: scrolled.length,
    scripts: document.scripts.length,
    fonts: [...new Set([document.body, ...document.querySelectorAll("svg.chart text")].map(
      (one) => getComputedStyle(one).fontFamily))],
    smallest: Math.min(99, ...tall), errors: window.wrong || [],
  }, "*");
});
addEventListener("error", (event) => { (window.wrong = window.wrong || []).push(event.message); });
addEventListener("securitypolicyviolation", (event) => {
  (window.wrong = window.wrong || []).push("blocked " + event.blockedURI);
});
"""

COLLECT = """
const said = [];
addEventListener("message", (event) => {
  said.push(event.data);
  if (said.length === document.querySelectorAll("iframe").length) {
    document.getElementById("said").textContent = JSON.stringify(said);
  }
});
"""


WRONG = """
<head><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"></head>
<body><svg class="chart" style="width: 2000px"><text>a</text></svg><img src="picture.png">
<div style="width: 9px; overflow: auto">wwwwwwwwww</div></body>
"""


@pytest.fixture(scope="module")
def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium here to lay pages out (Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def measured(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], str]:
    """What the script found in every frame, and what the browser wrote on its console."""
    place = tmp_path_factory.mktemp("browser")
    labels, spans = make_labels(place / "labels", encoder="名" * 40), make_spans(place / "spans")
    other = make_labels(place / "other", seed=2)
    pages = {
        "labels": report([labels]),
        "spans": report([spans]),
        "several": report([labels, other], resamples=100),
        "leaderboard": as_html(build([make_record()], Filters())),
        # What a page must not do, to see that it would be seen.
        "wrong": WRONG,
    }
    frames = []
    for name, text in pages.items():
        script = f"<script>{MEASURE}</script>"
        copy = text.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
        copy = copy.replace("<head>", f"<head>{script}", 1)
        (place / f"{name}.html").write_text(copy, encoding="utf-8")
        frames += [f'<iframe src="{name}.html?page={name}" width="{width}" height="700"></iframe>' for width in WIDTHS]
    whole = f'<!doctype html><meta charset="utf-8"><style>iframe {{ border: 0 }}</style><script>{COLLECT}</script>'
    (place / "all.html").write_text(whole + "".join(frames) + '<pre id="said"></pre>', encoding="utf-8")
    options = (
        "headless=new no-sandbox disable-gpu hide-scrollbars window-size=1300,900 virtual-time-budget=20000 dump-dom "
        "enable-logging=stderr disable-background-networking disable-component-update no-first-run"
    )
    command = [chromium, *(f"--{option}" for option in options.split()), f"--user-data-dir={place / 'profile'}"]
    done = subprocess.run(
        [*command, (place / "all.html").as_uri()], capture_output=True, timeout=300, check=False,
        env={**os.environ, "HOME": str(place)},
    )  # fmt: skip
    shown = done.stdout.decode("utf-8", errors="replace")
    told = done.stderr.decode("utf-8", errors="replace")
    found = re.search(r'<pre id="said">(.+?)</pre>', shown, re.DOTALL)
    assert found, told[-2000:]
    return json.loads(html.unescape(found[1])), told


def test_pages_fit_a_phone_and_a_desk(measured: tuple[list[dict[str, Any]], str]) -> None:
    for frame in measured[0]:
        if frame["page"] != "wrong":
            assert frame["over"] <= 0 and frame["wider"] == [], frame
    assert sorted({frame["width"] for frame in measured[0]}) == list(WIDTHS)
    assert len(measured[0]) == 5 * len(WIDTHS)
    assert all(frame["over"] > 0 for frame in measured[0] if frame["page"] == "wrong")


def test_what_scrolls_is_reached_by_the_keyboard(measured: tuple[list[dict[str, Any]], str]) -> None:
    for frame in measured[0]:
        assert (frame["unreachable"] == []) == (frame["page"] != "wrong"), frame
    assert any(frame["scrolled"] for frame in measured[0] if frame["width"] == 390)


def test_text_of_charts_can_be_read_on_a_phone(measured: tuple[list[dict[str, Any]], str]) -> None:
    for frame in measured[0]:
        if frame["page"] != "wrong":
            assert frame["smallest"] >= 10, frame
            assert len(frame["fonts"]) == 1 and "CJK" in frame["fonts"][0]


def test_pages_load_nothing_and_complain_of_nothing(measured: tuple[list[dict[str, Any]], str]) -> None:
    frames, told = measured
    for frame in frames:
        if frame["page"] == "wrong":
            assert frame["errors"] != []
        else:
            assert frame["errors"] == [] and frame["scripts"] == 1, frame
    complaints = [line for line in told.splitlines() if "CONSOLE" in line]
    assert complaints and all("wrong.html" in line for line in complaints)
