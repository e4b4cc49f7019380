"""Normalization: from the pixel values of a scene to what the network was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mapgen.arrays import Array
from mapgen.errors import UsageError, option
from mapgen.model.card import ModelCard
from mapgen.settings import Scale

RANGES = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "float32": (0.0, 1.0)}
"""The range that pixel values of each data type of a card span."""


@dataclass(frozen=True, slots=True)
class Normalization:
    """What an engine does to raw pixels: `(clip(v, low, high) - mean) / std`, per band, in the scene's own units.

    The scaling of the scene is folded into the card's mean and deviation, so pixels go to the engine as they were read.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    low: float | None = None
    high: float | None = None


def normalization(card: ModelCard, scale: Scale, dtype: np.dtype[Any], values: Array | None = None) -> Normalization:
    """The normalization that brings scene values of `dtype` into the card's range and then to mean 0, deviation 1.

    `values` is a sample of the scene's valid pixels, which only `percentile` needs. Values beyond the range given are
    clipped, as in every stretch. Raises `UsageError` where the scale has no meaning for these pixels.
    """
    if scale.kind == "none":
        return Normalization(card.mean, card.std)
    low, high = _range(scale, dtype, values)
    if not high > low:
        raise UsageError(
            option("scale"), f"{scale} spans no range here ({low:g} … {high:g})", "give LO,HI with LO < HI"
        )
    bottom, top = RANGES[card.data_type]
    factor = (high - low) / (top - bottom)
    mean = tuple(low + (m - bottom) * factor for m in card.mean)
    return Normalization(mean, tuple(s * factor for s in card.std), low, high)


def _range(scale: Scale, dtype: np.dtype[Any], values: Array | None) -> tuple[float, float]:
    if scale.kind == "range":
        return scale.low, scale.high
    if scale.kind == "dtype":
        if dtype.kind not in "ui":
            raise UsageError(
                option("scale"),
                f"dtype has no range for {dtype} pixels",
                f"give the range, such as {option('scale', '0,1')}",
            )
        info = np.iinfo(dtype)
        return float(info.min), float(info.max)
    if values is None or not values.size:
        return 0.0, 1.0  # a scene without a valid pixel: nothing will be scaled
    low, high = np.percentile(values, [scale.low, scale.high])
    if low == high:  # a constant scene has no contrast to stretch
        return float(low), float(low) + 1.0
    return float(low), float(high)


def disagreement(card: ModelCard, values: Array) -> str | None:
    """What to warn of when unscaled values cannot be what the model was trained on, else None.

    `values` is a sample of valid pixels.
    """
    if not values.size:
        return None
    most = float(values.max())
    bottom, top = RANGES[card.data_type]
    if most > top * 1.001:
        remedy = f"stretch them with {option('scale', 'p2,p98')} or {option('scale', 'LO,HI')}"
        return f"values reach {most:g}, the model expects {bottom:g} … {top:g}; {remedy}"
    if top > 1 and most <= 1.0 and float(values.std()) > 0:
        within = f"{float(values.min()):g} … {most:g}"
        return f"values lie within {within}, the model expects {bottom:g} … {top:g}; use {option('scale', '0,1')}"
    return None
