"""Model files: safetensors with the card in the header. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.errors import ModelError, one_line, option
from mapgen.files.cache import models_folder
from mapgen.files.inputs import note_inputs
from mapgen.model.card import ModelCard
from mapgen.model.engine import Network
from mapgen.model.graph import NotAGraph, canonical, constants
from mapgen.model.stored import REST, TEXT, block, unpacked
from mapgen.settings import Precision

CARD_KEY = "mapgen_card"
"""The key of the card in the safetensors header's `__metadata__`."""

BUILTIN_FOLDER = Path(__file__).parent / "weights"

ENCODER_FOLDER = Path(__file__).parent / "encoders"
"""Encoders as trained on ImageNet, by the names that segmentation_models_pytorch gives them."""

SUFFIX = ".safetensors"

INT8_SUFFIX = ".int8.safetensors"
"""Of the file that holds a model's int8 graph, beside the model's own."""

GRAPH_TEXT, GRAPH_NUMBERS = "graph.xml", "graph.bin"
"""The tensors of such a file: the XML and the numbers of OpenVINO's intermediate representation, as bytes."""

_FLOATS = {"f64": "<f8", "f32": "<f4", "f16": "<f2"}
_HEADER_LIMIT = 100_000_000  # safetensors' own limit
_WAY_IN = "load it with its own code and call mapgen.save_model(net, card, path); see examples/bring_your_own_smp.py"


@dataclass(frozen=True, slots=True)
class Model:
    """A model file that was found and whose header was read; its tensors stay on disk until an engine wants them."""

    path: Path
    card: ModelCard
    tensors: Mapping[str, tuple[int, ...]]
    """Shapes by name."""

    @property
    def sha256(self) -> str:
        """The hash of the whole file: what caches and tags go by."""
        stat = self.path.stat()
        return _sha256(self.path, stat.st_mtime_ns, stat.st_size)

    @property
    def parameters(self) -> int:
        """How many numbers the tensors hold."""
        if self.card.graph is not None and self.card.compression is None:
            return int(np.prod(self.tensors.get(GRAPH_NUMBERS, (0,)))) // 4
        return sum(int(np.prod(shape)) for name, shape in self.tensors.items() if name not in (TEXT, REST))

    @property
    def has_graph(self) -> bool:
        """Whether the file holds the graph of its network, so that no torch is needed to run it in floating point."""
        return self.card.graph is not None or {TEXT, REST} <= self.tensors.keys()

    @property
    def int8(self) -> Path | None:
        """The file of the int8 graph that goes with this very model (its own, where it is one); None without one."""
        try:
            return require_int8(self)
        except ModelError:
            return None

    @property
    def int8_problem(self) -> str:
        """Why the int8 file that lies beside the model is not used; empty where it is, or where there is none."""
        try:
            require_int8(self)
        except ModelError as exc:
            return str(exc) if int8_path(self.path).exists() else ""
        return ""


def int8_path(path: Path) -> Path:
    """Where the int8 graph of the model at `path` lies: `roofs.safetensors` → `roofs.int8.safetensors`."""
    return path.with_name(path.name.removesuffix(SUFFIX) + INT8_SUFFIX)


def require_int8(model: Model) -> Path:
    """The file of the int8 graph of a model. Raises `ModelError` where there is none, or one made from another file."""
    if model.card.compression is not None:
        if model.card.compression.precision == "int8":
            return model.path
        raise ModelError(one_line(model.path), "holds no int8 graph", "use the model it was made from")
    path = int8_path(model.path)
    make = f"make one with `mapgen compress {shlex.quote(str(model.path))} --to int8 --calibrate SCENE`"
    if not path.exists():
        raise ModelError(one_line(model.path), "has no int8 graph beside it", make)
    compression = open_model(path).card.compression
    if compression is None or compression.precision != "int8":
        raise ModelError(one_line(path), "is not an int8 graph, as its name says", make)
    if compression.parent_sha256 != model.sha256:
        problem = f"was made from another {one_line(compression.parent)} than {one_line(model.path.name)} beside it"
        raise ModelError(one_line(path), problem, make)
    return path


def find_model(name: str) -> Model:
    """The model called `name`: a built-in one, one of the user's folder, or the path of a file.

    Raises `ModelError` if there is none.
    """
    path = Path(name)
    known = {p.name.removesuffix(SUFFIX): p for p in (*own_models(), *builtin_models())}
    if os.sep in name or os.path.exists(path) or (path.suffix and name not in known):
        return open_model(path)
    if name not in known:
        raise ModelError(
            one_line(name), f"no such model file or model by name (there are: {one_line(', '.join(sorted(known)))})",
            "see `mapgen models list`",
        )  # fmt: skip
    return open_model(known[name])


