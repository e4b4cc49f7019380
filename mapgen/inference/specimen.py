"""A scene to measure with, where none is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from mapgen.model.card import ModelCard
from mapgen.patch import Array

BLOCK = 512
_CRS = "EPSG:32631"
_GRAINS = (64, 16, 4, 1)
"""Sides in pixels of the squares that the texture is made of, from the coarse to the fine."""


def write_specimen(path: Path, card: ModelCard, side: int, seed: int = 0) -> Path:
    """Write a scene of `side`² pixels with the bands, values and resolution of a model to `path`, and return that.

    Its pixels are noise of several grains about the model's mean, the same for the same seed: no picture of anything,
    but no easier to read or to map than one. A tiled GeoTIFF, DEFLATE.
    """
    import rasterio

    profile = {
        "driver": "GTiff", "dtype": card.data_type, "count": len(card.bands), "height": side, "width": side,
        "crs": _CRS, "transform": Affine(card.resolution_m, 0, 500_000, 0, -card.resolution_m, 5_000_000),
        "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "DEFLATE", "ZLEVEL": 1,
        "interleave": "pixel", "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.descriptions = card.bands
        for row, strip in _strips(card, side, np.random.default_rng(seed)):
            dataset.write(strip, window=((row, row + strip.shape[1]), (0, side)))
    return path


def _strips(card: ModelCard, side: int, rng: np.random.Generator) -> Iterator[tuple[int, Array]]:
    """(row, pixels (C, h, side)) from the top, `BLOCK` rows each."""
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (card.mean, card.std))
    for row in range(0, side, BLOCK):
        rows = min(BLOCK, side - row)
        texture = sum(_grain(rng, len(card.bands), rows, side, grain) for grain in _GRAINS) / len(_GRAINS) ** 0.5
        yield row, _as_type(mean + std * texture, np.dtype(card.data_type))


def _grain(rng: np.random.Generator, bands: int, rows: int, cols: int, grain: int) -> Array:
    """Normal noise (bands, rows, cols), constant on squares of `grain` pixels; half of it common to all bands."""
    shape = -(-rows // grain), -(-cols // grain)
    noise = (rng.standard_normal((1, *shape), np.float32) + rng.standard_normal((bands, *shape), np.float32)) / 2**0.5
    return noise.repeat(grain, 1).repeat(grain, 2)[:, :rows, :cols]


def _as_type(values: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "f":
        return values.astype(dtype)
    return values.clip(1, np.iinfo(dtype).max).astype(dtype)  # not 0, which looks like nodata
