"""`sample`: points of a class map to be labelled, drawn class by class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
import shapely

from mapgen.accuracy.sample_options import SampleKeys, SampleOptions
from mapgen.accuracy.stratified import allocation
from mapgen.arrays import Longs
from mapgen.errors import InputError, UsageError, aligned, option
from mapgen.files.commit import Output, check_output
from mapgen.files.inputs import note_inputs, one_run
from mapgen.grid import Window
from mapgen.layers.features import Features, check_geopackage_name, write_features
from mapgen.legend import LayerClass
from mapgen.raster.codebook import CodeArray, Codebook
from mapgen.raster.masks import Mask, open_mask
from mapgen.settings import PathLike, taking

FIELD = "truth"
"""The attribute that is to be filled in."""

SURE = 0.8
"""The share of a class that is taken to be right where nothing is said."""

@dataclass(frozen=True, slots=True)
class Sampled:
    """What was drawn: points by class, in the order of the map's legend."""

    source: str
    output: Path
    classes: tuple[LayerClass, ...]
    pixels: tuple[int, ...]
    points: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        rows = [
            {"id": c.id, "name": c.name, "pixels": n, "points": k}
            for c, n, k in zip(self.classes, self.pixels, self.points, strict=True)
        ]
        return {"source": self.source, "output": str(self.output), "classes": rows}


@taking(SampleOptions, SampleKeys)
@one_run()
def sample(source: PathLike, output: PathLike, **options: Unpack[SampleKeys]) -> Sampled:
    """Points at centres of pixels of a class map, in a GeoPackage with an empty attribute `truth` to be filled in.

    `options` are the fields of `SampleOptions`. The points do not say what the map shows, nor does their order, so that
    nobody is led. They depend on the map and the seed alone. Raises `InputError`, `OutputError` or `UsageError`.
    """
    wanted = SampleOptions(**options)
    place = Output(Path(output), wanted.overwrite)
    note_inputs(source)
    check_geopackage_name(place.path, "points")
    check_output(place)
    with open_mask(str(source)) as mask:
        codes, pixels = _counted(mask)
        classes = _classes(mask, codes)
        points = _shares(mask, classes, pixels, wanted)
        rng = np.random.default_rng(wanted.seed)
        chosen = [np.sort(rng.choice(int(n), int(k), replace=False)) for n, k in zip(pixels, points, strict=True)]
        rows, cols = _found(mask, codes, chosen)
        order = rng.permutation(len(rows))
        write_features(place, _features(mask, rows[order], cols[order], classes))
    by_id = np.argsort([c.id for c in classes], kind="stable")
    return Sampled(
        mask.name, place.path, tuple(classes[i] for i in by_id), tuple(int(pixels[i]) for i in by_id),
        tuple(int(points[i]) for i in by_id),
    )  # fmt: skip


def coded_strips(mask: Mask, codes: Codebook) -> Iterator[tuple[int, CodeArray]]:
    """Codes (h, W) of a class map from the top, with the row each strip begins at."""
    grid, step = mask.grid, mask.strip_rows
    for row in range(0, grid.height, step):
        values, empty = mask.read(Window(row, 0, step, grid.width) & grid.window)
        assert empty is not None
        yield row, codes.encode(values, ~empty, mask.name)


def _counted(mask: Mask) -> tuple[Codebook, Longs]:
    """The classes of the map in the order in which they are met, and the pixels of each."""
    codes, pixels = Codebook(), np.zeros(0, np.int64)
    for _, strip in coded_strips(mask, codes):
        found = np.bincount(strip[strip >= 0].ravel(), minlength=len(codes))
        pixels = found + np.pad(pixels, (0, len(found) - len(pixels)))
    if not pixels.any():
        raise InputError(mask.name, "has no data, so there is nothing to sample", "is it the right map?")
    return codes, pixels


def _classes(mask: Mask, codes: Codebook) -> list[LayerClass]:
    return [mask.names.of([int(key)])[0] for key in codes.keys]


