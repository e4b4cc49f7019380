"""`evaluate` with points: how good a map is, and how much ground of each class there really is, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from mapgen.accuracy.options import EvaluateOptions, Floor
from mapgen.accuracy.page import Bar, Section, bars, matrix, page, table
from mapgen.accuracy.sampling import FIELD, coded_strips
from mapgen.accuracy.stratified import FEWEST, Estimated, Estimates, estimate
from mapgen.arrays import Floats, Longs
from mapgen.errors import InputError, UsageError, aligned, option
from mapgen.files.commit import Output, check_output, write_whole
from mapgen.files.inputs import note_inputs, one_run
from mapgen.files.vectors import facts_of, read_shapes
from mapgen.grid import Window, transformer
from mapgen.layers.class_areas import ClassAreas
from mapgen.layers.crs import wkt_of
from mapgen.legend import NODATA, LayerClass, color_of
from mapgen.raster.class_raster import class_key, read_values
from mapgen.raster.codebook import Codebook
from mapgen.raster.masks import Mask, open_mask

FIGURES = {"accuracy": "overall", "precision": "user", "recall": "producer"}
"""Figures that points tell too, by the names they have elsewhere, and in `Estimates`."""


@dataclass(frozen=True, slots=True)
class PointReport:
    """What points say of a map; `counts` (K, K) are points by the class of the map (row) and of the truth (column)."""

    source: str
    points: str
    classes: tuple[LayerClass, ...]
    counts: Longs
    mapped_m2: Floats
    """Ground that the map shows of each class, in square metres; in pixels for a map without a CRS."""
    on_ground: bool
    estimates: Estimates
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def area_m2(self) -> Estimated:
        """The ground of each class, (K,), in the unit of `mapped_m2`."""
        total = self.mapped_m2.sum()
        return Estimated(self.estimates.shares.value * total, self.estimates.shares.error * total)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values; `confusion` is in points, rows by the map, columns by the truth."""
        found, area = self.estimates, self.area_m2
        rows = []
        for k, one in enumerate(self.classes):
            row: dict[str, Any] = {"id": one.id if one.id >= 0 else None, "name": one.name}
            for name, figure in (("share", found.shares), ("user", found.user), ("producer", found.producer)):
                row |= {name: _plain(figure.value[k]), f"{name}_half": _plain(figure.half[k])}
            if self.on_ground:
                row |= {"mapped_ha": _plain(self.mapped_m2[k] / 1e4), "area_ha": _plain(area.value[k] / 1e4)}
                row["area_ha_half"] = _plain(area.half[k] / 1e4)
            rows.append(row | {"points": int(self.counts[k].sum())})
        return {
            "source": self.source, "points": self.points, "count": int(self.counts.sum()),
            "accuracy": _plain(found.overall.value), "accuracy_half": _plain(found.overall.half), "classes": rows,
            "confusion": self.counts.tolist(), "warnings": list(self.warnings), "failed": list(self.failed),
            "exit_code": 9 if self.failed else 0,
        }  # fmt: skip


def _plain(value: Any) -> float | None:
    return None if math.isnan(float(value)) else round(float(value), 6)


@one_run()
def evaluate_points(source: str, points: str, options: EvaluateOptions) -> PointReport:
    """What labelled points say of the class map `source`; the attribute that holds their classes is `truth` unless
    `options.attribute` names another.

    The strata are the classes of the map. Raises `InputError` where a class of the map has fewer than two points:
    nothing could be said of it; `UsageError` for options that have no meaning for points.
    """
    note_inputs(source, points)
    _check_options(options)
    if options.html is not None:
        check_output(Output(options.html, options.overwrite))
    with open_mask(source) as mask:
        codes, ground = _ground(mask)
        places, labels, notes = _read_points(Path(points), mask, options)
        mapped, inside = _looked_up(mask, codes, places)
        truth = np.array([codes.code(class_key(mask.names, label), points) for label in labels], np.int64)
        ignored = {codes.code(class_key(mask.names, name), points) for name in options.ignore}
        used = (mapped >= 0) & ~np.isin(truth, list(ignored))
        warnings = list(_left_out(inside, mapped, truth, ignored))
        if not used.any():
            raise InputError(points, "none of its points lies on the map and has data", "is it the right map?")
        size = len(codes)
        counts = np.bincount(mapped[used] * size + truth[used], minlength=size * size).reshape(size, size)
        weights = np.pad(ground, (0, size - len(ground)))
        classes = [_class(mask, code, key) for code, key in enumerate(codes.keys)]
        counts, weights, classes = _ordered(counts, weights, classes)
        _check_points(points, counts, weights, classes)
        warnings += _unknown(counts, weights, classes)
    found = estimate(counts.astype(np.float64), weights)
    failed = tuple(_failed(options.fail_under, found, classes))
    on_ground = mask.grid.crs is not None
    report = PointReport(
        mask.name, points, tuple(classes), counts, weights, on_ground, found, tuple(notes), tuple(warnings), failed
    )
    if options.html is not None:
        write_whole(Output(options.html, options.overwrite), points_page(report))
    return report


