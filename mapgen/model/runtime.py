"""OpenVINO itself, imported so that it does not report its use, and its graphs as bytes."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from mapgen.model.engine import unreported

with unreported():
    import openvino as ov
    from openvino import opset13 as ops

__all__ = ["core", "ops", "ov", "written"]


@cache
def core() -> Any:
    """OpenVINO's core, one in a process: each loads the plugin of the CPU anew, which takes a sixth of a second."""
    return ov.Core()


def written(model: Any) -> tuple[bytes, bytes]:
    """XML and numbers of a graph of OpenVINO's."""
    with tempfile.TemporaryDirectory(prefix="mapgen-") as folder:
        path = Path(folder) / "graph.xml"
        ov.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()
