"""Class rasters: opened with care and read in strips, nodata under one value."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.errors import InputError, one_line
from mapgen.files.gdal import MEBIBYTE, gdal_errors
from mapgen.files.inputs import note_inputs
from mapgen.files.vet import driver_of, is_url, public_name
from mapgen.grid import Grid, Window
from mapgen.parallel import ahead
from mapgen.raster.aoi import Area
from mapgen.raster.legends import ClassNames, color_table, read_names
from mapgen.raster.open import check_size, gdal_reason, grid_of, opened_dataset

NODATA = -(1 << 62)
"""The value of pixels without data in the strips of a class raster whose own type has none to spare."""

STRIP_BYTES = 32 * MEBIBYTE


@dataclass(slots=True)
class Mask:
    """An open class raster. `with open_mask(name) as mask: …` closes it; `nodata` is that of its strips."""

    name: str
    dataset: Any
    grid: Grid
    names: ClassNames
    nodata: int
    area: Area | None = None

    def __enter__(self) -> Mask:
        return self

    def __exit__(self, *exc: object) -> None:
        self.dataset.close()

    @property
    def itemsize(self) -> int:
        """Bytes of a pixel as stored."""
        return np.dtype(self.dataset.dtypes[0]).itemsize

    @property
    def strip_rows(self) -> int:
        """Rows of one strip: whole blocks, some 32 MiB, at most 1024 unless a block is higher."""
        block = int(self.dataset.block_shapes[0][0])
        rows = min(1024, STRIP_BYTES // (self.grid.width * self.itemsize))
        return max(block, rows // block * block)

    def strips(self, rows: int | None = None) -> Iterator[NDArray[Any]]:
        """The raster from the top in strips (rows, W), the next being read while one is worked on.

        Raises `InputError` with the rows where the file is damaged.
        """
        step = rows or self.strip_rows
        return ahead(self._strip(row, step) for row in range(0, self.grid.height, step))

    def _strip(self, row: int, rows: int) -> NDArray[Any]:
        window = Window(row, 0, rows, self.grid.width) & self.grid.window
        strip, empty = self.read(window, masked=self.has_mask)
        if self.area is not None:
            outside = ~self.area.inside(window)
            empty = outside if empty is None else empty | outside
        if self.nodata == NODATA:
            strip = strip.astype(np.int64)
        if empty is not None:
            strip[empty] = self.nodata
        return strip

    def read(self, window: Window, *, masked: bool = True) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Values (H, W) of a window as stored, and where they are no data, None unless `masked`.

        Raises `InputError` with the rows where the file is damaged.
        """
        place = ((window.row, window.bottom), (window.col, window.right))
        try:
            values = self.dataset.read(1, window=place)
            return values, self.dataset.read_masks(1, window=place) == 0 if masked else None
        except gdal_errors() as exc:
            where = f"is damaged in the rows {window.row}…{window.bottom - 1} ({gdal_reason(exc)})"
            raise InputError(self.name, where, "get the file again") from exc

    @property
    def has_mask(self) -> bool:
        """Whether the file holds a mask besides its pixels."""
        from rasterio.enums import MaskFlags

        return MaskFlags.per_dataset in self.dataset.mask_flag_enums[0]


def open_mask(name: str | Path, threads: int = 1) -> Mask:
    """The class raster called `name`, vetted and open for reading.

    Any one-band raster of integers is one; its names come from its tags, side-cars or colour table. Raises `InputError`
    for all else, `ResourceError` for blocks that would exhaust the memory, `NetworkError` for a URL without an answer.
    """
    with opened_dataset(name, num_threads=threads) as (subject, dataset):
        _check_classes(subject, dataset)
        path = None if is_url(str(name)) else Path(name)
        names = read_names(path, dataset.tags(), color_table(dataset))
        return Mask(subject, dataset, grid_of(dataset, subject), names, _nodata(dataset))


def _check_classes(subject: str, dataset: Any) -> None:
    from rasterio.enums import ColorInterp

    bands = [i for i, c in enumerate(dataset.colorinterp) if c is not ColorInterp.alpha]
    kind = np.dtype(dataset.dtypes[0]).kind if "complex" not in dataset.dtypes[0] else "c"
    if len(bands) != 1:
        raise InputError(
            subject, f"has {dataset.count} bands, a class map has one", "is this the scene? run mapgen segment first"
        )
    if kind not in "iu":
        remedy = "round them with gdal_translate -ot Byte, or threshold scores first"
        raise InputError(subject, f"holds {dataset.dtypes[0]} values, class ids are integers", remedy)


def _nodata(dataset: Any) -> int:
    """The file's own nodata value if its pixels can hold it, else NODATA."""
    value, limits = dataset.nodatavals[0], np.iinfo(dataset.dtypes[0])
    if value is not None and float(value).is_integer() and limits.min <= value <= limits.max:
        return int(value)
    return NODATA


def read_strips(name: str | Path, grid: Grid, rows: int) -> Iterator[tuple[int, NDArray[Any], NDArray[np.bool_]]]:
    """(row, values as float64, valid) strips of a one-band raster that lies on the same grid, such as a confidence.

    Values have the band's scale and offset applied. Raises `InputError` where the raster is unreadable or its size
    differs from that of the grid.
    """
    import rasterio

    subject = public_name(name)
    try:
        with rasterio.open(os.path.abspath(name), driver=driver_of(Path(name))) as dataset:
            check_size(subject, dataset)
            note_inputs(*dataset.files)
            if (dataset.height, dataset.width) != (grid.height, grid.width):
                sizes = f"{dataset.width} × {dataset.height} pixels, the class map {grid.width} × {grid.height}"
                raise InputError(subject, f"measures {sizes}", "use the confidence raster of the same run")
            if not grid.transform.almost_equals(dataset.transform, 1e-3 * abs(grid.transform.a + grid.transform.b)):
                raise InputError(
                    subject, "lies elsewhere than the class map", "use the confidence raster of the same run"
                )
            scale, offset = dataset.scales[0], dataset.offsets[0]
            for row in range(0, grid.height, rows):
                place = ((row, min(row + rows, grid.height)), (0, grid.width))
                values = dataset.read(1, window=place)
                valid = (dataset.read_masks(1, window=place) > 0) & np.isfinite(values)
                yield row, values * float(scale or 1) + float(offset), valid
    except gdal_errors() as exc:
        raise InputError(subject, f"cannot be read ({one_line(exc)[:120]})", "get the file again") from exc
