"""`explain`: why a model shows a place as it does."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.arrays import Array
from mapgen.errors import UsageError, aligned, option, require
from mapgen.explain.answers import TITLES, Answer, answers_of, doubts
from mapgen.explain.options import BY_GRADIENT, BY_SEGMENT, USUAL, ExplainOptions
from mapgen.explain.place import Place, place_of, question
from mapgen.explain.probe import Probe, Question
from mapgen.explain.sheet import UNKNOWN, Panel, as_picture, draw, outlined, overlaid
from mapgen.explain.write import raster_output, write_raster, write_segments
from mapgen.files.commit import Output, check_output, leave_folder, locked, make_folder, write_whole
from mapgen.files.inputs import note_inputs, one_run
from mapgen.files.machine import versions
from mapgen.files.pictures import write_picture
from mapgen.files.vet import driver_of, is_url, public_name
from mapgen.inference.job import Job, opened_job
from mapgen.model.card import ModelCard
from mapgen.model.engine import Engine, Setup
from mapgen.model.file import Model, find_model, network_of
from mapgen.model.select import open_engine
from mapgen.raster.patch import padded

PICTURE, REPORT = "explain.png", "explain.json"
"""Not report.json: a folder with that is what `map` makes."""

@dataclass(frozen=True, slots=True)
class Explained:
    """All that was found of a place."""

    output: Path
    files: tuple[Path, ...]
    report: dict[str, Any]
    answers: tuple[Answer, ...]
    warnings: tuple[str, ...]


@one_run()
def explain(model: str, source: str, output: Path, options: ExplainOptions) -> Explained:
    """Explain a place of a scene and write what was found into the folder `output`.

    Raises `UsageError` where a method cannot work on this model, `InputError` for a place that is not on the scene or
    has no data, `OutputError`; then nothing is written.
    """
    if not is_url(source):
        driver_of(Path(source))
    found = find_model(model)
    methods, notes = methods_for(found, options)
    note_inputs(source, found.path)
    places = _places(output, methods, options.overwrite)
    for place in places.values():
        if output.is_dir():
            check_output(place)
    with opened_job(source, found, options.segmenting(found.path)) as job:
        engine = _engine(job, options)
        there = place_of(job, options)
        made = _probabilities(engine, there, found.card)
        asked = question(there, made, found.card, options)
        if "bands" in methods and len(there.pixels) > 10:
            raise UsageError(option("methods"), f"bands of {len(there.pixels)}: 10 at most", "leave bands out")
        probe = Probe(engine, asked, 1 if found.card.fixed_window else engine.batch)
        answers = list(answers_of(job, probe, there, asked, methods, options))
        report = _report(job, there, asked, made, probe, answers, engine, options)
    _write(output, places, there, found.card, made, asked, answers, report)
    warnings = (*job.warnings, *notes, *doubts(answers))
    return Explained(output, tuple(p.path for p in places.values()), report, tuple(answers), warnings)


def methods_for(model: Model, options: ExplainOptions) -> tuple[tuple[str, ...], list[str]]:
    """The methods that are to be used, and notes on those that are usual and cannot be.

    Raises `UsageError` where one was asked for that needs what the model or the installation does not have.
    """
    card = model.card
    if card.graph is not None and card.graph.head == "ids":
        raise UsageError(card.name, "it does not say how sure it is of a class", "use a model with scores")
    graph = card.graph is not None or card.compression is not None
    if options.methods is not None:
        wants = [one for one in options.methods if one in BY_GRADIENT]
        if wants and graph:
            problem = f"{wants[0]} needs derivatives, and {card.name} is held as a graph, which has none"
            raise UsageError(option("methods"), problem, f"use {option('method', 'occlusion,bands')}")
        if wants:
            require("torch", option("methods", wants[0]), "this method")
        return options.methods, []
    if graph or find_spec("torch") is None:
        why = f"{card.name} is held as a graph" if graph else "torch is not installed: pip install 'mapgen[torch]'"
        left = ", ".join(one for one in USUAL if one in BY_GRADIENT)
        return tuple(one for one in USUAL if one not in BY_GRADIENT), [f"is explained without {left}: {why}"]
    return USUAL, []


def _places(folder: Path, methods: tuple[str, ...], overwrite: bool) -> dict[str, Output]:
    """The outputs by method and kind."""
    rasters = {one: raster_output(Output(folder / f"{one}.tif", overwrite)) for one in methods if one != "bands"}
    rasters |= {f"{one} segments": Output(folder / f"{one}.gpkg", overwrite) for one in BY_SEGMENT if one in methods}
    return rasters | {name: Output(folder / name, overwrite) for name in (PICTURE, REPORT)}


def _engine(job: Job, options: ExplainOptions) -> Engine:
    """An engine for float32 pixels: means of bands are no whole numbers."""
    compression = job.model.card.compression
    auto = "fp32" if compression is None else compression.precision  # it may hold nothing else
    precision = auto if options.precision == "auto" else options.precision
    setup = Setup(job.normalization, np.dtype(np.float32), "probabilities", precision, options.threads)  # type: ignore[arg-type]
    return open_engine(network_of(job.model, setup.precision), setup, options.engine, options.device)


def _probabilities(engine: Engine, place: Place, card: ModelCard) -> Array:
    """What the model makes of the place, (K, H, W)."""
    height, width = place.valid.shape
    ((_, found),) = engine.stream([(0, padded(place.pixels, card.lattice)[None])])
    assert found is not None
    return found[0, :, :height, :width]


def _report(
    job: Job, place: Place, asked: Question, made: Array, probe: Probe, answers: list[Answer], engine: Engine,
    options: ExplainOptions,
) -> dict[str, Any]:  # fmt: skip
    """What `REPORT` says."""
    card, window = job.model.card, place.window
    base = place.base(job.normalization.mean)
    ends = probe([place.pixels, base])
    likely = made[:, asked.region].mean(1)
    return {
        "kind": "explanation", "scene": public_name(job.scene.name),
        "model": {"name": card.name, "sha256": job.model.sha256},
        "place": {
            "row": window.row, "col": window.col, "height": window.height, "width": window.width,
            "bounds": list(place.grid.bounds), "crs": place.grid.crs, "pixels": int(asked.region.sum()),
        },
        "class": card.legend.names[asked.channel],
        "probabilities": {n: round(float(p), 4) for n, p in zip(card.legend.names, likely, strict=True)},
        "score": {
            "meaning": "mean over the pixels of the class' score less the mean of all classes' scores",
            "value": round(float(ends[0]), 4), "base": round(float(ends[1]), 4),
        },
        "base": dict(zip(card.bands, (round(float(v), 3) for v in base[:, 0, 0]), strict=True)),
        "methods": {one.method: one.to_json() for one in answers},
        "engine": {"name": engine.name, "device": engine.device, "precision": engine.precision, "runs": probe.runs},
        "options": {k: str(v) for k, v in dataclasses.asdict(options).items() if v is not None},
        "versions": versions(),
    }  # fmt: skip


def _write(
    folder: Path, places: dict[str, Output], place: Place, card: ModelCard, made: Array, asked: Question,
    answers: list[Answer], report: dict[str, Any],
) -> None:  # fmt: skip
    """Write all files; a folder that was made for them goes again where none was written."""
    made_folder = make_folder(folder)
    try:
        with locked(folder, inside=True):
            for one in answers:
                if one.is_map:
                    title = f"{TITLES[one.method]}: {card.legend.names[asked.channel]}"
                    write_raster(places[one.method], one.values, place.valid, place.grid, title)
                if one.labels is not None and one.parts is not None:
                    where = places[f"{one.method} segments"]
                    write_segments(where, one.method, one.parts, one.labels, place.valid, place.grid)
            write_picture(places[PICTURE], _sheet(place, card, made, asked, answers, report))
            write_whole(places[REPORT], json.dumps(report, indent=1) + "\n")
    finally:
        if made_folder:
            leave_folder(folder)


def _sheet(
    place: Place, card: ModelCard, made: Array, asked: Question, answers: list[Answer], report: dict[str, Any]
) -> Any:
    picture = as_picture(place.pixels, place.valid, card.bands)
    colors = np.array([c.rgb for c in card.legend], np.uint8)[made.argmax(0)]
    picture[~place.valid] = colors[~place.valid] = UNKNOWN
    name = card.legend.names[asked.channel]
    panels = [Panel(f"why {name}?", outlined(picture, asked.region)), Panel("the map", outlined(colors, asked.region))]
    for one in answers:
        if one.is_map:
            faith = f", faithful {one.faith.deletion_beats:.0%}" if one.faith else ""
            shown = overlaid(picture, np.where(place.valid, one.values, 0.0))
            panels.append(Panel(f"{TITLES[one.method]}{faith}", outlined(shown, asked.region)))
    likely = ", ".join(f"{n} {p:.0%}" for n, p in report["probabilities"].items())
    score = report["score"]
    foot = f"{card.name}: {likely}; score of {name} {score['value']:.2f}, of the mean colours {score['base']:.2f}"
    for one in answers:
        if one.method == "bands":
            foot += "; " + ", ".join(f"{n} {v:+.2f}" for n, v in one.facts["bands"].items())
    return draw(panels, foot)


def lines(found: Explained) -> Iterator[str]:
    """What was found, as a text of tables."""
    report, score = found.report, found.report["score"]
    likely = ", ".join(f"{n} {p:.2f}" for n, p in report["probabilities"].items())
    yield f"{report['class']} at {report['place']['pixels']} pixels of {report['scene']}: {likely}"
    yield f"score {score['value']:.2f}, of the mean colours alone {score['base']:.2f}"
    yield ""
    rows = [["method", "seconds", "deletion", "beats chance", "insertion", "beats chance"]]
    for one in found.answers:
        faith = one.faith
        told = ["–"] * 4 if faith is None else [
            f"{faith.deletion:.2f}", f"{faith.deletion_beats:.0%}", f"{faith.insertion:.2f}",
            f"{faith.insertion_beats:.0%}",
        ]  # fmt: skip
        rows.append([one.method, f"{one.seconds:.1f}", *told])
    yield from aligned(rows)
    for one in found.answers:
        if "segments" in one.facts:
            yield f"{one.method}: " + ", ".join(f"{k.replace('_', ' ')} {v:g}" for k, v in one.facts.items())
        if "bands" in one.facts:
            yield f"{one.method}: " + ", ".join(f"{n} {v:+.3f}" for n, v in one.facts["bands"].items())
