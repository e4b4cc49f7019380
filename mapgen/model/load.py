"""A graph from a model file: read by OpenVINO, and held to what its card promises."""

from __future__ import annotations

from math import prod
from typing import Any

from mapgen.errors import ModelError, one_line
from mapgen.model.card import ModelCard

MOST_BYTES = 1 << 16
"""Bytes that all layers together may make of one pixel; networks of segmentation_models_pytorch make 500 to 5000."""

_REMEDY = "do not use this file; make the graph anew with mapgen compress"


def load_graph(core: Any, text: bytes, numbers: bytes, card: ModelCard, subject: str) -> Any:
    """The graph of `mapgen.model.file.read_graph` as OpenVINO's model: pixels (N, C, H, W) to scores (N, K, H, W).

    It is tried on one small window: the number of bands and classes, the size of the output, and how much memory its
    layers ask for, so that no graph can take a thousand times what a network needs. Raises `ModelError`.
    """
    bands, classes, side = len(card.bands), len(card.legend), 8 * card.stride
    try:
        model = core.read_model(text, numbers)
        model.reshape([1, bands, side, side])
        result = model.output().get_partial_shape()
        shape = list(model.output().shape) if result.is_static else []
        made = sum(
            prod(out.shape) * out.get_element_type().bitwidth // 8
            for op in model.get_ops()
            if op.get_type_name() not in ("Constant", "Result")
            for out in op.outputs()
        )
        model.reshape([-1, bands, -1, -1])
    except RuntimeError as exc:
        problem = f"its graph cannot be run on {bands} bands ({one_line(exc).strip()[-160:]})"
        raise ModelError(subject, problem, _REMEDY) from exc
    if shape != [1, classes, side, side]:
        problem = f"its graph makes {shape} of a window of {side} × {side}, not [1, {classes}, {side}, {side}]"
        raise ModelError(subject, problem, _REMEDY)
    if made > MOST_BYTES * side * side:
        raise ModelError(subject, f"its graph takes {made // (side * side)} bytes a pixel", _REMEDY)
    return model
