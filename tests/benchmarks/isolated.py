"""Measurements in processes of their own: the times of several calls, memory as the growth of the process's peak."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESET_PEAK = Path("/proc/self/clear_refs")


class PeakMemory:
    """How far the resident memory of this process has grown, at its highest, since the object was made, in MB (10^6).

    On Linux the system's mark is put back first; elsewhere it cannot be, and what was used before hides smaller growth.
    """

    def __init__(self) -> None:
        self.exact = RESET_PEAK.exists()
        if self.exact:
            RESET_PEAK.write_text("5")
        self.before = _status("VmRSS") if self.exact else _highest()

    @property
    def megabytes(self) -> float:
        return max(0.0, (_status("VmHWM") if self.exact else _highest()) - self.before)


def _status(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(f"/proc/self/status has no {field}")


def _highest() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def seconds_of(call: Callable[[], Any], *, repeats: int, at_least: float = 0.5, most: int = 200) -> list[float]:
    """The seconds of `repeats` calls, and of more until `at_least` seconds have gone by: short calls need many."""
    begun, taken = time.perf_counter(), list[float]()
    while len(taken) < repeats or (time.perf_counter() - begun < at_least and len(taken) < most):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return taken


def in_process(script: str, *arguments: Any, pinned: bool = False) -> dict[str, Any]:
    """What `script --one ARGUMENTS...` prints last, as JSON. SystemExit with its message if it fails.

    `pinned`: torch's threads keep to a core each. Where other programs run, two that share a core wait for each other
    at the end of every operation, and short ones take a hundred times as long.
    """
    command = [sys.executable, script, "--one", *map(str, arguments)]
    surroundings = {**os.environ, "OMP_PROC_BIND": "true"} if pinned else None
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
