"""`segment`: a class map from imagery."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mapgen import __version__
from mapgen.card import ModelCard
from mapgen.decide import decide
from mapgen.engines.protocol import Engine, Network, Setup
from mapgen.engines.select import open_engine
from mapgen.errors import InputError
from mapgen.grid import Grid, Window
from mapgen.infer import infer
from mapgen.io.aoi import Area, area_of
from mapgen.io.cache import cache_folder
from mapgen.io.classmap import BLOCK, check_creation_options, write_class_map
from mapgen.io.commit import check_output
from mapgen.io.gdal import cache_bytes, environment
from mapgen.io.models import Model, find_model, read_tensors
from mapgen.io.scene import Scene, choose_bands, open_scene, with_bands
from mapgen.io.vet import driver_of, is_url, public_name
from mapgen.legend import NODATA
from mapgen.patch import Array, Patch
from mapgen.plan import Plan, Step, plan_windows
from mapgen.rescale import rescale
from mapgen.scaling import Normalization, disagreement, normalization
from mapgen.settings import SegmentOptions
from mapgen.stitch import STITCH, strips

Progress = Callable[[int, int], None]
"""Told how many pixels of how many are written."""

MAX_REFINEMENT = 4.0
"""A scene may be refined by this factor for the model; beyond it the detail the model looks for is not there."""

TOLERANCE = 0.1
"""Scenes whose pixels are within this share of the model's resolution are not resampled."""


@dataclass(frozen=True, slots=True)
class Job:
    """All that is decided about one scene before its first window is read."""

    scene: Scene
    model: Model
    options: SegmentOptions
    grid: Grid
    """The grid the network sees: the scene's own, or one of the model's resolution over the same ground."""
    plan: Plan
    within: Window
    """What of the scene's own grid is written."""
    area: Area | None
    normalization: Normalization
    warnings: tuple[str, ...]

    @property
    def resampled(self) -> bool:
        """Whether the network sees another grid than the scene's own."""
        return (self.grid.height, self.grid.width) != (self.scene.grid.height, self.scene.grid.width)

    @property
    def steps(self) -> list[Step]:
        """The windows that the network may run on."""
        within = self.within
        if self.resampled:
            rows, cols = self.grid.height / self.scene.grid.height, self.grid.width / self.scene.grid.width
            # One pixel more on each side: interpolation looks beyond the border.
            top, left = int(within.row * rows) - 1, int(within.col * cols) - 1
            within = Window(top, left, int(within.bottom * rows) + 2 - top, int(within.right * cols) + 2 - left)
        # A blended pixel is the average of all windows that see it, so all of those must run.
        blended = self.options.stitch == "blend"
        steps = self.plan.steps(within, by="read" if blended else "keep")
        return [s for s in steps if self.area is None or self.area.meets(self._reach(s, blended))]

    def _reach(self, step: Step, blended: bool) -> Grid:
        """The ground that a step may decide on; with two pixels around it, which interpolation looks at."""
        return self.grid.crop((step.read if blended else step.keep).grown(2))


@dataclass(slots=True)
class Result:
    """What became of one scene."""

    source: str
    output: Path
    engine: str
    device: str
    windows: int = 0
    skipped: int = 0
    seconds: float = 0.0
    shares: dict[str, float] = field(default_factory=dict)
    """Share of each class among the pixels with data."""
    valid_share: float = 0.0
    warnings: tuple[str, ...] = ()
    damaged: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return dataclasses.asdict(self) | {"output": str(self.output)}


def default_output(source: str, folder: Path | None = None) -> Path:
    """`scene.tif` → `scene.mask.tif`, beside the scene (a URL: in the current folder) or in `folder`."""
    name = Path(source.split("?", 1)[0]) if is_url(source) else Path(source)
    place = folder if folder is not None else Path() if is_url(source) else name.parent
    return place / f"{name.stem}.mask.tif"


