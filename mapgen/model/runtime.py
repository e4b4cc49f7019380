"""OpenVINO itself, imported so that it does not report its use, and its graphs as bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from mapgen.model.engine import unreported

with unreported():
    import openvino as ov
    from openvino import opset13 as ops

__all__ = ["ops", "ov", "written"]


def written(model: Any) -> tuple[bytes, bytes]:
    """XML and numbers of a graph of OpenVINO's."""
    with tempfile.TemporaryDirectory(prefix="mapgen-") as folder:
        path = Path(folder) / "graph.xml"
        ov.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()
