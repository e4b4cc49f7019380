"""`models import`: networks of others become models of one's own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mapgen.errors import ModelError, UsageError, one_line, option
from mapgen.files.cache import models_folder
from mapgen.files.commit import Output
from mapgen.files.inputs import note_inputs, one_run
from mapgen.legend import Class, Legend, colors_of
from mapgen.model.card import LARGEST, ModelCard, Origin
from mapgen.model.file import SUFFIX, builtin_models
from mapgen.model.foreign import ImportOptions, Source
from mapgen.model.normalization import RANGES
from mapgen.model.onnx import SIZE_LIMIT, outline
from mapgen.model.onnx_keys import SEGMENTOR, is_background, said
from mapgen.model.write import save_graph

RGB = ("red", "green", "blue")
_BYTES = 255.0
"""What Deepness and GeoDeep divide pixels by, whatever their type."""

_OVERLAP, _WIDEST_HALO = 0.12, 64


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one file."""

    source: str
    output: Path
    card: ModelCard
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return {"source": self.source, "output": str(self.output), "name": self.card.name, "notes": list(self.notes)}


@one_run()
def import_model(path: Path, options: ImportOptions, output: Path | None = None) -> Imported:
    """Make a model of the network in the file or folder at `path`; by default in the user's folder, under its name.

    Raises `UsageError` that names all that is missing at once, `ModelError` for what is no network that gives each
    pixel a class or could do harm, and `OutputError`; then nothing is written.
    """
    source = opened(path, options)
    _ask(source, options)
    card, notes = _card(source, options)
    graph = source.network.scores(len(card.legend), _head(source, options), _threshold(source, options))
    from mapgen.model.runtime import written

    output = _place(card.name, output)
    save_graph(*written(graph), card, Output(output, options.overwrite))
    return Imported(str(path), output, card, tuple(notes))


def opened(path: Path, options: ImportOptions) -> Source:
    """The network at `path`, by what lies there."""
    subject = one_line(path)
    if path.is_dir() or path.name == "model.safetensors" or path.suffix.lower() == ".json":
        from mapgen.model.folders import opened_folder, opened_item

        if path.suffix.lower() == ".json":
            return opened_item(path, lambda target: opened(target, options))
        return opened_folder(path, options)
    if not path.is_file():
        problem = "is not a file" if path.exists() else "no such file"
        raise ModelError(subject, problem, "name an ONNX file, or a folder of save_pretrained")
    try:
        with open(path, "rb") as stream:
            data = stream.read(SIZE_LIMIT)  # no more than is taken
    except OSError as exc:
        raise ModelError(subject, f"cannot be read ({exc.strerror})", "check the path and its permissions") from exc
    note_inputs(path)
    _refuse_others(data[:9], subject)
    return opened_onnx(data, path, options)


def opened_onnx(data: bytes, path: Path, options: ImportOptions) -> Source:
    """The network in an ONNX file, after a look at its outline."""
    subject = one_line(path)
    found = outline(data, subject)
    keys = said(found.keys, subject)
    if keys.kind not in (None, SEGMENTOR):
        problem = f"is a {one_line(keys.kind)[:30]}, not a network that gives each pixel a class"
        raise ModelError(subject, problem, "mapgen takes what Deepness calls a Segmentor")
    from mapgen.model.heads import Brought, read_onnx

    origin = Origin("onnx", hashlib.sha256(data).hexdigest(), tool=found.tool, opset=found.opset)
    return Source(path.stem, origin, keys, Brought(read_onnx(data, subject), subject, options.head, len(data)))


def _refuse_others(start: bytes, subject: str) -> None:
    """Raise `ModelError` for what is known by its first bytes."""
    if start[8:9] == b"{":
        remedy = f"put it into {models_folder()} if it is a model of mapgen's, else name the folder of save_pretrained"
        raise ModelError(subject, "is a safetensors file, no ONNX file", remedy)
    if start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05"):
        remedy = "load it with its own code and export it to ONNX, or call mapgen.save_model(net, card, path)"
        raise ModelError(subject, "is a pickled checkpoint, which could run any code when loaded", remedy)


# What is known ------------------------------------------------------------------------------------------------------


