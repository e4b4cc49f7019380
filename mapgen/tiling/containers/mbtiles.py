"""MBTiles, version 1.3: a SQLite database of tiles, which GDAL and QGIS open.

https://github.com/mapbox/mbtiles-spec/blob/master/1.3/spec.md
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mapgen.errors import InputError, one_line
from mapgen.files.untrusted import parsed_json
from mapgen.tiling.containers.pmtiles import MOST_ZOOM, side_of, with_metadata
from mapgen.tiling.quadtree import MAX_LATITUDE, WEB_MERCATOR, Bounds, flipped, to_lonlat, to_mercator
from mapgen.tiling.tilejson import SUFFIX, TileFormat, TileSetInfo

_SCHEMA = """
PRAGMA application_id = 0x4d504258;
CREATE TABLE metadata (name TEXT NOT NULL PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE images (tile_id TEXT NOT NULL UNIQUE, tile_data BLOB NOT NULL);
CREATE TABLE map (
  zoom_level INTEGER NOT NULL, tile_column INTEGER NOT NULL, tile_row INTEGER NOT NULL, tile_id TEXT NOT NULL,
  PRIMARY KEY (zoom_level, tile_column, tile_row)) WITHOUT ROWID;
CREATE VIEW tiles AS SELECT zoom_level, tile_column, tile_row, tile_data FROM map JOIN images USING (tile_id);
"""


class MBTilesWriter:
    """A sink for the database at `path`: tiles come in any order, equal ones are kept once.

    Nothing is journalled, since the file is thrown away where the run does not end well. Rows are counted from the
    south there, as the specification wants it.
    """

    def __init__(self, path: Path, info: TileSetInfo) -> None:
        self.info = info
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000;")
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN")

    def put(self, z: int, x: int, y: int, data: bytes) -> None:
        """Add one tile."""
        digest = hashlib.blake2b(data, digest_size=16).hexdigest()
        self._db.execute("INSERT OR IGNORE INTO images VALUES (?, ?)", (digest, data))
        self._db.execute("INSERT INTO map VALUES (?, ?, ?, ?)", (z, x, flipped(z, y), digest))

    def close(self) -> None:
        """Write the metadata and end the database."""
        self._db.executemany("INSERT INTO metadata VALUES (?, ?)", sorted(_metadata(self.info).items()))
        self._db.execute("COMMIT")
        self._db.close()

    def abandon(self) -> None:
        """Let go of the file."""
        self._db.close()


def _metadata(info: TileSetInfo) -> dict[str, str]:
    """The rows of the table `metadata`: text, JSON where a value is more than that."""
    values = info.metadata()
    layers = values.pop("vector_layers", None)
    rows = {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in values.items()}
    lon, lat = info.middle
    return rows | {
        "name": info.name or "tiles", "format": SUFFIX[info.format], "minzoom": str(info.min_zoom),
        "maxzoom": str(info.max_zoom), "bounds": ",".join(f"{v:.10f}" for v in whole_pixels(info)),
        "center": f"{lon:.7f},{lat:.7f},{info.min_zoom}",
        **({"json": json.dumps({"vector_layers": layers}, ensure_ascii=False)} if layers else {}),
    }  # fmt: skip


def whole_pixels(info: TileSetInfo) -> Bounds:
    """The bounds of a set, widened to whole pixels of its highest zoom where it is of pictures.

    GDAL takes them as the edges of a raster of whole pixels; others would put it off by a part of one.
    """
    if info.format == "mvt":
        return info.bounds
    west, south, east, north = info.bounds
    step, half = WEB_MERCATOR.resolution(info.max_zoom, info.tile_size), WEB_MERCATOR.top
    left, bottom = (float(v) for v in to_mercator(west, max(south, -MAX_LATITUDE)))
    right, top = (float(v) for v in to_mercator(east, min(north, MAX_LATITUDE)))
    slack = 1e-6  # what lies on an edge but for its rounding stays there
    first = [math.floor((v + half) / step + slack) * step - half for v in (left, bottom)]
    last = [math.ceil((v + half) / step - slack) * step - half for v in (right, top)]
    (west, south), (east, north) = ([float(v) for v in to_lonlat(*p)] for p in (first, last))
    return max(west, -180.0), south, min(east, 180.0), north


class MBTilesReader:
    """The database at `path`, open for reading. Raises `InputError` where it is none or is damaged.

    Any thread may read, one at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
            self._db = sqlite3.connect(address, uri=True, check_same_thread=False)
            if self._db.execute("SELECT count(*) FROM sqlite_master WHERE sql LIKE '%RECURSIVE%'").fetchone() != (0,):
                raise ValueError("it holds a query that calls itself, which may never end")
            rows = {str(k): str(v) for k, v in self._db.execute("SELECT name, value FROM metadata") if v is not None}
            self.info = self._described(rows, path.name)
        except (sqlite3.Error, ValueError, OverflowError, LookupError, TypeError) as exc:
            if hasattr(self, "_db"):
                self._db.close()
            raise InputError(path, f"cannot be read ({one_line(exc)})", "get the file again") from exc

    def _described(self, rows: dict[str, str], name: str) -> TileSetInfo:
        """What the set says of itself; zooms and the size of its tiles from the tiles where it does not say them."""
        query = "SELECT min(zoom_level), max(zoom_level) FROM tiles"
        if not {"minzoom", "maxzoom"} <= set(rows):
            low, high = self._db.execute(query).fetchone()
            rows = {"minzoom": str(low or 0), "maxzoom": str(high or 0)} | rows
        info = _info(rows, name)
        if info.format == "mvt" or {"tile_size", "tileSize"} & set(rows):
            return info
        first = self._db.execute("SELECT tile_data FROM tiles LIMIT 1").fetchone()
        return replace(info, tile_size=side_of(first and _data(first[0])))

    def __enter__(self) -> MBTilesReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self._db.close()

    def get(self, z: int, x: int, y: int) -> bytes | None:
        """One tile."""
        query = "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
        row = self._db.execute(query, (z, x, flipped(z, y))).fetchone()
        return None if row is None else _data(row[0])

    def tiles(self) -> Iterator[tuple[int, int, int, bytes]]:
        """All tiles by zoom, column, row."""
        for z, x, y, data in self._db.execute("SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles"):
            if not all(isinstance(v, int) for v in (z, x, y)) or not 0 <= z <= MOST_ZOOM:
                raise ValueError(f"it holds a tile at {z!r}, {x!r}, {y!r}")
            yield z, x, flipped(z, y), _data(data)


def _data(value: Any) -> bytes:
    """What a database holds as a tile; of a number `bytes` would make as many zeros."""
    if not isinstance(value, bytes):
        raise ValueError("it holds a tile that is none")
    return value


def _info(rows: dict[str, str], name: str) -> TileSetInfo:
    forms: dict[str, TileFormat] = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp", "pbf": "mvt"}
    if rows.get("format", "png") not in forms:
        raise ValueError(f"tiles of the format {rows['format'][:20]!r}")
    west, south, east, north = (float(v) for v in rows.get("bounds", "-180,-85.051129,180,85.051129").split(","))
    center = [float(v) for v in rows["center"].split(",")[:2]] if "center" in rows else None
    info = TileSetInfo(
        rows.get("name", name), forms[rows.get("format", "png")], int(rows["minzoom"]), int(rows["maxzoom"]),
        (west, south, east, north), (center[0], center[1]) if center else None,
    )  # fmt: skip
    kept = ("description", "attribution", "type", "tile_size", "tileSize", "checksum")
    metadata: dict[str, Any] = {k: rows[k] for k in kept if k in rows}
    metadata["classes"] = _loaded(rows.get("classes"), [])
    return with_metadata(info, metadata | _loaded(rows.get("json"), {}))


def _loaded(text: str | None, default: Any) -> Any:
    """JSON of others; what is none, or is of another kind than `default`, is left alone."""
    try:
        found = parsed_json(text or "")
    except ValueError:
        return default
    return found if isinstance(found, type(default)) else default
