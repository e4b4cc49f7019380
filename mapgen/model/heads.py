"""Networks of others as bare graphs: from normalised pixels (N, C, H, W) to scores (N, K, H, W), whatever they gave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import Any, Literal

import numpy as np

from mapgen.errors import ModelError, one_line
from mapgen.model.graph import check_memory
from mapgen.model.runtime import core, ops, ov

Head = Literal["softmax", "sigmoid", "probabilities", "scores", "ids"]
"""What a network gives: activations, which can be cut off, probabilities by other means, scores, or class numbers."""

SURE = 20.0
"""The score of the class that a network names without saying how sure it is."""

LEAST = 1e-7
"""The probability below which a logarithm sees none."""

_CHANNELS, _TRIED, _COARSEST = 512, 256, 256


@dataclass(frozen=True, slots=True)
class Shape:
    """What a network takes and gives: bands, and the window it is made for, None where any will do."""

    bands: int
    fixed: tuple[int, int] | None
    channels: int
    """Of the output: classes, or 1."""
    margin: int
    """Pixels by which the output is smaller on each side."""
    stride: int
    head: Head
    outputs: int


def read_onnx(data: bytes, subject: str) -> Any:
    """OpenVINO's model of an ONNX file. Raises `ModelError` where it cannot read it."""
    try:
        return core().read_model(data)
    except (RuntimeError, TypeError) as exc:
        problem = f"OpenVINO cannot read it ({one_line(exc).strip()[-200:]})"
        raise ModelError(subject, problem, "export it with another opset, such as 17") from exc


