"""Small ONNX files: classes by brightness, in every shape that other people's networks have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

STEPS = (1 / 3, 2 / 3)
"""Of the mean band of pixels from 0 to 1: the class is how many steps it is above."""

GAIN = 40.0

KEYS = {
    "model_type": '"Segmentor"', "class_names": json.dumps({"0": "_background", "1": "middle", "2": "bright"}),
    "resolution": "100", "tiles_overlap": "10", "seg_thresh": "0.0", "seg_small_segment": "0",
}  # fmt: skip


def brightness_onnx(
    path: Path, *, classes: int = 3, bands: int = 3, size: tuple[Any, Any] = ("h", "w"), last: str = "Softmax",
    opset: int = 17, keys: dict[str, str] | None = None, margin: int = 0, last_axis: bool = False, heads: int = 1,
    flat: bool = False, dtype: int = 1, halve: bool = False,
) -> Path:  # fmt: skip
    """An ONNX file at `path` whose network tells classes by brightness; returns the path.

    `last` is the activation, "" for scores, "Share" for probabilities by division, "ArgMax" for ids. `margin` pixels
    are lost on each side; `last_axis` puts channels last; `flat` leaves a single channel out; `halve` scales down and
    up by 2, so that sizes must be even.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, numbers = [], []

    def constant(name: str, value: Any) -> str:
        numbers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    slope = np.array({1: [1], 2: [0, 1], 3: [0, 1, 2]}[classes], np.float32)
    offset = np.array({1: [-0.5], 2: [0, -0.5], 3: [0, -STEPS[0], -sum(STEPS)]}[classes], np.float32)
    side = 2 * margin + 1
    weight = np.zeros((classes, bands, side, side), np.float32)
    weight[:, :, margin, margin] = GAIN * slope[:, None] / bands
    x = "pixels"
    if dtype != TensorProto.FLOAT:
        x = node("Cast", [x], "cast", to=TensorProto.FLOAT)
    if last_axis:
        x = node("Transpose", [x], "first", perm=[0, 3, 1, 2])
    if halve:
        x = node("MaxPool", [x], "half", kernel_shape=[2, 2], strides=[2, 2])
        if opset < 10:
            x = node("Upsample", [x, constant("scales", np.array([1, 1, 2, 2], np.float32))], "whole", mode="nearest")
        else:
            scales = constant("scales", np.array([1, 1, 2, 2], np.float32))
            x = node("Resize", [x, "", scales] if opset > 10 else [x, scales], "whole", mode="nearest")
    outputs = []
    for number in range(heads):
        w, b = constant(f"w{number}", weight), constant(f"b{number}", GAIN * offset)
        scores = node("Conv", [x, w, b], f"scores{number}")
        if last == "Share":
            positive = node("Exp", [scores], f"exp{number}")
            if opset > 12:
                axes = constant(f"axes{number}", np.array([1]))
                total = node("ReduceSum", [positive, axes], f"sum{number}", keepdims=1)
            else:
                total = node("ReduceSum", [positive], f"sum{number}", axes=[1], keepdims=1)
            scores = node("Div", [positive, total], f"share{number}")
        elif last == "ArgMax":
            scores = node("ArgMax", [scores], f"ids{number}", axis=1, keepdims=0)
        elif last:
            scores = node(last, [scores], f"last{number}", **({"axis": 1} if last == "Softmax" else {}))
        if flat:
            scores = node("Squeeze", [scores, constant("one", np.array([1]))], "flat")
        if last_axis:
            scores = node("Transpose", [scores], f"back{number}", perm=[0, 2, 3, 1])
        outputs.append(scores)
    shape = [1, *size, bands] if last_axis else [1, bands, *size]
    rank = 3 if flat or last == "ArgMax" else 4
    kind = TensorProto.INT64 if last == "ArgMax" else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("pixels", dtype, shape)],
        [helper.make_tensor_value_info(name, kind, list("abcd")[:rank]) for name in outputs], numbers,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="hand")
    model.ir_version = 8
    for key, value in (KEYS if keys is None else keys).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(model)
    return path