class Segmenter:
    """One model and its options, ready for any number of scenes; the engine is set up once for scenes of one kind."""

    def __init__(self, options: SegmentOptions, inputs: Iterable[str] = ()) -> None:
        """`inputs` are all scenes of the run, none of which may be replaced by the map of another."""
        self.options = options
        self.model = find_model(options.model)
        check_creation_options(options.creation_options)
        self._inputs = [self.model.path, *filter(None, [options.aoi]), *(Path(i) for i in inputs if not is_url(i))]
        self._engines: dict[tuple[Normalization, str], Engine] = {}

    def __call__(self, source: str, output: Path, progress: Progress | None = None) -> Result:
        """Write the class map of the scene `source` to `output`; see `segment`."""
        start = time.perf_counter()
        inputs = self._inputs
        if not is_url(source):
            driver_of(Path(source))  # first of all, since the place of the output depends on that of the input
            inputs = [Path(source), *inputs]
        check_output(output, overwrite=self.options.overwrite, inputs=inputs)
        with environment(remote=is_url(source)), open_scene(source) as scene:
            job = plan_job(scene, self.model, self.options)
            engine = self._engine(job)
            count = _Count(job.model.card)
            with environment(job_cache(job)):
                notes = write_class_map(
                    output,
                    count.watched(class_strips(job, engine, count), progress, job.within.height),
                    job.scene.grid.crop(job.within),
                    job.model.card.legend,
                    _tags(job, engine),
                    overwrite=self.options.overwrite,
                    inputs=inputs,
                    creation_options=self.options.creation_options,
                )
            return count.result(job, engine, output, time.perf_counter() - start, notes)

    def plan(self, source: str) -> dict[str, Any]:
        """What a run over the scene would take: windows, memory and disk, all estimates; nothing is written."""
        with environment(remote=is_url(source)), open_scene(source) as scene:
            return foretell(plan_job(scene, self.model, self.options))

    def _engine(self, job: Job) -> Engine:
        dtype = np.dtype(np.float32) if job.resampled else job.scene.patch_dtype
        key = (job.normalization, dtype.name)
        if key not in self._engines:
            network = Network(
                self.model.card, self.model.sha256, lambda: read_tensors(self.model), str(self.model.path)
            )
            setup = Setup(job.normalization, dtype, cache_folder("graphs"))
            self._engines = {key: open_engine(network, setup, self.options.engine, self.options.device)}
        return self._engines[key]


def segment(source: str | Path, output: str | Path | None = None, **options: Any) -> Result:
    """Write the class map of the scene `source` (a path or URL) to `output`, by default `NAME.mask.tif` beside it.

    `options` are the fields of `SegmentOptions`. The map lies on the scene's own grid: uint8, 255 where there is no
    data. Raises `InputError`, `OutputError`, `ModelError` or `UsageError`; then nothing is written.
    """
    run = Segmenter(SegmentOptions(**options))
    return run(str(source), Path(output) if output is not None else default_output(str(source)))


def plan_job(scene: Scene, model: Model, options: SegmentOptions) -> Job:
    """Everything that can be refused or warned of before the work starts."""
    card = model.card
    scene = with_bands(scene, choose_bands(scene, card.bands, options.bands), options.nodata, options.on_read_error)
    notes = list(scene.warnings)
    sample = scene.sample(lattice=32 if options.scale.kind == "percentile" else 8)
    values = sample.values[:, sample.valid]
    if options.scale.kind == "none":
        note = disagreement(card, values)
        notes += [note] if note else []
    if not scene.has_validity and _black_collar(scene):
        notes.append("its corners are pure black and it declares no nodata; if that is a collar, use --nodata 0")
    if options.nodata is not None and not _holds(scene.dtype, options.nodata):
        notes.append(f"no pixel of type {scene.dtype} can be {options.nodata:g}, so --nodata has no effect")
    grid = _model_grid(scene, card, options)
    plan = plan_windows(
        grid.height, grid.width,
        options.window if options.window is not None else card.window,
        options.halo if options.halo is not None else card.halo,
        card.stride,
    )  # fmt: skip
    area = area_of(scene.grid, options.aoi, options.bbox)
    within = scene.grid.window if area is None else area.window
    return Job(
        scene, model, options, grid, plan, within, area,
        normalization(card, options.scale, scene.patch_dtype, values), tuple(notes),
    )  # fmt: skip


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    """Whether a pixel of this type can have this value."""
    if dtype.kind == "f":
        return True
    return value.is_integer() and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def _black_collar(scene: Scene) -> bool:
    """Whether a corner of the scene is black in all bands, while the scene is not black altogether."""
    size = min(16, scene.grid.height, scene.grid.width)
    bottom, right = scene.grid.height - size, scene.grid.width - size
    corners = [scene.read(Window(r, c, size, size))[0] for r in (0, bottom) for c in (0, right)]
    black = [not corner.any() for corner in corners]
    return any(black) and bool(scene.sample(lattice=4).values.any())


def _model_grid(scene: Scene, card: ModelCard, options: SegmentOptions) -> Grid:
    """The grid the network is to see. Raises `InputError` where the scene is far too coarse for the model."""
    wanted = card.resolution_m if options.resolution == "model" else options.resolution
    if wanted == "native" or scene.grid.crs is None:
        return scene.grid
    native = scene.grid.resolution_m
    if not all(map(math.isfinite, native)):
        raise InputError(
            scene.name,
            "its CRS and transform name no place on Earth, so its resolution is unknown",
            "correct its CRS (gdal_edit.py -a_srs), or use --resolution native",
        )
    if all(abs(r / wanted - 1) <= TOLERANCE for r in native):
        return scene.grid
    factor = max(native) / wanted
    if factor > MAX_REFINEMENT:
        problem = f"its pixels measure {max(native):.3g} m and would be refined {factor:.1f} times to {wanted:.3g} m"
        raise InputError(
            scene.name,
            f"{problem}, the limit is {MAX_REFINEMENT:g}",
            "use --resolution native or METRES instead of --resolution model, or a model for this resolution",
        )
    return scene.grid.at(wanted)


