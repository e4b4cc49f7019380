"""Class maps: written as verified Cloud Optimized GeoTIFFs with names, colours and their origin."""

from __future__ import annotations

import errno
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from mapgen.arrays import Array, is_uniform
from mapgen.errors import InputError, OutputError, UsageError, one_line, option
from mapgen.files.commit import Output, check_output, free_bytes, staged
from mapgen.files.gdal import MEBIBYTE, gdal_errors, gdal_messages
from mapgen.grid import Grid, Window
from mapgen.legend import NODATA, Legend
from mapgen.parallel import Progress
from mapgen.raster.blocks import absent
from mapgen.raster.cog import TILE as BLOCK
from mapgen.raster.cog import CogWriter
from mapgen.raster.downsample import mean_of_four, mode_of_four
from mapgen.raster.open import control_of
from mapgen.raster.seal import BLANK, NONE, TAG, is_sealed
from mapgen.raster.style import color_table, pam_xml, qml

SCORE_SCALE = 0.004
"""The probability that a step of a byte stands for in a raster of scores."""

NOTHING = -1
"""In place of the checksum of a strip without data: no block of it need be in the file."""

_CO_REMEDY = "see https://gdal.org/drivers/raster/cog.html"


@dataclass(frozen=True, slots=True)
class Scores:
    """A raster of probabilities beside a class map: uint8, 0 … 250 for 0 … 1 (scale 0.004), nodata 255."""

    path: Path
    bands: tuple[str, ...]
    """What each band is called."""


def class_map_output(output: Output, legend: Legend) -> Output:
    """The output of a class map with these classes, with what lies beside it."""
    return replace(output, beside=_sidecars(output.path, legend))


def _sidecars(path: Path, legend: Legend) -> dict[str, bytes]:
    return {f"{path.name}.aux.xml": pam_xml(legend), f"{path.stem}.qml": qml(legend)}


def write_class_map(
    output: Output,
    strips: Iterable[tuple[int, Array]],
    grid: Grid,
    legend: Legend,
    tags: Mapping[str, str],
    *,
    creation_options: Sequence[tuple[str, str]] = (),
    scores: Sequence[Scores] = (),
    threads: int = 2,
) -> list[str]:
    """Write `strips` (row, uint8 (h, width)), top to bottom and without gaps, as a class map.

    A COG: DEFLATE, nodata 255, mode overviews, colour table, category names and RAT in `.aux.xml`, a `.qml` for QGIS.
    With `scores` the strips are (B, h, width): the classes, then the bands of each of those rasters, which lie beside
    the class map. Tiles are compressed in `threads`. All files are opened again and compared with the checksums of the
    strips before any of them gets its name. Raises `OutputError`; then nothing is left, and an old file is untouched.

    Returns what to warn of: a side-car that is not written because its name would be too long.
    """
    rasters = _rasters(output.path, grid, legend, tags, creation_options, scores, threads)

    def fill() -> None:
        for row, strip in strips:
            first = 0
            for raster in rasters:
                raster.write(row, strip if strip.ndim == 2 else strip[first : first + raster.count])
                first += raster.count

    return _made(output, legend, rasters, fill)


def join_class_map(
    output: Output,
    parts: Sequence[tuple[int, Sequence[Path]]],
    grid: Grid,
    legend: Legend,
    tags: Mapping[str, str],
    *,
    scores: Sequence[Scores] = (),
    progress: Progress | None = None,
) -> list[str]:
    """Write a class map from its parts, each of so many rows and with the files of its classes and of each of `scores`.

    Law: the files are those that `write_class_map` writes of the strips of all parts, byte for byte. Packed tiles are
    copied. The result is read again and compared with the hash of what was written. Raises `OutputError` as that does,
    and `InputError` for a part that is not as mapgen writes it.
    """
    rasters = _rasters(output.path, grid, legend, tags, (), scores, 1)

    def fill() -> None:
        done = 0
        for rows, files in parts:
            for raster, file in zip(rasters, files, strict=True):
                raster.copy(file, rows)
            done += rows
            if progress:
                progress(done * grid.width, grid.height * grid.width)

    return _made(output, legend, rasters, fill)


def _rasters(
    path: Path,
    grid: Grid,
    legend: Legend,
    tags: Mapping[str, str],
    creation_options: Sequence[tuple[str, str]],
    scores: Sequence[Scores],
    threads: int,
) -> list[_Raster]:
    """The class map, and the rasters of scores beside it."""
    head = _Raster(path, "classes", grid, 1, tags, creation_options, legend, threads)
    return [head, *(_Raster(s.path, f"{i}", grid, len(s.bands), tags, creation_options, s.bands, threads)
                    for i, s in enumerate(scores))]  # fmt: skip


