"""The engine for CPUs: OpenVINO, from a graph converted once and cached."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from mapgen.engines.protocol import Array, Network, Setup, Tag

_CACHE_FORMAT = "1"
"""Raised when the conversion below changes, so that graphs of an older mapgen are not used."""

_TYPES = {"uint8": ov.Type.u8, "uint16": ov.Type.u16, "float32": ov.Type.f32}


class OpenVINOEngine:
    """`Engine` by OpenVINO on the CPU in float32.

    Every shape is compiled by itself, since static shapes run up to twice as fast as dynamic ones and compiling takes
    a fraction of a second; a plan has at most four.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, network: Network, setup: Setup) -> None:
        self._core = ov.Core()
        self._setup = setup
        self._bands = len(network.card.bands)
        self._scratch = None if setup.cache else tempfile.TemporaryDirectory(prefix="mapgen-")
        self._source = graph_file(network, setup.cache or Path(self._scratch.name))  # type: ignore[union-attr]
        self._compiled: dict[tuple[int, ...], _Compiled] = {}

    def stream(self, batches: Iterable[tuple[Tag, Array | None]]) -> Iterator[tuple[Tag, Array | None]]:
        """Probabilities of each batch, in order; as many run at once as OpenVINO finds best."""
        flying: deque[tuple[Tag, _Compiled | None, Any]] = deque()
        for tag, pixels in batches:
            if pixels is None:
                flying.append((tag, None, None))
            else:
                compiled = self._compiled.get(pixels.shape) or self._compile(pixels.shape)
                request = compiled.idle.pop() if compiled.idle else compiled.model.create_infer_request()
                request.start_async({0: pixels}, share_inputs=False)
                flying.append((tag, compiled, request))
            while flying and (flying[0][1] is None or _busy(flying) >= flying[0][1].requests):
                yield _landed(flying)
        while flying:
            yield _landed(flying)

    def _compile(self, shape: tuple[int, ...]) -> _Compiled:
        model = self._core.read_model(self._source)
        model.reshape(list(shape))
        model = _with_normalization(model, self._setup)
        config = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
        compiled = _Compiled(self._core.compile_model(model, "CPU", config))
        self._compiled[shape] = compiled
        return compiled


class _Compiled:
    """A graph for one shape, and the requests that are free to run it."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.requests = int(model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.idle: list[Any] = []


def _busy(flying: Iterable[tuple[Any, _Compiled | None, Any]]) -> int:
    return sum(compiled is not None for _, compiled, _ in flying)


def _landed(flying: deque[tuple[Any, _Compiled | None, Any]]) -> tuple[Any, Array | None]:
    tag, compiled, request = flying.popleft()
    if compiled is None:
        return tag, None
    request.wait()
    # A copy, because the request is used again while the caller still works on the result.
    result = np.array(request.get_output_tensor().data, np.float32)
    compiled.idle.append(request)
    return tag, result


def _with_normalization(model: Any, setup: Setup) -> Any:
    """The graph with raw pixels as its input; clipping and scaling become part of it."""
    steps = ov.preprocess.PrePostProcessor(model)
    entry = steps.input()
    entry.tensor().set_element_type(_TYPES[setup.dtype.name]).set_layout(ov.Layout("NCHW"))
    entry.model().set_layout(ov.Layout("NCHW"))
    norm = setup.normalization
    process = entry.preprocess().convert_element_type(ov.Type.f32)
    if norm.low is not None and norm.high is not None:
        low, high = norm.low, norm.high
        process = process.custom(lambda node: ov.opset13.clamp(node, low, high).output(0))
    process.mean(list(norm.mean)).scale(list(norm.std))
    return steps.build()


def graph_file(network: Network, root: Path) -> Path:
    """The converted graph of a network in the cache folder `root`, made now if need be.

    Making it imports torch and takes seconds; finding it does neither.
    """
    parts = (network.key, _CACHE_FORMAT, version("openvino"), version("torch"))
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    graph = root / key / "graph.xml"
    if graph.is_file():
        return graph
    folder = Path(tempfile.mkdtemp(prefix=".making-", dir=root))
    try:
        ov.save_model(_convert(network), folder / graph.name, compress_to_fp16=False)
        try:
            os.replace(folder, graph.parent)  # a folder appears whole, so another process never sees half a graph
        except OSError:
            if not graph.is_file():  # else another process was faster, with the same graph
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return graph


def _convert(network: Network) -> Any:
    import torch

    from mapgen.engines.torch import probabilities_module

    card = network.card
    example = torch.zeros(1, len(card.bands), 8 * card.stride, 8 * card.stride)
    with warnings.catch_warnings(), torch.inference_mode():
        # OpenVINO still traces with torch.jit, which torch calls deprecated.
        warnings.simplefilter("ignore")
        model = ov.convert_model(probabilities_module(network), example_input=example)
    model.reshape([-1, len(card.bands), -1, -1])
    return model
