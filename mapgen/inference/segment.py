"""`segment`: a class map from imagery."""

from __future__ import annotations

import copy
import dataclasses
import json
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from mapgen import __version__
from mapgen.arrays import Array
from mapgen.errors import UsageError, option
from mapgen.files.commit import Output, check_output, locked
from mapgen.files.gdal import environment
from mapgen.files.inputs import note_inputs, one_run
from mapgen.files.journal import Journal
from mapgen.files.machine import versions
from mapgen.files.vet import beside, driver_of, is_url
from mapgen.grid import Window
from mapgen.inference.counting import PixelCount, Result
from mapgen.inference.decide import decide, decide_with_scores
from mapgen.inference.done import MARK, check_space, difference, mark_of
from mapgen.inference.infer import TTA, infer
from mapgen.inference.job import Job, foretell, job_cache, opened_job
from mapgen.inference.options import SegmentKeys, SegmentOptions
from mapgen.inference.rescale import rescale
from mapgen.inference.resume import Ran, below, key_of, strips_with_journal
from mapgen.inference.stitch import STITCH, strips
from mapgen.inference.sureness import Sureness
from mapgen.legend import NODATA
from mapgen.model.card import ModelCard
from mapgen.model.engine import Engine, Setup
from mapgen.model.file import find_model, network_of
from mapgen.model.select import idle_gpu, open_engine
from mapgen.parallel import Progress, ahead, jobs, threads
from mapgen.plan import Step
from mapgen.raster.aoi import Area
from mapgen.raster.classmap import Scores, check_creation_options, class_map_output, write_class_map
from mapgen.raster.cog import TILE as BLOCK
from mapgen.raster.open import open_scene
from mapgen.raster.patch import Patch
from mapgen.raster.scene import Scene
from mapgen.settings import PathLike, taking

_PACKERS = 2
"""Threads that compress tiles beside the network, at most: they keep up with any."""


def default_output(source: str, folder: Path | None = None) -> Path:
    """`scene.tif` → `scene.mask.tif`, beside the scene (a URL: in the current folder) or in `folder`."""
    return beside(source, ".mask.tif", folder)


def score_path(output: Path, kind: str) -> Path:
    """`scene.mask.tif` → `scene.confidence.tif` or `scene.probabilities.tif`, beside it."""
    stem = output.name.removesuffix(output.suffix).removesuffix(".mask")
    return output.with_name(f"{stem}.{kind}{output.suffix or '.tif'}")


Watch = Callable[[str, Iterable[Any]], Iterator[Any]]
"""Given the name of a stage and its items, yields the same items."""


def unwatched(stage: str, items: Iterable[Any]) -> Iterator[Any]:
    """The items themselves."""
    del stage
    return iter(items)