def _made(output: Output, legend: Legend, rasters: Sequence[_Raster], fill: Callable[[], None]) -> list[str]:
    """Write the rasters, which `fill` gives their pixels, and what lies beside them."""
    path = output.path
    for raster in rasters[1:]:
        check_output(replace(output, path=raster.path))
    with staged(class_map_output(output, legend)) as temporary, ExitStack() as stack:
        with _writing(path):
            for raster in rasters:
                stack.enter_context(raster.opened(temporary.parent))
            fill()
            for raster in rasters:
                raster.finish()
        for raster in rasters:
            raster.verify()
            raster.file.rename(temporary.with_name(raster.path.name))
        return _write_sidecars(path, legend, temporary)


def _write_sidecars(path: Path, legend: Legend, temporary: Path) -> list[str]:
    notes: list[str] = []
    for name, content in _sidecars(path, legend).items():
        if name == path.name:
            continue
        try:
            temporary.with_name(name).write_bytes(content)
        except OSError as exc:
            if exc.errno != errno.ENAMETOOLONG:
                raise
            notes.append(f"has no class names beside it: the name of an {name[-8:]} file would be too long")
    return notes


class _Raster:
    """One of the rasters under way: by mapgen's own writer, or by GDAL's COG driver where creation options are given.

    GDAL's driver of rasterio holds a whole raster in memory, so it gets a tiled GeoTIFF to copy.
    """

    def __init__(
        self,
        path: Path,
        short: str,
        grid: Grid,
        count: int,
        tags: Mapping[str, str],
        creation_options: Sequence[tuple[str, str]],
        content: Legend | tuple[str, ...],
        threads: int,
    ) -> None:
        self.path, self.count = path, count
        # Short names while GDAL works, since it appends to them for temporary files of its own.
        self._plain, self._short = f"{short}-plain.tif", f"{short}-cog.tif"
        self._grid, self._tags, self._options, self._content = grid, tags, creation_options, content
        self._threads = threads
        self._sums: list[tuple[int, int, int]] = []
        self._copied = False  # of packed tiles, whose pixels nobody has summed
        self._writer: Any = None

    @contextmanager
    def opened(self, folder: Path) -> Iterator[None]:
        """Ready for `write` and `finish`, in the folder."""
        import rasterio

        self.file, self._source = folder / self._short, folder / self._plain
        if self._options:
            profile = self._profile | {
                "height": self._grid.height, "width": self._grid.width, "tiled": True, "blockxsize": BLOCK,
                "blockysize": BLOCK, "compress": "DEFLATE", "ZLEVEL": 1, "BIGTIFF": "IF_SAFER", "SPARSE_OK": True,
            }  # fmt: skip
            with rasterio.open(self._source, "w", **profile) as dataset:
                self._describe(dataset)
                self._writer = dataset
                yield
            return
        reduce = mode_of_four if isinstance(self._content, Legend) else mean_of_four
        size = self._grid.height, self._grid.width
        with CogWriter(self.file, *size, self._specimen(), reduce, self._threads) as writer:
            self._writer = writer
            yield

    def write(self, row: int, strip: Array) -> None:
        """The next rows (h, width) or (B, h, width)."""
        self._sums.append((row, strip.shape[-2], _checksum(strip)))
        if isinstance(self._writer, CogWriter):
            self._writer.write(strip)
        else:
            place = ((row, row + strip.shape[-2]), (0, self._grid.width))
            self._writer.write(strip.reshape(self.count, *strip.shape[-2:]), window=place)

    def copy(self, part: Path, rows: int) -> None:
        """The next rows, from a file that was written of them."""
        self._copied = True
        try:
            self._writer.copy(part, rows)
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else exc
            raise InputError(part, f"is not a part as mapgen writes it ({reason})", "make this part again") from exc

    def finish(self) -> None:
        """Write what is left to write."""
        import rasterio.shutil

        self._writer.close()
        if self._options:
            resampling = "MODE" if isinstance(self._content, Legend) else "AVERAGE"
            options = _cog_options(self._options) | {"OVERVIEW_RESAMPLING": resampling}
            rasterio.shutil.copy(self._source, self.file, driver="COG", **options)
            self._source.unlink()

    def verify(self) -> None:
        """Raise `OutputError` unless the file holds what was written."""
        verify_raster(self.file, self._grid, self._sums, self.path, sealed=self._copied)

    @property
    def _profile(self) -> dict[str, Any]:
        return {
            "driver": "GTiff", "dtype": "uint8", "count": self.count, "nodata": NODATA, **_place(self._grid),
        }  # fmt: skip

    def _describe(self, dataset: Any) -> None:
        dataset.update_tags(**self._tags)
        dataset.update_tags(**{TAG: NONE if self._options else BLANK})  # GDAL's driver would leave it blank
        if isinstance(self._content, Legend):
            dataset.write_colormap(1, color_table(self._content))
        else:
            dataset.descriptions = self._content
            dataset.scales = (SCORE_SCALE,) * self.count

    def _specimen(self) -> bytes:
        """A GeoTIFF of one pixel, by GDAL, with everything but the pixels."""
        from rasterio.io import MemoryFile

        with MemoryFile(ext=".tif") as memory:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a scene without georeferencing has none was said before
                with memory.open(height=1, width=1, INTERLEAVE="PIXEL", **self._profile) as dataset:
                    self._describe(dataset)
            return bytes(memory.read())


