"""GDAL's surroundings: environment, cache, and what it says only on its log."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mapgen.files.remote import gdal_options

MEBIBYTE = 1 << 20


def clean_environment() -> None:
    """Hide a foreign PROJ or GDAL installation from wheels that carry their own.

    A GIS shell (QGIS, OSGeo4W, conda) exports PROJ_LIB for its own PROJ; the wheels then read a database of another
    version and fail with "Cannot find proj.db". Must run before rasterio, pyproj or pyogrio is first imported.
    """
    spec = find_spec("rasterio")
    if spec is None or spec.origin is None:
        return
    folder = Path(spec.origin).parent
    if (folder / "proj_data").is_dir():
        for name in ("PROJ_LIB", "PROJ_DATA"):
            os.environ.pop(name, None)
    if (folder / "gdal_data").is_dir():
        os.environ.pop("GDAL_DATA", None)


def cache_bytes(width: int, rows: int, bytes_per_pixel: int) -> int:
    """GDAL's block cache for scanning a raster of this width in strips of `rows`: 16 … 512 MiB.

    GDAL's own default is 5 % of the machine's memory, which reads as memory growing with the scene. The blocks of one
    strip must stay, or each would be read once for every window on it. It depends on the width only, never the height.
    """
    return min(512 * MEBIBYTE, max(16 * MEBIBYTE, width * rows * bytes_per_pixel))


def environment(cache: int = 16 * MEBIBYTE, *, remote: bool = False) -> Any:
    """A `rasterio.Env` with a bounded block cache and network time-outs.

    `remote` keeps GDAL from asking a server for side-cars and a listing of the folder, each a request that may hang.
    For local files it must look: side-car masks and world files count.
    """
    import rasterio

    options = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"} if remote else {}

    return rasterio.Env(
        GDAL_CACHEMAX=cache,  # an int is taken as bytes
        **gdal_options(),
        GDAL_VRT_ENABLE_PYTHON="NO",  # whatever the caller's environment says
        CPL_CURL_VERBOSE="NO",  # which prints addresses with their secrets
        **options,
    )


def gdal_errors() -> tuple[type[Exception], ...]:
    """What rasterio raises where GDAL fails: most calls wrap GDAL's own errors, tags and copies do not."""
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError, RasterioIOError

    return RasterioIOError, RasterioError, CPLE_BaseError


class _Messages(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def gdal_messages() -> Iterator[list[str]]:
    """The warnings and errors that GDAL logs meanwhile, and only logs.

    A damaged JPEG tile decodes into grey without an exception; a message on a logger is its only trace.
    """
    loggers = [logging.getLogger(f"rasterio.{name}") for name in ("_err", "_env")]  # of reading and of copying
    handler = _Messages()
    before = [(logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(logging.INFO)
    try:
        yield handler.lines
    finally:
        for logger, (propagate, level) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate
            logger.setLevel(level)


clean_environment()  # as soon as anything of mapgen may open a raster, from Python too
