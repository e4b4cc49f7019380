"""Class maps: written as verified Cloud Optimized GeoTIFFs with names, colours and their origin."""

from __future__ import annotations

import errno
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from mapgen.errors import OutputError, UsageError, one_line
from mapgen.grid import Grid
from mapgen.io.commit import free_bytes, staged
from mapgen.io.gdal import MEBIBYTE, gdal_errors, gdal_messages
from mapgen.io.style import color_table, pam_xml, qml
from mapgen.legend import NODATA, Legend

BLOCK = 512
"""Side of the blocks of a class map, the COG driver's default."""

_CO_REMEDY = "see https://gdal.org/drivers/raster/cog.html"

Array = np.ndarray[Any, np.dtype[Any]]


def write_class_map(
    path: Path,
    strips: Iterable[tuple[int, Array]],
    grid: Grid,
    legend: Legend,
    tags: Mapping[str, str],
    *,
    overwrite: bool = False,
    inputs: Sequence[Path] = (),
    creation_options: Sequence[tuple[str, str]] = (),
) -> list[str]:
    """Write `strips` (row, uint8 (h, width)), top to bottom and without gaps, as the class map at `path`.

    A COG: DEFLATE, nodata 255, mode overviews, colour table, category names and RAT in `.aux.xml`, a `.qml` for QGIS.
    It is first written as a tiled GeoTIFF, since the COG driver of rasterio holds a whole raster in memory, copied by
    GDAL, then opened again and compared with the checksums of the strips: GDAL can lose the end of a file on a full
    disk without an error. Raises `OutputError`; then nothing is left, and an old file is untouched.

    Returns what to warn of: a side-car that is not written because its name would be too long.
    """
    notes: list[str] = []
    with staged(path, overwrite=overwrite, inputs=inputs) as temporary:
        # Short names while GDAL works, since it appends to them for temporary files of its own.
        plain, cog = temporary.with_name("plain.tif"), temporary.with_name("cog.tif")
        with _writing(path):
            sums = _write_plain(plain, strips, grid, legend, tags)
            _copy_to_cog(plain, cog, creation_options)
        verify_class_map(cog, grid, sums, path)
        plain.unlink()
        cog.rename(temporary)
        for name, content in ((f"{path.name}.aux.xml", pam_xml(legend)), (f"{path.stem}.qml", qml(legend))):
            if name == path.name:
                continue
            try:
                temporary.with_name(name).write_bytes(content)
            except OSError as exc:
                if exc.errno != errno.ENAMETOOLONG:
                    raise
                notes.append(f"has no class names beside it: the name of an {name[-8:]} file would be too long")
    return notes


def _write_plain(
    path: Path, strips: Iterable[tuple[int, Array]], grid: Grid, legend: Legend, tags: Mapping[str, str]
) -> list[tuple[int, int, int]]:
    """Write a tiled GeoTIFF; return (row, height, checksum) of each strip."""
    import rasterio

    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": 1, "nodata": NODATA,
        "height": grid.height, "width": grid.width, "crs": grid.crs, "transform": grid.transform,
        "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK,
        "compress": "DEFLATE", "ZLEVEL": 1, "BIGTIFF": "IF_SAFER", "SPARSE_OK": True,
    }  # fmt: skip
    sums = []
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.update_tags(**tags)
        dataset.write_colormap(1, color_table(legend))
        for row, strip in strips:
            sums.append((row, len(strip), zlib.crc32(np.ascontiguousarray(strip).data)))
            dataset.write(strip, 1, window=((row, row + len(strip)), (0, grid.width)))
    return sums


def _copy_to_cog(source: Path, target: Path, creation_options: Sequence[tuple[str, str]]) -> None:
    import rasterio.shutil

    rasterio.shutil.copy(source, target, driver="COG", **_cog_options(creation_options))


def _cog_options(creation_options: Sequence[tuple[str, str]]) -> dict[str, str]:
    options = {"COMPRESS": "DEFLATE", "BLOCKSIZE": str(BLOCK), "OVERVIEW_RESAMPLING": "MODE", "BIGTIFF": "IF_SAFER"}
    for key, value in creation_options:
        if key.upper() in ("DRIVER", "OVERVIEW_RESAMPLING", "RESAMPLING", "WARP_RESAMPLING"):
            raise UsageError("--co", f"{key} is fixed for class maps", "leave it out")
        options[key.upper()] = value
    return options


def check_creation_options(creation_options: Sequence[tuple[str, str]]) -> None:
    """Raise `UsageError` unless GDAL's COG driver takes the options and keeps pixels and grid, tried on a small raster.

    GDAL itself only warns of options it does not know, and some are lossy or warp.
    """
    if not creation_options:
        return
    import rasterio.shutil
    from rasterio.io import MemoryFile

    options = _cog_options(creation_options)
    given = " ".join(f"{key}={value}" for key, value in creation_options)
    pixels = np.random.default_rng(1).integers(0, 200, (1, 64, 64), np.uint8)
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": 1, "height": 64, "width": 64, "nodata": NODATA,
        "crs": "EPSG:32631", "transform": Affine(1, 0, 500_000, 0, -1, 5_000_000),
    }  # fmt: skip
    with MemoryFile(ext=".tif") as source, MemoryFile(ext=".tif") as target, gdal_messages() as complaints:
        with source.open(**profile) as dataset:
            dataset.write(pixels)
        try:
            rasterio.shutil.copy(source.name, target.name, driver="COG", **options)
            with target.open(driver="GTiff") as dataset:
                kept = dataset.transform == profile["transform"] and np.array_equal(dataset.read(), pixels)
        except gdal_errors() as exc:
            raise UsageError("--co", f"GDAL refuses {given} ({one_line(exc)[:160]})", _CO_REMEDY) from exc
    if complaints:
        raise UsageError("--co", f"GDAL refuses {given} ({one_line(complaints[0])[:160]})", _CO_REMEDY)
    if not kept:
        raise UsageError("--co", f"{given} would change the pixels or the grid", "use lossless options only")


def verify_class_map(path: Path, grid: Grid, sums: Sequence[tuple[int, int, int]], final: Path) -> None:
    """Raise `OutputError`, naming `final`, unless the file at `path` holds this grid and strips of these checksums."""
    import rasterio

    damaged = OutputError(
        final, "did not read back as written (a full or failing disk?)", "free some space and run again"
    )
    try:
        with rasterio.open(path, driver="GTiff") as dataset:
            if (dataset.height, dataset.width) != (grid.height, grid.width) or dataset.transform != grid.transform:
                raise damaged
            for row, height, checksum in sums:
                strip = dataset.read(1, window=((row, row + height), (0, grid.width)))
                if zlib.crc32(strip) != checksum:
                    raise damaged
    except gdal_errors() as exc:
        raise damaged from exc


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn GDAL's errors of writing into `OutputError`; errors of the pixels' source pass through."""
    from rasterio.errors import CRSError

    try:
        yield
    except CRSError as exc:
        raise OutputError(
            path, f"its CRS cannot be stored ({one_line(exc)[:120]})", "reproject the scene first"
        ) from exc
    except gdal_errors() as exc:
        full = free_bytes(path.parent) < MEBIBYTE
        remedy = "free some space or write elsewhere with -o" if full else "check the folder and the --co options"
        raise OutputError(path, f"could not be written ({one_line(exc.__cause__ or exc)[:160]})", remedy) from exc
