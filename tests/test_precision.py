"""Devices and precisions by name, and what computing in bf16 turns to bf16."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from clue_cli.errors import UserError
from clue_cli.precision import choose_device, choose_precision, compute_in_bf16, out_of_memory


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device(None) == choose_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device(None) == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device(None) == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(UserError, match="there are 2"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cpuu", "", "meta", "cuda:x"])
def test_devices_that_are_not_there_are_told_in_one_line(name: str) -> None:
    with pytest.raises(UserError, match="--device") as error:
        choose_device(name)
    assert "\n" not in str(error.value)


def test_precision_follows_the_request_or_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert choose_precision("float32", cpu) == "float32"
    assert choose_precision("bf16", cpu) == "bf16"
    with pytest.raises(UserError, match="--precision"):
        choose_precision("fp16", cpu)
    for able in (True, False):
        monkeypatch.setattr("clue_cli.precision._cpu_has_bf16", lambda able=able: able)
        assert choose_precision(None, cpu) == choose_precision("auto", cpu) == ("bf16" if able else "float32")
    assert choose_precision(None, torch.device("mps")) == "float32"


def test_the_end_of_a_devices_memory_is_known_by_type_or_words() -> None:
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 8 GB, max allowed: 9 GB)"))
    assert out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    assert not out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED"))
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_bf16_leaves_embeddings_and_buffers_alone(tiny_encoder: Path) -> None:
    from clue_cli.encoders.loading import load_encoder

    encoder = load_encoder(str(tiny_encoder)).eval()
    exact = encoder(torch.tensor([[2, 10, 11, 3]]), torch.ones(1, 4, dtype=torch.bool))
    compute_in_bf16(encoder)
    embeddings = {id(m.weight) for m in encoder.modules() if isinstance(m, torch.nn.Embedding)}
    for name, parameter in encoder.named_parameters():
        assert parameter.dtype == (torch.float32 if id(parameter) in embeddings else torch.bfloat16), name
    assert all(buffer.dtype != torch.bfloat16 for buffer in encoder.buffers())
    out = encoder(torch.tensor([[2, 10, 11, 3]]), torch.ones(1, 4, dtype=torch.bool))
    assert torch.isfinite(out).all()
    torch.testing.assert_close(out.float(), exact, rtol=0.05, atol=0.08)
