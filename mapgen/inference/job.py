"""Jobs: all that `segment` decides about a scene before its first window is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mapgen.errors import InputError, ResourceError, option
from mapgen.files.gdal import cache_bytes, environment
from mapgen.files.vet import is_url, public_name
from mapgen.grid import Grid, Window
from mapgen.inference.memory import DEFAULT_LIMIT, PROCESS, Budget, choose
from mapgen.inference.options import SegmentOptions
from mapgen.model.card import ModelCard
from mapgen.model.engine import Output
from mapgen.model.file import Model
from mapgen.model.normalization import Normalization, disagreement, normalization
from mapgen.model.select import likely_precision
from mapgen.parallel import jobs
from mapgen.plan import Plan, Step, check_window, plan_windows
from mapgen.raster.aoi import Area, area_of
from mapgen.raster.bands import choose_bands
from mapgen.raster.cog import TILE as BLOCK
from mapgen.raster.open import open_scene
from mapgen.raster.scene import Scene, with_bands

MAX_REFINEMENT = 4.0
"""A scene may be refined by this factor for the model; beyond it the detail the model looks for is not there."""

TOLERANCE = 0.1
"""Scenes whose pixels are within this share of the model's resolution are not resampled."""

FOREIGN = 2 * (1 + TOLERANCE)
"""Scenes whose pixels are coarser or finer than the model's by more than this show it things of another size."""


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
    budget: Budget
    """The window, how many of them may run at once, and the memory that takes."""
    warnings: tuple[str, ...]

    @property
    def output(self) -> Output:
        """What is wanted of the engine: classes where they are all that is, since probabilities cost time."""
        return "classes" if only_classes(self.options) and not self.resampled else "probabilities"

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


@contextmanager
def opened_job(
    source: str, model: Model, options: SegmentOptions, opener: Callable[[str], Scene] = open_scene
) -> Iterator[Job]:
    """The plan of a scene that `opener` opens, in GDAL's surroundings; both end with the block."""
    with environment(remote=is_url(source)), opener(source) as scene:
        yield plan_job(scene, model, options)


def plan_job(scene: Scene, model: Model, options: SegmentOptions) -> Job:
    """Everything that can be refused or warned of before the work starts."""
    card = model.card
    scene = with_bands(scene, choose_bands(scene, card.bands, options.bands), options.nodata, options.on_read_error)
    notes = list(scene.warnings)
    if options.precision == "auto" and model.int8_problem:
        notes.append(f"is mapped without int8: {model.int8_problem}")
    sample = scene.sample(lattice=32 if options.scale.kind == "percentile" else 4)
    values = sample.values[:, sample.valid]
    if options.scale.kind == "none":
        note = disagreement(card, values)
        notes += [note] if note else []
    if not scene.has_validity and _black_collar(scene):
        notes.append(
            f"its corners are pure black and it declares no nodata; if that is a collar, use {option('nodata', 0)}"
        )
    if options.nodata is not None and not _holds(scene.dtype, options.nodata):
        notes.append(f"no pixel of type {scene.dtype} can be {options.nodata:g}, so {option('nodata')} has no effect")
    grid = _model_grid(scene, card, options)
    strange = _strange_resolution(scene, grid, card)
    notes += [strange] if strange else []
    halo = options.halo if options.halo is not None else card.halo
    budget = _budget(scene, model, options, grid, halo)
    plan = plan_windows(grid.height, grid.width, budget.window, halo, card.stride)
    area = area_of(scene.grid, options.aoi, options.bbox)
    within = scene.grid.window if area is None else area.window
    return Job(
        scene, model, options, grid, plan, within, area,
        normalization(card, options.scale, scene.patch_dtype, values), budget, tuple(notes),
    )  # fmt: skip


def obstacles(scene: Scene, model: Model, options: SegmentOptions) -> list[InputError]:
    """All that keeps a model from mapping a scene, of what can be said without reading a pixel."""
    found: list[InputError] = []
    for look in (
        lambda: choose_bands(scene, model.card.bands, options.bands),
        lambda: _model_grid(scene, model.card, options),
    ):
        try:
            look()
        except InputError as exc:
            found.append(exc)
    return found


def only_classes(options: SegmentOptions) -> bool:
    """Whether nothing that was asked for needs the probabilities of classes."""
    plain = options.stitch == "crop" and options.tta == "none"
    return plain and not options.probabilities and not options.confidence