class Segmenter:
    """One model and its options, ready for any number of scenes; the engine is set up once for scenes of one kind."""

    def __init__(
        self,
        options: SegmentOptions,
        inputs: Iterable[str] = (),
        watch: Watch = unwatched,
        opener: Callable[[str], Scene] = open_scene,
    ) -> None:
        """`inputs` are all scenes of the run, so that none is replaced by the map of another before it is opened.

        `watch` may look on as the items of the stages `read`, `infer` and `stitch` pass; `opener` opens a scene.
        """
        self.options = options
        self.watch = watch
        self.opener = opener
        self._limit: Callable[[Job], Job] = lambda job: job
        self._more_tags: Mapping[str, str] = {}
        self.model = find_model(options.model)
        _check_model(self.model.card, options)
        check_creation_options(options.creation_options)
        self._inputs = [self.model.path, options.aoi, *inputs]
        self.made_from: dict[str, Any] | None = None
        """The key of the last map."""
        self._engines: dict[Setup, Engine] = {}
        self._judges: dict[Setup, Engine] = {}

    def limited(self, options: SegmentOptions, limit: Callable[[Job], Job], tags: Mapping[str, str]) -> Segmenter:
        """One that makes less of its jobs, with more tags in its maps; the engine that is open is that of both."""
        other = copy.copy(self)
        other.options, other._limit, other._more_tags = options, limit, tags
        return other

    @one_run()
    def __call__(self, source: str, output: Path, progress: Progress | None = None) -> Result:
        """Write the class map of the scene `source` to `output`; see `segment`."""
        start = time.perf_counter()
        if not is_url(source):
            driver_of(Path(source))  # first of all, since the place of the output depends on that of the input
        note_inputs(source, *self._inputs)
        place = class_map_output(Output(output, self.options.overwrite), self.model.card.legend)
        check_output(place)
        scores = self._scores(output)
        paths = tuple(one.path for one in scores)
        with locked(output, *paths), self.planned(source) as job:
            engine = self.engine(job)
            sureness = Sureness(job)
            count = PixelCount(job.model.card, sureness)
            check_space(job, output, score_planes(job))
            key = self.made_from = key_of(job, engine)
            with environment(job_cache(job)), Journal(output, key, resume=self.options.resume) as journal:
                notes = write_class_map(
                    place,
                    count.watched(self._strips(job, engine, count, journal, progress), progress, job.within),
                    job.scene.grid.crop(job.within),
                    job.model.card.legend,
                    origin_tags(job, engine, mark_of(key)) | dict(self._more_tags),
                    creation_options=self.options.creation_options,
                    scores=scores,
                    threads=min(_PACKERS, threads(self.options.threads)),
                )
            sure = sureness.mean(lambda: self._judge(job))
            return count.result(job, engine, output, paths, time.perf_counter() - start, notes, sure)

    def _strips(
        self, job: Job, engine: Engine, count: PixelCount, journal: Journal, progress: Progress | None
    ) -> Iterator[tuple[int, Array]]:
        """The strips of the map, those that an earlier run has finished from its journal."""

        def make(row: int) -> Iterator[tuple[int, Array]]:
            count.resumed = row
            if progress:
                progress(row * job.within.width, job.within.area)
            if row:
                rest = set(below(job, row).steps)
                job.scene.show((step for step in job.steps if step not in rest), job.grid)
            return class_strips(job, engine, count, self.watch, row)

        strips = strips_with_journal(job, journal, make, score_planes(job))
        return self.watch("stitch", strips)

    def _scores(self, output: Path) -> list[Scores]:
        """The rasters of scores that were asked for, in the order of the planes of `class_strips`."""
        wanted = []
        if self.options.confidence:
            wanted.append(Scores(score_path(output, "confidence"), ("confidence",)))
        if self.options.probabilities:
            wanted.append(Scores(score_path(output, "probabilities"), tuple(self.model.card.legend.names)))
        return wanted

    @contextmanager
    def planned(self, source: str) -> Iterator[Job]:
        """All that is decided about a scene, which is open as long as the block runs."""
        with opened_job(source, self.model, self.options, self.opener) as job:
            yield self._limit(job)

    def key(self, source: str, *, show: bool = False) -> dict[str, Any] | None:
        """All that the pixels of the map of a scene depend on; see `key_of`. `show` lets whoever looks on see it."""
        with self.planned(source) as job:
            if show:
                job.scene.show(job.steps, job.grid)
            return key_of(job, self.engine(job))

    def unlike(self, source: str, output: Path) -> str:
        """What tells the map at `output` from the one that a run would write there; empty where nothing does."""
        mark = mark_of(self.key(source))
        paths = [output, *(one.path for one in self._scores(output))]
        return next(filter(None, (difference(path, mark) for path in paths)), "")

    def described(self) -> dict[str, Any]:
        """The model, every option as it holds, and versions: what a report says of a run."""
        return {
            "model": {"name": self.model.card.name, "sha256": self.model.sha256},
            "options": {k: str(v) for k, v in dataclasses.asdict(self.options).items()},
            "versions": versions(),
        }

    def plan(self, source: str) -> dict[str, Any]:
        """What a run over the scene would take: windows, time, memory and disk, all estimates; nothing is written.

        The time is that of the network, measured on a window or two without a scene in them.
        """
        with self.planned(source) as job:
            told = foretell(job)
            seconds = told["window_pixels"] * seconds_per_pixel(self.engine(job), job) if told["windows"] else 0.0
            return told | {"seconds": round(seconds * max(1, len(TTA[self.options.tta])), 1)}

    def engine(self, job: Job) -> Engine:
        """The engine for a job; it is opened once for scenes of one kind."""
        setup = self._setup(job)
        if setup not in self._engines:
            self._engines.clear()
            self._engines[setup] = self._opened(setup)
        return self._engines[setup]

    def _judge(self, job: Job) -> Engine:
        """An engine that gives probabilities, beside the one for the job, which gives classes."""
        setup = dataclasses.replace(self._setup(job), output="probabilities")
        if setup not in self._judges:
            self._judges = {setup: self._opened(setup)}
        return self._judges[setup]

    def _setup(self, job: Job) -> Setup:
        dtype = np.dtype(np.float32) if job.resampled else job.scene.patch_dtype
        options = self.options
        return Setup(
            job.normalization, dtype, job.output, options.precision,
            options.threads if jobs() == 1 else threads(options.threads), job.budget.requests,
        )  # fmt: skip

    def _opened(self, setup: Setup) -> Engine:
        options = self.options
        return open_engine(network_of(self.model, options.precision), setup, options.engine, options.device)

    def advice(self) -> Iterator[str]:
        """What would make runs faster here, said once for all scenes."""
        options, path = self.options, self.model.path
        if told := idle_gpu(options.engine, options.device, options.precision):
            yield told
        if not self.model.has_graph and self.model.card.compression is None:
            yield f"its graph is made again in each run; mapgen models upgrade {shlex.quote(str(path))} keeps it"

    def release(self) -> None:
        """Let go of the engine and its memory; the next scene opens one again."""
        self._engines.clear()
        self._judges.clear()


