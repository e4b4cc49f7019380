"""An engine without a network, for tests and for trying a chain out: a rule in numpy decides about each pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from mapgen.arrays import Array
from mapgen.model.engine import Network, Setup, Tag
from mapgen.settings import Precision

Rule = Callable[[Array], Array]
"""Pixels (N, C, H, W) in the card's units → channels (N, H, W): the network of a `FakeEngine`."""


@dataclass
class FakeEngine:
    """An `Engine` whose network is a `rule`, which is sure of itself. It keeps what it was asked in `seen`."""

    network: Network
    setup: Setup
    rule: Rule
    name: str = "fake"
    device: str = "cpu"
    batch: int = 1
    seen: list[tuple[int, ...]] = field(default_factory=list)
    """The shape of each batch of pixels."""

    @property
    def precision(self) -> Precision:
        """What it was asked for; it computes in nothing."""
        return "fp32" if self.setup.precision == "auto" else self.setup.precision

    def stream(self, batches: Iterable[tuple[Tag, Array | None]]) -> Iterator[tuple[Tag, Array | None]]:
        """The rule's channel as the class of each pixel of each batch, in order, or 0.9 as its probability."""
        for tag, pixels in batches:
            yield tag, None if pixels is None else self._run(pixels)

    def _run(self, pixels: Array) -> Array:
        assert pixels.dtype == self.setup.dtype
        self.seen.append(pixels.shape)
        channels = self.rule(self._in_card_units(pixels))
        if self.setup.output == "classes":
            return channels.astype(np.uint8)
        count = len(self.network.card.legend)
        sure = np.arange(count)[:, None, None] == channels[:, None]
        return np.where(sure, 0.9, 0.1 / (count - 1)).astype(np.float32)

    def _in_card_units(self, pixels: Array) -> Array:
        """What the network is given, before the card's own mean and deviation: raw pixels where nothing is scaled."""
        norm, own = self.setup.normalization, self.network.card
        values = pixels.astype(np.float64)
        if norm.low is not None:
            values = values.clip(norm.low, norm.high)
        mean, std, own_mean, own_std = (
            np.asarray(v, np.float64)[:, None, None] for v in (norm.mean, norm.std, own.mean, own.std)
        )
        return (values - mean) / std * own_std + own_mean
