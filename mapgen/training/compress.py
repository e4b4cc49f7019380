"""`compress`: a cheaper form of a model, with what it costs measured and written on its card."""

from __future__ import annotations

import dataclasses
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from mapgen.accuracy.confusion import Tally
from mapgen.accuracy.evaluate import Evaluation
from mapgen.accuracy.evaluate import run as evaluate_map
from mapgen.accuracy.options import EvaluateOptions
from mapgen.arrays import Array
from mapgen.errors import InputError, UsageError, one_line, option, require
from mapgen.files.commit import Output, check_output, locked
from mapgen.files.inputs import note_inputs, note_output, one_run
from mapgen.files.vet import public_name
from mapgen.inference.job import opened_job
from mapgen.inference.options import SegmentOptions
from mapgen.inference.segment import Segmenter
from mapgen.model.card import Compression, ModelCard
from mapgen.model.engine import Engine, Setup
from mapgen.model.file import Model, builtin_models, find_model, int8_path, network_of
from mapgen.model.graph import canonical
from mapgen.model.normalization import Normalization
from mapgen.model.write import save_graph
from mapgen.parallel import processors
from mapgen.plan import Step
from mapgen.raster.patch import padded
from mapgen.settings import PathLike, Precision, taking
from mapgen.training.options import CompressKeys, CompressOptions

SIDE = 512
"""Side of calibration windows: large enough for a network's context, small enough that many fit into memory."""

CHECKED = 16
"""Windows, beside those of the calibration, on which agreement and speed are measured."""

ROUNDS = 4
"""How often each precision is timed, in turn with the others. Processor time counts, and the best of them, because
other work on the machine would spoil the time on the clock."""

LOW_AGREEMENT, LARGE_LOSS = 0.98, 0.01
"""What is warned of: less agreement with float32, or more loss of mIoU."""

_SEED = 0
_LISTED = 8

Say = Callable[[str], None]
"""Told what is being done."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one model."""

    source: str
    output: Path
    parent: str
    card: ModelCard
    bytes: int
    parent_bytes: int
    seconds: float
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<model {self.output}: int8 of {self.parent}, {self.bytes / 1e6:.1f} MB, {self.seconds:.1f} s>"

    @property
    def measured(self) -> dict[str, Any]:
        """What the card says was measured."""
        assert self.card.compression is not None
        return dict(self.card.compression.measured)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        kept = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "card"}
        assert self.card.compression is not None
        return kept | {
            "output": str(self.output), "warnings": list(self.warnings), "to": self.card.compression.precision,
            "measured": self.measured, "exit_code": 0,
        }  # fmt: skip


@taking(CompressOptions, CompressKeys)
def compress(
    model: PathLike, scenes: Sequence[PathLike], output: PathLike | None = None, **options: Unpack[CompressKeys]
) -> Result:
    """Make the int8 graph of a model, calibrated on windows of `scenes`, as `NAME.int8.safetensors` beside it.

    `options` are the fields of `CompressOptions`. Agreement with float32 and speed are measured and written into the
    card, and the mIoU before and after where labelled scenes are given. Raises `UsageError`, `ModelError`, `InputError`
    or `OutputError`; then nothing is written.
    """
    names = tuple(str(scene) for scene in scenes)
    return run(str(model), names, CompressOptions(**options), None if output is None else Path(output))


def default_output(model: Model) -> Path:
    """`roofs.safetensors` → `roofs.int8.safetensors` beside it; of a built-in model in the current folder."""
    path = int8_path(model.path)
    return Path(path.name) if model.path in builtin_models() else path


@one_run()
def run(
    name: str, scenes: Sequence[str], options: CompressOptions, output: Path | None = None, say: Say = lambda _: None
) -> Result:
    """Compress the model called `name`; see `compress`."""
    start = time.perf_counter()
    model = find_model(name)
    _check(model, scenes, options)
    output = default_output(model) if output is None else output
    output = output / int8_path(model.path).name if output.is_dir() else output
    note_inputs(*scenes, *(part for pair in options.evaluate for part in pair))
    if output == int8_path(model.path):
        note_output(output)  # the older graph is opened with its model, and is what this run is to replace
    check_output(Output(output, options.overwrite))
    require("compress", option("to"), "making int8 graphs")
    if not model.has_graph:
        require("torch", option("to"), "making the graph of a model of before")
    with locked(output), tempfile.TemporaryDirectory(prefix="mapgen-") as scratch:
        made = _Compressor(model, options, Path(scratch), say)
        card = made.card(scenes)
        save_graph(*made.graph, card, Output(output, options.overwrite))
    return Result(
        str(name), output, model.card.name, card, output.stat().st_size, model.path.stat().st_size,
        round(time.perf_counter() - start, 3), tuple(_warnings(card)),
    )  # fmt: skip


def _check(model: Model, scenes: Sequence[str], options: CompressOptions) -> None:
    if model.card.compression is not None:
        of = one_line(model.card.compression.parent)
        raise UsageError("MODEL", f"{one_line(model.path)} is the compressed form of {of} already", f"name {of} itself")
    if not scenes:
        raise UsageError(option("calibrate"), "no scene is given", "name imagery like that which the model is for")
    same = {os.path.realpath(s) for s in scenes} & {os.path.realpath(s) for s, _ in options.evaluate}
    if same:
        problem = f"{public_name(min(same))} is also calibrated on, so it says nothing of other imagery"
        raise UsageError(option("evaluate"), problem, "evaluate on scenes of their own")