@taking(SegmentOptions, SegmentKeys)
def segment(source: PathLike, output: PathLike | None = None, **options: Unpack[SegmentKeys]) -> Result:
    """Write the class map of the scene `source` (a path or URL) to `output`, by default `NAME.mask.tif` beside it.

    `options` are the fields of `SegmentOptions`. The map lies on the scene's own grid: uint8, 255 where there is no
    data. Raises `InputError`, `OutputError`, `ModelError` or `UsageError`; then nothing is written.
    """
    run = Segmenter(SegmentOptions(**options))
    return run(str(source), Path(output) if output is not None else default_output(str(source)))


def _check_model(card: ModelCard, options: SegmentOptions) -> None:
    """Raise `UsageError` where the options ask for what a network from elsewhere cannot give."""
    if card.graph is not None and card.graph.head == "ids":
        for name in ("confidence", "probabilities"):
            if getattr(options, name):
                raise UsageError(option(name), f"{card.name} does not say how sure it is of a class", "leave it out")
    if card.fixed_window is None:
        return
    height, width = card.fixed_window
    if options.window not in (None, height) or (options.window and height != width):
        problem = f"{card.name} takes windows of {height} × {width} pixels alone"
        raise UsageError(option("window"), problem, "leave it out")
    if options.tta == "d4" and height != width:
        raise UsageError(option("tta"), f"{card.name} takes windows of {height} × {width}, not turned", "use flip")


def score_planes(job: Job) -> int:
    """Planes of a strip, the classes and the scores behind them; 0 where there are no scores."""
    options = job.options
    if not (options.confidence or options.probabilities):
        return 0
    return 1 + options.confidence + len(job.model.card.legend) * options.probabilities