class Brought:
    """A network on its way in. `shape` is what was found out; `scores` makes the bare graph of it."""

    def __init__(self, model: Any, subject: str, head: int | None, size: int) -> None:
        """`size` are the bytes of the file that it comes from."""
        self.subject, self._core, self._model = subject, core(), model
        self.outputs = len(self._model.outputs)
        self._head = head or 0
        self._size = size
        if not 0 <= self._head < self.outputs:
            raise ModelError(subject, f"has {self.outputs} outputs", f"name one of 0 to {self.outputs - 1}")
        bands = self._channels_first()
        self._single_output()
        self.shape = self._looked_at(bands)

    def scores(self, classes: int, head: Head, threshold: float | None) -> Any:
        """The bare graph for a network whose output is `head`; a pixel whose one channel reaches the threshold is of
        the second of two classes."""
        shape = self.shape
        result = self._model.get_results()[0].input_value(0)
        if head in ("softmax", "sigmoid"):
            result = _before_activation(result)
        if head == "ids":
            result = _one_hot(result, classes)
        elif head == "probabilities":
            result = _logits(result, shape.channels)
        if shape.channels == 1 and head != "ids":
            shift = 0.0 if threshold is None else log(threshold / (1 - threshold)) if 0 < threshold < 1 else 0.0
            result = ops.subtract(result, ops.constant(np.float32(shift))).output(0) if shift else result
            result = ops.concat([ops.multiply(result, ops.constant(np.float32(0))).output(0), result], 1).output(0)
        elif classes == 2 and head in ("softmax", "probabilities") and threshold is not None and 0.5 < threshold < 1:
            gain = np.array([log(threshold / (1 - threshold)), 0], np.float32).reshape(1, 2, 1, 1)
            result = ops.add(result, ops.constant(gain)).output(0)
        if shape.margin:
            edge = np.array([0, 0, shape.margin, shape.margin], np.int64)
            result = ops.pad(result, ops.constant(edge), ops.constant(edge), "edge").output(0)
        model = ov.Model([ops.result(result)], self._model.get_parameters())
        sides = [1, shape.bands, *shape.fixed] if shape.fixed else [-1, shape.bands, -1, -1]
        model.reshape(sides)
        return model

    # What it takes ----------------------------------------------------------------------------------------------------

    def _channels_first(self) -> int:
        """Make the input float32 (N, C, H, W); its bands."""
        inputs = self._model.inputs
        if len(inputs) != 1:
            raise ModelError(self.subject, f"has {len(inputs)} inputs", "mapgen takes networks of one image alone")
        sides = inputs[0].get_partial_shape()
        if sides.rank.is_dynamic or len(sides) != 4:
            raise ModelError(self.subject, f"takes {sides}, no image (N, C, H, W)", "mapgen takes networks of images")
        static = [side.get_length() if side.is_static else 0 for side in sides]
        last = bool(static[3]) and (not static[1] or static[1] > static[3])
        bands = static[3] if last else static[1]
        if not 0 < bands <= _CHANNELS:
            raise ModelError(self.subject, f"takes {sides}, without a number of bands", "export it with a fixed number")
        kind = inputs[0].get_element_type().to_dtype()
        if kind not in (np.float32, np.float16, np.uint8):
            raise ModelError(self.subject, f"takes pixels of type {np.dtype(kind)}", "export it for float32")
        height, width = (static[1], static[2]) if last else (static[2], static[3])
        self._made_for = height, width = (height or _TRIED, width or _TRIED)
        self._check_memory([1, height, width, bands] if last else [1, bands, height, width])
        steps = ov.preprocess.PrePostProcessor(self._model)
        entry = steps.input()
        entry.tensor().set_element_type(ov.Type.f32).set_layout(ov.Layout("NCHW"))
        entry.model().set_layout(ov.Layout("NHWC" if last else "NCHW"))
        self._model = steps.build()
        return bands

    def _single_output(self) -> None:
        """Keep the output that is wanted, with its channels first."""
        result = self._model.outputs[self._head].get_node().input_value(0)
        self._model = ov.Model([ops.result(result)], self._model.get_parameters())

    def _check_memory(self, sides: list[int]) -> None:
        """First of all, since even folding constants could take gigabytes: shapes alone are worked out for it."""
        model = self._model.clone()
        try:
            model.reshape(sides)
            check_memory(model, self._size, self._made_for[0] * self._made_for[1], self.subject)
        except RuntimeError as exc:
            problem = f"cannot be run on its own window ({one_line(exc).strip()[-160:]})"
            raise ModelError(self.subject, problem, "export the network again") from exc

    def _looked_at(self, bands: int) -> Shape:
        found = self._run(bands, *self._made_for)
        if found is None:
            raise ModelError(self.subject, "cannot be run on its own window", "export the network again")
        self._as_image(found.shape)
        found = self._run(bands, *self._made_for)
        assert found is not None
        margin = self._margin(found.shape, self._made_for)
        channels = found.shape[1]
        stride = next(iter(self._strides(bands, channels, margin)), 0)
        head = self._activation(found)
        if not stride or margin:  # a margin wants windows that are larger, those of a small scene too
            return Shape(bands, self._made_for, channels, margin, 1, head, self.outputs)
        return Shape(bands, None, channels, margin, stride, head, self.outputs)

    def _as_image(self, shape: tuple[int, ...]) -> None:
        """Give the output four sides, channels first. Raises `ModelError` for what is no map of the window."""
        height, width = self._made_for
        result = self._model.get_results()[0].input_value(0)

        def near(one: int, side: int) -> bool:
            return side // 2 < one <= side

        if len(shape) == 3 and near(shape[1], height) and near(shape[2], width):
            result = ops.unsqueeze(result, ops.constant(np.int64(1))).output(0)
        elif len(shape) == 4 and near(shape[2], height) and near(shape[3], width):
            return
        elif len(shape) == 4 and near(shape[1], height) and near(shape[2], width):
            result = ops.transpose(result, ops.constant(np.array([0, 3, 1, 2], np.int64))).output(0)
        else:
            problem = f"gives {list(shape)} of a window of {height} × {width}, which is not a map of it (a detector?)"
            raise ModelError(self.subject, problem, "mapgen takes networks that give each pixel a class")
        self._model = ov.Model([ops.result(result)], self._model.get_parameters())

    def _margin(self, shape: tuple[int, ...], window: tuple[int, int]) -> int:
        rows, cols = window[0] - shape[2], window[1] - shape[3]
        if rows != cols or rows % 2:
            problem = f"gives {shape[2]} × {shape[3]} of a window of {window[0]} × {window[1]}: uneven margins"
            raise ModelError(self.subject, problem, "mapgen takes networks with the same margin on all sides")
        return int(rows // 2)

    def _strides(self, bands: int, channels: int, margin: int) -> Iterator[int]:
        """Powers of two, from the smallest, of which the sides of windows may be multiples."""
        stride = 1
        base = -(-max(_TRIED, 2 * margin + 64) // _COARSEST) * _COARSEST
        while stride <= _COARSEST:
            sides = base + stride, base + 3 * stride
            if self._shape_of(bands, *sides) == (1, channels, sides[0] - 2 * margin, sides[1] - 2 * margin):
                found = self._run(bands, *sides)
                if found is not None and found.shape[2:] == (sides[0] - 2 * margin, sides[1] - 2 * margin):
                    yield stride
            stride *= 2

    def _shape_of(self, bands: int, height: int, width: int) -> tuple[int, ...] | None:
        model = self._model.clone()
        try:
            model.reshape([1, bands, height, width])
        except RuntimeError:
            return None
        shape = model.output().get_partial_shape()
        return tuple(shape.to_shape()) if shape.is_static else None

    def _run(self, bands: int, height: int, width: int) -> Any:
        """What the network makes of noise of this size; None where it takes none."""
        model = self._model.clone()
        pixels = np.random.default_rng(0).random((1, bands, height, width), np.float32)
        try:
            model.reshape([1, bands, height, width])
            return self._core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(pixels)[0]
        except RuntimeError:
            return None

    def _activation(self, found: Any) -> Head:
        """What the output is: by the last layer, else by its numbers."""
        last = _last(self._model.get_results()[0].input_value(0)).get_node()
        kind = last.get_type_name()
        if kind in ("Softmax", "SoftMax", "LogSoftmax") and int(last.get_attributes().get("axis", -1)) in (1, -3):
            return "softmax" if found.shape[1] > 1 else "scores"
        if kind == "Sigmoid":
            return "sigmoid"
        if found.dtype.kind in "iub":
            return "ids"
        if not np.isfinite(found).all():
            raise ModelError(self.subject, "gives no numbers of noise", "export the network again")
        inside = found.min() >= -1e-6 and found.max() <= 1 + 1e-6
        if inside and (found.shape[1] == 1 or np.allclose(found.sum(1), 1, atol=1e-3)):
            return "probabilities"
        return "scores"


def _last(output: Any) -> Any:
    """The output behind layers that only change its type to itself."""
    while output.get_node().get_type_name() == "Convert" and output.get_element_type() == (
        output.get_node().input_value(0).get_element_type()
    ):
        output = output.get_node().input_value(0)
    return output


def _before_activation(output: Any) -> Any:
    return _last(output).get_node().input_value(0)


def _one_hot(ids: Any, classes: int) -> Any:
    """Scores (N, K, H, W) of the numbers (N, 1, H, W)."""
    known = ops.constant(np.arange(classes, dtype=np.float32).reshape(1, -1, 1, 1))
    same = ops.equal(ops.convert(ids, "f32"), known)
    return ops.multiply(ops.convert(same, "f32"), ops.constant(np.float32(SURE))).output(0)


def _logits(probabilities: Any, channels: int) -> Any:
    """Scores whose softmax (of one channel: whose sigmoid) the probabilities are."""
    bounded = ops.clamp(probabilities, LEAST, 1.0 if channels > 1 else 1 - LEAST)
    if channels > 1:
        return ops.log(bounded).output(0)
    other = ops.subtract(ops.constant(np.float32(1)), bounded)
    return ops.subtract(ops.log(bounded), ops.log(other)).output(0)