def _check_options(options: EvaluateOptions) -> None:
    plain = EvaluateOptions()
    for name in (
        "feature_class", "outside", "priority", "match", "boundary", "objects", "confidence_raster", "block", "worst",
    ):  # fmt: skip
        if getattr(options, name) != getattr(plain, name):
            raise UsageError(option(name), "has no meaning for points", "leave it out")
    for floor in options.fail_under:
        if floor.figure not in FIGURES:
            known = "accuracy, or precision and recall with a class"
            raise UsageError(option("fail_under"), f"points do not tell {floor}", f"use {known}")


def _ground(mask: Mask) -> tuple[Codebook, Floats]:
    """The classes of the map, and the ground of each in square metres; in pixels without a CRS."""
    codes, areas = Codebook(), ClassAreas()
    for row, strip in coded_strips(mask, codes):
        areas.add(row, np.where(strip < 0, NODATA, strip).astype(np.uint8))
    pixels = areas.finish()
    found: dict[int, float] = {k: float(n) for k, n in pixels.items()}
    if mask.grid.crs is not None:
        measured = areas.areas(mask.grid)
        found = measured if all(map(math.isfinite, measured.values())) else found
    return codes, np.array([found[code] for code in range(len(codes))])


def _read_points(
    path: Path, mask: Mask, options: EvaluateOptions
) -> tuple[NDArray[np.float64], list[Any], list[str]]:
    """Coordinates (N, 2) of the points that have a truth, in the CRS of the map, what that is, and notes."""
    subject = path.name
    facts = facts_of(path, subject, options.layer)
    name = options.attribute or FIELD
    if name not in list(facts["fields"]):
        has = ", ".join(map(str, facts["fields"])) or "none"
        raise UsageError(option("attribute"), f"{subject} has no attribute {name!r}; it has {has}", "name one of them")
    shapes, _, columns = read_shapes(path, subject, facts, [name])
    point = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes)) & (shapely.get_type_id(shapes) == 0)
    if len(shapes) and not point.any():
        kinds = ", ".join(sorted({str(shape.geom_type).lower() for shape in shapes if shape is not None}))
        raise InputError(subject, f"holds {kinds or 'no geometry'}, not points", "name a file of points")
    values = columns[name].tolist()
    told = point & np.array([not _is_null(value) for value in values], bool)
    if not told.any():
        raise InputError(subject, f"no point has a {name}", f"fill in the attribute {name} first, in QGIS for example")
    notes = [f"{int((~told).sum())} of {len(told)} points have no {name}; they do not count"] if not told.all() else []
    shapes = _in_crs_of(mask, shapes[told], facts["crs"], options.assume_crs, subject)
    return shapely.get_coordinates(shapes), [v for v, t in zip(values, told, strict=True) if t], notes


