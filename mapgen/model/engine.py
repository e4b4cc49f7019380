"""What every engine is and does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from mapgen.arrays import Array
from mapgen.model.card import ModelCard
from mapgen.model.normalization import Normalization
from mapgen.settings import Precision

Tag = TypeVar("Tag")
Output = Literal["classes", "probabilities"]

UNDECIDED = 255
"""The channel of a pixel whose scores are not all numbers."""


@contextmanager
def unreported() -> Iterator[None]:
    """In the block, OpenVINO and what builds on it are imported without a package that reports their use to its makers.

    They take it in their stride that it is missing. Where somebody else has loaded it already, it stays.
    """
    hidden = "openvino_telemetry" not in sys.modules
    if hidden:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules["openvino_telemetry"]


@dataclass(frozen=True, slots=True)
class Network:
    """A model as an engine needs it: its card, a key that changes with its content, and its tensors on demand."""

    card: ModelCard
    key: str
    load: Callable[[], Mapping[str, Array]]
    subject: str
    """What errors call it."""
    int8: Callable[[], tuple[bytes, bytes]] | None = None
    """Reads the quantised graph, (XML, weights) for OpenVINO: normalised float32 pixels to scores. None without one."""
    graph: Callable[[], tuple[bytes, bytes]] | None = None
    """The same for the graph in floating point. None where the file holds none: then it is made by torch."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How an engine is to run: the normalization of this scene's pixels, their type, and what it is to give."""

    normalization: Normalization
    dtype: np.dtype[Any]
    output: Output = "probabilities"
    precision: Precision = "fp32"
    threads: int | None = None
    """Threads on a CPU; all its cores where None."""
    requests: int | None = None
    """How many batches may run at once on a CPU; what the engine finds best where None, never more than that."""


class Engine(Protocol):
    """Runs one network over batches of pixels.

    Contract, held by one test for all engines: `stream` yields for each (tag, pixels) the same tag and what the set-up
    asks for, in the order given; `pixels` is (N, C, H, W) of the set-up's dtype, raw values, H and W multiples of the
    card's stride. Probabilities are float32 (N, K, H, W), not negative, summing to 1 over K within 1e-4; classes are
    uint8 (N, H, W), the channel of the highest score, the lowest where several are, `UNDECIDED` where float32 pixels
    lead to a score that is not a number. Pixels None (nothing to compute) come back as None, in their place. An item's
    result depends on its own pixels alone. Batches are taken from the iterable as the engine has room, so reading
    overlaps with computing.
    """

    name: str
    device: str
    precision: Precision
    """What it computes in; never `auto`."""
    batch: int
    """How many windows are best given together."""

    def stream(self, batches: Iterable[tuple[Tag, Array | None]]) -> Iterator[tuple[Tag, Array | None]]:
        """Probabilities or classes of each batch, in order."""
        ...
