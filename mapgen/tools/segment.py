"""`segment`: a class map from imagery."""

from __future__ import annotations

import dataclasses
import json
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
from mapgen.grid import Window
from mapgen.infer import infer
from mapgen.io.aoi import Area
from mapgen.io.cache import cache_folder
from mapgen.io.classmap import BLOCK, check_creation_options, write_class_map
from mapgen.io.commit import check_output
from mapgen.io.gdal import environment
from mapgen.io.models import find_model, read_tensors
from mapgen.io.opening import open_scene
from mapgen.io.vet import beside, driver_of, is_url, public_name
from mapgen.legend import NODATA
from mapgen.patch import Array, Patch
from mapgen.plan import Step
from mapgen.rescale import rescale
from mapgen.scaling import Normalization
from mapgen.settings import SegmentOptions
from mapgen.stitch import STITCH, strips
from mapgen.tools.job import Job, foretell, job_cache, plan_job

Progress = Callable[[int, int], None]
"""Told how many pixels of how many are written."""


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
    return beside(source, ".mask.tif", folder)


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
