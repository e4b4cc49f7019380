"""Writing model files: tensors, graph and card in one safetensors file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.arrays import Array
from mapgen.errors import ModelError, one_line, require
from mapgen.files.commit import Output, staged, unwritten
from mapgen.model.card import ModelCard
from mapgen.model.file import CARD_KEY, GRAPH_NUMBERS, GRAPH_TEXT, Model, open_model, read_graph
from mapgen.model.graph import NotAGraph, canonical


def save_model(
    net: Any, card: ModelCard, path: str | Path, *, half: bool = False, overwrite: bool = False, graph: bool = True
) -> Path:
    """Write `net` (a torch module, or a mapping of names to arrays) with its card as a model file; return its path.

    `half` stores floating weights as float16, which halves the file. The network is what
    `segmentation_models_pytorch.create_model(card.architecture, card.encoder, in_channels, classes,
    **card.parameters)` builds. Its graph is stored beside its tensors, so that mapping on a CPU needs no torch, and
    held to torch on one window; without `graph` it is left out. Raises `ModelError` for weights that are not finite or
    do not fit, and for a network that OpenVINO cannot take, `OutputError` where the file cannot be written.
    """
    state = net.state_dict() if hasattr(net, "state_dict") else net
    tensors = {name: _as_array(value, half) for name, value in state.items()}
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise ModelError(one_line(card.name), f"the weights {name} are not finite", "train it again")
    if graph:
        require("torch", one_line(card.name), "saving a model with its graph")
        from mapgen.model.convert import graph_tensors

        tensors |= graph_tensors(net if net is not state else None, card, tensors)
    return write_tensors(tensors, card, Output(Path(path), overwrite))


def write_tensors(
    tensors: Mapping[str, Array], card: ModelCard, output: Output, sound: Callable[[Model], bool] = lambda model: True
) -> Path:
    """Write tensors as they are with their card as a model file; return its path. `sound` looks at what was written."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    with staged(output) as temporary:
        try:
            save_file(dict(tensors), temporary, metadata={CARD_KEY: card.to_json()})
        except SafetensorError as exc:  # which hides the system's error in its text
            raise unwritten(output.path, exc) from exc
        written = open_model(temporary)
        if written.card != card or set(written.tensors) != set(tensors) or not sound(written):
            raise ModelError(output.path, "did not read back as written", "check the disk and try again")
    return output.path


def save_graph(text: bytes, numbers: bytes, card: ModelCard, output: Output) -> Path:
    """Write a graph (XML and numbers of OpenVINO's representation) with its card as a model file; return its path.

    Raises `ModelError` for a graph that `read_graph` would refuse, `OutputError` where the file cannot be written.
    """
    try:
        text = canonical(text, len(numbers))
    except NotAGraph as exc:
        raise ModelError(one_line(card.name), f"its graph has {exc}", "mapgen cannot store it") from exc
    tensors = {GRAPH_TEXT: np.frombuffer(text, np.uint8), GRAPH_NUMBERS: np.frombuffer(numbers, np.uint8)}
    return write_tensors(tensors, card, output, lambda written: read_graph(written) == (text, numbers))


def _as_array(value: Any, half: bool) -> Array:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    value = np.array(value, order="C")  # not ascontiguousarray, which makes scalars one-dimensional
    return value.astype(np.float16) if half and value.dtype.kind == "f" else value
