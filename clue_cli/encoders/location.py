"""What `--encoder` names: the shipped encoder, a directory, a model of the hub, or random weights of one's shape.

Importing this module imports neither torch nor `huggingface_hub`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from clue_cli.encoders.files import reason
from clue_cli.errors import RunError, UserError, did_you_mean

DEFAULT_ENCODER = "mini-zh"
"""The encoder that ships with the package."""

SCRATCH = "scratch"
"""`scratch:NAME`: the shape and tokenizer of an encoder, with random weights; `scratch` alone: of the shipped one."""

SHIPPED = {DEFAULT_ENCODER: Path(__file__).parent / "mini_zh"}

_KINDS = "a directory, a hub name such as owner/model, or mini-zh"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_SMALL_FILES = ["*.json", "*.txt", "*.model"]
_BELOW = ["*/*"]  # folders of a hub model hold the same weights for other programs


@dataclass(frozen=True, slots=True)
class Location:
    """Where an encoder is. `name` goes into records: a base name or hub name, never a machine's path."""

    name: str
    directory: Path | None
    """None for a model of the hub, until `fetch`."""
    scratch: bool = False

    def fetch(self) -> Path:
        """The directory with the encoder's files; downloads a hub model once (UserError, RunError if it cannot)."""
        return self.directory if self.directory is not None else _download(self.name.removeprefix(f"{SCRATCH}:"))


def resolve(name: str | None = None) -> Location:
    """The location that `name` means; None is $CLUE_ENCODER, and without that the shipped encoder.

    A shipped name wins over a directory of the same name (write ./mini-zh for that one). UserError where `name` can be
    neither a directory nor a name of the hub.
    """
    if name is None:
        name = os.environ.get("CLUE_ENCODER") or DEFAULT_ENCODER
    if not name.strip():
        raise UserError("an empty name", where="--encoder", hint=_KINDS)
    base, _, rest = name.partition(":")
    if base == SCRATCH:
        inner = resolve(rest or None) if rest else Location(DEFAULT_ENCODER, SHIPPED[DEFAULT_ENCODER])
        return Location(f"{SCRATCH}:{inner.name}" if rest else SCRATCH, inner.directory, scratch=True)
    if name in SHIPPED:
        return Location(name, SHIPPED[name])
    path = Path(name).expanduser()
    if path.exists():
        return Location(path.resolve().name, path)
    if not _HUB_NAME.fullmatch(name):
        raise UserError(
            f"there is no directory {name!r}",
            where="--encoder",
            hint=_KINDS,
        )
    return Location(name, None)


def _download(name: str) -> Path:
    """The snapshot directory of a hub model: configuration, tokenizer, weights (safetensors where there are any)."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    def fetch(patterns: list[str]) -> Path:
        return Path(snapshot_download(name, allow_patterns=[*_SMALL_FILES, *patterns], ignore_patterns=_BELOW))

    try:
        directory = fetch(["model*.safetensors"])
        if not any(directory.glob("model*.safetensors")):
            directory = fetch(["pytorch_model*.bin"])
    except GatedRepoError as error:
        raise UserError(
            f"{name} asks for an agreement first",
            where="--encoder",
            hint="accept it on the model's page and log in with `hf auth login`",
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(f"the hub has no model {name!r}, and there is no such directory", where="--encoder") from error
    except Exception as error:  # whatever the network, its proxies and the hub's client come up with
        raise _unreachable(name, error) from error
    return directory


def _unreachable(name: str, error: Exception) -> UserError | RunError:
    """The error for a hub model that is neither in the cache nor within reach."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        near = did_you_mean(name, [*SHIPPED, SCRATCH], "encoder") if "/" not in name else f"{name!r} is not a directory"
        return UserError(
            f"{near.rstrip('.')}; as a hub model it is not in the local cache, and HF_HUB_OFFLINE forbids the network",
            where="--encoder",
            hint="give a directory, or run once with the network",
        )
    return RunError(
        f"could not fetch {name!r} from the hub (there is no such directory): {reason(error)}",
        where="--encoder",
        hint="check the network, set HF_ENDPOINT to a mirror, or give a directory or mini-zh",
    )
