"""`map`: class map, layer, tiles, preview and report of one or several scenes, in one pass over them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from affine import Affine

from mapgen import __version__
from mapgen.errors import MapgenError, option
from mapgen.files.commit import Output, check_output, locked
from mapgen.files.gdal import environment
from mapgen.files.inputs import note_inputs, one_run
from mapgen.files.kind import REPORT
from mapgen.files.pictures import shown_bands
from mapgen.files.vet import beside, is_url, public_name
from mapgen.grid import Grid
from mapgen.inference.done import says_origin
from mapgen.inference.options import SegmentOptions
from mapgen.inference.segment import Result as ClassMap
from mapgen.inference.segment import Segmenter, score_path
from mapgen.kernels import announced
from mapgen.layers.crs import placed
from mapgen.layers.vectorize import Vectorizer, settled_format
from mapgen.legend import NODATA, LayerClass
from mapgen.parallel import Progress
from mapgen.polygons.regions import RegionFinder
from mapgen.raster.classmap import class_map_output
from mapgen.raster.masks import open_mask
from mapgen.raster.mosaic import Mosaic, open_mosaic
from mapgen.raster.open import grid_of, opened_dataset
from mapgen.results.class_areas import ClassAreas
from mapgen.results.map_page import PAGE, write_map_page
from mapgen.results.options import MapOptions
from mapgen.results.preview import Preview, write_preview
from mapgen.results.products import Products, is_begun, products_key
from mapgen.results.report import (
    described_grid,
    digest,
    drop_report,
    finite,
    leave_folder,
    make_folder,
    now,
    older_files,
    seen_from,
    versions,
    write_json,
)  # fmt: skip
from mapgen.results.stac import Source, map_item, model_item, quoted
from mapgen.results.warm import warming
from mapgen.tiling.containers.container import check_tiles
from mapgen.tiling.footprint import footprint
from mapgen.tiling.options import TilesOptions
from mapgen.tiling.tiles import Tiler

SCHEMA = 1
"""Of report.json; fields are only added while it stays."""

PRODUCTS = {
    "preview": ("preview",), "layer": ("layer", "layer_geojson"), "raster_tiles": ("raster_tiles",),
    "vector_tiles": ("vector_tiles",), "page": ("page",), "stac": ("stac_item", "stac_model"),
}  # fmt: skip
"""The parts that come from the class map, and the roles of their files."""

_HARMLESS = (1, 130, 143)
"""Exit codes of errors that no part may swallow: bugs and interruptions."""


class Listener:
    """Told what happens. This one does not care."""

    def progress(self, part: str, unit: str = "") -> Progress | None:
        """How far a part is; `part` is its name for people, `unit` what is counted (`px`)."""
        del part, unit
        return None

    def done(self, path: Path) -> None:
        """An output is finished."""

    def note(self, text: str) -> None:
        """Something good to know."""

    def failed(self, error: MapgenError) -> None:
        """A part failed; the others go on."""


@dataclasses.dataclass(slots=True)
class Result:
    """What became of a map: what `report.json` says, and the exit code."""

    report: dict[str, Any]
    exit_code: int
    folder: Path

    @property
    def files(self) -> dict[str, Path]:
        """The outputs by role."""
        return {role: self.folder / name for role, name in self.report["files"].items()}

    def __repr__(self) -> str:
        files = ", ".join(self.report["files"].values())
        return f"<map of {self.report['name']} in {self.folder}: {files}; {self.report['seconds']['total']:.1f} s>"


def planned(options: MapOptions, name: str, folder: Path) -> dict[str, Path]:
    """The outputs that were asked for, by role."""
    names = {"class_map": f"{name}.mask.tif"}
    for kind in scores(options):
        names[kind] = score_path(folder / names["class_map"], kind).name
    if options.layer:
        names["layer"] = f"{name}.{options.format}"
    if options.tiles:
        names |= {"raster_tiles": f"{name}.mask.pmtiles", "vector_tiles": f"{name}.pmtiles"}
    if options.preview:
        names["preview"] = f"{name}.preview.webp"
    if options.layer and options.format == "gpkg" and options.crs is None:  # GeoJSON is in WGS 84
        names["layer_geojson"] = f"{name}.geojson"
    if options.page:
        names["page"] = PAGE
    if options.stac:
        names |= {"stac_item": f"{name}.stac.json", "stac_model": f"{name}.model.stac.json"}
    return {role: folder / file for role, file in names.items()}


def scores(options: SegmentOptions) -> list[str]:
    """The rasters of scores that were asked for, in the order in which `segment` writes them."""
    asked = {"confidence": options.confidence, "probabilities": options.probabilities}
    return [kind for kind, wanted in asked.items() if wanted]


def default_name(scenes: Sequence[str], folder: Path) -> str:
    """One scene's own name; of several, that of the folder."""
    return beside(scenes[0], "").name if len(scenes) == 1 else folder.resolve().name or "map"