def _ask(source: Source, options: ImportOptions) -> None:
    """Raise `UsageError` with all that neither the file nor the options say."""
    shape, keys = source.network.shape, source.said
    missing: list[str] = []
    if options.resolution is None and keys.resolution_m is None and keys.card is None:
        missing.append(option("resolution", "METRES"))
    if not options.classes and not keys.classes and keys.card is None:
        names = 2 if shape.channels == 1 and _head(source, options) != "ids" else shape.channels
        missing.append(f"{option('classes', 'NAME,NAME,…')} ({names} of them, in order)")
    if not options.bands and shape.bands != len(RGB) and keys.card is None:
        missing.append(f"{option('bands', 'NAME,NAME,…')} ({shape.bands} of them, in order)")
    if options.head is None and shape.outputs > 1:
        missing.append(f"{option('head', 'N')} (which of its {shape.outputs} outputs, from 0)")
    if not source.scaled and options.scale is None and keys.mean is None:
        missing.append(f"{option('scale', 'MEAN/STD')} (of each band, in units of the pixels; or 0,1)")
    if shape.channels == 1 and shape.head == "scores" and options.gives is None and source.scaled:
        missing.append(f"{option('gives', 'scores')} (if its one channel is a score before a sigmoid, no measure)")
    if missing:
        raise UsageError(source.name, "does not say all that a map needs", f"add {', '.join(missing)}")


def _head(source: Source, options: ImportOptions) -> Any:
    found = source.network.shape.head
    if options.gives is None:
        return found
    return found if found in ("softmax", "sigmoid") and options.gives == "probabilities" else options.gives


def _threshold(source: Source, options: ImportOptions) -> float | None:
    return source.said.threshold if options.threshold is None else options.threshold


def _card(source: Source, options: ImportOptions) -> tuple[ModelCard, list[str]]:
    """The card, and what was taken for granted."""
    shape, head = source.network.shape, _head(source, options)
    origin = replace(source.origin, head=head)
    if source.said.card is not None and not options.classes:
        return _own(source, options, origin)
    notes = [f"takes {shape.bands} bands, gives {shape.channels} channels of {head}"]
    legend = _legend(source, options)
    bands = options.bands or RGB
    if len(bands) != shape.bands:
        raise UsageError(option("bands"), f"{len(bands)} names for {shape.bands} bands", "name them all, in order")
    if not options.bands:
        notes.append(f"its bands are taken for {', '.join(bands)}")
    kind = options.data_type or "uint8"
    mean, std = _scaling(source, options, len(bands), kind)
    window, halo = _window(shape, source.said.overlap)
    threshold = _threshold(source, options)
    if threshold and (len(legend) > 2 or head in ("scores", "ids")) and shape.channels > 1:
        notes.append(f"its threshold of {threshold:g} is not applied: each pixel gets its likeliest class")
    if shape.fixed:
        notes.append(f"takes windows of {shape.fixed[0]} × {shape.fixed[1]} pixels alone")
    resolution = options.resolution or source.said.resolution_m
    assert resolution is not None
    card = ModelCard(
        name=options.name or _plain_name(source.name), architecture="", encoder="", bands=bands, mean=mean, std=std,
        legend=legend, resolution_m=resolution, data_type=kind, window=window, halo=halo, stride=shape.stride,
        license=options.license, graph=origin, fixed_window=shape.fixed,
    )  # fmt: skip
    return card, notes


def _own(source: Source, options: ImportOptions, origin: Origin) -> tuple[ModelCard, list[str]]:
    """The card that mapgen itself wrote into the file; the network there normalizes pixels from 0 to 1."""
    shape, subject = source.network.shape, source.name
    old = ModelCard.from_json(source.said.card or "", one_line(subject))
    if (len(old.bands), len(old.legend)) != (shape.bands, shape.channels):
        raise ModelError(one_line(subject), "its card is that of another network", "export it again")
    bottom, top = RANGES[old.data_type]
    window, halo = (old.window, old.halo) if not shape.fixed else _window(shape, None)
    card = replace(
        old, architecture="", encoder="", parameters={}, compression=None, window=window, halo=halo,
        mean=(bottom,) * shape.bands, std=(top - bottom,) * shape.bands, fixed_window=shape.fixed,
        stride=max(shape.stride, old.stride) if not shape.fixed else 1,
        name=options.name or old.name, license=options.license or old.license,
        graph=replace(origin, network=old.network),
    )  # fmt: skip
    return card, ["holds the card of a model of mapgen's"]