def _place(grid: Grid) -> dict[str, Any]:
    """Where a raster lies, in rasterio's words."""
    if grid.control is None:
        return {"crs": grid.crs, "transform": grid.transform}
    from rasterio.control import GroundControlPoint
    from rasterio.crs import CRS

    points = [GroundControlPoint(*point) for point in grid.control.points]  # row, column, x, y, z there too
    return {"crs": grid.control.crs or CRS(), "gcps": points}  # None is a fault of rasterio's beside points


def _cog_options(creation_options: Sequence[tuple[str, str]]) -> dict[str, str]:
    options = {"COMPRESS": "DEFLATE", "BLOCKSIZE": str(BLOCK), "OVERVIEW_RESAMPLING": "MODE", "BIGTIFF": "IF_SAFER"}
    for key, value in creation_options:
        if key.upper() in ("DRIVER", "OVERVIEW_RESAMPLING", "RESAMPLING", "WARP_RESAMPLING"):
            raise UsageError(option("creation_options"), f"{key} is fixed for class maps", "leave it out")
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
            raise UsageError(
                option("creation_options"), f"GDAL refuses {given} ({one_line(exc)[:160]})", _CO_REMEDY
            ) from exc
    if complaints:
        raise UsageError(
            option("creation_options"), f"GDAL refuses {given} ({one_line(complaints[0])[:160]})", _CO_REMEDY
        )
    if not kept:
        raise UsageError(
            option("creation_options"), f"{given} would change the pixels or the grid", "use lossless options only"
        )


def _checksum(strip: Array) -> int:
    if is_uniform(strip) and strip.flat[0] == NODATA:
        return NOTHING
    return zlib.crc32(np.ascontiguousarray(strip).data)


def verify_raster(
    path: Path, grid: Grid, sums: Sequence[tuple[int, int, int]], final: Path, *, sealed: bool = False
) -> None:
    """Raise `OutputError`, naming `final`, unless the file at `path` holds this grid and strips of these checksums.

    `sealed`: unless its bytes are those of the hash that it carries, too.
    """
    import rasterio

    damaged = OutputError(
        final, "did not read back as written (a full or failing disk?)", "free some space and run again"
    )
    try:
        with rasterio.open(path, driver="GTiff") as dataset:
            if (dataset.height, dataset.width) != (grid.height, grid.width) or dataset.transform != grid.transform:
                raise damaged
            if grid.control is not None and control_of(dataset) != grid.control:
                raise damaged
            if sealed and not is_sealed(path, dataset.tags().get(TAG, BLANK)):
                raise damaged
            for row, height, checksum in sums:
                if checksum == NOTHING and absent(dataset, Window(row, 0, height, grid.width), dataset.indexes):
                    continue
                strip = dataset.read(window=((row, row + height), (0, grid.width)))
                if (NOTHING if checksum == NOTHING and (strip == NODATA).all() else zlib.crc32(strip)) != checksum:
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
        remedy = (
            f"free some space or write elsewhere with {option('output')}"
            if full
            else f"check the folder and the {option('creation_options')} options"
        )
        raise OutputError(path, f"could not be written ({one_line(exc.__cause__ or exc)[:160]})", remedy) from exc