def builtin_models() -> list[Path]:
    """The files of the models that come with mapgen, without their int8 graphs."""
    return _models_in(BUILTIN_FOLDER)


def own_models() -> list[Path]:
    """The files of the models in the user's folder, without their int8 graphs."""
    return _models_in(models_folder())


def _models_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob(f"*{SUFFIX}") if not p.name.endswith(INT8_SUFFIX))


def open_model(path: Path) -> Model:
    """The model in the file at `path`, its header read and checked, nothing executed. Raises `ModelError`."""
    subject = one_line(path)
    header, size = _header(path, subject)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or CARD_KEY not in metadata:
        raise ModelError(subject, "is a safetensors file without a mapgen card", _WAY_IN)
    card = ModelCard.from_json(str(metadata[CARD_KEY]), subject)
    try:
        spans = sorted((int(e["data_offsets"][0]), int(e["data_offsets"][1])) for e in header.values())
        shapes = {name: tuple(int(n) for n in e["shape"]) for name, e in header.items()}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as exc:
        raise ModelError(subject, f"its header is broken ({exc!r})", "get the file again") from exc
    end = 0
    for start, stop in spans:
        if start != end or stop < start:
            raise ModelError(subject, "its tensors overlap or leave gaps", "get the file again")
        end = stop
    if end != size:
        raise ModelError(subject, f"holds {size} bytes of tensors, its header promises {end}", "get the file again")
    note_inputs(path)
    return Model(path, card, shapes)


def _header(path: Path, subject: str) -> tuple[dict[str, Any], int]:
    """The JSON header and the number of bytes behind it."""
    try:
        if not path.is_file():
            problem = "is not a file" if path.exists() else "no such file"
            raise ModelError(subject, problem, "see `mapgen models list` for the built-in models")
        with open(path, "rb") as stream:
            start = stream.read(16)
            _refuse_foreign(start, subject)
            length = int.from_bytes(start[:8], "little")
            stream.seek(8)
            text = stream.read(length)
        size = path.stat().st_size - 8 - length
    except OSError as exc:
        raise ModelError(subject, f"cannot be read ({exc.strerror})", "check the path and its permissions") from exc
    try:
        header = json.loads(text) if len(text) == length else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or size < 0:
        raise ModelError(subject, "is truncated or not a safetensors file", "get the file again")
    return header, size


def _refuse_foreign(start: bytes, subject: str) -> None:
    """Raise `ModelError` for what is not safetensors, by its first bytes."""
    if len(start) == 16 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _HEADER_LIMIT:
        return  # looked at first, since a header of 640 bytes begins like a pickle
    if start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05"):
        raise ModelError(subject, "is a pickled checkpoint, which could run any code when loaded", _WAY_IN)
    if start[:4] == b"\x89HDF":
        raise ModelError(subject, "is an HDF5 (Keras) model", "mapgen runs torch networks: " + _WAY_IN)
    raise ModelError(subject, "is not a safetensors file", _WAY_IN)


def network_of(model: Model, precision: Precision = "auto") -> Network:
    """The model as engines take it, for this precision: with its int8 graph unless another one is named.

    Raises `ModelError` where int8 is asked for and there is no graph that goes with the model.
    """
    int8 = require_int8(model) if precision == "int8" else model.int8 if precision == "auto" else None
    return Network(
        model.card, model.sha256, lambda: read_tensors(model), str(model.path),
        None if int8 is None else lambda: read_graph(open_model(int8)),
        (lambda: read_graph(model)) if model.has_graph else None,
    )  # fmt: skip


def read_tensors(model: Model) -> dict[str, np.ndarray[Any, Any]]:
    """All tensors by name, as stored.

    Raises `ModelError` where the file is damaged, a weight is not finite, or the file holds a graph instead.
    """
    compression = model.card.compression
    if compression is not None:
        problem = (
            f"holds the {one_line(compression.precision)} graph of {one_line(compression.parent)}, not its tensors"
        )
        raise ModelError(
            one_line(model.path), problem, f"use {option('precision', 'int8')}, or the model it was made from"
        )
    if model.card.graph is not None:
        problem = "holds a graph from elsewhere, not the tensors of a network"
        raise ModelError(one_line(model.path), problem, f"use {option('engine', 'openvino')}")
    tensors = {name: value for name, value in _load(model.path).items() if name not in (TEXT, REST)}
    _check_finite(tensors, model.path)
    return tensors