class Mapper:
    """The options of one run, checked: nothing has been read or written yet."""

    def __init__(self, options: MapOptions, listener: Listener | None = None) -> None:
        self.options = options
        self.listener = listener or Listener()
        self.listed, self.tiled = options.vectorize, options.tile
        # What cannot be is refused before the first window is read.
        Vectorizer(self.listed)
        Tiler(self.tiled)
        if options.assume_crs is not None:
            placed(Grid(None, Affine.scale(2), 1, 1), option("assume_crs"), options.assume_crs)
        if options.layer:
            settled_format(Path(f"layer.{options.format}"), self.listed)

    def plan(self, scenes: Sequence[str]) -> dict[str, Any]:
        """What the class map of the scenes would take; see `Segmenter.plan`. Nothing is written."""
        return Segmenter(self.options.segment, scenes, opener=lambda _: open_mosaic(scenes, None)).plan(scenes[0])

    @one_run()
    def __call__(self, scenes: Sequence[str], folder: Path) -> Result:
        """Map the scenes into `folder`, which is made if its parent is there.

        Raises what `segment` raises; then nothing of this run is there. Where a later part fails, the others are kept,
        the report says so, and the exit code is 3.
        """
        options = dataclasses.replace(self.options, name=self.options.name or default_name(scenes, folder))
        made = make_folder(folder)
        try:
            with announced(self.listener.note), locked(folder, inside=True), ExitStack() as stack:
                run = _Run(self, options, scenes, folder)
                run.take_up(stack)
                run.check()
                run.class_map(stack)
                return run.finish()
        except BaseException:
            if made:
                leave_folder(folder)
            raise


