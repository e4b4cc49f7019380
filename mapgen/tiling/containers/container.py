"""Tile sets: written as PMTiles, MBTiles or a folder, whole and verified or not at all; and read again."""

from __future__ import annotations

import errno
import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from mapgen.errors import InputError, OutputError, UsageError, one_line, option
from mapgen.files.commit import Output, check_output, free_bytes, staged
from mapgen.files.gdal import MEBIBYTE
from mapgen.files.inputs import note_inputs
from mapgen.files.kind import TILEJSON
from mapgen.files.page import TILES_TEMPLATE, tiles_page
from mapgen.files.webfiles import tiles_page_texts
from mapgen.tiling.containers.folder import (
    PAGE,
    STYLE,
    FolderReader,
    FolderWriter,
    Scheme,
    check_folder,
    staged_folder,
)
from mapgen.tiling.containers.mbtiles import MBTilesReader, MBTilesWriter
from mapgen.tiling.containers.pmtiles import PMTilesReader, PMTilesWriter
from mapgen.tiling.quadtree import WEB_MERCATOR, Tiling
from mapgen.tiling.tilejson import Container, TileSetInfo, TileSource, archive_url, style, tile_url, tilejson

SUFFIXES: dict[str, Container] = {".pmtiles": "pmtiles", ".mbtiles": "mbtiles"}
"""What a suffix stands for; a name without one is a folder."""

Reader = PMTilesReader | MBTilesReader | FolderReader


class _Writer(Protocol):
    info: TileSetInfo

    def put(self, z: int, x: int, y: int, data: bytes) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


