"""Deciding: probabilities become classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mapgen.arrays import Array
from mapgen.legend import NODATA
from mapgen.raster.patch import Patch

SCORE_STEPS = 250
"""What a probability of 1 is in a byte; 255 is left for nodata."""

_ROWS_BYTES = 1 << 19
"""Rows are decided some at a time, so that their probabilities stay in the processor's cache for all passes."""


def argmax(scores: Array) -> Array:
    """The channel with the highest score, (K, H, W) → uint8 (H, W); ties go to the lower channel.

    A running maximum: K passes over one plane each, many times faster than `numpy.argmax` along the first axis.
    Channels only rise, so the later of two winners is the greater number, and no pass has to branch.
    """
    winner = np.zeros(scores.shape[1:], np.uint8)
    for part, rows in _in_rows(scores):
        best = part[0].copy()
        for channel in range(1, len(part)):
            higher = (part[channel] > best).view(np.uint8)
            higher *= np.uint8(channel)
            np.maximum(winner[rows], higher, out=winner[rows])
            np.maximum(best, part[channel], out=best)
    return winner


def _in_rows(scores: Array) -> Iterator[tuple[Array, slice]]:
    """Runs of rows of (K, H, W), and where they are."""
    height = scores.shape[1]
    step = max(1, _ROWS_BYTES // max(1, scores.shape[0] * scores.shape[2] * scores.itemsize))
    for top in range(0, height, step):
        rows = slice(top, min(top + step, height))
        yield scores[:, rows], rows


def decide(patches: Iterable[Patch], ids: Sequence[int]) -> Iterator[Patch]:
    """Class ids (H, W) uint8 from probabilities (K, H, W) or from channels (H, W); `ids[k]` is the class of channel k.

    Pixels without data become `NODATA`, and so does a pixel whose probabilities are not numbers.
    """
    table = _table(ids)
    for patch in patches:
        values = None
        if patch.values is not None:
            values = _translated(patch.values if patch.values.ndim == 2 else _channels(patch.values), table)
            if not patch.valid.all():
                values[~patch.valid] = NODATA
        yield Patch(patch.step, values, patch.valid)


def decide_with_scores(
    patches: Iterable[Patch], ids: Sequence[int], *, confidence: bool, probabilities: bool
) -> Iterator[Patch]:
    """Class ids as from `decide`, and what speaks for them: uint8 (1 + B, H, W) from probabilities (K, H, W).

    Behind the ids lie the confidence, which is the probability of the class chosen, and the probabilities of all
    classes, each where it is asked for: 0 … 250 for 0 … 1, nodata wherever the class is.
    """
    table = _table(ids)
    for patch in patches:
        values = None
        if patch.values is not None:
            channels = _channels(patch.values)
            values = np.empty((1 + confidence + len(patch.values) * probabilities, *channels.shape), np.uint8)
            values[0] = _translated(channels, table)
            for part, rows in _in_rows(patch.values):
                # Beside ground without data interpolation leaves them below a sum of one.
                share = part * (SCORE_STEPS / np.maximum(part.sum(axis=0), 1e-6))
                if confidence:
                    values[1, rows] = _rounded(share.max(axis=0))
                if probabilities:
                    values[1 + confidence :, rows] = _rounded(share)
            values[:, ~patch.valid | (channels == NODATA)] = NODATA
        yield Patch(patch.step, values, patch.valid)


def _table(ids: Sequence[int]) -> bytes:
    return bytes(ids).ljust(256, bytes([NODATA]))


def _translated(channels: Array, table: bytes) -> Array:
    """`table[channels]`, writable. Indexing would first make eight bytes of each."""
    return np.frombuffer(bytearray(channels.tobytes()).translate(table), np.uint8).reshape(channels.shape)


def _rounded(shares: Array) -> Array:
    with np.errstate(invalid="ignore"):  # what is not a number becomes nodata next
        return np.rint(shares).clip(0, SCORE_STEPS).astype(np.uint8)


def _channels(scores: Array) -> Array:
    """The best channel of each pixel, 255 where any probability is not a number."""
    channels = argmax(scores)
    # The sum shows at the cost of one pass whether any value is not a number.
    if not np.isfinite(scores.sum()):
        channels[~np.isfinite(scores).all(axis=0)] = NODATA
    return channels
