"""Areas as a table: what each class covers, in all or zone by zone."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from mapgen.arrays import Array
from mapgen.errors import InputError, OutputError, UsageError, aligned, option
from mapgen.files.commit import Output, check_output, write_whole
from mapgen.files.inputs import note_inputs, one_run
from mapgen.files.kind import REPORT
from mapgen.grid import Grid, Window
from mapgen.layers.class_areas import ClassAreas
from mapgen.legend import NODATA
from mapgen.raster.aoi import Area, zones_of
from mapgen.raster.masks import Mask, open_mask
from mapgen.results.class_areas import covered
from mapgen.results.report import read_report
from mapgen.settings import Options, PathLike, taking

CLASSES = 255
"""The most classes that a table can have: a byte each, and one for no data."""

STRIP_PIXELS = 1 << 22


class AreasKeys(TypedDict, total=False):
    """What the options of `areas` may be given as."""

    zones: PathLike | None
    zone_name: str | None
    layer: str | None
    overwrite: bool


@dataclass(frozen=True, slots=True)
class AreasOptions(Options):
    """What `areas` may be told."""

    if TYPE_CHECKING:

        def __init__(self, **given: Unpack[AreasKeys]) -> None: ...

    zones: Path | None = None
    """A vector file, in any CRS: a table for each of its polygons."""
    zone_name: str | None = None
    """The attribute that holds the names of the zones; else they are numbered."""
    layer: str | None = None
    """The layer of the zones, of a file that has several."""
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What a class covers in a zone. Areas are those of the ground, on the ellipsoid; None for a map without a CRS."""

    zone: str
    """Empty for the whole map."""
    id: int
    name: str
    pixels: int | None
    """None for a layer, which has none."""
    share: float
    """Of the pixels of the zone that have a class, or of the ground in a layer, 0 … 1."""
    area_m2: float | None
    area_ha: float | None
    area_km2: float | None
    polygons: int | None = None
    """In the layer, where there is one; None elsewhere."""

    def values(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class Areas:
    """The table of a class map: a row for each class of each zone."""

    source: str
    rows: tuple[Row, ...]
    beside: tuple[str, ...] = ()
    """Zones that lie beside the map; they have no rows."""

    def __repr__(self) -> str:
        return f"<areas of {self.source}: {len(self.rows)} rows>"

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return {"areas": [row.values() for row in self.rows], "beside": list(self.beside)}

    def to_dataframe(self) -> Any:
        """The table for pandas."""
        import pandas as pd

        return pd.DataFrame([row.values() for row in self.rows], columns=[f.name for f in fields(Row)])

    def _repr_html_(self) -> str:
        """The table for notebooks."""
        parts = []
        for zone, rows in _by_zone(self.rows):
            head, *body = [[escape(cell) for cell in row] for row in _cells(rows)]
            caption = f"<caption>{escape(zone)}</caption>" if zone else ""
            lines = "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in body)
            parts.append(f"<table>{caption}<tr><th>{'</th><th>'.join(head)}</th></tr>{lines}</table>")
        return "".join(parts)

    def to_csv(self) -> str:
        """The table as CSV with a header; columns that no row has a value for are left out."""
        names = [f.name for f in fields(Row) if any(getattr(row, f.name) not in (None, "") for row in self.rows)]
        text = io.StringIO()
        table = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(row.values() for row in self.rows)
        return text.getvalue()


@taking(AreasOptions, AreasKeys)
@one_run()
def areas(source: PathLike, output: PathLike | None = None, **options: Unpack[AreasKeys]) -> Areas:
    """What each class of a class map, or of a result folder, covers; written as CSV to `output`, if one is named.

    `options` are the fields of `AreasOptions`. A pixel belongs to a zone where its centre lies in it; zones may
    overlap. Raises `InputError`, `OutputError`, `ResourceError` or `UsageError`.
    """
    wanted = AreasOptions(**options)
    if wanted.zones is None and (wanted.zone_name or wanted.layer):
        key = "zone_name" if wanted.zone_name else "layer"
        raise UsageError(option(key), "there are no zones", f"name them with {option('zones', 'FILE')}")
    note_inputs(source, wanted.zones)
    if output is not None:
        table_output(Path(output), wanted.overwrite)
    found = _measured(Path(source), wanted)
    if output is not None:
        write_areas(found, Path(output), overwrite=wanted.overwrite)
    return found


def table_output(path: Path, overwrite: bool) -> Output:
    """Where a table goes. Raises `OutputError` unless it can be written there as CSV."""
    if path.suffix.lower() != ".csv":
        raise OutputError(path, "a table is written as CSV", f"name a file such as {path.stem or 'areas'}.csv")
    place = Output(path, overwrite)
    check_output(place)
    return place


def areas_of_report(report: Mapping[str, Any]) -> Areas:
    """The table of what a report of `map` says of its classes."""
    keys = ("id", "name", "pixels", "share", "area_m2", "area_ha", "polygons")
    rows = (Row("", area_km2=_km2(c["area_m2"]), **{key: c.get(key) for key in keys}) for c in report["classes"])
    return Areas(str(report["name"]), tuple(rows))


def areas_of_layers(layers: Sequence[tuple[str, Mapping[str, Mapping[str, Any]]]]) -> Areas:
    """The table of layers by what `vectorize` says of their classes; of several, each is a zone by its name."""
    rows = []
    for source, classes in layers:
        total = sum(one["area_m2"] for one in classes.values()) or 1.0
        for name, one in classes.items():
            square = round(one["area_m2"], 3)
            rows.append(Row(
                source if len(layers) > 1 else "", int(one["id"]), name, None, round(one["area_m2"] / total, 6),
                square, round(square / 1e4, 7), _km2(square), int(one["polygons"]),
            ))  # fmt: skip
    return Areas(", ".join(source for source, _ in layers), tuple(rows))


def _km2(square: float | None) -> float | None:
    return None if square is None else round(square / 1e6, 9)


def write_areas(found: Areas, path: Path, *, overwrite: bool) -> None:
    """Write a table as CSV. Raises `OutputError`."""
    write_whole(table_output(path, overwrite), found.to_csv())


def _measured(source: Path, options: AreasOptions) -> Areas:
    polygons: dict[str, int] | None = None
    path = source
    if (source / REPORT).is_file():
        report = read_report(source)
        if "class_map" not in report["files"]:
            raise InputError(source, "holds no class map", "make the map again")
        path = source / str(report["files"]["class_map"])
        if options.zones is None:  # of a zone they would have to be counted anew
            polygons = {c["name"]: c["polygons"] for c in report["classes"] if c["polygons"] is not None} or None
    with open_mask(path) as mask:
        if options.zones is None:
            return Areas(str(source), tuple(_rows(mask, "", Area(mask.grid, mask.grid.window), polygons)))
        rows, beside = list[Row](), list[str]()
        for name, area in zones_of(mask.grid, options.zones, options.zone_name, options.layer):
            if area is None:
                beside.append(name)
            else:
                rows += _rows(mask, name, area, None)
    return Areas(str(source), tuple(rows), tuple(beside))


def _rows(mask: Mask, zone: str, area: Area, polygons: dict[str, int] | None) -> Iterator[Row]:
    """A row for each class that the map names or the area holds, by increasing id."""
    grid, codes, census = mask.grid.crop(area.window), _Codes(mask), ClassAreas()
    step = max(1, STRIP_PIXELS // grid.width)
    for row in range(0, grid.height, step):
        window = Window(area.window.row + row, area.window.col, min(step, grid.height - row), grid.width)
        values, empty = mask.read(window)
        assert empty is not None
        census.add(row, codes.of(values, ~empty & area.inside(window)))
    pixels = {codes.values[code]: count for code, count in census.finish().items() if code != NODATA}
    ground = _ground(census, grid, codes)
    known = max(1, sum(pixels.values()))
    named = (value for value, one in mask.names.classes.items() if one.name != str(value))
    for one in mask.names.of([*named, *pixels]):  # a colour table alone names 256 values
        facts = covered(pixels.get(one.id, 0), known, None if ground is None else ground.get(one.id, 0.0))
        count = None if polygons is None else polygons.get(one.name, 0)
        yield Row(zone, one.id, one.name, **facts, area_km2=_km2(facts["area_m2"]), polygons=count)


def _ground(census: ClassAreas, grid: Grid, codes: _Codes) -> dict[int, float] | None:
    """Square metres by value; None for a map without a CRS."""
    if grid.crs is None:
        return None
    return {codes.values[code]: area for code, area in census.areas(grid).items() if code != NODATA}


class _Codes:
    """Bytes for the values of a class raster, in the order in which they are met."""

    def __init__(self, mask: Mask) -> None:
        self.name = mask.name
        self.values: list[int] = []

    def of(self, values: Array, valid: Array) -> Array:
        """The bytes (H, W) of values, NODATA where they are not valid. Raises `InputError` for too many classes."""
        met = np.unique(values[valid])
        self.values += [int(value) for value in met if int(value) not in self.values]
        if len(self.values) > CLASSES:
            raise InputError(self.name, f"has more than {CLASSES} classes", "is this a class map? run mapgen info")
        bytes_of = np.array([self.values.index(int(value)) for value in met], np.uint8)
        result = np.full(values.shape, NODATA, np.uint8)
        if len(met):
            result[valid] = bytes_of[np.searchsorted(met, values[valid])]
        return result


def lines(found: Areas) -> Iterator[str]:
    """The table as lines of text, zone by zone."""
    for number, (zone, rows) in enumerate(_by_zone(found.rows)):
        if zone:
            yield from ([""] if number else []) + [zone]
        yield from aligned(list(_cells(rows)))


def _by_zone(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    zones: dict[str, list[Row]] = {}
    for row in rows:
        zones.setdefault(row.zone, []).append(row)
    return list(zones.items())


def _cells(rows: list[Row]) -> Iterator[list[str]]:
    """Texts of a table, with a line for all classes together."""
    measured = all(row.area_ha is not None for row in rows)
    counted = all(row.polygons is not None for row in rows)
    seen = all(row.pixels is not None for row in rows)
    yield [
        "class", *(["pixels"] if seen else []), "share", *(["ha", "km²"] if measured else []),
        *(["polygons"] if counted else []),
    ]  # fmt: skip
    for name, some in [*((row.name, [row]) for row in rows), ("all", rows)]:
        areas_of = [sum(getattr(row, key) for row in some) for key in ("area_ha", "area_km2")] if measured else []
        yield [
            name, *([str(sum(row.pixels or 0 for row in some))] if seen else []),
            f"{sum(row.share for row in some):.1%}", *(_figure(area, 2) for area in areas_of[:1]),
            *(_figure(area, 4) for area in areas_of[1:]),
            *([str(sum(row.polygons or 0 for row in some))] if counted else []),
        ]  # fmt: skip


def _figure(area: float, decimals: int) -> str:
    """With as many decimals, or as many more as it takes to show that it is not nothing."""
    text = f"{area:.{decimals}f}"
    return f"{area:.1g}" if area > 0 and float(text) == 0 else text
