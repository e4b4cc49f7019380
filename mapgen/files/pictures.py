"""Pictures: arrays of colours as verified PNG files, written by GDAL and no further library."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mapgen.errors import OutputError, one_line
from mapgen.files.commit import staged


def shown_bands(names: Sequence[str]) -> tuple[int, ...]:
    """Which of the bands called `names` make a picture: red, green and blue by name in any case, else the first three,
    else the first alone."""
    folded = [name.casefold() for name in names]
    if {"red", "green", "blue"} <= set(folded):
        return folded.index("red"), folded.index("green"), folded.index("blue")
    return (0, 1, 2) if len(folded) >= 3 else (0,)


def write_picture(
    path: Path, picture: NDArray[np.uint8], *, overwrite: bool = False, inputs: Sequence[Path] = ()
) -> None:
    """Write RGB (H, W, 3) as the PNG at `path`, and read it back. Raises `OutputError`; then nothing is left."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError

    height, width, _ = picture.shape
    bands = np.ascontiguousarray(picture.transpose(2, 0, 1))
    with staged(path, overwrite=overwrite, inputs=inputs) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(
                temporary, "w", driver="PNG", height=height, width=width, count=3, dtype="uint8"
            ) as dataset:
                dataset.write(bands)
            with rasterio.open(temporary, driver="PNG") as dataset:
                same = np.array_equal(dataset.read(), bands)
        except (RasterioIOError, RasterioError) as exc:
            raise OutputError(
                path, f"could not be written ({one_line(exc.__cause__ or exc)[:160]})", "check the folder and the disk"
            ) from exc
        if not same:
            raise OutputError(
                path, "did not read back as written (a full or failing disk?)", "free some space and run again"
            )
