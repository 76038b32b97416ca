"""What the processes of one training say to each other."""

from __future__ import annotations

import atexit
import gc
from typing import Any

import torch
from torch import Tensor

from clue_cli.errors import UserError
from clue_cli.pipeline import several_processes


def join(*, cpu: bool) -> Any:
    """`accelerate`'s state of the processes that this one was launched with; without GPUs it must be told so."""
    from accelerate import PartialState

    state = PartialState(cpu=cpu)
    if state.num_processes > 1:
        atexit.register(_leave)
    return state


def _leave() -> None:
    """Close the connections of gloo: its threads, alive when the interpreter ends, now and then abort the process.

    They end with the last reference to the group, which cycles may hold (after an evaluation in a thread one exit in
    five was aborted): hence the collection.

    NCCL is left alone: to close it is a conversation, and a process that failed would wait for the others in it.
    """
    distributed = torch.distributed
    if distributed.is_initialized() and distributed.get_backend() == "gloo":
        distributed.destroy_process_group()
        gc.collect()


class ProcessGroup:
    """The processes of one training (`accelerate`), or the only one."""

    def __init__(self, device: torch.device) -> None:
        self.state = join(cpu=device.type == "cpu")
        self.rank, self.count = self.state.process_index, self.state.num_processes
        if self.count == 1 and several_processes():  # each would take itself for the only one
            found = f"several processes train on CUDA or on the processor, not on {device.type}"
            raise UserError(found, where="--device", hint="give --device cpu, or launch one process")
        self.main = self.state.is_main_process

    def sum(self, tensors: list[Tensor]) -> None:
        """Sum each tensor over the processes, in place, as one flat message."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        torch.distributed.all_reduce(flat)
        for tensor, piece in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(piece.view_as(tensor))

    def agree(self, *flags: bool, device: torch.device) -> list[bool]:
        """For each flag, whether any process raised it: the same answer everywhere."""
        if self.count == 1:
            return list(flags)
        values = torch.tensor([float(flag) for flag in flags], device=device)
        torch.distributed.all_reduce(values)
        return [value > 0 for value in values.tolist()]

    def gather(self, value: Any) -> list[Any]:
        """Every process's `value`, by rank."""
        if self.count == 1:
            return [value]
        from accelerate.utils import gather_object

        return list(gather_object([value]))

    def wait(self) -> None:
        """Until every process is here."""
        self.state.wait_for_everyone()
