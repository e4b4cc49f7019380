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
from mapgen.files.commit import Output, staged
from mapgen.files.inputs import note_inputs
from mapgen.model.card import ModelCard
from mapgen.model.graph import NotAGraph, canonical, constants

CARD_KEY = "mapgen_card"
"""The key of the card in the safetensors header's `__metadata__`."""

BUILTIN_FOLDER = Path(__file__).parent / "weights"

ENCODER_FOLDER = Path(__file__).parent / "encoders"
"""Encoders as trained on ImageNet, by the names that segmentation_models_pytorch gives them."""

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
        return sum(int(np.prod(shape)) for shape in self.tensors.values())

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
    return path.with_name(path.name.removesuffix(".safetensors") + INT8_SUFFIX)


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
    """The model called `name`: a built-in one, or the path of a file. Raises `ModelError` if there is none."""
    path = Path(name)
    builtin = BUILTIN_FOLDER / f"{path.name}.safetensors"
    if os.sep in name or os.path.exists(path) or (path.suffix and not builtin.is_file()):
        return open_model(path)
    if not builtin.is_file():
        known = ", ".join(m.stem for m in builtin_models()) or "none"
        raise ModelError(
            one_line(name), f"no such model file or built-in model (there are: {known})", "see `mapgen models list`"
        )
    return open_model(builtin)


def builtin_models() -> list[Path]:
    """The files of the models that come with mapgen, without their int8 graphs."""
    return sorted(p for p in BUILTIN_FOLDER.glob("*.safetensors") if not p.name.endswith(INT8_SUFFIX))


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
    tensors = _load(model.path)
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise ModelError(one_line(model.path), f"the weights {one_line(name)} are not finite", "train it again")
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


def read_graph(path: Path) -> tuple[bytes, bytes]:
    """The graph in the file at `path`, as OpenVINO's `Core.read_model` takes it: XML, and the numbers it refers to.

    The graph is the bare network: one input, float32 (N, C, H, W) of normalised pixels, bands in the card's order,
    every side but C free; one output, float32 (N, K, H, W) of scores (not probabilities) of the legend's classes. H
    and W are multiples of the card's stride. The XML is checked and written anew (`mapgen.model.graph.canonical`);
    what the graph computes is not. Raises `ModelError`.
    """
    subject = one_line(path)
    if open_model(path).card.compression is None:
        raise ModelError(subject, "holds the tensors of a model, not a graph", "name its int8 file")
    tensors = _load(path)
    if set(tensors) != {GRAPH_TEXT, GRAPH_NUMBERS} or any(t.dtype != np.uint8 or t.ndim != 1 for t in tensors.values()):
        raise ModelError(subject, f"its tensors are not {GRAPH_TEXT} and {GRAPH_NUMBERS} in bytes", "get it again")
    numbers = tensors[GRAPH_NUMBERS].tobytes()
    try:
        text = canonical(tensors[GRAPH_TEXT].tobytes(), len(numbers))
    except NotAGraph as exc:
        raise ModelError(subject, f"its graph has {one_line(exc)}", "do not use this file; recreate it") from exc
    for kind, start, size in constants(text):
        if kind in _FLOATS and not np.isfinite(np.frombuffer(numbers[start : start + size], _FLOATS[kind])).all():
            raise ModelError(subject, "constants of its graph are not finite", "recreate it")
    return text, numbers


def save_graph(text: bytes, numbers: bytes, card: ModelCard, output: Output) -> Path:
    """Write a graph (XML and numbers of OpenVINO's representation) with its card as a model file; return its path.

    Raises `ModelError` for a graph that `read_graph` would refuse, `OutputError` where the file cannot be written.
    """
    from safetensors.numpy import save_file

    try:
        text = canonical(text, len(numbers))
    except NotAGraph as exc:
        raise ModelError(one_line(card.name), f"its graph has {exc}", "mapgen cannot store it") from exc
    tensors = {GRAPH_TEXT: np.frombuffer(text, np.uint8), GRAPH_NUMBERS: np.frombuffer(numbers, np.uint8)}
    with staged(output) as temporary:
        save_file(tensors, temporary, metadata={CARD_KEY: card.to_json()})
        if open_model(temporary).card != card or read_graph(temporary) != (text, numbers):
            raise ModelError(output.path, "did not read back as written", "check the disk and try again")
    return output.path


def save_model(net: Any, card: ModelCard, path: str | Path, *, half: bool = False, overwrite: bool = False) -> Path:
    """Write `net` (a torch module, or a mapping of names to arrays) with its card as a model file; return its path.

    `half` stores floating weights as float16, which halves the file. The network is what
    `segmentation_models_pytorch.create_model(card.architecture, card.encoder, in_channels, classes,
    **card.parameters)` builds; that it fits is checked when the file is opened by an engine. Raises `ModelError` for
    weights that are not finite, `OutputError` where the file cannot be written.
    """
    from safetensors.numpy import save_file

    path = Path(path)
    state = net.state_dict() if hasattr(net, "state_dict") else net
    tensors = {name: _as_array(value, half) for name, value in state.items()}
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise ModelError(one_line(card.name), f"the weights {name} are not finite", "train it again")
    with staged(Output(path, overwrite)) as temporary:
        save_file(tensors, temporary, metadata={CARD_KEY: card.to_json()})
        written = open_model(temporary)
        if written.card != card or set(written.tensors) != set(tensors):
            raise ModelError(path, "did not read back as written", "check the disk and try again")
    return path


def _as_array(value: Any, half: bool) -> np.ndarray[Any, Any]:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    value = np.array(value, order="C")  # not ascontiguousarray, which makes scalars one-dimensional
    return value.astype(np.float16) if half and value.dtype.kind == "f" else value


@lru_cache(maxsize=32)
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    del mtime_ns, size  # part of the key: a file that changed is hashed again
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