def class_strips(job: Job, engine: Engine, count: _Count) -> Iterator[tuple[int, Array]]:
    """The class map of `job.within`, strip by strip from the top."""
    card, options, scene = job.model.card, job.options, job.scene
    pixels = count.read(scene.patches(job.steps, job.grid))
    stitched = STITCH[options.stitch](infer(pixels, engine, card.stride, options.batch), job.plan)
    if job.resampled:
        old, new = (job.grid.height, job.grid.width), (scene.grid.height, scene.grid.width)
        stitched = rescale(stitched, old, new, job.within, lambda w: _validity(job, w), BLOCK)
    else:
        stitched = _limited(stitched, job.area)
    masks = decide(stitched, card.legend.ids)
    local = (_moved(patch, job.within) for patch in masks)
    return strips(local, job.within.height, job.within.width, BLOCK, NODATA)


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
    values = None if patch.values is None else patch.values[rows, cols]
    place = keep.shifted(-within.row, -within.col)
    return Patch(Step(place, place), values, patch.valid[rows, cols])


class _Count:
    """Counts windows and pixels as they pass."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.windows = self.skipped = 0
        self.pixels = np.zeros(256, np.int64)

    def read(self, patches: Iterable[Patch]) -> Iterator[Patch]:
        for patch in patches:
            self.windows += 1
            self.skipped += patch.values is None
            yield patch

    def watched(
        self, parts: Iterable[tuple[int, Array]], progress: Progress | None, height: int
    ) -> Iterator[tuple[int, Array]]:
        for row, strip in parts:
            self.pixels += np.bincount(strip.ravel(), minlength=256)
            yield row, strip
            if progress:
                progress(row + len(strip), height)

    def result(self, job: Job, engine: Engine, output: Path, seconds: float, more: Sequence[str]) -> Result:
        known = int(self.pixels.sum() - self.pixels[NODATA])
        notes = [*job.warnings, *more]
        if not known:
            notes.append("has no valid pixel; its map is all nodata")
        if job.scene.damaged:
            row, col = job.scene.damaged[0]
            notes.append(
                f"{len(job.scene.damaged)} damaged blocks were taken as nodata, the first at row {row}, column {col}"
            )
        return Result(
            source=public_name(job.scene.name), output=output, engine=engine.name, device=engine.device,
            windows=self.windows, skipped=self.skipped, seconds=round(seconds, 3),
            shares={c.name: round(float(self.pixels[c.id] / max(1, known)), 6) for c in self.card.legend},
            valid_share=round(known / max(1, int(self.pixels.sum())), 6),
            warnings=tuple(notes), damaged=tuple(job.scene.damaged),
        )  # fmt: skip


def _tags(job: Job, engine: Engine) -> dict[str, str]:
    """What a class map says of its origin, as TIFF tags."""
    card, options = job.model.card, job.options
    parameters = {
        "bands": list(job.scene.bands), "nodata": options.nodata, "scale": str(options.scale),
        "resolution": options.resolution, "window": max(s.end - s.start for s in job.plan.cols + job.plan.rows),
        "halo": options.halo if options.halo is not None else card.halo, "stitch": options.stitch,
        "engine": engine.name, "device": engine.device,
    }  # fmt: skip
    return {
        "MAPGEN_VERSION": __version__,
        "MAPGEN_MODEL": card.name,
        "MAPGEN_MODEL_SHA256": job.model.sha256,
        "MAPGEN_PARAMETERS": json.dumps(parameters),
        "MAPGEN_LEGEND": json.dumps(card.legend.to_json(), ensure_ascii=False),
        "TIFFTAG_SOFTWARE": f"mapgen {__version__}",
    }


def job_cache(job: Job) -> int:
    """Bytes of GDAL's block cache: the blocks that one row of windows reads, whatever the scene's height."""
    rows = max(s.end - s.start for s in job.plan.rows) * job.scene.grid.height / job.grid.height
    return cache_bytes(job.scene.grid.width, int(rows) + BLOCK, len(job.scene.bands) * job.scene.dtype.itemsize + 1)


def foretell(job: Job) -> dict[str, Any]:
    """Windows, memory and disk of a run, estimated from the plan alone."""
    steps = job.steps
    window = max((s.read.area for s in steps), default=0)
    classes, within = len(job.model.card.legend), job.within
    # Activations of a ResNet U-Net at the full window, in bytes a pixel, as measured (docs/benchmarks.md).
    engine = 900 * window * 2 + 4 * job.model.parameters
    rows = classes * 4 * job.grid.width * max((s.read.height for s in steps), default=0) if job.resampled else 0
    memory = 250_000_000 + engine + rows + job_cache(job) + 3 * BLOCK * within.width
    return {
        "source": public_name(job.scene.name),
        "windows": len(steps),
        "window_pixels": sum(s.read.area for s in steps),
        "grid": {"height": job.grid.height, "width": job.grid.width, "resampled": job.resampled},
        "output": {"height": within.height, "width": within.width},
        "memory_bytes": memory,
        # A working copy and the result beside each other; class maps deflate to a tenth and less.
        "disk_bytes": 2 * within.area // 8,
        "warnings": list(job.warnings),
    }
