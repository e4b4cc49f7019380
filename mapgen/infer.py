"""Inference: patches of pixels become patches of probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from mapgen.patch import Array, Patch, padded


class Runner(Protocol):
    """The part of an engine that inference needs."""

    def stream(self, batches: Iterable[tuple[Any, Array | None]]) -> Iterator[tuple[Any, Array | None]]:
        """Probabilities (N, K, H, W) of each (tag, pixels (N, C, H, W)), in order; None stays None."""
        ...


def infer(patches: Iterable[Patch], engine: Runner, stride: int, batch: int = 1) -> Iterator[Patch]:
    """Probabilities (K, H, W) for each patch of pixels (C, H, W), in order; patches without values pass through.

    Up to `batch` patches of one shape that follow each other run together. Pixels are padded to the network's stride
    by reflection and the padding is cut off again.
    """
    for group, scores in engine.stream(_batches(patches, stride, batch)):
        for at, patch in enumerate(group):
            if scores is None:
                yield patch
            else:
                height, width = patch.valid.shape
                yield Patch(patch.step, scores[at, :, :height, :width], patch.valid)


def _batches(patches: Iterable[Patch], stride: int, size: int) -> Iterator[tuple[list[Patch], Array | None]]:
    """Groups of patches with their padded pixels (N, C, H, W); an empty patch is a group of its own, with None."""
    group: list[Patch] = []
    pixels: list[Array] = []
    for patch in patches:
        new = None if patch.values is None else padded(patch.values, stride)
        if pixels and (new is None or len(pixels) == size or new.shape != pixels[0].shape):
            yield group, np.stack(pixels)
            group, pixels = [], []
        if new is None:
            yield [patch], None
        else:
            group.append(patch)
            pixels.append(new)
    if pixels:
        yield group, np.stack(pixels)
