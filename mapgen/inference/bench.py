"""`bench`: where the time of `segment` goes on this machine, and how near it comes to what the engine alone can do."""

from __future__ import annotations

import dataclasses
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from affine import Affine

from mapgen.arrays import Array
from mapgen.errors import InputError
from mapgen.files.gdal import MEBIBYTE
from mapgen.files.machine import version_of
from mapgen.files.vet import public_name
from mapgen.inference.infer import infer
from mapgen.inference.job import Job, opened_job
from mapgen.inference.options import SegmentOptions
from mapgen.inference.segment import Segmenter
from mapgen.model.card import ModelCard
from mapgen.model.engine import Engine
from mapgen.parallel import Progress, processors

STAGES = ("read", "infer", "stitch", "write")
"""The stages of `segment`. Reading goes on in a thread of its own; the others follow each other and are all the time:
waiting for the engine, joining and deciding, and the rest, which is writing and verifying above all."""

FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "bf16", "i8mm")
"""What decides how fast a CPU runs a network, as Linux calls it."""

_PACKAGES = ("openvino", "torch", "numpy", "rasterio")
_SAMPLES, _SAMPLE_BYTES = 8, 32 * MEBIBYTE
_SECONDS = 2.5


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured. Rates are in megapixels a second."""

    scene: str
    height: int
    width: int
    model: str
    network: str
    engine: str
    device: str
    precision: str
    window: int
    stitch: str
    windows: int
    window_pixels: int
    """Of all windows together, what overlaps counted as often as the network sees it."""
    start_seconds: float
    """Opening the engine and compiling for the first window."""
    seconds: float
    """From the scene to the verified map, the engine being ready."""
    stages: dict[str, float]
    """Seconds by stage, as in `STAGES`."""
    rate: float
    """Of the map."""
    engine_rate: float
    """Of windows of this scene that lie in memory, through the engine alone."""
    efficiency: float
    """The engine's time for all windows at its own rate, as a share of the time that it took."""
    peak_mb: int
    machine: str
    versions: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return dataclasses.asdict(self)


def bench(source: str | None, options: SegmentOptions, size: int, progress: Progress | None = None) -> Figures:
    """Figures of `segment` on the scene `source`, or on noise of `size`² pixels that suits the model.

    The engine alone is measured before and after, and its better rate counts, since other work on the machine can only
    slow it down. Nothing is left behind. Raises what `segment` raises.
    """
    watch = Stopwatch()
    run = Segmenter(options, watch=watch.over)
    with tempfile.TemporaryDirectory(prefix="mapgen-bench-") as name:
        folder = Path(name)
        scene = source or str(write_specimen(folder / "noise.tif", run.model.card, size))
        with opened_job(scene, run.model, run.options) as job:
            began = time.perf_counter()
            engine = run.engine(job)
            batches = samples(job, engine)
            engine_rate(engine, batches[:1], 0)
            start = time.perf_counter() - began
            before = engine_rate(engine, batches)
            height, width = job.within.height, job.within.width
            window_pixels = sum(step.read.area for step in job.steps)
        began = time.perf_counter()
        with watch.stage("write"):
            result = run(scene, folder / "map.tif", progress)
        seconds = time.perf_counter() - began
        alone = max(before, engine_rate(engine, batches))
    card = run.model.card
    return Figures(
        scene=public_name(source) if source else f"noise of {size} × {size} pixels", height=height, width=width,
        model=card.name, network=f"{card.architecture} {card.encoder}, {run.model.parameters / 1e6:.1f} M parameters",
        engine=engine.name, device=engine.device, precision=engine.precision,
        window=max(max(batch.shape[-2:]) for batch in batches), stitch=options.stitch,
        windows=result.windows, window_pixels=window_pixels, start_seconds=round(start, 3), seconds=round(seconds, 6),
        stages={name: round(watch.seconds.get(name, 0.0), 6) for name in STAGES},
        rate=round(height * width / 1e6 / seconds, 3), engine_rate=round(alone / 1e6, 3),
        efficiency=round(window_pixels / alone / seconds, 3), peak_mb=peak_mb(), machine=machine(),
        versions=versions(),
    )  # fmt: skip


def samples(job: Job, engine: Engine) -> list[Array]:
    """The first few batches of a job as the engine is given them. Raises `InputError` where there is no data."""
    kept: list[Array] = []

    class Keeper:
        """In the engine's place, to see what it would."""

        def stream(self, batches: Iterable[tuple[Any, Array | None]]) -> Iterator[tuple[Any, Array | None]]:
            for _, pixels in batches:
                if pixels is not None:
                    kept.append(pixels)
                if len(kept) == _SAMPLES or sum(p.nbytes for p in kept) > _SAMPLE_BYTES:
                    return
            yield from ()

    batch = job.options.batch or engine.batch
    for _ in infer(job.scene.patches(job.steps, job.grid), Keeper(), job.model.card.lattice, batch):
        pass
    if not kept:
        raise InputError(job.scene.name, "has no valid pixel to measure with", "name another scene, or none")
    return kept


def engine_rate(engine: Engine, batches: list[Array], seconds: float = _SECONDS) -> float:
    """Pixels a second that the engine computes of these batches, again and again for about this time."""
    began = time.perf_counter()

    def endless() -> Iterator[tuple[int, Array]]:
        for number, pixels in enumerate(cycle(batches)):
            if number >= len(batches) and time.perf_counter() - began >= seconds:
                return
            yield _pixels(pixels), pixels

    done = sum(count for count, _ in engine.stream(endless()))
    return done / (time.perf_counter() - began)


def _pixels(batch: Array) -> int:
    return int(batch.shape[0] * batch.shape[-2] * batch.shape[-1])


