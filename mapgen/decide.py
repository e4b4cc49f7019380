"""Deciding: probabilities become classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mapgen.legend import NODATA
from mapgen.patch import Array, Patch


def argmax(scores: Array) -> Array:
    """The channel with the highest score, (K, …) → uint8 (…); ties go to the lower channel.

    A running maximum: K passes over one plane each, several times faster than `numpy.argmax` along the first axis.
    """
    best = scores[0].copy()
    winner = np.zeros(best.shape, np.uint8)
    for channel in range(1, len(scores)):
        higher = scores[channel] > best
        np.maximum(best, scores[channel], out=best)
        winner[higher] = channel
    return winner


def decide(patches: Iterable[Patch], ids: Sequence[int]) -> Iterator[Patch]:
    """Class ids (H, W) uint8 from probabilities (K, H, W); `ids[k]` is the class of channel `k`.

    Pixels without data become `NODATA`, and so does a pixel whose probabilities are not numbers.
    """
    table = np.asarray(ids, np.uint8)
    for patch in patches:
        values = None
        if patch.values is not None:
            known = patch.valid & np.isfinite(patch.values).all(axis=0) if _dirty(patch.values) else patch.valid
            values = np.where(known, table[argmax(patch.values)], np.uint8(NODATA))
        yield Patch(patch.step, values, patch.valid)


def _dirty(values: Array) -> bool:
    """Whether any value is not a number: the sum of a plane shows it at the cost of one pass."""
    return not bool(np.isfinite(values.sum(dtype=np.float64)))
