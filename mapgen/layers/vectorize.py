"""`vectorize`: a map layer from a class map."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack

import numpy as np
from numpy.typing import NDArray

from mapgen.errors import UsageError, option
from mapgen.files.commit import Output, check_output, locked
from mapgen.files.gdal import cache_bytes, environment
from mapgen.files.inputs import note_inputs, one_run
from mapgen.files.parquet import check_pyarrow
from mapgen.files.vet import beside
from mapgen.kernels import announced
from mapgen.layers.area import pixel_areas
from mapgen.layers.crs import coordinate_decimals, layer_crs, measure_decimals, placed
from mapgen.layers.frame import layer_frame
from mapgen.layers.ground import on_the_ground
from mapgen.layers.layer import Layer, dissolved
from mapgen.layers.options import VectorizeKeys, VectorizeOptions
from mapgen.layers.write import LONLAT_FORMATS, SUFFIXES, sidecars, stream_layer, write_layer
from mapgen.parallel import Progress, threads
from mapgen.polygons.coverage import Coverage, Generalization, class_drift, count_squares, coverage_of
from mapgen.polygons.regions import OUTSIDE, Regions, Zones, find_regions
from mapgen.polygons.sieve import fill_holes, sieved
from mapgen.raster.aoi import area_of
from mapgen.raster.masks import Mask, open_mask, read_strips
from mapgen.settings import PathLike, taking

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

STDOUT = Path("-")
"""The output that means newline-delimited GeoJSON on stdout."""

LARGE = 100_000_000
"""Bytes of GeoJSON beyond which another format is recommended."""

SMALL = 20_000_000
"""Bytes of GeoJSON up to which it is worth having beside another format."""


@dataclass(slots=True, repr=False)
class Result:
    """What became of one class map."""

    source: str
    output: Path
    format: str
    features: int = 0
    bytes: int = 0
    seconds: float = 0.0
    classes: dict[str, dict[str, float]] = field(default_factory=dict)
    """For each class its id, its polygons, its area in m², by how many pixels generalization has changed its area, and
    how many of its rings got right angles, of those that were to."""
    not_written: dict[str, int] = field(default_factory=dict)
    """Regions that are not in the layer, by the reason."""
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    copy: Path | None = None
    """The layer as GeoJSON beside it, if that was asked for and is small."""

    def __repr__(self) -> str:
        return f"<layer {self.output}: {self.features} polygons, {self.format}, {self.seconds:.1f} s>"

    def to_geodataframe(self) -> GeoDataFrame:
        """The layer as a table of GeoPandas: a row for each polygon, with its attributes and CRS."""
        return layer_frame(self.output)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        plain = dataclasses.asdict(self) | {"output": str(self.output)}
        return {key: value for key, value in plain.items() if key != "copy"}


def default_output(source: str, folder: Path | None = None, form: str = "geojson") -> Path:
    """`scene.mask.tif` → `scene.mask.geojson`, beside the map (a URL: in the current folder) or in `folder`."""
    return beside(source, f".{form}", folder)


@taking(VectorizeOptions, VectorizeKeys)
def vectorize(source: PathLike, output: PathLike | None = None, **options: Unpack[VectorizeKeys]) -> Result:
    """Write the polygons of the class map `source` to `output`, by default `NAME.geojson` beside it.

    `options` are the fields of `VectorizeOptions`. Raises `InputError`, `OutputError` or `UsageError`; then nothing is
    written.
    """
    settled = VectorizeOptions(**options)
    form = settled.format or "geojson"
    target = Path(output) if output is not None else default_output(str(source), form=form)
    return Vectorizer(settled)(str(source), target)


class Vectorizer:
    """The options of one run, checked, ready for any number of class maps."""

    def __init__(self, options: VectorizeOptions, announce: Callable[[str], None] | None = None) -> None:
        self.options = options
        self.announce = announce
        self.threads = threads(options.threads)

    @one_run()
    def __call__(
        self,
        source: str,
        output: Path,
        progress: Progress | None = None,
        stream: BinaryIO | None = None,
        *,
        regions: Regions | None = None,
        copy: Path | None = None,
    ) -> Result:
        """Write the layer of the class map `source` to `output`, or to `stream` where `output` is STDOUT.

        `regions` are those of the map, if they are known: then it is not read for them. `copy` is where the layer is
        also put as GeoJSON, unless that would be about `SMALL` bytes or more.
        """
        start = time.perf_counter()
        form = settled_format(output, self.options)
        note_inputs(source, self.options.clip, self.options.confidence_raster)
        holding: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if output != STDOUT:
            holding = locked(output, *([] if copy is None else [copy]))
            replaced = self.options.overwrite or self.options.append
            check_output(Output(output, replaced, sidecars(output, form)))
        listening = announced(self.announce) if self.announce else contextlib.nullcontext()
        with holding, listening, environment(), open_mask(source, self.threads) as mask:
            job = _Job(mask, self.options, form, self.threads)
            with environment(cache_bytes(mask.grid.width, mask.strip_rows, mask.itemsize)):
                if regions is None:
                    regions = find_regions(job.strips(progress), mask.grid.width)
                layer = job.layer(output, regions)
            result = job.result(source, output, layer)
            if stream is not None and output == STDOUT:
                stream_layer(stream, layer, job.digits, job.decimals, self.threads)
            else:
                result.bytes = write_layer(
                    Output(output, self.options.overwrite), layer, form, digits=job.digits, decimals=job.decimals,
                    append=self.options.append, threads=self.threads,
                )  # fmt: skip
            if copy is not None:
                self._copied(job, copy, result)
        result.seconds = round(time.perf_counter() - start, 3)
        result.notes = tuple(job.notes + _size_hint(result))
        return result

    def _copied(self, job: _Job, copy: Path, result: Result) -> None:
        """Put the layer of a job beside itself as GeoJSON, if it is small."""
        layer = job.grounded(copy, "geojson")
        about = _geojson_bytes(layer, job.digits)
        if about > SMALL:
            limit = f"beyond {SMALL / 1e6:.0f} MB it is written on request only (-f geojson)"
            job.notes.append(f"{copy.name} is left out, it would hold about {about / 1e6:.0f} MB: {limit}")
            return
        write_layer(
            Output(copy, self.options.overwrite), layer, "geojson", digits=job.digits, decimals=job.decimals,
            threads=self.threads,
        )  # fmt: skip
        result.copy = copy


def _geojson_bytes(layer: Layer, digits: int) -> int:
    """About how many bytes a layer takes as GeoJSON: each place is two numbers and what stands between them."""
    places = int(np.diff(layer.lines.offsets)[layer.darts >> 1].sum())
    return places * (2 * (digits + 3) + 4) + 200 * len(layer)


def _size_hint(result: Result) -> list[str]:
    if result.format != "geojson" or result.bytes <= LARGE:
        return []
    return [f"{result.bytes / 1e6:.0f} MB of GeoJSON: FlatGeobuf (.fgb) or GeoPackage (.gpkg) open faster"]


def settled_format(output: Path, options: VectorizeOptions) -> str:
    """`format_of`, if the options and this machine allow it. Raises `UsageError` otherwise."""
    form = format_of(output, options)
    if options.append and form != "gpkg":
        raise UsageError(option("append"), f"only GeoPackages are appended to, not {form}", "use a .gpkg output")
    if form == "parquet":
        check_pyarrow(option("format", "parquet"))
    return form


def format_of(output: Path, options: VectorizeOptions) -> str:
    """The format of an output: as asked for, else by its suffix. Raises `UsageError` where they do not say."""
    if output == STDOUT:
        if options.format not in (None, "geojsonl"):
            raise UsageError(
                option("format"),
                f"{options.format} cannot be streamed",
                f"use geojsonl, or a file with {option('output')}",
            )
        return "geojsonl"
    if options.format is not None:
        return options.format
    form = SUFFIXES.get(output.suffix.lower())
    if form is None:
        known = ", ".join(sorted(SUFFIXES))
        raise UsageError(
            option("output"),
            f"no format is known by the suffix {output.suffix or '(none)'} of {output.name}",
            f"use one of {known}, or -f",
        )
    return form


class _Job:
    """One class map on its way to a layer."""

    def __init__(self, mask: Mask, options: VectorizeOptions, form: str, threads: int) -> None:
        self.mask, self.options, self.form, self.threads = mask, options, form, threads
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.not_written: dict[str, int] = {}
        self.grid = placed(mask.grid, mask.name, options.assume_crs)
        layer_crs(self.grid, options.crs, lonlat=form in LONLAT_FORMATS)  # refuses one that cannot be
        self.digits = coordinate_decimals(self.grid, options.decimals)
        self.decimals = measure_decimals(self.grid)
        if options.clip is not None:
            mask.area = area_of(self.grid, options.clip, None, "clip")

    def layer(self, output: Path, regions: Regions) -> Layer:
        """The layer of the regions of the map."""
        self._wonder(regions)
        regions = self._tidied(regions)
        wanted = self._wanted(regions)
        self.coverage = coverage_of(regions, wanted, self._generalization(), self.threads)
        self.drift, self.squares = class_drift(self.coverage), count_squares(self.coverage)
        for c in self.mask.names.of(self.squares):
            made, wanted_square = self.squares[c.id]
            self.notes.append(f"{c.name}: {made} of {wanted_square} rings got right angles, the others run as before")
        return self.grounded(output, self.form)

    def grounded(self, output: Path, form: str) -> Layer:
        """What was drawn as the layer of an output of a format."""
        coverage = self.coverage
        crs = layer_crs(self.grid, self.options.crs, lonlat=form in LONLAT_FORMATS)
        classes = self.mask.names.of(np.unique(coverage.regions.values[coverage.rings.regions]).tolist())
        name = self.options.layer_name or (output.stem if output != STDOUT else "layer")
        layer = on_the_ground(coverage, self.grid, crs, name, classes, self.threads)
        layer = self._with_confidence(layer, coverage)
        layer = self._by_area(layer)
        return dissolved(layer) if self.options.dissolve else layer

    def strips(self, progress: Progress | None) -> Iterator[NDArray[Any]]:
        """The map from the top."""
        told = progress or (lambda done, total: None)
        row, (height, width) = 0, (self.grid.height, self.grid.width)
        told(0, height * width)
        for strip in self.mask.strips():
            yield strip
            row += len(strip)
            told(row * width, height * width)

    def _wonder(self, regions: Regions) -> None:
        """Say what looks like a mistake."""
        pixels = self.grid.height * self.grid.width
        if pixels > 10_000 and len(regions) > pixels / 4:
            self.warnings.append(
                f"has {len(regions)} regions in {pixels} pixels; is it a class map? {option('sieve', '8px')} tidies one"
            )
        if not self.mask.names.classes and (regions.values[1:] == 0).any() and self.mask.nodata != 0:
            self.notes.append(f"class 0 is written like any other; leave it out with {option('background', 0)}")

    def _tidied(self, regions: Regions) -> Regions:
        """After the sieve and the filling of holes."""
        options, before = self.options, len(regions)
        for size, tidy in ((options.sieve, sieved), (options.min_hole, fill_holes)):
            if size is not None and size.value > 0:
                weights = pixel_areas(self.grid) if size.unit == "m2" else None
                regions = tidy(regions, size.value, self.mask.nodata, weights)
        if before != len(regions):
            self.not_written["absorbed"] = before - len(regions)
        return regions

    def _wanted(self, regions: Regions) -> NDArray[np.bool_]:
        """Which regions become features: those with data, of a class that is asked for and not background, in size."""
        names, options = self.mask.names, self.options
        present = self.present = set(np.unique(regions.values[1:]).tolist()) - {self.mask.nodata}
        wanted = np.ones(len(regions) + 1, bool)
        wanted[OUTSIDE] = False
        self._leave(wanted, regions.values == self.mask.nodata, "nodata")
        background = set(names.background) | {self._class(k, "background", present) for k in options.background}
        if options.classes is not None:
            chosen = {self._class(k, "classes", present) for k in options.classes}
            background -= chosen - {self._class(k, "background", present) for k in options.background}
            self._leave(wanted, ~np.isin(regions.values, list(chosen | background)), "other classes")
        if hidden := background & present:
            called = ", ".join(c.name for c in names.of(hidden))
            self.notes.append(f"background, not written: {called}")
        self._leave(wanted, np.isin(regions.values, list(background)), "background")
        low, high = options.min_area, options.max_area
        if low is not None and low.unit == "px":
            self._leave(wanted, regions.pixels < low.value, f"smaller than {option('min_area')}")
        if high is not None and high.unit == "px":
            self._leave(wanted, regions.pixels > high.value, f"larger than {option('max_area')}")
        return wanted

    def _leave(self, wanted: NDArray[np.bool_], which: NDArray[np.bool_], reason: str) -> None:
        count = int((wanted & which).sum())
        if count:
            self.not_written[reason] = self.not_written.get(reason, 0) + count
        wanted &= ~which

    def _class(self, key: str, asked: str, present: set[int]) -> int:
        value = self.mask.names.find(key)
        if value is None:
            known = ", ".join(c.name for c in self.mask.names.of(set(self.mask.names.classes) | present))
            raise UsageError(
                option(asked),
                f"no class is called {key!r} in {self.mask.name}",
                f"use one of {known[:300] or 'its numbers'}",
            )
        if value not in present and value not in self.mask.names.classes:
            self.warnings.append(f"{option(asked, key)}: no pixel has this class")
        return value

    def _generalization(self) -> Generalization:
        options, (across, down) = self.options, self.grid.resolution_m
        how = Generalization(method=options.method, smooth=options.smooth, ground=down / across)
        if options.simplify is not None and options.simplify.unit == "px":
            how = dataclasses.replace(how, simplify=options.simplify.value)
        elif options.simplify is not None:
            how = dataclasses.replace(how, simplify=options.simplify.value / across, aspect=down / across)
        square = {}
        for one in options.square:
            size = one.size.value / (1.0 if one.size.unit == "px" else across)
            square[self._class(one.name, "square", self.present)] = (size, 8 if one.diagonal else 4)
        return dataclasses.replace(how, square=square)

    def _with_confidence(self, layer: Layer, coverage: Coverage) -> Layer:
        if self.options.confidence_raster is None:
            return layer
        zones = Zones(coverage.regions)
        for row, values, valid in read_strips(self.options.confidence_raster, self.grid, self.mask.strip_rows):
            zones.add(row, values, valid)
        numbers = coverage.rings.regions
        found = zones.finish()
        columns = {"confidence": found.mean[numbers], "confidence_min": found.least[numbers]}
        return dataclasses.replace(layer, columns=layer.columns | columns, weights=found.pixels[numbers])

    def _by_area(self, layer: Layer) -> Layer:
        """Without the features that are too small or too large in square metres, as the attribute says."""
        area = layer.columns["area_m2"]
        keep = np.ones(len(layer), bool)
        low, high = self.options.min_area, self.options.max_area
        if low is not None and low.unit == "m2":
            self._leave(keep, area < low.value, f"smaller than {option('min_area')}")
        if high is not None and high.unit == "m2":
            self._leave(keep, area > high.value, f"larger than {option('max_area')}")
        return layer if keep.all() else layer.taken(np.flatnonzero(keep))

    def result(self, source: str, output: Path, layer: Layer) -> Result:
        counts = np.bincount(np.repeat(layer.kinds, np.diff(layer.features)), minlength=len(layer.classes))
        sums = np.bincount(layer.kinds, layer.columns["area_m2"], len(layer.classes))
        table = {
            c.name: {
                "id": c.id, "polygons": int(n), "area_m2": float(area),
                "drift_px": round(self.drift.get(c.id, 0.0), 3),
            }
            for c, n, area in zip(layer.classes, counts, sums, strict=True)
        }
        for c in layer.classes:
            if c.id in self.squares:
                table[c.name] |= {"squared": self.squares[c.id][0], "to_square": self.squares[c.id][1]}
        if not len(layer):
            self.warnings.append("nothing to write: the layer is empty")
        return Result(
            self.mask.name, output, self.form, len(layer), classes=table, not_written=self.not_written,
            warnings=tuple(self.warnings),
        )  # fmt: skip
