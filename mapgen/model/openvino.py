"""The engine for CPUs: OpenVINO, from the graph in the model file."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from mapgen.arrays import Array
from mapgen.errors import ModelError
from mapgen.model.engine import UNDECIDED, Network, Setup, Tag
from mapgen.model.file import no_graph
from mapgen.model.graph import load_graph
from mapgen.model.runtime import core, ops, ov
from mapgen.settings import Precision

_TYPES = {"uint8": ov.Type.u8, "float32": ov.Type.f32}
"""Of pixels that a graph takes. All but bytes go in as float32: the CPU plugin passes 16-bit integers on to kernels
that have none ("does not support u16 for use with oneDNN"), with some graphs only."""


def entry_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which pixels of `dtype` go into a graph: bytes as they are, all else float32, which holds them."""
    return dtype if dtype == np.uint8 else np.dtype(np.float32)


_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
"""OpenVINO's names; what an int8 graph leaves in floating point is little, and in float32 no slower."""

_SPARE = 1
"""Requests under way beyond those that run at once: the next window lies ready when one of them ends."""


_SHAPES = 2
"""Graphs that are kept, each with the memory of its windows: a row of windows has two shapes at most, and of the four
of a plan the last two follow on the first."""


class OpenVINOEngine:
    """`Engine` by OpenVINO on the CPU.

    Every shape is compiled by itself, since static shapes run up to twice as fast as dynamic ones and compiling takes
    a fraction of a second; a plan has at most four.
    """

    name = "openvino"
    device = "cpu"
    batch = 1
    """A batch is no faster here than windows one by one, and the memory of one window is less."""

    def __init__(self, network: Network, setup: Setup) -> None:
        self.precision = setup.precision
        self._core = core()
        self._setup = setup
        quantized = network.int8 if setup.precision == "int8" else None
        text, numbers = quantized() if quantized is not None else bare_graph(network)
        self._graph = load_graph(self._core, text, numbers, network.card, network.subject)
        self._compiled: dict[tuple[int, ...], _Compiled] = {}

    def stream(self, batches: Iterable[tuple[Tag, Array | None]]) -> Iterator[tuple[Tag, Array | None]]:
        """Probabilities or classes of each batch, in order; as many run at once as OpenVINO finds best."""
        flying: deque[_Flight] = deque()
        for tag, pixels in batches:
            flying.append(_Flight(tag) if pixels is None else self._started(tag, pixels))
            while flying and (flying[0].compiled is None or _busy(flying) >= flying[0].compiled.requests + _SPARE):
                yield _landed(flying.popleft())
        while flying:
            yield _landed(flying.popleft())

    def _started(self, tag: Any, pixels: Array) -> _Flight:
        compiled = self._compiled.pop(pixels.shape, None) or self._compile(pixels.shape)
        self._compiled[pixels.shape] = compiled  # again, as the one used last
        request = compiled.idle.pop() if compiled.idle else compiled.model.create_infer_request()
        pixels = pixels.astype(entry_type(pixels.dtype), copy=False)
        # Not copied: the flight holds the pixels until it has landed.
        request.start_async({0: ov.Tensor(pixels, shared_memory=True)})
        return _Flight(tag, compiled, request, pixels)

    def _compile(self, shape: tuple[int, ...]) -> _Compiled:
        model = self._graph.clone()
        model.reshape(list(shape))
        count, _, height, width = shape
        model = _with_output(_with_normalization(model, self._setup), self._setup, (count, height, width))
        config = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
        }
        if self._setup.threads is not None:
            config["INFERENCE_NUM_THREADS"] = str(self._setup.threads)
        if self._setup.requests is not None:
            config["PERFORMANCE_HINT_NUM_REQUESTS"] = str(self._setup.requests)
        while len(self._compiled) >= (_SHAPES if shape[0] == 1 else 2 * _SHAPES):
            del self._compiled[next(iter(self._compiled))]
        return _Compiled(self._core.compile_model(model, "CPU", config))


def bare_graph(network: Network) -> tuple[bytes, bytes]:
    """The graph of a network in floating point, its XML and numbers: the one in its file, else made by torch.

    Raises `ModelError` where it is neither there nor can be made.
    """
    if network.graph is not None:
        return network.graph()
    if find_spec("torch") is None or find_spec("segmentation_models_pytorch") is None:
        raise ModelError(network.subject, *no_graph(network.subject))
    from mapgen.model.convert import converted
    from mapgen.model.torch import load_network

    return converted(load_network(network), network.card)


class _Compiled:
    """A graph for one shape, and the requests that are free to run it."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.requests = int(model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.idle: list[Any] = []


class _Flight:
    """A batch under way; without a graph where there is nothing to compute."""

    __slots__ = ("compiled", "pixels", "request", "tag")

    def __init__(self, tag: Any, compiled: _Compiled | None = None, request: Any = None, pixels: Any = None) -> None:
        self.tag, self.compiled, self.request, self.pixels = tag, compiled, request, pixels


def _busy(flying: Iterable[_Flight]) -> int:
    return sum(flight.compiled is not None for flight in flying)


def _landed(flight: _Flight) -> tuple[Any, Array | None]:
    if flight.compiled is None:
        return flight.tag, None
    flight.request.wait()
    # A copy, because the request is used again while the caller still works on the result.
    result = flight.request.get_output_tensor().data.copy()
    flight.compiled.idle.append(flight.request)
    return flight.tag, result


@cache
def native_precisions() -> tuple[Precision, ...]:
    """The floating-point precisions that OpenVINO has instructions for on this CPU."""
    able = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("fp32", *(name for name in ("bf16", "fp16") if name.upper() in able))


def _with_normalization(model: Any, setup: Setup) -> Any:
    """The graph with raw pixels as its input; clipping and scaling become part of it."""
    steps = ov.preprocess.PrePostProcessor(model)
    entry = steps.input()
    entry.tensor().set_element_type(_TYPES[entry_type(setup.dtype).name]).set_layout(ov.Layout("NCHW"))
    entry.model().set_layout(ov.Layout("NCHW"))
    norm = setup.normalization
    process = entry.preprocess().convert_element_type(ov.Type.f32)
    if norm.low is not None and norm.high is not None:
        low, high = norm.low, norm.high
        process = process.custom(lambda node: ops.clamp(node, low, high).output(0))
    process.mean(list(norm.mean)).scale(list(norm.std))
    return steps.build()


def _with_output(model: Any, setup: Setup, shape: tuple[int, int, int]) -> Any:
    """The graph with the probabilities, or the classes of this shape (N, H, W), of its scores as its output."""
    scores = model.get_results()[0].input_value(0)
    if setup.output == "probabilities":
        result = ops.softmax(scores, 1)
    else:
        # As (N, K, H * W), since the engine's search along channels of an image takes four times as long.
        planes = ops.reshape(scores, _ints(0, 0, -1), special_zero=True)
        best = ops.topk(planes, ops.constant(np.int32(1)), 1, "max", "none", index_element_type="i32", stable=False)
        result = ops.reshape(ops.convert(best.output(1), "u8"), _ints(*shape), special_zero=False)
        if setup.dtype.kind == "f":  # bytes cannot lead to a score that is not a number
            zero = ops.constant(np.float32(0))
            total = ops.reduce_sum(scores, _ints(1), False)
            known = ops.equal(ops.multiply(total, zero), zero)  # false for NaN and the infinite
            result = ops.select(known, result, ops.constant(np.uint8(UNDECIDED)))
    return ov.Model([ops.result(result)], model.get_parameters())


def _ints(*values: int) -> Any:
    return ops.constant(np.array(values, np.int64))
