"""`roads`: a road network from a class map."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from mapgen.arrays import Bytes, Floats
from mapgen.errors import UsageError
from mapgen.files.commit import Output, check_output, locked
from mapgen.files.gdal import cache_bytes, environment
from mapgen.files.inputs import note_inputs, one_run
from mapgen.files.vet import beside
from mapgen.kernels import announced
from mapgen.layers.area import pixel_areas
from mapgen.layers.crs import coordinate_decimals, layer_crs, placed
from mapgen.layers.reproject import is_geographic
from mapgen.parallel import Progress
from mapgen.polygons.regions import Regions, find_regions
from mapgen.polygons.sieve import fill_holes, sieved
from mapgen.raster.aoi import area_of
from mapgen.raster.masks import Mask, open_mask
from mapgen.roads.antimeridian import cut_at_180
from mapgen.roads.bridges import bridged
from mapgen.roads.graph import Graph
from mapgen.roads.ground import on_the_ground
from mapgen.roads.islands import without_islands
from mapgen.roads.junctions import contracted
from mapgen.roads.layers import DIGITS, LIMITS, LONLAT_FORMATS, SUFFIXES, write_network
from mapgen.roads.network import Network
from mapgen.roads.options import RoadsKeys, RoadsOptions
from mapgen.roads.read import ClassCosts, Probabilities, road_values
from mapgen.roads.skeleton import trace
from mapgen.roads.spurs import pruned
from mapgen.roads.strips import OTHER, ROAD, UNKNOWN, near_unknown, skeleton_in_strips
from mapgen.settings import PathLike, Size, taking

LEAST_WAY_M = 40.0
"""Metres of the way round, at least, that a bridge within a part must save."""

ISLAND_M2 = 300.0
"""Square metres of an island in the middle of a road, at most: a tree that hides it, a median."""


@dataclass(slots=True)
class Result:
    """What became of one class map."""

    source: str
    output: Path
    format: str
    length_m: float = 0.0
    edges: int = 0
    nodes: int = 0
    parts: int = 0
    largest: float = 0.0
    """Share of the length that lies in the longest part."""
    loops: int = 0
    dead_ends: int = 0
    frame_ends: int = 0
    bridges: int = 0
    bridged_m: float = 0.0
    bytes: int = 0
    seconds: float = 0.0
    limits: str = LIMITS
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return dataclasses.asdict(self) | {"output": str(self.output)}


def default_output(source: str, folder: Path | None = None, form: str = "gpkg") -> Path:
    """`scene.mask.tif` → `scene.roads.gpkg`, beside the map (a URL: in the current folder) or in `folder`."""
    path = beside(source, f".roads.{form}", folder)
    return path.with_name(path.name.replace(f".mask.roads.{form}", f".roads.{form}"))


@taking(RoadsOptions, RoadsKeys)
def extract_roads(source: PathLike, output: PathLike | None = None, **options: Unpack[RoadsKeys]) -> Result:
    """Write the roads of the class map `source` as a network to `output`, by default `NAME.roads.gpkg` beside it.

    `options` are the fields of `RoadsOptions`. Raises `InputError`, `OutputError` or `UsageError`; then nothing is
    written.
    """
    settled = RoadsOptions(**options)
    target = Path(output) if output is not None else default_output(str(source), form=settled.format or "gpkg")
    return Extractor(settled)(str(source), target)


def format_of(output: Path, options: RoadsOptions) -> str:
    """The format of an output: as asked for, else by its suffix. Raises `UsageError` where they do not say."""
    if options.format is not None:
        return options.format
    name = output.name.lower()
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix):
            return SUFFIXES[suffix]
    known = ", ".join(SUFFIXES)
    problem = f"no format is known by the suffix {output.suffix or '(none)'} of {output.name}"
    raise UsageError("-o", problem, f"use one of {known}, or -f")


class Extractor:
    """The options of one run, ready for any number of class maps."""

    def __init__(self, options: RoadsOptions, announce: Callable[[str], None] | None = None) -> None:
        self.options = options
        self.announce = announce
        self.threads = options.threads or min(8, os.cpu_count() or 1)

    @one_run()
    def __call__(self, source: str, output: Path, progress: Progress | None = None) -> Result:
        """Write the network of the class map `source` to `output`."""
        start = time.perf_counter()
        options, form = self.options, format_of(output, self.options)
        note_inputs(source, options.clip, options.probabilities_raster)
        place = Output(output, options.overwrite)
        check_output(place)
        listening = announced(self.announce) if self.announce else contextlib.nullcontext()
        with locked(output):
            with listening, environment(), open_mask(source, self.threads) as mask, contextlib.ExitStack() as stack:
                job = Job(mask, options, form, self.threads, stack)
                with environment(cache_bytes(mask.grid.width, mask.strip_rows, mask.itemsize)):
                    network = job.network(output, progress)
            result = job.result(source, output, network)
            result.bytes = write_network(place, network, form)
        result.seconds = round(time.perf_counter() - start, 3)
        return result


class Job:
    """One class map on its way to a network."""

    def __init__(self, mask: Mask, options: RoadsOptions, form: str, threads: int, stack: contextlib.ExitStack) -> None:
        self.mask, self.options, self.form, self.threads = mask, options, form, threads
        self.grid = placed(mask.grid, mask.name, options.assume_crs)
        self.crs = layer_crs(self.grid, options.crs, lonlat=form in LONLAT_FORMATS)
        self.across, down = self.grid.resolution_m
        self.aspect = down / self.across
        self.roads = road_values(mask, options.classes)
        self.bridges = 0
        self.probabilities: Probabilities | None = None
        if options.probabilities_raster is not None:
            names = {c.name.strip().casefold() for c in mask.names.of(self.roads)} | {"road"}
            self.probabilities = Probabilities(options.probabilities_raster, self.grid, names)
            stack.callback(self.probabilities.close)
        if options.clip is not None:
            mask.area = area_of(mask.grid, options.clip, None, "clip")

    def pixels(self, size: Size) -> float:
        """A length in pixel widths."""
        return size.value if size.unit == "px" else size.value / self.across

    def network(self, output: Path, progress: Progress | None) -> Network:
        regions = self._tidied(find_regions(self._strips(progress), self.grid.width))
        graph = self._graph(regions)
        confidence = self._confidence(graph)
        digits = None if self.crs is not None else DIGITS.get(self.form, coordinate_decimals(self.grid))
        name = self.options.layer_name or output.name.split(".")[0]
        network = on_the_ground(
            graph, self.grid, self.crs, name, tolerance=self.pixels(self.options.simplify), confidence=confidence,
            width_px=self.pixels(self.options.max_width), digits=digits, threads=self.threads,
        )  # fmt: skip
        if self.crs is None or is_geographic(self.crs):
            network = cut_at_180(network)
        first = min(self.roads)
        return dataclasses.replace(network, road=self.mask.names.of([first])[0].name, road_id=first)

    def _strips(self, progress: Progress | None) -> Iterator[Bytes]:
        """What each pixel is, strip by strip."""
        row = 0
        for strip in self.mask.strips():
            codes = np.full(strip.shape, OTHER, np.uint8)
            codes[np.isin(strip, list(self.roads))] = ROAD
            if self.options.threshold is not None and self.probabilities is not None:
                codes = np.where(self._read(row, len(strip)) > self.options.threshold[0], ROAD, OTHER).astype(np.uint8)
            codes[strip == self.mask.nodata] = UNKNOWN
            yield codes
            row += len(strip)
            if progress:
                progress(row, self.grid.height)

    def _read(self, row: int, rows: int) -> Any:
        assert self.probabilities is not None
        return self.probabilities.read(row, row + rows)

    def _tidied(self, regions: Regions) -> Regions:
        """Without roads that are nowhere likely enough, specks and holes."""
        options = self.options
        if options.threshold is not None and self.probabilities is not None:
            sure = np.zeros(len(regions) + 1, np.bool_)
            for row in range(0, regions.height, 512):
                rows = min(512, regions.height - row)
                likely = self._read(row, rows) >= options.threshold[1]
                sure[np.unique(regions.raster(slice(row, row + rows))[likely])] = True
            values = np.where((regions.values == ROAD) & ~sure, OTHER, regions.values).astype(np.uint8)
            strips = (values[regions.raster(slice(row, row + 512))] for row in range(0, regions.height, 512))
            regions = find_regions(strips, regions.width)
        for size, tidy in ((options.sieve, sieved), (options.min_hole, fill_holes)):
            if size.value > 0:
                weights = pixel_areas(self.grid) if size.unit == "m2" else None
                regions = tidy(regions, size.value, UNKNOWN, weights)
        return regions

    def _graph(self, regions: Regions) -> Graph:
        options, aspect = self.options, self.aspect
        width = max(self.pixels(options.max_width), 2.0)
        spur, budget = self.pixels(options.spur), self.pixels(options.bridge)
        skeleton = skeleton_in_strips(regions, width, aspect, threads=self.threads)
        graph = pruned(_with_unknown(trace(skeleton), regions), spur, aspect)
        del skeleton
        cost = self.probabilities.cost if self.probabilities is not None else ClassCosts(self.mask, self.roads).cost
        graph, self.bridges = bridged(
            graph, cost, self.grid.height, self.grid.width, budget, LEAST_WAY_M / self.across, aspect=aspect,
            threads=self.threads,
        )  # fmt: skip
        graph = without_islands(pruned(graph, spur, aspect), ISLAND_M2 / self.across**2, aspect)
        graph = contracted(graph, self.grid.height, aspect)
        return long_parts(graph, self.pixels(options.min_length), aspect)

    def _confidence(self, graph: Graph) -> Floats:
        """The probability of road at each pixel of the graph, NaN where none is known."""
        out = np.full(len(graph.x), np.nan)
        if self.probabilities is None or not len(graph):
            return out
        order = np.argsort(graph.y, kind="stable")
        rows = graph.y[order]
        for first in range(0, self.grid.height, 512):
            some = order[np.searchsorted(rows, first) : np.searchsorted(rows, first + 512)]
            if len(some):
                values = self.probabilities.read(first, min(first + 512, self.grid.height))
                out[some] = values[graph.y[some] - first, graph.x[some]]
        return out

    def result(self, source: str, output: Path, network: Network) -> Result:
        lengths = np.bincount(network.parts[network.u], network.length) if len(network) else np.zeros(1)
        total, degrees = float(network.length.sum()), network.degrees
        warnings = () if len(network) else ("no roads: the network is empty",)
        return Result(
            self.mask.name, output, self.form, round(total, 3), len(network), len(network.x),
            int((lengths > 0).sum()), float(lengths.max() / total) if total else 0.0, network.loops(),
            int(((degrees == 1) & ~network.frame).sum()), int(((degrees == 1) & network.frame).sum()), self.bridges,
            round(float(network.bridged.sum()), 1), warnings=warnings,
        )  # fmt: skip


def long_parts(graph: Graph, least: float, aspect: float = 1.0) -> Graph:
    """Without the parts shorter than `least` (pixel widths) that do not reach the frame."""
    if not len(graph):
        return graph
    parts = graph.parts()
    sums = np.bincount(parts[graph.u], graph.lengths(aspect), int(parts.max()) + 1)
    keep = sums >= least
    keep[parts[graph.frame[graph.nodes]]] = True
    return graph.taken(np.flatnonzero(keep[parts[graph.u]]))


def _with_unknown(graph: Graph, regions: Regions) -> Graph:
    """Dead ends where knowledge ends lie at the frame too."""
    ends = graph.nodes[(graph.degrees() == 1) & ~graph.frame[graph.nodes]]
    frame = graph.frame.copy()
    frame[ends] |= near_unknown(regions, graph.x[ends], graph.y[ends], graph.r[ends])
    return dataclasses.replace(graph, frame=frame)
