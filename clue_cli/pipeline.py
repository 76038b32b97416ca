"""Threads and processes that work side by side: reading ahead, batches in parallel, look-aheads dealt to processes."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

CLOSE_SECONDS, LOOK_SECONDS = 1.0, 0.2
"""How long a closed `read_ahead` waits for its thread, which may sit in a read that never returns, and how often a
waiting one looks whether it was cancelled."""


class Processes:
    """The processes that share the work under `accelerate launch`; one, alone, by default."""

    rank, size = 0, 1

    def gather(self, mine: T) -> list[T]:
        """Every process's `mine`, by rank, in every process."""
        return [mine]

    @staticmethod
    def current() -> Processes:
        """The processes this one was launched with; accelerate is imported only where there are several."""
        return _Launched() if several_processes() else Processes()


class _Launched(Processes):
    def __init__(self) -> None:
        import torch

        from clue_cli.process_group import join

        state = join(cpu=not torch.cuda.is_available())
        self.rank, self.size, self.device = state.process_index, state.num_processes, state.device

    def gather(self, mine: T) -> list[T]:
        from accelerate.utils import gather_object

        from clue_cli.precision import use_in_thread

        use_in_thread(self.device)  # NCCL sends from it, wherever the model computes
        gathered: list[T] = gather_object([mine])
        return gathered


def several_processes() -> bool:
    """Whether `accelerate launch` (or torchrun) started more than one process; nothing heavy is imported to know."""
    return int(os.environ.get("WORLD_SIZE") or 1) > 1


def read_ahead(items: Iterable[T], cancelled: threading.Event | None = None) -> Generator[T, None, None]:
    """The items, drawn by a background thread that stays at most two items ahead.

    An exception of `items` is raised here after the items before it. Closing this generator (or an exception in the
    caller, Ctrl-C included) ends the thread and closes `items` in it; so does `cancelled`, set by any thread.
    """
    box: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(1)
    stopped = threading.Event()

    def work() -> None:
        failure: BaseException | None = None
        try:
            iterator = iter(items)
            try:
                for item in iterator:
                    box.put((item, None, False))
                    if stopped.is_set():
                        return
            finally:
                if isinstance(iterator, Generator):
                    iterator.close()
        except BaseException as error:  # it belongs to the consumer: handed over, whatever it is
            failure = error
        box.put((None, failure, True))

    thread = threading.Thread(target=work, name="clue-read-ahead", daemon=True)
    thread.start()
    try:
        while cancelled is None or not cancelled.is_set():
            try:
                item, failure, last = box.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
            if failure is not None:
                raise failure
            if last:
                return
            yield item  # type: ignore[misc]  # None only where the triple says failure or last
            del item  # or a look-ahead would live one turn longer than needed
    finally:
        stopped.set()
        deadline = time.monotonic() + CLOSE_SECONDS
        while thread.is_alive() and time.monotonic() < deadline:
            with suppress(queue.Empty):  # a put that waits for room goes through, sees `stopped` and ends
                box.get_nowait()
            thread.join(0.01)


class Workers:
    """Threads that compute batches side by side on a processor, each with one thread of torch; elsewhere the caller.

    torch's number of threads is given back at the end. A thread that sets its own sets it for threads to come as well:
    of workers that overlap, those of a caller with threads, all take and give back the number of before the first.
    """

    _overlap = threading.Lock()
    _active, _before = 0, 1

    def __init__(self, device: str) -> None:
        import torch

        self._pool: ThreadPoolExecutor | None = None
        if device == "cpu":
            with Workers._overlap:
                if not Workers._active:
                    Workers._before = torch.get_num_threads()
                Workers._active += 1
                self._count = Workers._before
            self._pool = ThreadPoolExecutor(
                self._count, thread_name_prefix="clue-compute", initializer=torch.set_num_threads, initargs=(1,)
            )

    def map(self, compute: Callable[[list[int]], list[Any]], batches: list[list[int]]) -> Iterator[list[Any]]:
        """What `compute` makes of each batch, in order; its exceptions are raised here."""
        return self._pool.map(compute, batches) if self._pool is not None else map(compute, batches)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            import torch

            self._pool.shutdown(wait=True, cancel_futures=True)
            with Workers._overlap:
                Workers._active -= 1
                torch.set_num_threads(self._count)
