"""`models export`: a model for other programs, as an ONNX file or OpenVINO's pair, with all that they want to know."""

from __future__ import annotations

import io
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mapgen.arrays import Array
from mapgen.errors import ModelError, UsageError, one_line, option, require
from mapgen.files.commit import Output, staged
from mapgen.files.inputs import one_run
from mapgen.model.card import ModelCard
from mapgen.model.file import Model, find_model, network_of, read_graph
from mapgen.model.normalization import RANGES
from mapgen.model.onnx import with_keys
from mapgen.model.onnx_keys import written as keys_of

Target = Literal["onnx", "openvino"]

OPSET = 17

PARITY = "mapgen_parity"
"""The key of what was measured: how far the exported network is from the model's own."""

_GEODEEP = 3


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of one model, and how near it is to the original on a window of noise."""

    output: Path
    difference: float
    """The largest of a probability."""
    agreement: float
    """Share of pixels with the same class."""
    warnings: tuple[str, ...] = ()

    @property
    def parity(self) -> str:
        """One line."""
        return f"probabilities differ by {self.difference:.1e} at most, {self.agreement:.3%} of the pixels agree"

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return {
            "output": str(self.output), "difference": self.difference, "agreement": self.agreement,
            "warnings": list(self.warnings),
        }  # fmt: skip


@one_run()
def export(
    name: str, to: Target, output: Path | None = None, *, window: int | None = None, overwrite: bool = False
) -> Exported:
    """Write the model called `name` for other programs: pixels from 0 to 1 in, probabilities out, `window` pixels wide.

    Raises `UsageError` for a model that cannot be written so, `ModelError` and `OutputError`; then nothing is written.
    """
    model = find_model(name)
    card = model.card
    side = _side(card, window)
    if to == "onnx" and (card.graph is not None or card.compression is not None):
        raise UsageError(one_line(card.name), "is held as a graph, of which no ONNX can be made", "use --to openvino")
    output = Path(f"{card.name}.{'onnx' if to == 'onnx' else 'xml'}") if output is None else output
    if to == "onnx":
        require("export", one_line(card.name), "writing ONNX")
        require("torch", one_line(card.name), "writing ONNX")
        return _onnx(model, side, Output(output, overwrite))
    return _openvino(model, side, output, overwrite)


def _side(card: ModelCard, window: int | None) -> int:
    if card.fixed_window is not None:
        if window not in (None, card.window) or card.fixed_window[0] != card.fixed_window[1]:
            sides = " × ".join(map(str, card.fixed_window))
            raise UsageError(option("window"), f"{card.name} takes windows of {sides} alone", "leave it out")
        return card.window
    side = 512 if window is None else window
    if side % card.stride or side < 1:
        near = max(card.stride, round(side / card.stride) * card.stride)
        raise UsageError(option("window"), f"{side} is not a multiple of the stride {card.stride}", f"use {near}")
    return side


def _notes(card: ModelCard) -> tuple[str, ...]:
    notes = []
    if len(card.bands) != _GEODEEP:
        notes.append(f"GeoDeep takes images of {_GEODEEP} bands alone, this has {len(card.bands)}")
    if card.data_type == "uint16":
        notes.append("other programs divide by 255 or 65535 as they please; this takes 16-bit values from 0 to 1")
    return tuple(notes)


def _unit(card: ModelCard) -> tuple[Array, Array]:
    """Mean and deviation of pixels from 0 to 1, (1, C, 1, 1)."""
    bottom, top = RANGES[card.data_type]
    mean, std = (np.array(v, np.float64).reshape(1, -1, 1, 1) for v in (card.mean, card.std))
    return ((mean - bottom) / (top - bottom)).astype(np.float32), (std / (top - bottom)).astype(np.float32)


def _own(model: Model, pixels: Array) -> Array:
    """The model's own probabilities, in float32 by OpenVINO, of pixels from 0 to 1."""
    from mapgen.model.graph import load_graph
    from mapgen.model.openvino import bare_graph
    from mapgen.model.runtime import core

    graph = read_graph(model) if model.has_graph else bare_graph(network_of(model, "fp32"))
    net = load_graph(core(), *graph, model.card, one_line(model.path))
    net.reshape(list(pixels.shape))
    mean, std = _unit(model.card)
    scores = core().compile_model(net, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})((pixels - mean) / std)[0]
    powers = np.exp(scores - scores.max(1, keepdims=True))
    result: Array = powers / powers.sum(1, keepdims=True)
    return result