_HALF_EXPONENT = 0x7C00
"""The bits of a float16's exponent: all are set in NaN and the infinities."""


def _check_finite(tensors: Mapping[str, np.ndarray[Any, Any]], path: Path) -> None:
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not _finite(tensor):
            raise ModelError(one_line(path), f"the weights {one_line(name)} are not finite", "train it again")


def _finite(tensor: np.ndarray[Any, Any]) -> bool:
    """Whether no number of the tensor is NaN or infinite; float16 by its bits, which is faster."""
    if tensor.dtype == np.float16:
        return bool(((tensor.view(np.uint16) & _HALF_EXPONENT) != _HALF_EXPONENT).all())
    return bool(np.isfinite(tensor).all())


def plain_tensors(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors of a safetensors file that need not be a model of mapgen's. Raises `ModelError`."""
    _header(path, one_line(path))
    tensors = _load(path)
    _check_finite(tensors, path)
    return tensors


def read_encoder(encoder: str) -> dict[str, np.ndarray[Any, Any]] | None:
    """The tensors of an encoder that ships with mapgen, as trained on ImageNet, in float32 where they are numbers of
    floating point and named as in a network that has it; None for any other encoder."""
    path = ENCODER_FOLDER / f"{encoder}.safetensors"
    if encoder != Path(encoder).name or not path.is_file():
        return None
    return {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in _load(path).items()}


def _load(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, KeyError) as exc:
        raise ModelError(one_line(path), f"its tensors cannot be read ({exc})", "get the file again") from exc


def read_graph(model: Model) -> tuple[bytes, bytes]:
    """The graph in a model file, as OpenVINO's `Core.read_model` takes it: XML, and the numbers it refers to.

    The graph is the bare network: one input, float32 (N, C, H, W) of normalised pixels, bands in the card's order,
    every side but C free; one output, float32 (N, K, H, W) of scores (not probabilities) of the legend's classes. H
    and W are multiples of the card's stride. The XML is checked and written anew (`mapgen.model.graph.canonical`);
    what the graph computes is not. Raises `ModelError`.
    """
    subject = one_line(model.path)
    try:
        if model.card.compression is None and model.card.graph is None:
            text, numbers, known = _stored_graph(model)
        else:
            (text, numbers), known = _own_graph(model), 0
        text = canonical(text, len(numbers))
    except NotAGraph as exc:
        raise ModelError(subject, f"its graph has {one_line(exc)}", "do not use this file; recreate it") from exc
    for kind, start, size in constants(text):
        if start < known or kind not in _FLOATS:
            continue
        if not np.isfinite(np.frombuffer(numbers[start : start + size], _FLOATS[kind])).all():
            raise ModelError(subject, "constants of its graph are not finite", "recreate it")
    return text, numbers


def _stored_graph(model: Model) -> tuple[bytes, bytes, int]:
    """Text and numbers of the graph that lies beside a network's tensors; how many of the numbers are looked at."""
    if not model.has_graph:
        raise ModelError(one_line(model.path), *no_graph(model.path))
    parts = _load(model.path)
    text, rest = (_raw(parts.pop(name), name, model.path) for name in (TEXT, REST))
    _check_finite(parts, model.path)
    numbers = block(parts, rest)
    return unpacked(text), numbers, len(numbers) - len(rest)


def _own_graph(model: Model) -> tuple[bytes, bytes]:
    """Text and numbers of a graph that is all that its file holds."""
    parts = _load(model.path)
    if set(parts) != {GRAPH_TEXT, GRAPH_NUMBERS}:
        problem = f"its tensors are not {GRAPH_TEXT} and {GRAPH_NUMBERS} in bytes"
        raise ModelError(one_line(model.path), problem, "get it again")
    text, numbers = (_raw(parts[name], name, model.path) for name in (GRAPH_TEXT, GRAPH_NUMBERS))
    return text, numbers


def _raw(tensor: np.ndarray[Any, Any], name: str, path: Path) -> bytes:
    if tensor.dtype != np.uint8 or tensor.ndim != 1:
        raise ModelError(one_line(path), f"its tensor {name} is not a row of bytes", "get it again")
    return tensor.tobytes()


def no_graph(path: Path | str) -> tuple[str, str]:
    """What is wrong with the file of an earlier mapgen that holds no graph, and what to do about it."""
    upgrade = f"pip install 'mapgen[torch]', then mapgen models upgrade {shlex.quote(str(path))}"
    return "is of an earlier mapgen and needs torch once, to make its graph", upgrade


@lru_cache(maxsize=32)
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    del mtime_ns, size  # part of the key: a file that changed is hashed again
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
