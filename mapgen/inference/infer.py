"""Inference: patches of pixels become patches of probabilities or classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from mapgen.arrays import Array
from mapgen.raster.patch import Patch, padded


class Runner(Protocol):
    """The part of an engine that inference needs."""

    def stream(self, batches: Iterable[tuple[Any, Array | None]]) -> Iterator[tuple[Any, Array | None]]:
        """Probabilities (N, K, H, W) or classes (N, H, W) of each (tag, pixels (N, C, H, W)), in order; None stays."""
        ...


View = tuple[Callable[[Array], Array], Callable[[Array], Array]]
"""A way of looking at the last two axes of an array, and its inverse."""


def _turn(array: Array) -> Array:
    return array.swapaxes(-1, -2)


def _mirrored(rows: bool, cols: bool) -> Callable[[Array], Array]:
    return lambda array: array[..., :: -1 if rows else 1, :: -1 if cols else 1]


def _d4() -> Iterator[View]:
    """The eight symmetries of the square: four mirrorings, as they are and transposed."""
    for rows in (False, True):
        for cols in (False, True):
            mirror = _mirrored(rows, cols)
            yield mirror, mirror
            yield lambda a, m=mirror: _turn(m(a)), lambda a, m=mirror: m(_turn(a))  # type: ignore[misc]


TTA: dict[str, tuple[View, ...]] = {
    "none": (),
    "flip": tuple((_mirrored(False, cols), _mirrored(False, cols)) for cols in (False, True)),
    "d4": tuple(_d4()),
}
"""Views whose probabilities are averaged: `flip` looks at a window and its mirror image, `d4` at all its symmetries.

Law: under `d4` the map of a mirrored or turned scene is the mirrored or turned map, as far as windows and padding are
symmetric too.
"""


def infer(
    patches: Iterable[Patch],
    engine: Runner,
    stride: int | tuple[int, ...],
    batch: int = 1,
    views: tuple[View, ...] = (),
) -> Iterator[Patch]:
    """What the engine gives for each patch of pixels (C, H, W), in order: probabilities (K, H, W) or classes (H, W).

    Patches without values pass through. Up to `batch` patches of one shape that follow each other run together. Pixels
    are padded to the network's stride by reflection and the padding is cut off again. With `views` the network sees
    each window in all of them, and the mean of its probabilities is the result.
    """
    batches = _batches(patches, stride, batch)
    for group, results in _averaged(engine, batches, views) if views else engine.stream(batches):
        for at, patch in enumerate(group):
            if results is None:
                yield patch
            else:
                height, width = patch.valid.shape
                yield Patch(patch.step, results[at, ..., :height, :width], patch.valid)


def _averaged(
    engine: Runner, batches: Iterable[tuple[list[Patch], Array | None]], views: tuple[View, ...]
) -> Iterator[tuple[list[Patch], Array | None]]:
    """Mean probabilities over all views of each batch. A running sum is held, and what the engine has under way."""

    def looked_at() -> Iterator[tuple[Any, Array | None]]:
        for group, pixels in batches:
            if pixels is None:
                yield (group, -1), None
            else:
                for number, (there, _) in enumerate(views):
                    yield (group, number), np.ascontiguousarray(there(pixels))

    total: Array | None = None
    for (group, number), scores in engine.stream(looked_at()):
        if scores is None:
            yield group, None
            continue
        back = views[number][1](scores)
        # In float64 a few float32 add up exactly, so the order of the views does not matter.
        total = back.astype(np.float64) if total is None else np.add(total, back, out=total)
        if number == len(views) - 1:
            yield group, (total / len(views)).astype(np.float32)
            total = None


def _batches(
    patches: Iterable[Patch], stride: int | tuple[int, ...], size: int
) -> Iterator[tuple[list[Patch], Array | None]]:
    """Groups of patches with their padded pixels (N, C, H, W); an empty patch is a group of its own, with None."""
    group: list[Patch] = []
    pixels: list[Array] = []
    for patch in patches:
        new = None if patch.values is None else padded(patch.values, stride)
        if pixels and (new is None or len(pixels) == size or new.shape != pixels[0].shape):
            yield group, _stacked(pixels)
            group, pixels = [], []
        # The engine works on pixels (or a copy); of the patch only its place and validity are wanted from here on.
        placed = Patch(patch.step, None, patch.valid)
        if new is None:
            yield [placed], None
        else:
            group.append(placed)
            pixels.append(new)
    if pixels:
        yield group, _stacked(pixels)


def _stacked(pixels: list[Array]) -> Array:
    """One array (N, C, H, W), contiguous; a single patch is not copied for it."""
    return np.ascontiguousarray(pixels[0])[None] if len(pixels) == 1 else np.stack(pixels)
