"""How fast several models are on this machine, measured in turns, so that what else it does hits all of them alike."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mapgen.errors import ModelError
from mapgen.inference.bench import engine_rate, samples, write_specimen
from mapgen.inference.job import opened_job
from mapgen.inference.options import SegmentOptions
from mapgen.inference.segment import Segmenter
from mapgen.model.file import Model
from mapgen.settings import EngineName, Precision

ROUNDS, SECONDS = 3, 0.4
"""Turns of each model, and how long each takes."""

_WINDOW, _SIDE = 512, 1024


def rates(models: Mapping[str, Model]) -> dict[str, dict[str, float]]:
    """Megapixels a second of each model by engine and precision: of windows that lie in memory, the best of ROUNDS.

    A model is left out where an engine cannot run it. Nothing is left behind.
    """
    with tempfile.TemporaryDirectory(prefix="mapgen-rates-") as folder:
        ready = {
            (name, label): _prepared(model, engine, precision, Path(folder))
            for name, model in models.items() for label, engine, precision in ways(model)
        }  # fmt: skip
    found: dict[str, dict[str, float]] = {name: {} for name in models}
    for _ in range(ROUNDS):
        for (name, label), run in ready.items():
            if run is not None:
                rate = engine_rate(*run, SECONDS) / 1e6
                found[name][label] = max(rate, found[name].get(label, 0.0))
    return {name: {label: round(rate, 3) for label, rate in own.items()} for name, own in found.items()}


def ways(model: Model) -> Iterator[tuple[str, EngineName, Precision]]:
    """What can run a model here: what it is called, the engine and the precision."""
    if find_spec("openvino") is not None:
        from mapgen.model.openvino import native_precisions

        if model.card.compression is None:
            for precision in native_precisions():
                yield precision, "openvino", precision
        if model.int8 is not None:
            yield "int8", "openvino", "int8"
    if model.card.compression is None and model.card.graph is None and find_spec("torch") is not None:
        from mapgen.model.torch import cuda_available

        if cuda_available():
            yield "GPU", "torch", "auto"


def _prepared(model: Model, engine: EngineName, precision: Precision, folder: Path) -> tuple[Any, list[Any]] | None:
    """The engine, warm, and windows for it; None where it cannot run the model."""
    window = None if model.card.fixed_window else min(_WINDOW, model.card.window)
    halo = None if window is None else 0
    options = SegmentOptions(model=str(model.path), engine=engine, precision=precision, window=window, halo=halo)
    scene = folder / f"{model.sha256[:16]}.tif"
    if not scene.exists():
        write_specimen(scene, model.card, _SIDE)
    try:
        run = Segmenter(options)
        with opened_job(str(scene), run.model, run.options) as job:
            ready = run.engine(job)
            windows = samples(job, ready)
        engine_rate(ready, windows[:1], 0)
    except ModelError:  # OpenVINO does not take every network; torch then is what runs it
        return None
    return ready, windows