def _legend(source: Source, options: ImportOptions) -> Legend:
    shape, keys = source.network.shape, source.said
    groups = keys.classes
    head = options.head or 0
    names = options.classes or (groups[head] if head < len(groups) else groups[0])
    one = shape.channels == 1 and _head(source, options) != "ids"
    if one and len(names) == 1:
        names = ("background", *names)
    wanted = 2 if one else shape.channels
    if _head(source, options) != "ids" and len(names) != wanted:
        raise UsageError(option("classes"), f"{len(names)} names for {wanted} classes", "name them all, in order")
    behind = options.background or (names[0] if is_background(names[0]) else None)
    if behind is not None and behind not in names:
        raise UsageError(option("background"), f"there is no class {behind!r}", f"one of {', '.join(names)}")
    if options.colors and len(options.colors) != len(names):
        problem = f"{len(options.colors)} colours for {len(names)} classes"
        raise UsageError(option("colors"), problem, "give one for each, as #rrggbb")
    colors = options.colors or tuple(colors_of(dict(enumerate(names))).values())
    try:
        return Legend(
            tuple(Class(i, n, c, background=n == behind) for i, (n, c) in enumerate(zip(names, colors, strict=True)))
        )
    except ValueError as exc:
        raise UsageError(option("classes"), str(exc), "correct the names or colours") from exc


def _scaling(
    source: Source, options: ImportOptions, bands: int, kind: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the card, in units of the pixels."""
    if kind not in RANGES:
        raise UsageError(option("data_type"), f"{kind!r} is not a type of pixels", f"one of {', '.join(RANGES)}")
    bottom, top = RANGES[kind]
    keys = source.said
    if options.scale is None:
        unit = _BYTES if kind != "float32" else 1.0
        mean, std = (tuple(unit * v for v in row or (blank,)) for row, blank in ((keys.mean, 0.0), (keys.std, 1.0)))
    elif options.scale == "0,1":
        mean, std = (bottom,), (top - bottom,)
    elif options.scale == "0,255":
        mean, std = (0.0,), (1.0,)
    else:
        mean, std = _mean_and_std(options.scale)
    rows = [row * bands if len(row) == 1 else row for row in (mean, std)]
    if any(len(row) != bands for row in rows) or min(rows[1]) <= 0:
        problem = f"{options.scale or 'the keys of the file'} give no mean and positive deviation of {bands} bands"
        raise UsageError(option("scale"), problem, "such as 0,1 or 123.7,116.3,103.5/58.4,57.1,57.4")
    return rows[0], rows[1]


def _mean_and_std(text: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    try:
        mean, std = (tuple(float(v) for v in part.split(",")) for part in text.split("/"))
    except ValueError as exc:
        raise UsageError(option("scale"), f"{text!r} is not a scale", "0,1 or 0,255 or MEAN,…/STD,…") from exc
    return mean, std


def _window(shape: Any, overlap: float | None) -> tuple[int, int]:
    """Window and halo of the card: overlaps are shared by two windows, and margins are never kept."""
    window = min(shape.fixed) if shape.fixed else min(1024, LARGEST) // shape.stride * shape.stride
    wanted = int(window * (_OVERLAP if overlap is None else overlap) / 2)
    halo = max(shape.margin, wanted if overlap is not None else min(wanted, _WIDEST_HALO))
    most = (window - shape.stride) // 2 // shape.stride * shape.stride
    return window, max(0, min(most, -(-halo // shape.stride) * shape.stride))


def _plain_name(stem: str) -> str:
    """A name that is good for a file and for the command line."""
    return re.sub(r"[^\w.+-]+", "-", stem).strip("-.") or "model"


def _place(name: str, output: Path | None) -> Path:
    if output is not None:
        return output / f"{name}{SUFFIX}" if output.is_dir() else output
    if name in {path.name.removesuffix(SUFFIX) for path in builtin_models()}:
        raise UsageError(option("name"), f"{name} is the name of a built-in model", "choose another")
    if name != _plain_name(name):
        raise UsageError(option("name"), f"{name!r} is not a name for a file", f"such as {_plain_name(name)}")
    folder = models_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}{SUFFIX}"


def told(imported: Imported) -> Iterator[str]:
    """What to say of an import, a line each."""
    yield from imported.notes
    yield f"licence: {imported.card.license or 'not stated'}"
    yield f"next: mapgen segment SCENE --model {imported.card.name}"
