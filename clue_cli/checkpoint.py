"""Checkpoints that survive being killed at any moment, also while one is written.

`last/` holds one tensor file per saved step and `state.json`, which names the current one. A new checkpoint is written
under a new name and flushed; then `state.json` is replaced in one rename; only then the old tensors go. Whatever is cut
off in between, `state.json` names a whole file. Tensors are safetensors, the state is plain JSON: data, never code.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clue_cli.errors import ClueError, RunError, UserError
from clue_cli.files import atomic_write

STATE = "state.json"


def save_checkpoint(directory: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Make `tensors` and `state` (JSON values, with `step`) the checkpoint of `directory`; RunError if it cannot be."""
    from safetensors.torch import save_file

    name = f"step-{state['step']}-{state['epoch']}.safetensors"
    beside = directory / f"{name}.part"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, str(beside))
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        sha256 = _sha256(beside)
        beside.replace(directory / name)
        with atomic_write(directory / STATE) as out:
            json.dump({**state, "tensors": name, "sha256": sha256}, out, ensure_ascii=False, indent=1)
        for old in directory.iterdir():
            if old.name not in (name, STATE):
                old.unlink(missing_ok=True)
    except ClueError:  # of `state.json`: it still names the older tensors
        _forget(directory, name)
        raise
    except OSError as error:
        _forget(directory, name)
        raise RunError(f"the checkpoint can't be written: {error.strerror or error}", where=str(directory)) from error
    except Exception as error:
        # safetensors reports a full disk as an error of its own, which is no OSError.
        _forget(directory, name)
        if type(error).__name__ != "SafetensorError":
            raise
        raise RunError(f"the checkpoint can't be written: {error}", where=str(directory)) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _forget(directory: Path, name: str) -> None:
    """Give back the room of a checkpoint that did not come to be; what `state.json` names stays."""
    with suppress(OSError):
        (directory / f"{name}.part").unlink(missing_ok=True)
        state = directory / STATE
        if not state.is_file() or name not in state.read_text(encoding="utf-8"):
            (directory / name).unlink(missing_ok=True)


def load_checkpoint(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and state of `directory`. UserError where there is none or it is damaged."""
    from safetensors.torch import load_file

    path = directory / STATE
    if not path.is_file():
        raise UserError("there is no checkpoint to continue from", where=str(directory), hint="train without --resume")
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        tensors_path = directory / state["tensors"]
        if _sha256(tensors_path) != state["sha256"]:
            raise ValueError(f"{state['tensors']} is not what was written: its SHA-256 differs")
        return load_file(str(tensors_path)), state
    except Exception as error:
        raise UserError(
            f"the checkpoint is damaged or not one of clue's: {error}", where=str(path), hint="train again with --force"
        ) from error


def random_state(device: torch.device) -> dict[str, Tensor]:
    """State of the generators that training draws from, as tensors."""
    state = {"random/cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["random/cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        state["random/mps"] = torch.mps.get_rng_state()
    return state


def restore_random_state(tensors: Mapping[str, Tensor], device: torch.device) -> None:
    """Inverse of `random_state`."""
    torch.set_rng_state(tensors["random/cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random/cuda"], device)
    if device.type == "mps":
        torch.mps.set_rng_state(tensors["random/mps"])