class _Run:
    """One map under way."""

    def __init__(self, mapper: Mapper, options: MapOptions, scenes: Sequence[str], folder: Path) -> None:
        assert options.name is not None
        self.mapper, self.options, self.scenes, self.folder = mapper, options, list(scenes), folder
        self.name, self.listener = options.name, mapper.listener
        self.paths = planned(options, self.name, folder)
        self.began = time.perf_counter()
        self.census = ClassAreas()
        self.finder: RegionFinder | None = None
        self.products: Products | None = None
        self.again: set[Path] = set()
        """The class map and its scores, where a run that was killed had just finished them."""
        self.seconds: dict[str, float] = {}
        self.errors: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.files: dict[str, str] = {}
        self.polygons: dict[str, int] = {}
        self.placing: dict[str, Any] | None = None
        note_inputs(*scenes, options.segment.aoi)
        self.older = older_files(folder)
        self.segmenter = Segmenter(options.segment, self.scenes, self.watch, self.open)
        self.card = self.segmenter.model.card
        self.preview = Preview(shown_bands(self.card.bands)) if options.preview else None

    def open(self, _: str) -> Mosaic:
        """All scenes as one."""
        return open_mosaic(self.scenes, None if self.preview is None else self.preview.add)

    def watch(self, stage: str, items: Iterable[Any]) -> Iterator[Any]:
        """The items, those of the class map counted."""
        for item in items:
            if stage == "stitch":
                row, strip = item
                classes = strip if strip.ndim == 2 else strip[0]
                self.census.add(row, classes)
                if self.options.layer:
                    self.finder = self.finder or RegionFinder(classes.shape[1])
                    self.finder.add(classes)
            yield item

    def output(self, path: Path) -> Output:
        """One of the files that are written; what a run that was killed had put there may be replaced."""
        return Output(path, self.replaces(path))

    def replaces(self, path: Path) -> bool:
        """Whether what lies at a path may be replaced."""
        own = self.products is not None and self.products.is_own(path)
        return self.options.overwrite or own or path in self.again

    def take_up(self, stack: ExitStack) -> None:
        """Find out what an earlier run of this very map has finished, if it was killed."""
        scene, path = self.scenes[0], self.paths["class_map"]
        if is_begun(self.folder):
            self.products = stack.enter_context(self.products_of(self.segmenter.key(scene)))
            return
        new = not self.options.overwrite and not (self.folder / REPORT).exists()
        # It may have been killed right after its class map, before it could write down that this is done.
        if new and self.options.resume and says_origin(path) and not self.segmenter.unlike(scene, path):
            self.again = {path, *(self.paths[kind] for kind in scores(self.options))}

    def products_of(self, key: dict[str, Any] | None) -> Products:
        """The products of a map whose class map has this key."""
        return Products(self.folder, products_key(key, self.options), resume=self.options.resume)

    def check(self) -> None:
        """Raise `OutputError` unless every output can be written; before hours are spent on the first."""
        for role, path in (*self.paths.items(), ("report", self.folder / REPORT)):
            check = check_tiles if role in ("raster_tiles", "vector_tiles") else check_output
            output = self.output(path)
            check(class_map_output(output, self.card.legend) if role == "class_map" else output)

    def class_map(self, stack: ExitStack) -> None:
        """The one pass over the scenes, or over the map of an earlier run."""
        path = self.paths["class_map"]
        self.warming = warming(layer=self.options.layer, tiles=self.options.tiles)
        done = self.products.facts("class_map") if self.products is not None else None
        with self.timed("class_map"):
            if done is not None:
                self.made: ClassMap = ClassMap.from_json(done)
                self.look_again(path)
            else:
                self.segment(path, stack)
        self.segmenter.release()  # its memory is that of what follows
        drop_report(self.folder)  # of an older run: from now on it is wrong
        with opened_dataset(path) as (subject, dataset):
            self.grid = grid_of(dataset, subject)
            dataset.close()
        if self.grid.crs is None and self.options.assume_crs and not self.grid.transform.is_identity:
            self.grid = placed(self.grid, str(path), self.options.assume_crs)
        self.warnings += self.made.warnings
        for role, made in (("class_map", path), *zip(scores(self.options), self.made.scores, strict=True)):
            self.finished(role, made)

    def segment(self, path: Path, stack: ExitStack) -> None:
        """Make the class map, and write down that it is done."""
        made = [path, *(self.paths[kind] for kind in scores(self.options))]
        if all(self.replaces(one) for one in made):
            self.segmenter.options = dataclasses.replace(self.options.segment, overwrite=True)
        self.made = self.segmenter(self.scenes[0], path, self.listener.progress(self.name, "px"))
        if self.products is None:
            self.products = stack.enter_context(self.products_of(self.segmenter.made_from))
        self.products.finish("class_map", made, self.made.to_json())

    def look_again(self, path: Path) -> None:
        """Gather from a map that is done, and from the scenes if need be, what is else gathered as pixels pass by."""
        if self.preview is not None and self.products is not None and self.products.facts("preview") is None:
            self.segmenter.key(self.scenes[0], show=True)
        with environment(), open_mask(str(path)) as mask:
            row = 0
            for strip in mask.strips():
                self.census.add(row, strip)
                row += len(strip)

    def finish(self) -> Result:
        """All that comes from the class map, then the report."""
        with self.timed("kernels"):  # nothing, unless the network was faster
            if self.warming.is_alive():
                self.listener.progress(f"{self.name}: kernels")
            self.warming.join()
        parts: dict[str, Callable[[], None]] = {
            "preview": self.picture, "layer": self.layer, "raster_tiles": self.raster_tiles,
            "vector_tiles": self.vector_tiles, "page": self.page, "stac_item": self.stac,
        }  # fmt: skip
        for role, work in parts.items():
            if role in self.paths:
                self.part(role.removesuffix("_item"), work)
        for role, file in self.older.items():
            if file not in self.files.values() and (self.folder / file).exists():
                self.warnings.append(f"{file} ({role.replace('_', ' ')}) is of an earlier run")
        report = self.report()
        assert self.products is not None
        self.products.begin([self.folder / REPORT])
        write_json(Output(self.folder / REPORT, overwrite=True), report)
        self.listener.done(self.folder / REPORT)
        return Result(report, 3 if self.errors or self.made.damaged else 0, self.folder)

    def part(self, name: str, work: Callable[[], None]) -> None:
        """Do a part, unless it is done; if it fails, say so and let the others be."""
        assert self.products is not None
        done = self.products.facts(name)
        if done is not None:
            self.restore(done)
            return
        self.products.begin(self.paths[role] for role in PRODUCTS[name] if role in self.paths)
        warnings, notes, files = len(self.warnings), len(self.notes), set(self.files)
        try:
            with self.timed(name):
                work()
            new = {role: file for role, file in self.files.items() if role not in files}
            facts = {
                "files": new, "warnings": self.warnings[warnings:], "notes": self.notes[notes:],
                "polygons": self.polygons, "placing": self.placing,
            }  # fmt: skip
            self.products.finish(name, [self.folder / file for file in new.values()], facts)
        except MapgenError as exc:
            if exc.exit_code in _HARMLESS:
                raise
            self.errors.append({"part": name, "error": str(exc), "exit_code": exc.exit_code})
            self.listener.failed(exc)

    def restore(self, done: dict[str, Any]) -> None:
        """Take over what was written down of a part."""
        self.warnings += [text for text in done["warnings"] if text not in self.warnings]
        self.notes += [text for text in done["notes"] if text not in self.notes]
        self.polygons = done["polygons"] or self.polygons
        self.placing = done["placing"] or self.placing
        for role, file in done["files"].items():
            self.finished(role, self.folder / file)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Seconds of a part."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - start, 3)

    def finished(self, role: str, path: Path) -> None:
        """Tell of an output that is done."""
        self.files[role] = path.name
        self.listener.done(path)

    def layer(self) -> None:
        """The polygons of the class map."""
        options = dataclasses.replace(
            self.mapper.listed, confidence_raster=self.confidence(), overwrite=self.replaces(self.paths["layer"])
        )
        run = Vectorizer(options)
        self.listener.progress(f"{self.name}: layer")
        made = run(
            str(self.paths["class_map"]), self.paths["layer"],
            regions=None if self.finder is None else self.finder.finish(),
            copy=self.paths.get("layer_geojson"),
        )  # fmt: skip
        self.finder = None
        self.polygons = {name: int(row["polygons"]) for name, row in made.classes.items()}
        self.warnings += made.warnings
        self.notes += made.notes
        self.finished("layer", self.paths["layer"])
        if made.copy is not None:
            self.finished("layer_geojson", made.copy)

    def raster_tiles(self) -> None:
        """Pictures of the class map."""
        self.tile("raster_tiles", self.mapper.tiled)

    def vector_tiles(self) -> None:
        """Polygons of the class map, drawn anew at every zoom."""
        self.tile(
            "vector_tiles", dataclasses.replace(self.mapper.tiled, vector=True, confidence_raster=self.confidence())
        )

    def tile(self, role: str, options: TilesOptions) -> None:
        """One set of tiles."""
        run = Tiler(dataclasses.replace(options, overwrite=self.replaces(self.paths[role])))
        progress = self.listener.progress(f"{self.name}: {role.replace('_', ' ')}")
        made = run(str(self.paths["class_map"]), self.paths[role], progress)
        self.warnings += [text for text in made.warnings if text not in self.warnings]
        self.notes += [text for text in made.notes if text not in self.notes]
        self.finished(role, self.paths[role])

    def confidence(self) -> Path | None:
        """The raster of confidence, if it was made."""
        return self.paths.get("confidence")

    def picture(self) -> None:
        """The preview, of what passed by."""
        assert self.preview is not None
        if self.preview.grid is None:  # an area of interest that meets no window
            return
        bounds = write_preview(
            self.output(self.paths["preview"]), self.preview.finish(), self.preview.valid, self.preview.grid,
            self.preview.factor,
        )  # fmt: skip
        self.placing = {"bounds": None if bounds is None else list(bounds)}
        self.finished("preview", self.paths["preview"])

    def page(self) -> None:
        """A page to look at the map, of the parts that are there."""
        if self.grid.crs is None or footprint(self.grid) is None:
            self.notes.append(f"{PAGE} is left out: the map has no place on Earth")
            return
        classes = [LayerClass(c.id, c.name, c.color) for c in self.card.legend]
        areas = [(c, row["area_m2"]) for c, row in zip(classes, self.classes(), strict=True) if row["pixels"]]
        made, left_out = write_map_page(
            self.folder, self.name, self.files, self.placing, areas, overwrite=self.replaces(self.folder / PAGE)
        )
        if left_out:
            self.notes.append(left_out)
        if made:
            self.finished("page", self.paths["page"])

    def stac(self) -> None:
        """The items of map and model."""
        model = self.segmenter.model
        # Where the model lies on this machine is of no use to others; its checksum says which it is.
        item = model_item(self.card, quoted(model.path.name), model.parameters, model.sha256)
        write_json(self.output(self.paths["stac_model"]), item)
        self.finished("stac_model", self.paths["stac_model"])
        sources = [Source(named(scene), self.href(scene)) for scene in self.scenes]
        software = {"mapgen": __version__, self.card.name: self.card.version}
        item = map_item(
            self.name, self.grid, self.card.legend, self.files | {"report": REPORT}, sources,
            f"./{quoted(self.paths['stac_model'].name)}", software, now(),
        )  # fmt: skip
        write_json(self.output(self.paths["stac_item"]), item)
        self.finished("stac_item", self.paths["stac_item"])

    def href(self, scene: str) -> str:
        """Where a scene is as seen from the results; of a URL neither password nor query."""
        if not is_url(scene):
            return quoted(seen_from(self.folder, Path(scene)))
        parts = urlsplit(scene)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def report(self) -> dict[str, Any]:
        """What report.json says."""
        made, card, grid = self.made, self.card, self.grid
        self.seconds["total"] = round(time.perf_counter() - self.began, 3)
        return {
            "mapgen_report": SCHEMA, "name": self.name, "created": now(), "mapgen": __version__,
            "scenes": [
                {"name": public_name(s), "path": None if is_url(s) else seen_from(self.folder, Path(s))}
                for s in self.scenes
            ],
            "model": {
                "name": card.name, "version": card.version, "sha256": self.segmenter.model.sha256,
                "domain": card.domain, "license": card.license,
            },
            "engine": {
                "name": made.engine, "device": made.device, "precision": made.precision, "windows": made.windows,
                "skipped": made.skipped,
            },
            "grid": described_grid(grid),
            "classes": self.classes(),
            "nodata_pixels": self.census.finish().get(NODATA, 0),
            "files": self.files,
            "sha256": {name: digest(self.folder / name) for name in self.files.values()},
            "preview": self.placing,
            "generalization": {"sieve": str(self.options.sieve), "simplify": str(self.options.simplify)},
            "seconds": self.seconds,
            "warnings": self.warnings, "notes": self.notes, "errors": self.errors,
            "damaged": [list(place) for place in made.damaged],
            "versions": versions(),
        }  # fmt: skip

    def classes(self) -> list[dict[str, Any]]:
        """A row for each class of the legend."""
        pixels = self.census.finish()
        areas = {} if self.grid.crs is None else self.census.areas(self.grid)
        known = max(1, sum(pixels.values()) - pixels.get(NODATA, 0))
        rows = []
        for c in self.card.legend:
            count = pixels.get(c.id, 0)
            area = None if self.grid.crs is None else finite(areas.get(c.id, 0.0))
            hectares = None if area is None else round(area / 10_000, 7)
            rows.append({
                "id": c.id, "name": c.name, "color": c.color, "background": c.background, "pixels": count,
                "share": round(count / known, 6), "area_m2": area, "area_ha": hectares,
                "polygons": self.polygons.get(c.name, 0) if "layer" in self.files else None,
            })  # fmt: skip
        return rows


def named(scene: str) -> str:
    """What a scene is called, without the folders that it lies in."""
    return public_name(scene if is_url(scene) else Path(scene).name)