# --- the machine -----------------------------------------------------------------------------------------------------


def machine() -> str:
    """One line: system, architecture, processor, cores, and what they can do."""
    name, flags = _cpu()
    parts = [platform.system(), platform.machine(), name, f"{processors()} cores", " ".join(flags)]
    return ", ".join(part for part in parts if part)


def _cpu() -> tuple[str, tuple[str, ...]]:
    """The processor's name and which of `FLAGS` it has, as far as the system says."""
    name, flags = platform.processor(), set[str]()
    facts = Path("/proc/cpuinfo")
    for line in facts.read_text(errors="replace").splitlines() if facts.exists() else ():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        elif key.strip() in ("flags", "Features"):
            flags = set(value.split())
    return name, tuple(flag for flag in FLAGS if flag in flags)


def versions() -> dict[str, str]:
    """Python's, mapgen's, and those of the packages that do the work."""
    named = {name: text for name in ("mapgen", *_PACKAGES) if (text := version_of(name))}
    return {"python": platform.python_version()} | named


def peak_mb() -> int:
    """The most memory that this process has held, in megabytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


# --- the table -------------------------------------------------------------------------------------------------------


def lines(figures: Figures) -> Iterator[str]:
    """The figures as Markdown, to paste into an issue."""
    f = figures
    yield f"**mapgen bench**: {f.model} ({f.network}) by {f.engine} on {f.device} in {f.precision}"
    yield ""
    windows = f"{f.windows} window{'s' if f.windows != 1 else ''}"
    yield f"- scene: {f.scene}, map {f.width} × {f.height}, {windows} of up to {f.window}², {f.stitch}"
    yield f"- machine: {f.machine}"
    yield f"- versions: {', '.join(f'{name} {number}' for name, number in f.versions.items())}"
    yield ""
    yield "| stage | seconds | share |"
    yield "|---|--:|--:|"
    for name, seconds in f.stages.items():
        beside = " (beside the others)" if name == "read" else ""
        yield f"| {name}{beside} | {seconds:.2f} | {seconds / f.seconds:.0%} |"
    yield f"| all | {f.seconds:.2f} | 100% |"
    yield ""
    yield "| figure | value |"
    yield "|---|--:|"
    yield f"| map, end to end | {f.rate:.2f} Mpx/s |"
    yield f"| windows, engine alone | {f.engine_rate:.2f} Mpx/s |"
    yield f"| efficiency | {f.efficiency:.0%} |"
    yield f"| start | {f.start_seconds:.2f} s |"
    yield f"| peak memory | {f.peak_mb} MB |"


BLOCK = 512

_CRS = "EPSG:32631"

_GRAINS = (64, 16, 4, 1)
"""Sides in pixels of the squares that the texture is made of, from the coarse to the fine."""


def write_specimen(path: Path, card: ModelCard, side: int, seed: int = 0) -> Path:
    """Write a scene of `side`² pixels with the bands, values and resolution of a model to `path`, and return that.

    Its pixels are noise of several grains about the model's mean, the same for the same seed: no picture of anything,
    but no easier to read or to map than one. A tiled GeoTIFF, DEFLATE.
    """
    import rasterio

    profile = {
        "driver": "GTiff", "dtype": card.data_type, "count": len(card.bands), "height": side, "width": side,
        "crs": _CRS, "transform": Affine(card.resolution_m, 0, 500_000, 0, -card.resolution_m, 5_000_000),
        "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "DEFLATE", "ZLEVEL": 1,
        "interleave": "pixel", "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.descriptions = card.bands
        for row, strip in _strips(card, side, np.random.default_rng(seed)):
            dataset.write(strip, window=((row, row + strip.shape[1]), (0, side)))
    return path


def _strips(card: ModelCard, side: int, rng: np.random.Generator) -> Iterator[tuple[int, Array]]:
    """(row, pixels (C, h, side)) from the top, `BLOCK` rows each."""
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (card.mean, card.std))
    for row in range(0, side, BLOCK):
        rows = min(BLOCK, side - row)
        texture = sum(_grain(rng, len(card.bands), rows, side, grain) for grain in _GRAINS) / len(_GRAINS) ** 0.5
        yield row, _as_type(mean + std * texture, np.dtype(card.data_type))


def _grain(rng: np.random.Generator, bands: int, rows: int, cols: int, grain: int) -> Array:
    """Normal noise (bands, rows, cols), constant on squares of `grain` pixels; half of it common to all bands."""
    shape = -(-rows // grain), -(-cols // grain)
    noise = (rng.standard_normal((1, *shape), np.float32) + rng.standard_normal((bands, *shape), np.float32)) / 2**0.5
    return noise.repeat(grain, 1).repeat(grain, 2)[:, :rows, :cols]


def _as_type(values: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "f":
        return values.astype(dtype)
    return values.clip(1, np.iinfo(dtype).max).astype(dtype)  # not 0, which looks like nodata


T = TypeVar("T")


class Stopwatch:
    """Seconds by stage.

    What runs within a stage and belongs to another stage of the same thread counts for that one alone, so where all is
    done in one thread, the seconds of all stages add up to those of the outermost. A stage that waits for another
    thread is charged for the waiting.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock
        self._inner = threading.local()
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Charge the block to the stage `name`."""
        outer: float = getattr(self._inner, "seconds", 0.0)
        self._inner.seconds = 0.0
        began = self._clock()
        try:
            yield
        finally:
            passed = self._clock() - began
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + passed - self._inner.seconds
            self._inner.seconds = outer + passed

    def over(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """The same items; the making of each is charged to the stage `name`."""
        source = iter(items)
        while True:
            with self.stage(name):
                item = next(source, _END)
            if item is _END:
                return
            yield item  # type: ignore[misc]


_END = object()