def _warnings(card: ModelCard) -> Iterator[str]:
    assert card.compression is not None
    measured = card.compression.measured
    int8 = measured["int8"]
    if int8["agreement"] < LOW_AGREEMENT:
        few = f"only {int8['agreement']:.1%} of the pixels keep their class"
        yield f"{few}; use more {option('windows')} or other scenes"
    loss = measured["fp32"].get("miou", 0.0) - int8.get("miou", 0.0)
    if loss > LARGE_LOSS:
        yield f"int8 loses {100 * loss:.1f} points of mIoU; use more {option('windows')} or other scenes"


class _Compressor:
    """One model on its way to int8. `graph` is there once `card` was asked for."""

    def __init__(self, model: Model, options: CompressOptions, scratch: Path, say: Say) -> None:
        self.model, self.options, self.scratch, self.say = model, options, scratch, say
        self.graph: tuple[bytes, bytes] = b"", b""
        self.network = replace(network_of(model, "fp32"), int8=lambda: self.graph)

    def card(self, scenes: Sequence[str]) -> ModelCard:
        """The card of the quantised graph: its parent's, and what was measured."""
        from mapgen.model.openvino import bare_graph, native_precisions
        from mapgen.training.quantize import quantized

        self.say(f"reading {self.options.windows} windows")
        windows = list(self._windows(scenes, self.options.windows + CHECKED))
        if not windows:
            raise InputError(public_name(scenes[0]), "no scene has a window with data", "calibrate on other imagery")
        samples = windows[: self.options.windows]
        self.say(f"calibrating on {len(samples)} windows")
        text, numbers, method = quantized(bare_graph(self.network), samples)
        text = canonical(text, len(numbers))
        self.graph = text, numbers
        compared: list[Precision] = ["fp32", *(p for p in native_precisions() if p == "bf16"), "int8"]
        unseen = windows[self.options.windows :]
        self.say(f"comparing {', '.join(compared)}")
        measured: dict[str, Any] = {"ground": _ground(scenes, bool(unseen))}
        measured |= self._compared(unseen or samples, compared)
        if self.options.evaluate:
            measured = _merged(measured, self._evaluated(compared, method))
        measured["megabytes"] = {
            "model": round(self.model.path.stat().st_size / 1e6, 2),
            "int8": round((len(text) + len(numbers)) / 1e6, 2),
        }
        measured["machine"] = f"{_processor()}, {processors()} cores"
        return self._card(method, measured)

    def _card(self, method: str, measured: dict[str, Any]) -> ModelCard:
        parent = self.model.card
        return replace(
            parent, compression=Compression("int8", parent.name, self.model.sha256, method=method, measured=measured)
        )

    def _windows(self, scenes: Sequence[str], count: int) -> Iterator[Array]:
        """Up to `count` windows of normalised pixels, float32 (1, C, H, W), drawn evenly from the scenes.

        The same for the same scenes and count. The windows of the calibration come first, whatever is asked for behind.
        """
        rng = np.random.default_rng(_SEED)
        order = rng.permutation(len(scenes))
        shares = [len(part) for part in np.array_split(np.arange(count), len(scenes))]
        pools = [list(self._drawn(scenes[at], share, rng)) for at, share in zip(order, shares, strict=True) if share]
        while any(pools):  # one of each scene in turn, so that both parts see all scenes
            for pool in pools:
                if pool:
                    yield pool.pop(0)

    def _drawn(self, source: str, count: int, rng: np.random.Generator) -> Iterator[Array]:
        """Up to `count` windows of one scene, at random places of its plan, each at least half with data."""
        options, card = self._segment_options(), self.model.card
        side = max(card.stride, min(SIDE, card.window) // card.stride * card.stride)
        window = None if card.fixed_window else side
        with opened_job(source, self.model, replace(options, window=window, halo=0)) as job:
            steps = _whole(job.steps)
            found = 0
            for at in rng.permutation(len(steps))[: 20 * count]:
                patch = next(job.scene.patches([steps[at]], job.grid))
                if found < count and patch.values is not None and patch.valid.mean() >= 0.5:
                    found += 1
                    yield _normalized(padded(patch.values, card.lattice), job.normalization)[None]

    def _segment_options(self) -> SegmentOptions:
        options = self.options
        return SegmentOptions(
            model=str(self.model.path),
            bands=options.bands,
            nodata=options.nodata,
            scale=options.scale,
            engine="openvino",
        )  # fmt: skip

    def _compared(self, windows: Sequence[Array], precisions: Sequence[Precision]) -> dict[str, Any]:
        """Agreement with float32, and how many times as fast, of each precision on the same windows."""
        engines = {p: self._engine(p) for p in precisions}
        maps = {p: _classes(e, windows) for p, e in engines.items()}  # also compiles the graphs
        pixels = sum(m.size for m in maps["fp32"])
        best = dict.fromkeys(precisions, float("inf"))
        for _ in range(ROUNDS):
            for precision, engine in engines.items():
                start = time.process_time()
                _classes(engine, windows)
                best[precision] = min(best[precision], time.process_time() - start)
        found: dict[str, Any] = {"pixels": pixels}
        for precision in precisions:
            same = sum(int((a == b).sum()) for a, b in zip(maps[precision], maps["fp32"], strict=True))
            times = best["fp32"] / best[precision]
            found[precision] = {"agreement": round(same / pixels, 5), "times_fp32": round(times, 2)}
        return found

    def _engine(self, precision: Precision) -> Engine:
        """An engine for pixels that are normalised already."""
        from mapgen.model.openvino import OpenVINOEngine

        bands = len(self.model.card.bands)
        plain = Normalization((0.0,) * bands, (1.0,) * bands)
        setup = Setup(plain, np.dtype(np.float32), output="classes", precision=precision)
        return OpenVINOEngine(self.network, setup)

    def _evaluated(self, precisions: Sequence[Precision], method: str) -> dict[str, Any]:
        """mIoU against truth and agreement with float32 of whole class maps, as `segment` and `evaluate` give them."""
        model = self.scratch / self.model.path.name
        shutil.copyfile(self.model.path, model)
        save_graph(*self.graph, self._card(method, {}), Output(int8_path(model)))
        counts = {p: _Counts() for p in precisions}
        same = {p: _Counts() for p in precisions}
        for number, (source, truth) in enumerate(self.options.evaluate):
            self.say(f"evaluating {public_name(source)}")
            maps = {}
            for precision in precisions:
                maps[precision] = self.scratch / f"{number}.{precision}.tif"
                options = replace(self._segment_options(), model=str(model), precision=precision)
                Segmenter(options)(source, maps[precision])
                found = evaluate_map(str(maps[precision]), truth, EvaluateOptions(ignore=self.options.ignore))
                counts[precision].add(found)
                same[precision].add(evaluate_map(str(maps[precision]), str(maps["fp32"]), EvaluateOptions()))
            for path in maps.values():
                path.unlink()
        record: dict[str, Any] = {
            "ground": f"whole maps of {_listed([s for s, _ in self.options.evaluate])}, not calibrated on",
            "pixels": int(same["fp32"].tally.truth.sum()),
        }
        for precision in precisions:
            tally = counts[precision].tally
            record[precision] = {
                "agreement": round(float(same[precision].tally.accuracy), 5),
                "miou": round(float(tally.miou), 4), "accuracy": round(float(tally.accuracy), 4),
            }  # fmt: skip
        return record


class _Counts:
    """Confusion counts of several maps, added up by class."""

    def __init__(self) -> None:
        self._sums: dict[tuple[Any, Any], int] = {}

    def add(self, found: Evaluation) -> None:
        """Count the pixels of one more map."""
        names = [c.name if c.id is None else c.id for c in found.report.classes]
        for (row, col), value in np.ndenumerate(found.report.counts):
            place = names[row], names[col]
            self._sums[place] = self._sums.get(place, 0) + int(value)

    @property
    def tally(self) -> Tally:
        """The sums of the matrix."""
        names = list(dict.fromkeys(name for place in self._sums for name in place))
        return Tally.of(np.array([[self._sums.get((a, b), 0) for b in names] for a in names], np.int64))


def _whole(steps: Sequence[Step]) -> list[Step]:
    """The steps that read the most pixels: edge windows are cut, and all of them only where the scene is small."""
    most = max((s.read.area for s in steps), default=0)
    return [s for s in steps if s.read.area == most]


def _normalized(pixels: Array, norm: Normalization) -> Array:
    """Raw pixels (C, H, W) as the network sees them, float32."""
    values = pixels.astype(np.float32)
    if norm.low is not None and norm.high is not None:
        values = values.clip(norm.low, norm.high)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (norm.mean, norm.std))
    return np.ascontiguousarray((values - mean) / std)


def _classes(engine: Engine, windows: Sequence[Array]) -> list[Array]:
    return [result for _, result in engine.stream((None, window) for window in windows) if result is not None]


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Two levels of dictionaries in one; what is in both is the second's."""
    both = {k: first[k] | v for k, v in second.items() if isinstance(v, dict) and k in first}
    return first | second | both


def _ground(scenes: Sequence[str], unseen: bool) -> str:
    other = "other windows" if unseen else "the calibration's own windows"
    return f"{other} of {_listed(scenes)}; without truth, so agreement alone"


def _listed(names: Sequence[str]) -> str:
    """The first few files by name, with their folder where names recur."""
    paths = [Path(public_name(name)) for name in names]
    depth = 1 if len({p.name for p in paths}) == len(paths) else 2
    shown = ["/".join(p.parts[-depth:]) for p in paths[:_LISTED]]
    return ", ".join(shown) + (f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else "")


def _processor() -> str:
    """What the processor calls itself."""
    from mapgen.model.runtime import core

    return f"{platform.machine()}, {core().get_property('CPU', 'FULL_DEVICE_NAME')}"