def class_strips(
    job: Job, engine: Engine, count: PixelCount, watch: Watch = unwatched, start: int = 0
) -> Iterator[tuple[int, Array]]:
    """The class map of `job.within` from row `start` on, strip by strip; behind it the scores that were asked for."""
    job = below(job, start)
    card, options, scene = job.model.card, job.options, job.scene
    steps = job.steps
    count.windows = len(steps)
    pixels = count.read(ahead(watch("read", scene.patches(steps, job.grid))))
    batch = 1 if card.fixed_window else options.batch if options.batch is not None else engine.batch
    known = count.judged(watch("infer", infer(pixels, engine, card.lattice, batch, TTA[options.tta])))
    stitched = STITCH[options.stitch](known, job.plan)
    if job.resampled:
        old, new = (job.grid.height, job.grid.width), (scene.grid.height, scene.grid.width)
        stitched = rescale(stitched, old, new, job.within, lambda w: _validity(job, w), BLOCK)
    else:
        stitched = _limited(stitched, job.area)
    planes = score_planes(job)
    if planes:
        masks = decide_with_scores(
            stitched, card.legend.ids, confidence=options.confidence, probabilities=options.probabilities
        )
    else:
        masks = decide(stitched, card.legend.ids)
    local = (_moved(patch, job.within) for patch in masks)
    made = strips(local, job.within.height, job.within.width, BLOCK, NODATA, (planes,) if planes else ())
    return ((start + row, strip) for row, strip in made)


def seconds_per_pixel(engine: Engine, job: Job) -> float:
    """Seconds that the engine takes for a pixel of a window, at the size and in the number that the job runs."""
    height, width = (max(s.end - s.start for s in spans) for spans in (job.plan.rows, job.plan.cols))
    card = job.model.card
    rows, cols = card.fixed_window or (card.stride, card.stride)
    shape = (1, len(card.bands), -(-height // rows) * rows, -(-width // cols) * cols)
    pixels = np.zeros(shape, np.float32 if job.resampled else job.scene.patch_dtype)
    several = min(2, max(1, job.budget.requests))
    for _ in engine.stream([(0, pixels)] * several):  # prepares for the shape
        pass
    start = time.perf_counter()
    for _ in engine.stream([(0, pixels)] * several):
        pass
    return (time.perf_counter() - start) / (several * pixels[0, 0].size)


def _validity(job: Job, window: Window) -> Array:
    """Validity (H, W) of a window of the scene's own grid, the area of interest included."""
    inside = np.ones((window.height, window.width), bool) if job.area is None else job.area.inside(window)
    if not inside.any():
        return inside
    if not job.scene.has_validity and not job.scene.damaged and job.scene.dtype.kind in "ui":
        return inside
    return inside & job.scene.read(window)[1]


def _limited(patches: Iterable[Patch], area: Area | None) -> Iterator[Patch]:
    """Patches with validity cut down to the area of interest."""
    for patch in patches:
        if area is None or patch.values is None:
            yield patch
        else:
            yield Patch(patch.step, patch.values, patch.valid & area.inside(patch.step.keep))


def _moved(patch: Patch, within: Window) -> Patch:
    """The patch in the coordinates of the output, cut to it."""
    keep = patch.step.keep & within
    rows, cols = keep.slices(patch.step.keep)
    values = None if patch.values is None else patch.values[..., rows, cols]
    place = keep.shifted(-within.row, -within.col)
    return Patch(Step(place, place), values, patch.valid[rows, cols])


def origin_tags(job: Job, engine: Engine | Ran, mark: str) -> dict[str, str]:
    """What a class map says of its origin, as TIFF tags."""
    card, options = job.model.card, job.options
    parameters = {
        "bands": list(job.scene.bands), "nodata": options.nodata, "scale": str(options.scale),
        "resolution": options.resolution, "window": list(job.budget.window),
        "halo": options.halo if options.halo is not None else card.halo, "stitch": options.stitch, "tta": options.tta,
        "engine": engine.name, "device": engine.device, "precision": engine.precision,
    }  # fmt: skip
    return {
        "MAPGEN_VERSION": __version__,
        "MAPGEN_MODEL": card.name,
        "MAPGEN_MODEL_SHA256": job.model.sha256,
        "MAPGEN_PARAMETERS": json.dumps(parameters),
        "MAPGEN_LEGEND": json.dumps(card.legend.to_json(), ensure_ascii=False),
        "TIFFTAG_SOFTWARE": f"mapgen {__version__}",
    } | ({MARK: mark} if mark else {})