def _is_null(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _in_crs_of(mask: Mask, shapes: Any, own: str | None, assumed: str | None, subject: str) -> Any:
    """The points in the coordinates of the map."""
    import pyproj

    if mask.grid.crs is None:
        return shapes
    if own is None and assumed is None:
        raise InputError(subject, "does not name its CRS", f"name it with {option('assume_crs', 'EPSG:n')}")
    source = pyproj.CRS(wkt_of(str(own or assumed), "assume_crs"))
    target = pyproj.CRS(mask.grid.crs)
    if source.equals(target, ignore_axis_order=True):
        return shapes
    to = transformer(source, target)
    return shapely.transform(shapes, lambda xy: np.stack(to.transform(xy[:, 0], xy[:, 1]), axis=1))


def _looked_up(mask: Mask, codes: Codebook, places: NDArray[np.float64]) -> tuple[Longs, NDArray[np.bool_]]:
    """The code of the map at each place, -1 where it has none, and whether the place is on the map at all."""
    grid = mask.grid
    inverse = ~grid.transform
    with np.errstate(invalid="ignore"):
        a, b, c, d, e, f = tuple(inverse)[:6]
        cols, rows = a * places[:, 0] + b * places[:, 1] + c, d * places[:, 0] + e * places[:, 1] + f
        # A point half a millionth of a pixel above the upper border is the rounding of one on it.
        cols, rows = np.floor(cols + 1e-6), np.floor(rows + 1e-6)
        inside = (rows >= 0) & (rows < grid.height) & (cols >= 0) & (cols < grid.width)
    found = np.full(len(places), -1, np.int64)
    step = mask.strip_rows
    for top in np.unique(rows[inside].astype(np.int64) // step * step).tolist():
        window = Window(top, 0, step, grid.width) & grid.window
        here = np.flatnonzero(inside & (rows >= window.row) & (rows < window.bottom))
        values, valid = read_values(mask, window)
        at = rows[here].astype(int) - top, cols[here].astype(int)
        found[here] = codes.encode(values[at], valid[at], mask.name)
    return found, inside


def _left_out(inside: Any, mapped: Longs, truth: Longs, ignored: set[int]) -> Iterator[str]:
    total = len(inside)
    for count, text in (
        (int((~inside).sum()), "lie outside the map"),
        (int((inside & (mapped < 0)).sum()), "lie where the map has no data"),
        (int(((mapped >= 0) & np.isin(truth, list(ignored))).sum()), "have a truth that is ignored"),
    ):
        if count:
            yield f"{count} of {total} points {text}; they do not count"


def _class(mask: Mask, code: int, key: int | str) -> LayerClass:
    return mask.names.of([key])[0] if isinstance(key, int) else LayerClass(-1, key, color_of(code))


def _ordered(counts: Longs, weights: Floats, classes: list[LayerClass]) -> tuple[Longs, Floats, list[LayerClass]]:
    """By id, names without one last; classes that neither map nor points have are left out."""
    there = [k for k in range(len(classes)) if weights[k] > 0 or counts[:, k].any()]
    order = sorted(there, key=lambda k: (classes[k].id < 0, classes[k].id, classes[k].name))
    return counts[np.ix_(order, order)], weights[order], [classes[k] for k in order]


def _check_points(subject: str, counts: Longs, weights: Floats, classes: list[LayerClass]) -> None:
    few = [k for k in range(len(classes)) if weights[k] > 0 and counts[k].sum() < FEWEST]
    if few:
        what = ", ".join(f"{classes[k].name} ({int(counts[k].sum())})" for k in few)
        problem = f"too few points lie on classes of the map to say anything of them: {what}"
        raise InputError(subject, problem, "label at least two of each, fifty are good: mapgen sample MAP --by class")


def _unknown(counts: Longs, weights: Floats, classes: list[LayerClass]) -> Iterator[str]:
    names = [f"{c.name} ({int(n)} points)" for c, n, w in zip(classes, counts.sum(0), weights, strict=True) if w == 0]
    if names:
        yield f"classes that the map does not have, all of which it gets wrong: {', '.join(names)}"


def _failed(floors: tuple[Floor, ...], found: Estimates, classes: list[LayerClass]) -> Iterator[str]:
    for floor in floors:
        values = np.atleast_1d(getattr(found, FIGURES[floor.figure]).value)
        names = [c.name.casefold() for c in classes]
        if floor.of is not None and floor.of.casefold() not in names:
            known = ", ".join(c.name for c in classes)
            raise UsageError(option("fail_under"), f"no class is called {floor.of!r}", f"use one of {known}")
        value = float(values[0 if floor.of is None else names.index(floor.of.casefold())])
        if not value >= floor.least:
            yield f"{floor} is {value:.4f}, below {floor.least:g}"


def lines(found: PointReport) -> Iterator[str]:
    """The report as a text of tables."""
    estimates = found.estimates
    yield f"{found.source} by {int(found.counts.sum())} points of {found.points}"
    yield ""
    yield f"accuracy  {_with_half(estimates.overall.value, estimates.overall.half)}"
    yield ""
    yield from aligned(list(area_rows(found)))
    yield from ("", "points by the class of the map (rows) and the truth (columns):")
    yield from aligned([
        ["", *(c.name for c in found.classes)],
        *([c.name, *map(str, row)] for c, row in zip(found.classes, found.counts.tolist(), strict=True)),
    ])  # fmt: skip


def area_rows(found: PointReport) -> Iterator[list[str]]:
    """The table of areas and accuracies, with its head; ± is half the 95 % interval."""
    estimates, area, total = found.estimates, found.area_m2, found.mapped_m2.sum()
    unit, factor, digits = ("ha", 1e-4, 2) if found.on_ground else ("share", 1 / total, 4)
    yield ["class", "points", f"mapped, {unit}", f"area, {unit}", "user's accuracy", "producer's accuracy"]
    for k, one in enumerate(found.classes):
        yield [
            one.name, str(int(found.counts[k].sum())), f"{found.mapped_m2[k] * factor:.{digits}f}",
            f"{area.value[k] * factor:.{digits}f} ± {area.half[k] * factor:.{digits}f}",
            _with_half(estimates.user.value[k], estimates.user.half[k]),
            _with_half(estimates.producer.value[k], estimates.producer.half[k]),
        ]  # fmt: skip


def points_page(found: PointReport) -> str:
    """The report as one page."""
    unit, factor = ("ha", 1e-4) if found.on_ground else ("%", 100 / float(found.mapped_m2.sum()))
    area = found.area_m2
    rows = [
        Bar(one.name, one.color, float(area.value[k]), float(area.half[k]), float(found.mapped_m2[k]))
        for k, one in enumerate(found.classes)
    ]

    def sections() -> Iterator[Section]:
        overall = found.estimates.overall
        yield f"Accuracy {_with_half(overall.value, overall.half)}", table(
            area_rows(found), [one.color for one in found.classes]
        )
        yield "Ground by class, ± 95 % (bar), and what the map shows (line)", bars(rows, unit, factor)
        names = [one.name for one in found.classes]
        yield "Confusion: what the points of each class of the map (rows) really are, in % of them", matrix(
            names, found.counts
        )

    title = f"{found.source} by {int(found.counts.sum())} points of {found.points}"
    return page(title, (*found.warnings, *found.notes), sections())


def _with_half(value: Any, half: Any) -> str:
    return "–" if math.isnan(float(value)) else f"{float(value):.3f} ± {float(half):.3f}"
