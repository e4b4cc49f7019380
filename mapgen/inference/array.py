"""Arrays segmented in memory, for Python: pixels in, class ids out, by the same windows as scenes in files."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from affine import Affine

from mapgen.arrays import Array
from mapgen.grid import Grid
from mapgen.inference.counting import PixelCount
from mapgen.inference.job import plan_job
from mapgen.inference.options import SegmentKeys, SegmentOptions
from mapgen.inference.segment import Segmenter, class_strips
from mapgen.legend import NODATA
from mapgen.raster.array_scene import ArrayScene
from mapgen.raster.scene import Scene
from mapgen.settings import taking


@taking(SegmentOptions, SegmentKeys)
def segment_array(
    pixels: Array, *, transform: Affine | None = None, crs: str | None = None, valid: Array | None = None,
    **options: Unpack[SegmentKeys],
) -> Array:  # fmt: skip
    """The class ids, uint8 (H, W), of pixels (bands, H, W), 255 where there is no data; `valid` (H, W) says where.

    With a transform and a CRS the network sees the ground at the model's resolution, else the pixels as they are.
    `options` are the fields of `SegmentOptions`; those that name outputs have no effect. Law: what `segment` writes for
    the same pixels in a file. Raises `UsageError`, `InputError`, `ModelError`, `ResourceError`.
    """
    pixels = pixels if pixels.ndim > 2 else pixels[None]
    grid = Grid(crs, transform or Affine.identity(), *pixels.shape[-2:])
    return segment_scene(ArrayScene(pixels, grid, valid), SegmentOptions(**options))


def segment_scene(scene: Scene, options: SegmentOptions) -> Array:
    """The class ids of a scene of any kind, uint8 (H, W), on its own grid or the part that the options ask for."""
    run = Segmenter(options)
    job = plan_job(scene, run.model, options)
    out = np.full((job.within.height, job.within.width), NODATA, np.uint8)
    for row, strip in class_strips(job, run.engine(job), PixelCount(job.model.card)):
        classes = strip if strip.ndim == 2 else strip[0]
        out[row : row + len(classes)] = classes
    return out
