"""Checkpoints: whatever is cut off while one is written, a whole one can be loaded; what is damaged is refused."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from clue_cli.checkpoint import load_checkpoint, random_state, restore_random_state, save_checkpoint
from clue_cli.errors import ClueError, RunError, UserError

Tensors = dict[str, torch.Tensor]


class Crash(BaseException):
    """Power lost."""


def tensors(value: float) -> Tensors:
    noise = torch.get_rng_state()
    return {"weight/a": torch.full((3, 2), value), "state/step/a": torch.tensor(value), "random/cpu/0": noise}


def state(step: int) -> dict[str, Any]:
    return {"step": step, "epoch": step // 2, "best": None, "signature": {"task": "x"}}


def whole(directory: Path) -> int:
    """The step of the checkpoint, after seeing that state and tensors are of one step."""
    found, values = load_checkpoint(directory)
    assert torch.equal(found["weight/a"], torch.full((3, 2), float(values["step"])))
    return int(values["step"])


POINTS: list[tuple[Any, str]] = [
    (safetensors.torch, "save_file"), (os, "fsync"), (Path, "replace"), (Path, "unlink"), (Path, "iterdir"),
    (json, "dump"),
]  # fmt: skip


def failing(
    monkeypatch: pytest.MonkeyPatch, target: Any, name: str, call: int, error: BaseException, after: bool
) -> list[int]:
    """Let the `call`-th call of `target.name` fail, before or after its work; the list shows whether it came to it."""
    original: Callable[..., Any] = getattr(target, name)
    calls = [0]
    met: list[int] = []

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] != call:
            return original(*args, **kwargs)
        met.append(call)
        if after:
            original(*args, **kwargs)
        raise error

    monkeypatch.setattr(target, name, wrapped)
    return met


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("target", "name"), POINTS, ids=[name for _, name in POINTS])
@pytest.mark.parametrize("error", [Crash(), OSError(errno.ENOSPC, "No space left on device")], ids=["crash", "full"])
def test_a_crash_at_any_point_leaves_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Any, name: str, after: bool, error: BaseException
) -> None:
    met = 0
    for call in range(1, 5):
        directory = tmp_path / str(call)
        save_checkpoint(directory, tensors(1.0), state(1))
        save_checkpoint(directory, tensors(2.0), state(2))
        with monkeypatch.context() as patch:
            hit = failing(patch, target, name, call, error, after)
            try:
                save_checkpoint(directory, tensors(3.0), state(3))
            except (Crash, ClueError) as caught:
                # A full disk met while temporary files are tidied up, or a directory is flushed, need not be told.
                assert hit
                assert isinstance(caught, Crash if isinstance(error, Crash) else RunError)
                if isinstance(caught, RunError):
                    assert "\n" not in str(caught)
        assert whole(directory) in (2, 3)
        met += len(hit)
        save_checkpoint(directory, tensors(4.0), state(4))
        assert whole(directory) == 4
        assert sorted(p.name for p in directory.iterdir()) == ["state.json", "step-4-2.safetensors"]
    assert met > 0


def test_a_full_disk_is_told_and_gives_back_its_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors import SafetensorError

    save_checkpoint(tmp_path, tensors(1.0), state(1))
    kept = sorted(p.name for p in tmp_path.iterdir())
    full = OSError(errno.ENOSPC, "No space left on device")
    for target, name, error in (
        (safetensors.torch, "save_file", SafetensorError("I/O error: No space left on device (os error 28)")),
        (os, "fsync", full),
        (json, "dump", full),
    ):
        with monkeypatch.context() as patch:
            failing(patch, target, name, 1, error, after=True)
            with pytest.raises(RunError, match=r"[Nn]o space left|full"):
                save_checkpoint(tmp_path, tensors(2.0), state(2))
        assert sorted(p.name for p in tmp_path.iterdir()) == kept
        assert whole(tmp_path) == 1


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ClueError, match="file"):
        save_checkpoint(tmp_path / "file" / "last", tensors(1.0), state(1))


def damage_truncate(directory: Path) -> None:
    path = next(directory.glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-7])


def damage_header(directory: Path) -> None:
    path = next(directory.glob("*.safetensors"))
    path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:])


def damage_bit(directory: Path) -> None:
    path = next(directory.glob("*.safetensors"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def damage_missing(directory: Path) -> None:
    next(directory.glob("*.safetensors")).unlink()


def damage_foreign(directory: Path) -> None:
    (directory / "state.json").write_text('{"global_step": 5}')


def damage_list(directory: Path) -> None:
    (directory / "state.json").write_text("[1, 2]")


def damage_json(directory: Path) -> None:
    (directory / "state.json").write_text('{"step": 1,')


def damage_binary(directory: Path) -> None:
    (directory / "state.json").write_bytes(b"\x80\x02}q\x00.")


@pytest.mark.parametrize(
    "damage",
    [
        damage_truncate,
        damage_header,
        damage_bit,
        damage_missing,
        damage_foreign,
        damage_list,
        damage_json,
        damage_binary,
    ],
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_or_foreign_checkpoint_is_refused_in_one_line(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    save_checkpoint(tmp_path, tensors(1.0), state(1))
    damage(tmp_path)
    with pytest.raises(UserError, match="damaged or not one of clue's") as error:
        load_checkpoint(tmp_path)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_no_checkpoint_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint"):
        load_checkpoint(tmp_path / "none")


def test_the_state_of_noise_comes_back() -> None:
    device = torch.device("cpu")
    torch.manual_seed(7)
    kept = {name: value.clone() for name, value in random_state(device).items()}
    first = torch.rand(5)
    restore_random_state(kept, device)
    assert torch.equal(torch.rand(5), first)
