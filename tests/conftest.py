"""Fixtures that several rooms use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test depends on how fast the machine is: a loaded one would fail hypothesis' own deadlines.
settings.register_profile("clue", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("clue")

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported: workers that each take all cores wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests see neither the user's data, encoder nor caches."""
    for name in ("CLUE_DATA", "CLUE_ENCODER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLUE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real data beside the checkout; tests on it say that they were skipped where it is not at hand."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the real data (../shared) is not at hand")
    return SHARED
