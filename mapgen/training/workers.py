"""Batches made by other processes, in order: the same ones that the sampler would make here.

Which process makes the batch of a step follows from the step's number, so results need no sorting. Crops come back in
memory that both sides share: a ring of two batches for each process.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np

from mapgen.arrays import Bytes as Label
from mapgen.dataset.mapped import received, sent
from mapgen.errors import MapgenError, ResourceError
from mapgen.parallel import ending, start
from mapgen.training.augment import Crop
from mapgen.training.samples import Sampler

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from torch import Tensor

AHEAD = 2
"""Batches that a process makes ahead of their use."""

Shape = tuple[int, int, int]
"""Of a batch: crops, bands, and the side of a crop."""


class Workers:
    """`Batches` of a sampler, made by `count` processes as the plan (step, crops, side) of a run says.

    `batch` is to be asked for the steps of the plan in their order. Law: what it gives does not depend on `count`.
    Raises `ResourceError` where a process is lost. `close` ends all processes.
    """

    def __init__(self, sampler: Sampler, plan: list[tuple[int, int, int]], count: int) -> None:
        bands = len(sampler.pieces[0].image)
        largest = max((n * bands * side**2 for _, n, side in plan), default=0)
        targets = max((n * side**2 for _, n, side in plan), default=0)
        self._bands = bands
        self._plan = iter(plan)
        self._due: deque[tuple[tuple[int, int, int], int, int]] = deque()
        self._asked = 0
        self._workers: list[_Worker] = []
        try:
            for _ in range(count):
                self._workers.append(_Worker(sampler, 4 * largest + targets))
            for _ in range(AHEAD * count):
                self._ask()
        except BaseException:
            self.close()
            raise

    def batch(self, step: int, count: int, size: int) -> tuple[Tensor, Tensor]:
        """The next batch of the plan; see `Sampler.batch`."""
        import torch

        place, number, slot = self._due.popleft()
        assert place == (step, count, size), "batches are to be asked for in the order of the plan"
        worker = self._workers[number]
        worker.await_reply()
        images, targets = _views(worker.slots[slot], (count, self._bands, size))
        made = torch.from_numpy(images.copy()), torch.from_numpy(targets.astype(np.int64))
        self._ask()
        return made

    def _ask(self) -> None:
        """Have the next batch of the plan made, if there is one."""
        place = next(self._plan, None)
        if place is None:
            return
        turn, number = divmod(self._asked, len(self._workers))
        slot = turn % AHEAD
        self._asked += 1
        self._due.append((place, number, slot))
        step, count, size = place
        self._workers[number].ask((step, slot, (count, self._bands, size)))

    def close(self) -> None:
        """End all processes; they have nothing to clear away."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers = []


class _Worker:
    """A process that makes batches, as seen from here."""

    def __init__(self, sampler: Sampler, size: int) -> None:
        context = get_context("spawn")  # threads of torch and of the run outlive no fork
        self.slots = [context.RawArray("B", max(1, size)) for _ in range(AHEAD)]
        self.pipe, theirs = context.Pipe()
        said = (sent(sampler.pieces), sampler.classes, sampler.sampling, sampler.seed, sent(sampler.unlabelled))
        self.process = context.Process(target=_serve, args=(theirs, self.slots, said), daemon=True)
        start(self.process)
        theirs.close()

    def ask(self, wanted: tuple[int, int, Shape]) -> None:
        with suppress(BrokenPipeError, ConnectionError):  # it is lost, which is said where its batch is due
            self.pipe.send(wanted)

    def await_reply(self) -> None:
        """Wait for the batch that is due."""
        try:
            error = self.pipe.recv()
        except (EOFError, OSError):
            problem = f"a process that made crops was ended {ending(self.process)}"
            raise ResourceError("run.workers", problem, "if the memory ran out, use fewer") from None
        if error is not None:
            raise error


def _serve(pipe: Connection, slots: list[Any], said: tuple[Any, ...]) -> None:
    """The life of such a process: make what is asked for, until whoever asks is gone."""
    pieces, classes, sampling, seed, unlabelled = said
    with suppress(EOFError, BrokenPipeError, ConnectionError):
        try:
            sampler = Sampler(received(pieces), classes, sampling, seed, received(unlabelled))
            while True:
                step, slot, shape = pipe.recv()
                sampler.fill(step, *_views(slots[slot], shape))
                pipe.send(None)
        except MapgenError as exc:
            pipe.send(exc)


def _views(memory: Any, shape: Shape) -> tuple[Crop, Label]:
    """Images (N, C, side, side) and targets (N, side, side) in the memory of a slot."""
    count, bands, side = shape
    images = np.frombuffer(memory, np.float32, math.prod((count, bands, side, side)))
    targets = np.frombuffer(memory, np.uint8, count * side**2, images.nbytes)
    return images.reshape(count, bands, side, side), targets.reshape(count, side, side)


@contextmanager
def crops_of(sampler: Sampler, plan: Iterable[tuple[int, int, int]], count: int) -> Iterator[Sampler | Workers]:
    """What makes the batches of a plan: the sampler itself, or `count` processes, which end with the block."""
    places = list(plan) if count else []
    if not places:
        yield sampler
        return
    with closing(Workers(sampler, places, count)) as workers:
        yield workers
