"""Small graphs of OpenVINO: three classes by brightness, as of the tests' fake network, at steps of one's choice."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops

STEPS = (85.5, 171.0)


def brightness_graph(folder: Path, steps: tuple[float, float] = STEPS, *, classes: int = 3, bands: int = 3) -> Path:
    """A graph from pixels normalised by (v - 128) / 64 to scores: the class of a pixel is how many steps it is above.

    The scores are 0, x - a, 2 x - a - b of the mean band x: the highest changes at a and at b.
    """
    low, high = ((step - 128) / 64 for step in steps)
    slope = np.array([0, 1, 2, *[0] * 9][:classes], np.float32)
    offset = np.array([0, -low, -low - high, *[-99] * 9][:classes], np.float32)
    weights = np.repeat(slope[:, None, None, None] / bands, bands, 1).astype(np.float32)
    pixels = ops.parameter([-1, bands, -1, -1], ov.Type.f32, name="pixels")
    scores = ops.add(
        ops.convolution(pixels, ops.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1]),
        ops.constant(offset.reshape(1, -1, 1, 1)),
    )
    path = folder / "graph.xml"
    ov.save_model(ov.Model([ops.result(scores)], [pixels]), path, compress_to_fp16=False)
    return path


def graph_bytes(steps: tuple[float, float] = STEPS, **shape: int) -> tuple[bytes, bytes]:
    """The same graph as XML and numbers."""
    with tempfile.TemporaryDirectory() as folder:
        path = brightness_graph(Path(folder), steps, **shape)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()
