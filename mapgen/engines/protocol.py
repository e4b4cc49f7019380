"""What every engine is and does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from mapgen.card import ModelCard
from mapgen.scaling import Normalization

Array = np.ndarray[Any, np.dtype[Any]]
Tag = TypeVar("Tag")


@dataclass(frozen=True, slots=True)
class Network:
    """A model as an engine needs it: its card, a key that changes with its content, and its tensors on demand."""

    card: ModelCard
    key: str
    load: Callable[[], Mapping[str, Array]]
    subject: str
    """What errors call it."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How an engine is to run: the normalization of this scene's pixels, their type, and where graphs may be cached."""

    normalization: Normalization
    dtype: np.dtype[Any]
    cache: Path | None = None


class Engine(Protocol):
    """Runs one network over batches of pixels.

    Contract, held by one test for all engines: `stream` yields for each (tag, pixels) the same tag and the
    probabilities, in the order given; `pixels` is (N, C, H, W) of the set-up's dtype, raw values, H and W multiples of
    the card's stride; probabilities are float32 (N, K, H, W), not negative, summing to 1 over K within 1e-4. Pixels
    None (nothing to compute) come back as None, in their place. An item's result depends on its own pixels alone.
    Batches are taken from the iterable as the engine has room, so reading overlaps with computing.
    """

    name: str
    device: str

    def stream(self, batches: Iterable[tuple[Tag, Array | None]]) -> Iterator[tuple[Tag, Array | None]]:
        """Probabilities of each batch, in order."""
        ...
