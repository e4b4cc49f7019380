"""`evaluate` for lines: a network against true lines, or against the roads of a label raster."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from mapgen.accuracy.options import LINE_FIGURES, EvaluateOptions
from mapgen.errors import InputError, UsageError, one_line, option
from mapgen.files.gdal import environment
from mapgen.files.kind import is_lines
from mapgen.raster.masks import open_mask
from mapgen.roads.extract import Job
from mapgen.roads.ground import in_lonlat
from mapgen.roads.lines import RoadLines, centre_of, in_metres, read_lines
from mapgen.roads.options import RoadsOptions
from mapgen.roads.score import SNAP_M, LineScore, score
from mapgen.roads.ways import Ways, snapped
from mapgen.settings import Size

"""What is named like this is a file of lines."""

WIDTH_STEP_M = 10.0


@dataclass(slots=True)
class LineEvaluation:
    """The figures of one network, and what of them is lower than it should be."""

    source: str
    truth: str
    score: LineScore
    failed: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values; None where a figure is not known."""
        figures = dataclasses.asdict(self.score)
        figures["topo"] |= {"f1": self.score.topo.f1}
        return {"source": self.source, "truth": self.truth, "lines": _plain(figures), "failed": self.failed}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, 6)
    return value


def compare_lines(source: str, truth: str, options: EvaluateOptions) -> LineEvaluation:
    """Measure the network `source` against `truth`, lines or a class raster whose roads are traced.

    Raises `InputError` where either holds no lines or the two do not lie on each other.
    """
    _check(options)
    found = read_lines(Path(source), None, None)
    true = read_lines(Path(truth), options.layer, options.assume_crs) if is_lines(truth) else _traced(truth, options)
    if not len(true.ways):
        raise InputError(true.name, "has no roads", "is it the truth?")
    _check_place(found, true, truth)
    lon, lat = centre_of(true.ways)
    one, other = in_metres(true.ways, lon, lat), in_metres(found.ways, lon, lat)
    figures = score(one, other, seed=options.seed)
    bias, rms = _width_errors(one, other, true, found)
    figures = dataclasses.replace(figures, width_bias_m=bias, width_rms_m=rms)
    out = LineEvaluation(source, truth, figures)
    values = {
        "apls": figures.apls, "topo": figures.topo.f1, "completeness": figures.completeness,
        "correctness": figures.correctness,
    }  # fmt: skip
    low = [f for f in options.fail_under if values[f.figure] < f.least]
    out.failed = [f"{floor} is {values[floor.figure]:.3f}, wanted {floor.least:g}" for floor in low]
    return out


def _check(options: EvaluateOptions) -> None:
    for key, given in (
        ("attribute", options.attribute), ("outside", options.outside), ("priority", options.priority),
        ("ignore", options.ignore), ("boundary", options.boundary), ("objects", options.objects),
        ("confidence_raster", options.confidence_raster),
        ("worst", options.worst), ("html", options.html), ("block", options.block),
    ):  # fmt: skip
        if given:
            raise UsageError(option(key), "is for class maps, not for lines", "leave it out")
    for floor in options.fail_under:
        if floor.figure not in LINE_FIGURES:
            raise UsageError(
                option("fail_under"), f"{floor} is not a figure of lines", f"use {', '.join(LINE_FIGURES)}"
            )


def _traced(name: str, options: EvaluateOptions) -> RoadLines:
    """The roads of a label raster as lines: traced like those of a class map, but no gap is bridged."""
    classes = None if options.feature_class is None else (options.feature_class,)
    how = RoadsOptions(classes=classes, bridge=Size(0.0, "m"), assume_crs=options.assume_crs)
    with environment(), open_mask(name) as mask, contextlib.ExitStack() as stack:
        network = in_lonlat(Job(mask, how, "gpkg", 1, stack).network(Path(name), None), 9)
    return RoadLines(one_line(name), None, network.ways(), network.width, network.width_min, network.bridged)


def _check_place(found: RoadLines, true: RoadLines, truth: str) -> None:
    boxes = [(w.lines.x.min(), w.lines.y.min(), w.lines.x.max(), w.lines.y.max()) for w in (found.ways, true.ways)]
    one, other = (shapely.box(*box) for box in boxes)
    if not one.intersects(other):
        texts = (", ".join(f"{v:.6g}" for v in box) for box in boxes)
        problem = "nothing of it lies near the network (bounds {1}; the network's {0})".format(*texts)
        raise InputError(one_line(truth), problem, "check its coordinates and CRS")


def _width_errors(one: Ways, other: Ways, true: RoadLines, found: RoadLines) -> tuple[float, float]:
    """Mean and rms of the difference in width, in metres, every WIDTH_STEP_M where the two run together."""
    if np.isnan(true.width).all() or np.isnan(found.width).all():
        return float("nan"), float("nan")
    lines = other.geometries()
    counts = np.maximum(1, (other.length / WIDTH_STEP_M).astype(int))
    edge = np.repeat(np.arange(len(lines)), counts)
    share = (np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + 0.5) / counts[edge]
    at = shapely.line_interpolate_point(lines[edge], share, normalized=True)
    places = snapped(one, shapely.get_x(at), shapely.get_y(at), SNAP_M)
    near = places.edges >= 0
    off = found.width[edge[near]] - true.width[places.edges[near]]
    off = off[np.isfinite(off)]
    return (float(off.mean()), float(np.sqrt(np.mean(off**2)))) if len(off) else (float("nan"), float("nan"))


def report_lines(found: LineEvaluation) -> list[str]:
    """The figures as lines of text."""
    s = found.score
    lines = [
        f"APLS          {s.apls:.3f}   ({s.apls_truth:.3f} from the truth, {s.apls_found:.3f} from the network; "
        f"{s.apls_8m:.3f} within 8 m)",
        f"TOPO          {s.topo.f1:.3f}   (precision {s.topo.precision:.3f}, recall {s.topo.recall:.3f})",
        f"completeness  {s.completeness:.3f}   correctness {s.correctness:.3f}   quality {s.quality:.3f}   "
        f"(within {SNAP_M:g} m; mean offset {s.offset_m:.2f} m)",
        f"length        {s.found.length_m / 1000:.2f} km, truth {s.truth.length_m / 1000:.2f} km "
        f"({s.length_error:+.1%})",
        f"ways          {s.ways.good:.1%} within 5 %, {s.ways.long:.1%} too long, {s.ways.short:.1%} too short, "
        f"{s.ways.missing:.1%} missing",
        f"connectivity  reach {s.found.reach:.3f} (truth {s.truth.reach:.3f}), {s.found.parts} parts "
        f"({s.truth.parts}), {s.found.loops} loops ({s.truth.loops}), "
        f"{s.found.dead_ends_per_km:.2f} dead ends per km ({s.truth.dead_ends_per_km:.2f})",
    ]
    if np.isfinite(s.width_bias_m):
        lines.append(f"width         {s.width_bias_m:+.2f} m in the mean, {s.width_rms_m:.2f} m rms")
    return lines