def _shares(mask: Mask, classes: list[LayerClass], pixels: Longs, options: SampleOptions) -> Longs:
    """How many points each class gets."""
    expected = np.full(len(classes), SURE)
    for name, share in (options.expected or {}).items():
        value = mask.names.find(name)
        which = [i for i, c in enumerate(classes) if c.id == value]
        if not which:
            known = ", ".join(c.name for c in classes)[:300]
            raise UsageError(option("expected"), f"no pixel is of a class {name!r}", f"use one of {known}")
        expected[which] = share
    if options.by == "pixel":
        if options.expected:
            raise UsageError(option("expected"), "has no meaning where pixels are drawn", "leave it out")
        every = np.random.default_rng((options.seed, 1)).multivariate_hypergeometric(
            pixels, min(options.count, int(pixels.sum())), method="marginals"
        )
        return np.asarray(every, np.int64)
    if options.count < 2 * len(classes):
        problem = f"{options.count} points for {len(classes)} classes: each needs two or more"
        raise UsageError(option("count"), problem, f"such as {option('count', 50 * len(classes))}")
    return allocation(pixels.astype(np.float64), options.count, options.least, expected)


def _found(mask: Mask, codes: Codebook, chosen: list[Longs]) -> tuple[Longs, Longs]:
    """Rows and columns of the pixels that are the `chosen` ones of each class, counted from the top."""
    passed, rows, cols = np.zeros(len(chosen), np.int64), [], []
    for row, strip in coded_strips(mask, codes):
        for code, ordinals in enumerate(chosen):
            places = np.flatnonzero(strip.ravel() == code)
            mine = ordinals[(ordinals >= passed[code]) & (ordinals < passed[code] + len(places))] - passed[code]
            r, c = np.divmod(places[mine], strip.shape[1])
            rows.append(r + row)
            cols.append(c)
            passed[code] += len(places)
    return np.concatenate(rows), np.concatenate(cols)


def _features(mask: Mask, rows: Longs, cols: Longs, classes: list[LayerClass]) -> Features:
    x, y = mask.grid.points(cols.astype(np.float64) + 0.5, rows.astype(np.float64) + 0.5)
    columns = {"id": np.arange(1, len(rows) + 1), FIELD: np.full(len(rows), None, object), "row": rows, "col": cols}
    named = {c.id: c.name for c in [*mask.names.classes.values(), *classes]}
    names = [named[value] for value in sorted(named)]
    return Features("points", "Point", shapely.points(x, y), columns, mask.grid.crs, _style(names))


def _style(names: list[str]) -> bytes:
    """What QGIS shows: a ring around each place, red until it has a truth, and the classes to choose from in the form.

    See `QgsValueMapFieldFormatter` for the list of values.
    """
    root = Element("qgis", version="3.28", styleCategories="Symbology|Fields|Forms")
    renderer = SubElement(root, "renderer-v2", type="RuleRenderer", enableorderby="0")
    rules, symbols = SubElement(renderer, "rules", key="points"), SubElement(renderer, "symbols")
    looks = (("to do", f'"{FIELD}" IS NULL', "220,30,30,255"), ("done", f'"{FIELD}" IS NOT NULL', "30,120,220,255"))
    for place, (label, rule, color) in enumerate(looks):
        SubElement(rules, "rule", key=f"rule{place}", filter=rule, label=label, symbol=str(place))
        symbol = SubElement(symbols, "symbol", type="marker", name=str(place), alpha="1")
        mark = SubElement(SubElement(symbol, "layer", {"class": "SimpleMarker", "enabled": "1"}), "Option", type="Map")
        for name, value in (
            ("name", "circle"), ("color", "0,0,0,0"), ("outline_color", color), ("outline_width", "0.5"), ("size", "4"),
        ):  # fmt: skip
            SubElement(mark, "Option", type="QString", name=name, value=value)
    field = SubElement(SubElement(root, "fieldConfiguration"), "field", name=FIELD)
    config = SubElement(SubElement(field, "editWidget", type="ValueMap"), "config")
    entries = SubElement(SubElement(config, "Option", type="Map"), "Option", type="List", name="map")
    for name in names:
        SubElement(SubElement(entries, "Option", type="Map"), "Option", type="QString", name=name, value=name)
    return b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + tostring(root, encoding="utf-8")


def lines(found: Sampled) -> Iterator[str]:
    """What was drawn, as a table."""
    rows = zip(found.classes, found.pixels, found.points, strict=True)
    yield from aligned([["class", "pixels", "points"], *([c.name, str(n), str(k)] for c, n, k in rows)])
