"""Tiles as files in folders, z/x/y.png, which any web server can serve."""

from __future__ import annotations

import errno
import gzip
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from mapgen.errors import InputError, OutputError, option
from mapgen.files.commit import Output, check_output, locked, translated
from mapgen.files.inputs import is_input, note_folder, note_output
from mapgen.files.kind import TILEJSON
from mapgen.files.untrusted import json_object
from mapgen.files.vet import lies_in
from mapgen.tiling.containers.pmtiles import with_metadata
from mapgen.tiling.quadtree import flipped
from mapgen.tiling.tilejson import SUFFIX, TileFormat, TileSetInfo, packed

STYLE, PAGE = "style.json", "index.html"

_DROPPINGS = (".DS_Store", "Thumbs.db", "desktop.ini")
"""What file managers leave in any folder that they have shown."""

Scheme = Literal["xyz", "tms"]


class FolderWriter:
    """A sink for the folder `path`; with the scheme tms rows are counted from the south. Vector tiles are unpacked:

    a plain web server would not say that they are compressed. `rows` are the tiles of a column at zoom 0.
    """

    def __init__(self, path: Path, info: TileSetInfo, scheme: Scheme = "xyz", rows: int = 1) -> None:
        self.info = info
        self.path, self.scheme, self.rows = path, scheme, rows
        self._made: set[tuple[int, int]] = set()
        path.mkdir()

    def put(self, z: int, x: int, y: int, data: bytes) -> None:
        """Add one tile."""
        folder = f"{self.path}/{z}/{x}"
        if (z, x) not in self._made:
            os.makedirs(folder, exist_ok=True)
            self._made.add((z, x))
        row = flipped(z, y, self.rows) if self.scheme == "tms" else y
        with open(f"{folder}/{row}.{SUFFIX[self.info.format]}", "wb") as stream:
            stream.write(gzip.decompress(data) if self.info.format == "mvt" else data)

    def close(self) -> None:
        """Nothing is left to do."""

    def abandon(self) -> None:
        """Nothing is open."""


class FolderReader:
    """The tiles in the folder `path`. Raises `InputError` where it does not say what they are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if not (path / TILEJSON).exists() and _numbered(path):
                problem = f"holds tiles z/x/y, and no {TILEJSON} that says what they are"
                remedy = "write one (TileJSON, with format, minzoom, maxzoom, bounds, center), or use an .mbtiles"
                raise InputError(path, problem, remedy)
            record = json_object((path / TILEJSON).read_text(encoding="utf-8"))
            self.info = _info(record)
            self.scheme = record.get("scheme", "xyz")
            self.rows = int(record.get("rows", 1))
            if not 0 < self.rows < 1 << 16:
                raise ValueError(f"{self.rows} rows at zoom 0")
            note_folder(path)
        except (OSError, ValueError, OverflowError, KeyError, TypeError) as exc:
            raise InputError(path, f"is not a folder of tiles ({exc})", f"name one with a {TILEJSON}") from exc

    def __enter__(self) -> FolderReader:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def get(self, z: int, x: int, y: int) -> bytes | None:
        """One tile; vector tiles compressed, as they were put."""
        path = self.path / str(z) / str(x) / f"{self._row(z, y)}.{SUFFIX[self.info.format]}"
        return self._content(path) if path.is_file() else None

    def tiles(self) -> Iterator[tuple[int, int, int, bytes]]:
        """All tiles by zoom, column, row."""
        for z, x, name, path in _tile_files(self.path):
            yield z, x, self._row(z, name), self._content(path)

    def _row(self, z: int, row: int) -> int:
        return flipped(z, row, self.rows) if self.scheme == "tms" else row

    def _content(self, path: Path) -> bytes:
        """What is in a file; one that a link puts into somebody's folder of tiles is none of them."""
        if not lies_in(path, self.path):
            problem = f"holds {path.relative_to(self.path)}, a link that leads out of the folder"
            raise InputError(self.path, problem, "put a copy in the place of the link")
        data = path.read_bytes()
        return packed(data) if self.info.format == "mvt" else data


