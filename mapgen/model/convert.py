"""From a torch network to OpenVINO's graph: once, when a model is saved."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping

import numpy as np
import torch

from mapgen.arrays import Array
from mapgen.errors import ModelError, one_line
from mapgen.model.card import ModelCard
from mapgen.model.graph import NotAGraph, canonical, load_graph
from mapgen.model.network import build
from mapgen.model.runtime import core, written
from mapgen.model.stored import REST, TEXT, block, named, packed
from mapgen.model.torch import with_weights

TOLERANCE = 1e-4
"""The largest difference of a score from torch's, as a share of the highest score, or of 1 where that is less."""

_UNCHECKED = "save it with graph=False: then torch alone can run it"

_kept: dict[str, tuple[bytes, bytes]] = {}
"""The last graphs that were made, by network: of a training run, which saves one again and again, the text stays."""


def graph_tensors(net: torch.nn.Module | None, card: ModelCard, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """The graph of a network with these tensors, as the two tensors that are stored beside them.

    `net` is the network, whatever its weights; None builds that of the card. The graph is tried on one window of noise
    and held to what torch makes of it. Raises `ModelError` where the tensors do not fit the network, OpenVINO cannot
    take it, or the two differ.
    """
    net = _loaded(net, card, tensors)
    key = _key(card, tensors)
    if key in _kept:
        text, rest = _kept[key]
        if difference(net, card, text, block(tensors, rest)) <= TOLERANCE:
            return _as_tensors(text, rest)
    text, rest = named(*converted(net, card), tensors)
    found = difference(net, card, text, block(tensors, rest))
    if not found <= TOLERANCE:
        problem = f"its graph differs from torch by {found:.1e} of the highest score, the limit is {TOLERANCE:g}"
        raise ModelError(one_line(card.name), problem, _UNCHECKED)
    if card.architecture:
        _kept.clear()
        _kept[key] = text, rest
    return _as_tensors(text, rest)


def converted(net: torch.nn.Module, card: ModelCard) -> tuple[bytes, bytes]:
    """The bare graph of a network in evaluation mode: its checked XML and its numbers, batch, height and width free.

    The frontend is called by itself: `openvino.convert_model` folds batch norms into weights, which would then be no
    tensors of the network. Raises `ModelError` where OpenVINO cannot take the network.
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    side = max(64, 2 * card.stride)
    example = torch.zeros(1, len(card.bands), side, side)
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # torch calls its tracing deprecated
            # The decoder must live until the graph is written: it holds the numbers.
            decoder = TorchScriptPythonDecoder(net, example_input=example, trace_kwargs={"check_trace": False})
            front = FrontEndManager().load_by_framework("pytorch")
            model = front.convert(front.load(decoder))
            model.reshape([-1, len(card.bands), -1, -1])
        text, numbers = written(model)
        return canonical(text, len(numbers)), numbers
    except (RuntimeError, NotAGraph) as exc:  # of the tracer, of the frontend, of our own list of layers
        problem = f"OpenVINO cannot take its network ({one_line(exc).strip()[-200:]})"
        raise ModelError(one_line(card.name), problem, _UNCHECKED) from exc


def difference(net: torch.nn.Module, card: ModelCard, text: bytes, numbers: bytes) -> float:
    """How far the graph's scores are from torch's at most, on a window of noise of another shape than the traced one;
    as a share of the highest score, or of 1 where that is less."""
    side = max(32, card.stride)
    shape = (1, len(card.bands), 2 * side, 3 * side)
    pixels = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    with torch.inference_mode():
        wanted = net(torch.from_numpy(pixels)).numpy()
    model = load_graph(core(), text, numbers, card, one_line(card.name))
    model.reshape(list(shape))
    got = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(pixels)[0]
    return float(np.abs(got - wanted).max() / max(1.0, np.abs(wanted).max()))


def _loaded(net: torch.nn.Module | None, card: ModelCard, tensors: Mapping[str, Array]) -> torch.nn.Module:
    """A copy of the network on the CPU, in evaluation mode, with these very tensors as its weights."""
    if net is None:
        net = build(card.architecture, card.encoder, len(card.bands), len(card.legend), **card.parameters)
    net = copy.deepcopy(net).cpu().float().to(memory_format=torch.contiguous_format).requires_grad_(False)
    return with_weights(net, tensors, card, one_line(card.name))


def _key(card: ModelCard, tensors: Mapping[str, Array]) -> str:
    shapes = {name: [str(value.dtype), *value.shape] for name, value in sorted(tensors.items())}
    parts = card.architecture, card.encoder, dict(card.parameters), len(card.bands), card.stride, shapes
    return json.dumps(parts, sort_keys=True, default=str)


def _as_tensors(text: bytes, rest: bytes) -> dict[str, Array]:
    return {TEXT: np.frombuffer(packed(text), np.uint8), REST: np.frombuffer(rest, np.uint8)}