def container_of(path: Path) -> Container:
    """The container of an output by its suffix. Raises `UsageError` for a suffix of something else."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    if suffix in (".tif", ".tiff", ".png", ".jpg", ".geojson", ".gpkg", ".zip", ".json", ".mvt", ".pbf"):
        problem = f"no set of tiles is known by the suffix {suffix} of {path.name}"
        raise UsageError(
            option("output"), problem, "use .pmtiles, .mbtiles, or a name without a suffix for a folder z/x/y"
        )
    return "folder"


def check_tiles(output: Output, *, scheme: Scheme | None = None, tiling: Tiling = WEB_MERCATOR) -> None:
    """Raise `OutputError` or `UsageError` unless a tile set can be put there; nothing is created."""
    container = container_of(output.path)
    if container == "folder":
        check_folder(output)
        return
    if tiling.name != WEB_MERCATOR.name:
        problem = f"{container} holds tiles of {WEB_MERCATOR.name} only, not of {tiling.name}"
        raise UsageError(option("tms"), problem, "write a folder: a name without a suffix")
    own: Scheme = "tms" if container == "mbtiles" else "xyz"
    if scheme not in (None, own):
        problem = f"{container} counts rows as {own} by its specification, not as {scheme}"
        raise UsageError(option("scheme"), problem, "leave it out, or write a folder: a name without a suffix")
    check_output(_with_records(output))


class TileSet:
    """A tile set that is being written: `put` tiles, change `info` at will until the block of `writing_tiles` ends."""

    def __init__(self, writer: _Writer, path: Path) -> None:
        self._writer, self._path = writer, path
        self.count = self.sum = 0
        self.bytes = 0

    @property
    def info(self) -> TileSetInfo:
        """What the set will say about itself."""
        return self._writer.info

    @info.setter
    def info(self, info: TileSetInfo) -> None:
        self._writer.info = info

    def put(self, z: int, x: int, y: int, data: bytes) -> None:
        """Add one tile, x and y as in XYZ; vector tiles compressed with gzip. No tile may come twice."""
        with _translated(self._path):
            self._writer.put(z, x, y, data)
        self.count += 1
        self.bytes += len(data)
        self.sum = _added(self.sum, z, x, y, data)


@contextmanager
def writing_tiles(
    output: Output, info: TileSetInfo, *, scheme: Scheme | None = None, tiling: Tiling = WEB_MERCATOR,
    base_url: str | None = None,
) -> Iterator[TileSet]:  # fmt: skip
    """A `TileSet` to put tiles into; when the block ends well, it is read back, compared, and moved into place.

    The container is that of the suffix. Beside a file lie `NAME.json` (TileJSON) and, for PMTiles, `NAME.style.json`
    (MapLibre), in a folder `tilejson.json`, `style.json` and a page, `index.html`. `base_url` is where the set is
    going to be served from: then the URLs in them are absolute. Raises `OutputError` or `UsageError`; then nothing is
    left, and older files are untouched.
    """
    check_tiles(output, scheme=scheme, tiling=tiling)
    path = output.path
    container = container_of(path)
    place: AbstractContextManager[Path]
    place = staged_folder(output) if container == "folder" else staged(_with_records(output))
    with place as temporary:
        with _translated(path):
            writer = _writer(container, temporary, info, scheme or "xyz", tiling)
        tiles = TileSet(writer, path)
        try:
            yield tiles
            tiles.info = replace(tiles.info, checksum=checksum_of(tiles.count, tiles.sum))
            with _translated(path):
                writer.close()
        finally:
            writer.abandon()
        for name, text in _records(container, path.name, tiles.info, scheme or "xyz", tiling, base_url):
            folder = temporary if container == "folder" else temporary.parent
            try:
                (folder / name).write_bytes(text)
            except OSError as exc:
                if exc.errno != errno.ENAMETOOLONG:  # what it says is in the tile set too
                    raise
        _verify(temporary, container, tiles, path)


def _with_records(output: Output) -> Output:
    """A tile set in one file with what lies beside it."""
    return replace(output, beside=dict.fromkeys(output.path.name + end for end in (".json", ".style.json")))


def _writer(container: Container, path: Path, info: TileSetInfo, scheme: Scheme, tiling: Tiling) -> _Writer:
    if container == "pmtiles":
        return PMTilesWriter(path, info)
    if container == "mbtiles":
        return MBTilesWriter(path, info)
    return FolderWriter(path, info, scheme, tiling.rows)


def _records(
    container: Container, name: str, info: TileSetInfo, scheme: Scheme, tiling: Tiling, base: str | None
) -> Iterator[tuple[str, bytes]]:
    """The side-cars and their names; no style for tiles that MapLibre cannot show."""
    folder = container == "folder"
    url, scheme = tile_url(container, name, info.format, base), scheme if folder else "xyz"
    record = tilejson(info, url, scheme) | ({"rows": tiling.rows} if tiling.rows > 1 else {})
    yield (TILEJSON if folder else f"{name}.json"), _json(record)
    if tiling.name != WEB_MERCATOR.name or container == "mbtiles":
        return
    look = style(info, url, scheme, None if folder else archive_url(container, name, base))
    yield (STYLE if folder else f"{name}.style.json"), _json(look)
    if folder:
        texts = tiles_page_texts()
        yield PAGE, tiles_page(texts[TILES_TEMPLATE], look, texts)


def _json(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, ensure_ascii=False, indent=1) + "\n").encode()


def _added(total: int, z: int, x: int, y: int, data: bytes) -> int:
    """The sum with a tile taken in; the same for any order of the tiles."""
    return (total + zlib.crc32(data, zlib.crc32(b"%d/%d/%d" % (z, x, y))) * (2 * zlib.adler32(data) + 1)) % 2**64


def _verify(temporary: Path, container: Container, tiles: TileSet, final: Path) -> None:
    """Raise `OutputError` unless the set reads back as it was put."""
    try:
        with _opened(temporary, container) as source:
            same = source.info.format == tiles.info.format
            found = checksum_of(*summed(source))
    except READING as exc:
        raise _damaged(final) from exc
    if found != tiles.info.checksum or not same:
        raise _damaged(final)


READING = (InputError, OSError, ValueError, EOFError, sqlite3.Error, zlib.error)
"""What reading the tiles of a damaged set may raise."""


@contextmanager
def reading_tiles(subject: str) -> Iterator[None]:
    """In the block, what reading the tiles of a damaged set raises becomes `InputError`."""
    try:
        yield
    except InputError:
        raise
    except READING as exc:
        raise InputError(subject, f"is damaged ({one_line(exc)[:100]})", "make it again, or get it again") from exc


def checksum_of(count: int, total: int) -> str:
    """What a set says of its tiles: how many there are, and a sum over their places and bytes."""
    return f"{count}-{total:016x}"


def summed(source: TileSource) -> tuple[int, int]:
    """Number and sum of all tiles of an open set, each read. Raises one of READING where one cannot be read."""
    count = total = 0
    for z, x, y, data in source.tiles():
        count += 1
        total = _added(total, z, x, y, data)
    return count, total


def _damaged(path: Path) -> OutputError:
    return OutputError(path, "did not read back as written (a full or failing disk?)", "free some space and run again")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors of writing into `OutputError`; those of the system are translated by `staged`."""
    try:
        yield
    except sqlite3.Error as exc:
        full = free_bytes(path.parent) < MEBIBYTE or "full" in str(exc)
        remedy = (
            f"free some space or write elsewhere with {option('output')}" if full else "check the folder and the disk"
        )
        raise OutputError(path, f"could not be written ({one_line(exc)})", remedy) from exc


def open_tiles(path: Path) -> AbstractContextManager[TileSource]:
    """The tile set at `path`, open for reading in a `with`. Raises `InputError` where it is none or is damaged."""
    if path.is_dir():
        return FolderReader(path)
    try:
        with open(path, "rb") as stream:
            start = stream.read(16)
    except OSError as exc:
        raise InputError(path, f"cannot be read ({exc.strerror})", "check the path and its permissions") from exc
    note_inputs(path)
    return _opened(path, "mbtiles" if start.startswith(b"SQLite format 3") else "pmtiles")


def _opened(path: Path, container: Container) -> Reader:
    if container == "folder":
        return FolderReader(path)
    return MBTilesReader(path) if container == "mbtiles" else PMTilesReader(path)
