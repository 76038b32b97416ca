"""Where to compute and in which precision.

In bf16 the encoder's matrices and norms are bf16, once and for all, and not cast again at every call as autocast does;
embeddings stay float32 (their gradients sum over thousands of rows, which 8 bits of mantissa lose) and hand bf16 on,
but DeBERTa's relative ones, which take part in its matrix products;
heads, their losses and all masters of the optimiser are float32.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from clue_cli import console
from clue_cli.errors import UserError, did_you_mean

PRECISIONS = ("auto", "bf16", "float32")


def choose_device(requested: str | None) -> torch.device:
    """The device by name, or the best at hand: CUDA, else MPS, else the processor. UserError if it is not there."""
    if requested in (None, "auto"):
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(str(requested))
    except RuntimeError as error:
        raise UserError(
            did_you_mean(str(requested), ["auto", "cpu", "cuda", "mps"], "device"), where="--device"
        ) from error
    at_hand = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not at_hand.get(device.type, False):
        raise UserError(f"no {device.type} device is at hand", where="--device", hint="--device cpu")
    if device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise UserError(f"{device} does not exist; there are {torch.cuda.device_count()}", where="--device")
    return device


def choose_precision(requested: str | None, device: torch.device) -> str:
    """ "bf16" or "float32": what was asked for, or bf16 where the hardware is fast at it."""
    if requested not in (None, "auto"):
        if requested not in PRECISIONS:
            raise UserError(did_you_mean(str(requested), PRECISIONS, "precision"), where="--precision")
        return str(requested)
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type == "cpu":
        return "bf16" if _cpu_has_bf16() else "float32"
    return "float32"


def _cpu_has_bf16() -> bool:
    """Whether the processor multiplies bf16 matrices itself (AVX512-BF16 or AMX); emulated it is slow."""
    probes: list[Any] = [
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    ]
    return any(probe() for probe in probes if probe is not None)


_MULTIPLIED = "rel_embeddings"
"""What DeBERTa calls its relative positions: an embedding that is never called, whose weight goes into products."""


def _to_bf16(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return output.to(torch.bfloat16)


def compute_in_bf16(encoder: nn.Module, masters: dict[nn.Parameter, Tensor] | None = None) -> None:
    """Turn the encoder's parameters to bf16, all but embeddings; buffers (rotary tables) stay as they are.

    masters: gets the float32 values, by parameter, of what is turned; without it they are given up.
    """
    embeddings = [
        module
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Embedding) and name.rpartition(".")[2] != _MULTIPLIED
    ]
    kept = {id(module.weight) for module in embeddings}
    for parameter in encoder.parameters():
        if id(parameter) not in kept and parameter.dtype == torch.float32:
            if masters is not None:
                masters[parameter] = parameter.data
            parameter.data = parameter.data.to(torch.bfloat16)
    for module in embeddings:
        module.register_forward_hook(_to_bf16)
    models: list[Any] = [module for module in encoder.modules() if hasattr(module, "get_extended_attention_mask")]
    for model in models:  # transformers 5.3 adds a mask of the first parameter's type, an embedding's
        model.get_extended_attention_mask = partial(model.get_extended_attention_mask, dtype=torch.bfloat16)


def use_in_thread(device: torch.device) -> None:
    """Make `device` the one that CUDA means in this thread; each begins with the first, whatever the others use."""
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def make_repeatable(device: torch.device) -> None:
    """Ask an accelerator for the same bits at every run.

    A processor needs nothing: its kernels give the same bits for the same shapes and number of threads.
    """
    if device.type == "cuda":
        # Read when the first cuBLAS handle is made, hence before anything is computed.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # Not `warn_only`: with it the fused attention would warn and keep its backward pass that races.
        torch.use_deterministic_algorithms(True)
        # Or every tensor that is made empty would be filled first, which finds mistakes and costs a kernel each.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


_MEMORY_ENDED = (
    "MPS backend out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",  # a new handle of cuBLAS, where torch holds all of the card
    "DefaultCPUAllocator: can't allocate memory",
)


def out_of_memory(error: RuntimeError) -> bool:
    """Whether `error` says that the device's memory came to an end, which only torch's own allocator has a type for."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _MEMORY_ENDED)


def release_memory(device: torch.device) -> None:
    """Give back what torch keeps of a device's memory for later."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if device.type == "mps":
        torch.mps.empty_cache()


def go_on_unrepeatable(error: RuntimeError) -> bool:
    """Whether `error` says that an operation has no repeatable form on the device; such ones are used from then on.

    The user is told: the run goes on, but the same command need not give the same bits.
    """
    strict = torch.are_deterministic_algorithms_enabled() and not torch.is_deterministic_algorithms_warn_only_enabled()
    if not strict or "deterministic implementation" not in str(error):
        return False
    torch.use_deterministic_algorithms(True, warn_only=True)
    operation = str(error).split(maxsplit=1)[0]
    console.warn(f"{operation} has no repeatable form on this device: another run of this command may give other bits")
    return True