def _budget(scene: Scene, model: Model, options: SegmentOptions, grid: Grid, halo: int) -> Budget:
    """Window and requests for the memory limit. Raises `ResourceError` where nothing fits a limit that was given."""
    card = model.card
    int8 = options.precision in ("auto", "int8") and model.int8 is not None
    precision = likely_precision(options.precision, options.engine, options.device, int8=int8)
    if options.window is not None:
        check_window(options.window, halo, card.stride)
    limit = DEFAULT_LIMIT if options.max_memory is None else options.max_memory
    rows = options.window or max(card.fixed_window or (card.window,))
    # What grows with the width alone: GDAL's blocks, strips of the map, and a row of windows of probabilities.
    pixel = len(scene.bands) * scene.dtype.itemsize + 1
    around = PROCESS + cache_bytes(scene.grid.width, rows + BLOCK, pixel) + 3 * BLOCK * scene.grid.width
    resampled = (grid.height, grid.width) != (scene.grid.height, scene.grid.width)
    if resampled or options.stitch == "blend":
        around += 4 * len(card.legend) * grid.width * (rows if resampled else 2 * halo)
    bytes_each = scene.patch_dtype == np.uint8 and not resampled  # an engine takes all else as float32
    carried = len(card.bands) * (1 if bytes_each else 4)
    carried += 1 if only_classes(options) and not resampled else 4 * len(card.legend)
    budget = choose(
        card, precision, model.parameters, (grid.height, grid.width), halo, max(0, limit - around),
        card.fixed_window or options.window, carried=carried, own=max(0, limit // jobs() - around),
    )  # fmt: skip
    needed = around + budget.bytes
    if options.max_memory is not None and needed * jobs() > limit:
        window = max(budget.window)
        raise ResourceError(
            scene.name,
            f"needs about {needed / 1e6:.0f} MB with windows of {window} pixels, "
            f"{option('max_memory')} is {limit / 1e6:.0f} MB" + (f" for {jobs()} jobs" if jobs() > 1 else ""),
            f"give a larger {option('max_memory')}"
            if options.window is None
            else f"use a smaller {option('window')}, or a larger {option('max_memory')}",
        )
    return replace(budget, bytes=needed)


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
            f"correct its CRS (gdal_edit.py -a_srs), or use {option('resolution', 'native')}",
        )
    if all(abs(r / wanted - 1) <= TOLERANCE for r in native):
        return scene.grid
    factor = max(native) / wanted
    if factor > MAX_REFINEMENT:
        problem = f"its pixels measure {max(native):.3g} m and would be refined {factor:.1f} times to {wanted:.3g} m"
        raise InputError(
            scene.name,
            f"{problem}, the limit is {MAX_REFINEMENT:g}",
            f"use {option('resolution', 'native')} or METRES instead of {option('resolution', 'model')}, "
            "or a model for this resolution",
        )
    return scene.grid.at(wanted)


def _strange_resolution(scene: Scene, grid: Grid, card: ModelCard) -> str | None:
    """What to warn of where the network sees the ground twice as coarse, or as fine, as it knows, or the scene is that
    coarse itself: refined pixels show no more."""
    if scene.grid.crs is None or not all(map(math.isfinite, (*grid.resolution_m, *scene.grid.resolution_m))):
        return None
    known, coarse, fine = card.resolution_m, max(*grid.resolution_m, *scene.grid.resolution_m), min(grid.resolution_m)
    told = coarse if coarse > FOREIGN * known else fine if fine * FOREIGN < known else None
    if told is None:
        return None
    return f"has pixels of {told:.3g} m, {card.name} knows those of {known:.3g} m; treat the map as a guess"


def job_cache(job: Job) -> int:
    """Bytes of GDAL's block cache: the blocks that one row of windows reads, whatever the scene's height."""
    rows = max(s.end - s.start for s in job.plan.rows) * job.scene.grid.height / job.grid.height
    return cache_bytes(job.scene.grid.width, int(rows) + BLOCK, len(job.scene.bands) * job.scene.dtype.itemsize + 1)


def foretell(job: Job) -> dict[str, Any]:
    """Windows, memory and disk of a run, estimated from the plan alone."""
    steps, within = job.steps, job.within
    return {
        "source": public_name(job.scene.name),
        "windows": len(steps),
        "window_pixels": sum(s.read.area for s in steps),
        "grid": {"height": job.grid.height, "width": job.grid.width, "resampled": job.resampled},
        "output": {"height": within.height, "width": within.width},
        "window": list(job.budget.window),
        "requests": job.budget.requests,
        "memory_bytes": job.budget.bytes,
        # A working copy and the result beside each other; class maps deflate to a tenth and less.
        "disk_bytes": 2 * within.area // 8,
        "warnings": list(job.warnings),
    }