def _compared(model: Model, made: Any, side: int) -> tuple[float, float]:
    """How far what was made is from the model: the largest difference and the share of pixels of one class."""
    from mapgen.model.runtime import core

    pixels = np.random.default_rng(0).random((1, len(model.card.bands), side, side), np.float32)
    wanted = _own(model, pixels)
    got = core().compile_model(made, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(pixels)[0]
    difference, agreement = float(np.abs(got - wanted).max()), float((got.argmax(1) == wanted.argmax(1)).mean())
    if not difference < 1e-3:
        raise ModelError(one_line(model.card.name), f"what was written differs by {difference:.1e}", "report this")
    return difference, agreement


def _onnx(model: Model, side: int, output: Output) -> Exported:
    from mapgen.model.runtime import core

    data = _traced(model, side)
    difference, agreement = _compared(model, core().read_model(data), side)
    done = Exported(output.path, difference, agreement, _notes(model.card))
    data = with_keys(data, keys_of(model.card, side) | {PARITY: json.dumps(done.parity)})
    with staged(output) as temporary:
        temporary.write_bytes(data)
    return done


def _traced(model: Model, side: int) -> bytes:
    """The network as ONNX, its window declared and all else left free: programs read the size from the declaration."""
    import onnx
    import torch

    from mapgen.model.torch import load_network

    card = model.card
    mean, std = (torch.from_numpy(v) for v in _unit(card))
    net = load_network(network_of(model, "fp32"))

    class Unit(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.net((pixels - mean) / std)
            return scores.softmax(1)

    buffer: Any = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Unit().eval(), (torch.zeros(1, len(card.bands), side, side),), buffer, input_names=["pixels"],
            output_names=["probabilities"], opset_version=OPSET, dynamo=False,
            dynamic_axes={"pixels": {2: "height", 3: "width"}},
        )  # fmt: skip
    proto = onnx.load_from_string(buffer.getvalue())
    proto.producer_name, proto.producer_version = "mapgen", ""
    for value, channels in ((proto.graph.input[0], len(card.bands)), (proto.graph.output[0], len(card.legend))):
        sides = value.type.tensor_type.shape.dim
        for dim, length in zip(sides, (1, channels, side, side), strict=True):
            dim.dim_value = length
    data: bytes = proto.SerializeToString()
    return data


def _openvino(model: Model, side: int, output: Path, overwrite: bool) -> Exported:
    from mapgen.model.runtime import core, ops, ov, written

    card = model.card
    int8 = card.compression is not None
    net = core().read_model(*(read_graph(model) if model.has_graph or int8 else _converted(model)))
    net.reshape([1, len(card.bands), side, side])
    mean, std = _unit(card)
    steps = ov.preprocess.PrePostProcessor(net)
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().tensor().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().mean(mean.ravel().tolist()).scale(std.ravel().tolist())
    net = steps.build()
    made = ov.Model([ops.result(ops.softmax(net.get_results()[0].input_value(0), 1))], net.get_parameters())
    difference, agreement = (0.0, 1.0) if int8 else _compared(model, made, side)
    done = Exported(output, difference, agreement, _notes(card))
    for key, text in (keys_of(card, side) | {PARITY: json.dumps(done.parity)}).items():
        made.set_rt_info(text, ["framework", key])
    numbers = output.with_suffix(".bin")
    xml, block = written(made)
    with staged(Output(output, overwrite, beside={numbers.name: None})) as temporary:
        temporary.write_bytes(xml)
        temporary.with_name(numbers.name).write_bytes(block)
    return done


def _converted(model: Model) -> tuple[bytes, bytes]:
    from mapgen.model.openvino import bare_graph

    return bare_graph(network_of(model, "fp32"))