def _tile_files(path: Path) -> Iterator[tuple[int, int, int, Path]]:
    for zoom in _numbered(path):
        for column in _numbered(zoom):
            for file in _numbered(column):
                yield int(zoom.name), int(column.name), int(file.stem), file


def _numbered(path: Path) -> list[Path]:
    return sorted((p for p in path.iterdir() if re.fullmatch(r"\d+(\.\w+)?", p.name)), key=lambda p: int(p.stem))


def _info(record: dict[str, Any]) -> TileSetInfo:
    forms: dict[str, TileFormat] = {SUFFIX[form]: form for form in ("png", "webp", "jpeg", "mvt")}
    west, south, east, north = record["bounds"]
    lon, lat, *_ = record["center"]
    info = TileSetInfo(
        str(record.get("name", "")), forms[record["format"]], record["minzoom"], record["maxzoom"],
        (west, south, east, north), (lon, lat), tiling=str(record.get("tile_matrix_set", "WebMercatorQuad")),
    )  # fmt: skip
    return with_metadata(info, record)


def check_folder(output: Output) -> None:
    """Raise `OutputError` unless a folder of tiles can be put at the path without harm to anything that must stay.

    With `overwrite` an older folder of tiles may be replaced, and nothing that holds anything else.
    """
    path = output.path
    if not path.is_dir() or path.is_symlink():
        check_output(Output(path))
        return
    with translated(path):
        if not output.overwrite:
            raise OutputError(
                path, "exists", f"use {option('overwrite', True)}, or choose another name with {option('output')}"
            )
        if is_input(path):
            raise OutputError(path, "the output is also an input", f"choose another name with {option('output')}")
        check_output(Output(path / TILEJSON, overwrite=True))
        check_output(Output(path.parent / f"{path.name}.", overwrite=True))
        foreign = _foreign(path)
        if foreign is not None:
            problem = f"holds {foreign.relative_to(path)}, which is not a tile"
            raise OutputError(path, problem, "name a new folder; only folders of tiles are replaced")


def _foreign(path: Path) -> Path | None:
    """Something in a folder that is not of a set of tiles; None where there is nothing such."""
    names = {entry.name for entry in path.iterdir()} - set(_DROPPINGS)
    if names and TILEJSON not in names:
        return path / min(names)
    for entry in path.iterdir():
        known = (TILEJSON, STYLE, PAGE, *_DROPPINGS)
        if entry.is_symlink() or not ((_is_number(entry.name) and entry.is_dir()) or entry.name in known):
            return entry
    for column in (c for name in names if _is_number(name) for c in (path / name).iterdir()):
        if column.name in _DROPPINGS and not column.is_symlink():
            continue
        if column.is_symlink() or not (_is_number(column.name) and column.is_dir()):
            return column
        with os.scandir(column) as files:
            for file in files:
                tile = re.fullmatch(r"\d+\.(png|webp|jpg|pbf)", file.name)
                if not (tile or file.name in _DROPPINGS) or not file.is_file(follow_symlinks=False):
                    return Path(file.path)
    return None


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


@contextmanager
def staged_folder(output: Output) -> Iterator[Path]:
    """The name of a folder to make, in a hidden one beside the output; when the block ends well, it moves into place.

    An older folder is moved aside just before, and back where that fails. Everything is flushed to disk first.
    """
    check_folder(output)
    path = output.path
    with locked(path), translated(path):
        check_folder(output)
        hidden = Path(tempfile.mkdtemp(prefix=".mapgen-", dir=path.parent))
        try:
            new = hidden / "new"
            yield new
            if hasattr(os, "sync"):  # one call for what may be millions of files
                os.sync()
            check_folder(output)  # somebody else may have made it meanwhile
            _replace(new, output, hidden / "old")
            note_output(path)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)


def _replace(new: Path, output: Output, aside: Path) -> None:
    path = output.path
    old = output.overwrite and path.is_dir()
    if old:
        os.rename(path, aside)
    try:
        os.rename(new, path)
    except BaseException as exc:
        if old:
            os.rename(aside, path)
        if isinstance(exc, OSError) and exc.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            problem = "was made by another run meanwhile"
            raise OutputError(
                path, problem, f"use {option('overwrite', True)}, or choose another name with {option('output')}"
            ) from exc
        raise
