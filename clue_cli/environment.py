"""Where a figure came to be: versions, machine, the program's own state. Imports nothing heavy, never fails."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIBRARIES = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "safetensors",
    "numpy",
    "scipy",
    "scikit-learn",
    "datasets",
    "huggingface-hub",
)
"""Libraries whose version can change a figure."""

PACKAGES = ("clue_cli", "tasks", "heads")
"""What of a checkout makes figures: a change elsewhere (docs, notes) leaves it clean."""

DISTRIBUTION = "clue-baselines"

_GIT_SECONDS = 10


@dataclass
class Program:
    """This program: its version, and commit and dirtiness where it runs from a checkout (None elsewhere)."""

    version: str
    commit: str | None = None
    dirty: bool | None = None


@dataclass
class Environment:
    """Versions and machine. `cores` are those this process may use; `memory` is bytes; `gpu` names, in order."""

    python: str
    system: str
    libraries: dict[str, str]
    cpu: str
    cores: int
    memory: int | None = None
    gpu: list[str] = field(default_factory=list)


def environment() -> Environment:
    """The versions and the machine of this process; GPUs are seen only once torch is loaded."""
    libraries = {}
    for name in LIBRARIES:
        try:
            libraries[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Environment(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        libraries=libraries,
        cpu=_cpu(),
        cores=_cores(),
        memory=_memory(),
        gpu=_gpus(),
    )


def program() -> Program:
    """Version, commit and dirtiness of the running program."""
    root = Path(__file__).resolve().parents[1]
    version = _version(root)
    if not (root / ".git").exists():
        return Program(version)
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        return Program(version)
    changes = _git(root, "status", "--porcelain", "--", *PACKAGES)
    return Program(version, commit, None if changes is None else bool(changes))


def _version(root: Path) -> str:
    """The version of the running code: the checkout's own declaration, else that of the installed package."""
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        if project["name"] == DISTRIBUTION:
            return str(project["version"])
    except (OSError, ValueError, KeyError):  # not a checkout
        pass
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _git(root: Path, *arguments: str) -> str | None:
    """What git answers, None if it is absent or refuses (a checkout of another owner, no commit yet)."""
    # No locks: looking must not get in the way of the user's own git.
    surroundings = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        surroundings.pop(name, None)  # set inside git's own hooks, where they mean another repository
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            env=surroundings,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model", "cpu model") and value.strip():
                return " ".join(value.split())
    except OSError:  # not Linux
        pass
    if sys.platform == "darwin":
        try:
            answer = subprocess.run(
                ["sysctl", "-n", "machdep.cpu.brand_string"],
                capture_output=True,
                text=True,
                timeout=_GIT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            return platform.machine()
        if answer.stdout.strip():
            return answer.stdout.strip()
    return platform.processor() or platform.machine() or "unknown"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int | None:
    """Bytes of memory: the machine's, or the container's limit where that is lower."""
    amounts = []
    try:
        amounts.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        if limit.isdigit():
            amounts.append(int(limit))
    except (OSError, UnicodeDecodeError):  # no container, or cgroups of the first version
        pass
    return min(amounts)


def _gpus() -> list[str]:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return []
    try:
        if torch.cuda.is_available():
            return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        if torch.backends.mps.is_available():
            return ["Apple MPS"]
    except (RuntimeError, AttributeError):  # a driver that does not fit: training says so better than a record
        return []
    return []


def peak_memory() -> int | None:
    """The most memory this process has held so far, in bytes; None where the system does not say (Windows)."""
    try:
        # Not ru_maxrss first: it starts from what the parent process held when it started this one.
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:  # not Linux
        pass
    try:
        import resource
    except ImportError:
        return None
    amount = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return amount if sys.platform == "darwin" else amount * 1024


def peak_gpu_memory(device: Any) -> int | None:
    """The most memory torch has held on the CUDA `device`, in bytes; None for a device of another kind."""
    if device.type != "cuda":
        return None
    torch: Any = sys.modules["torch"]
    return int(torch.cuda.max_memory_allocated(device))


def trim_memory() -> None:
    """Hand freed memory back to the system, where the C library can be told to (glibc); nothing elsewhere.

    Steps of ever other shapes leave holes in the heap, which it keeps otherwise: training mini-zh on windows of 512
    tokens went from 3 to 7 GB in half an epoch, of which 1.2 were in use between two steps.
    """
    if sys.platform != "linux":
        return
    import ctypes

    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library, as in Alpine
        return
    trim(0)


_ABSOLUTE = re.compile(r"(?<![\w.:/\\])(?:~?/|[A-Za-z]:[\\/]|\\\\)(?:[^\s:'\"/\\]+[/\\])+")


def without_paths(text: str) -> str:
    """`text` with absolute paths cut down to their last parts: records tell nobody where a user keeps things."""
    return _ABSOLUTE.sub("", text)


def base_name(path: str) -> str:
    """The last part of a path of either kind of system; names without a separator stay as they are."""
    parts = [part for part in re.split(r"[/\\]+", path) if part not in ("", ".", "..")]
    return parts[-1] if parts else path.strip("./\\~") or "."


def reduced_command(arguments: Sequence[str]) -> list[str]:
    """A command line with every path cut down to its base name; hub names (`hfl/...` after --encoder) stay."""
    reduced: list[str] = []
    before = ""
    for position, argument in enumerate(arguments):
        option, sign, value = argument.partition("=") if argument.startswith("-") else ("", "", argument)
        name = option if sign else before
        if position == 0:
            reduced.append("clue")
        elif not sign and option:
            reduced.append(argument)
        elif "/" in value or "\\" in value:
            reduced.append(option + sign + (_encoder(value) if name == "--encoder" else base_name(value)))
        else:
            reduced.append(argument)
        before = argument
    return reduced


def _encoder(value: str) -> str:
    prefix = "scratch:" if value.startswith("scratch:") else ""
    name = value.removeprefix(prefix)
    is_hub_name = re.fullmatch(r"[\w][\w.-]*/[\w.-]+", name) is not None and not Path(name).exists()
    return prefix + (name if is_hub_name else base_name(name))
