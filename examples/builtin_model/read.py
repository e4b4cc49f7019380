"""The built-in model's recipe and labelled ground as arrays, for package.py and for benchmarks on the same ground.

The folder of the data holds tile4 … tile8 of "Semantic segmentation of aerial imagery", parts as partK.jpg and
partK.png.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import rasterio

from mapgen.dataset.dataset import IGNORE
from mapgen.legend import BUILTIN
from mapgen.training.augment import Geometry, Light
from mapgen.training.measure import Counts
from mapgen.training.pace import Recipe, Stage
from mapgen.training.samples import Piece, Sampling

HERE = Path(__file__).parent


def read_piece(data: Path, name: str, weight: float = 1.0) -> Piece:
    """One part: RGB, and its palette image's ids 1…5 as channels 0…4, all else ignored."""
    with rasterio.open(data / f"{name}.jpg") as image, rasterio.open(data / f"{name}.png") as label:
        channel = np.full(256, IGNORE, np.uint8)
        channel[list(BUILTIN.ids)] = range(len(BUILTIN))
        return Piece(name, image.read(), channel[label.read(1)], weight)


def read_recipe(path: Path) -> tuple[dict, Recipe, Sampling]:
    """The TOML document, and the loop's and the sampler's part of it."""
    document = tomllib.loads(path.read_text())
    run, sampling = document["run"], document["sampling"]
    recipe = Recipe(**{**run, "stages": tuple(Stage(**s) for s in run["stages"])})
    geometry = Geometry(**{**sampling["geometry"], "zoom": tuple(sampling["geometry"]["zoom"])})
    return document, recipe, Sampling(sampling["balance"], geometry, Light(**sampling["light"]))


def total(counts: dict[str, Counts]) -> Counts:
    return sum(counts.values(), start=np.zeros((len(BUILTIN), len(BUILTIN)), np.int64))
