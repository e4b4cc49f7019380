"""`map`: class map, layer, tiles, preview and report of one or several scenes, in one pass over them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from affine import Affine

from mapgen import __version__
from mapgen.errors import MapgenError, option
from mapgen.files.commit import Output, check_output, leave_folder, locked, make_folder
from mapgen.files.fingerprint import digest
from mapgen.files.gdal import environment
from mapgen.files.inputs import note_inputs, one_run
from mapgen.files.kind import REPORT
from mapgen.files.pictures import shown_bands
from mapgen.grid import Grid
from mapgen.inference.counting import Result as ClassMap
from mapgen.inference.done import says_origin
from mapgen.inference.segment import Segmenter
from mapgen.kernels import announced
from mapgen.layers.class_areas import ClassAreas
from mapgen.layers.crs import placed
from mapgen.layers.vectorize import Vectorizer, settled_format
from mapgen.legend import NODATA, LayerClass
from mapgen.polygons.regions import RegionFinder
from mapgen.raster.classmap import class_map_output
from mapgen.raster.masks import open_mask
from mapgen.raster.mosaic import Mosaic, open_mosaic
from mapgen.raster.open import grid_of, opened_dataset
from mapgen.results.class_areas import class_rows
from mapgen.results.map_page import PAGE, write_map_page
from mapgen.results.options import MapOptions
from mapgen.results.planned import PRODUCTS, Listener, Result, default_name, planned, scores
from mapgen.results.preview import Preview, write_preview
from mapgen.results.products import Products, is_begun, products_key
from mapgen.results.report import (
    described_grid,
    described_map,
    drop_report,
    now,
    older_files,
    versions,
    write_json,
)  # fmt: skip
from mapgen.results.roads import check_roads, write_roads
from mapgen.results.stac import map_item, model_item, quoted, source_of
from mapgen.results.warm import warming
from mapgen.tiling.containers.container import check_tiles
from mapgen.tiling.footprint import footprint
from mapgen.tiling.options import TilesOptions
from mapgen.tiling.tiles import Tiler

_HARMLESS = (1, 130, 143)
"""Exit codes of errors that no part may swallow: bugs and interruptions."""


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
        self.network: dict[str, Any] | None = None
        note_inputs(*scenes, options.segment.aoi)
        self.older = older_files(folder)
        self.segmenter = Segmenter(options.segment, self.scenes, self.watch, self.open)
        self.card = self.segmenter.model.card
        if options.roads:
            check_roads(self.card)
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
            check = check_tiles if role.endswith("_tiles") else check_output
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
            "preview": self.picture, "layer": self.layer,
            "raster_tiles": lambda: self.tile("raster_tiles", self.mapper.tiled),
            "vector_tiles": self.vector_tiles, "roads": self.roads, "page": self.page, "stac_item": self.stac,
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
                "polygons": self.polygons, "placing": self.placing, "network": self.network,
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
        self.network = done.get("network") or self.network
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
        scores, again = self.paths.get("confidence"), self.replaces(self.paths["layer"])
        run = Vectorizer(dataclasses.replace(self.mapper.listed, confidence_raster=scores, overwrite=again))
        self.listener.progress(f"{self.name}: layer")
        regions, copy = None if self.finder is None else self.finder.finish(), self.paths.get("layer_geojson")
        made = run(str(self.paths["class_map"]), self.paths["layer"], regions=regions, copy=copy)
        self.finder = None
        self.polygons = {name: int(row["polygons"]) for name, row in made.classes.items()}
        self.warnings += made.warnings
        self.notes += made.notes
        self.finished("layer", self.paths["layer"])
        if made.copy is not None:
            self.finished("layer_geojson", made.copy)

    def vector_tiles(self) -> None:
        """Polygons of the class map, drawn anew at every zoom."""
        scores = self.paths.get("confidence")
        self.tile("vector_tiles", dataclasses.replace(self.mapper.tiled, vector=True, confidence_raster=scores))

    def tile(self, role: str, options: TilesOptions) -> None:
        """One set of tiles."""
        run = Tiler(dataclasses.replace(options, overwrite=self.replaces(self.paths[role])))
        progress = self.listener.progress(f"{self.name}: {role.replace('_', ' ')}")
        made = run(str(self.paths["class_map"]), self.paths[role], progress)
        self.warnings += [text for text in made.warnings if text not in self.warnings]
        self.notes += [text for text in made.notes if text not in self.notes]
        self.finished(role, self.paths[role])

    def roads(self) -> None:
        """The network of the roads, and tiles of it."""
        self.listener.progress(f"{self.name}: roads")
        outputs = {role: self.output(path) for role, path in self.paths.items() if role in PRODUCTS["roads"]}
        made, warnings, self.network = write_roads(self.paths, outputs, self.options)
        self.warnings += warnings
        for role in made:
            self.finished(role, self.paths[role])

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
        areas = [(c, row["area_m2"]) for c, row in zip(classes, self.class_rows(), strict=True) if row["pixels"]]
        made, left_out = write_map_page(
            self.folder, self.name, self.files, self.placing, areas, self.card, self.warnings,
            overwrite=self.replaces(self.folder / PAGE),
        )  # fmt: skip
        self.notes += [left_out] if left_out else []
        if made:
            self.finished("page", self.paths["page"])

    def stac(self) -> None:
        """The items of map and model."""
        model = self.segmenter.model
        # Where the model lies on this machine is of no use to others; its checksum says which it is.
        item = model_item(self.card, quoted(model.path.name), model.parameters, model.sha256)
        write_json(self.output(self.paths["stac_model"]), item)
        self.finished("stac_model", self.paths["stac_model"])
        sources = [source_of(scene, self.folder) for scene in self.scenes]
        software = {"mapgen": __version__, self.card.name: self.card.version}
        item = map_item(
            self.name, self.grid, self.card.legend, self.files | {"report": REPORT}, sources,
            f"./{quoted(self.paths['stac_model'].name)}", software, now(),
        )  # fmt: skip
        write_json(self.output(self.paths["stac_item"]), item)
        self.finished("stac_item", self.paths["stac_item"])

    def report(self) -> dict[str, Any]:
        """What report.json says."""
        made = self.made
        self.seconds["total"] = round(time.perf_counter() - self.began, 3)
        return {
            **described_map(self.name, self.scenes, self.folder, self.card, self.segmenter.model.sha256),
            "engine": made.described_engine(), "grid": described_grid(self.grid),
            "classes": self.class_rows(),
            "nodata_pixels": self.census.finish().get(NODATA, 0),
            "files": self.files,
            "sha256": {name: digest(self.folder / name) for name in self.files.values()},
            "preview": self.placing, "roads": self.network,
            "generalization": {"sieve": str(self.options.sieve), "simplify": str(self.options.simplify)},
            "seconds": self.seconds,
            "warnings": self.warnings, "notes": self.notes, "errors": self.errors,
            "damaged": [list(place) for place in made.damaged],
            "versions": versions(),
        }  # fmt: skip

    def class_rows(self) -> list[dict[str, Any]]:
        """A row for each class of the legend."""
        polygons = self.polygons if "layer" in self.files else None
        return class_rows(self.census, self.card.legend, self.grid, polygons)
