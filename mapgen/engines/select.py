"""Choosing an engine: what was asked for, or what suits the machine."""

from __future__ import annotations

from importlib.util import find_spec

from mapgen.engines.protocol import Engine, Network, Setup
from mapgen.errors import UsageError
from mapgen.settings import Device, EngineName


def open_engine(network: Network, setup: Setup, name: EngineName, device: Device) -> Engine:
    """The engine `name` on `device`; `auto` takes OpenVINO on the CPU, torch on a GPU where there is one.

    Whether there is a GPU is asked of the driver first, because importing torch takes seconds. An explicit choice is
    honoured or raises `UsageError`.
    """
    if name == "openvino" and device not in ("auto", "cpu"):
        raise UsageError("--device", f"OpenVINO runs on the CPU here, not on {device}", "use --engine torch")
    if name == "auto" and device == "auto" and _nvidia_driver() and _torch_sees_gpu():
        name = "torch"
    if name == "auto":
        name = "torch" if device in ("cuda", "mps") or find_spec("openvino") is None else "openvino"
    if name == "openvino":
        if find_spec("openvino") is None:
            raise UsageError("--engine", "OpenVINO is not installed", "pip install openvino, or use --engine torch")
        from mapgen.engines.openvino import OpenVINOEngine

        return OpenVINOEngine(network, setup)
    from mapgen.engines.torch import TorchEngine

    return TorchEngine(network, setup, device)


def _nvidia_driver() -> bool:
    from ctypes.util import find_library

    return find_library("cuda") is not None or find_library("nvcuda") is not None


def _torch_sees_gpu() -> bool:
    from mapgen.engines.torch import cuda_available

    return cuda_available()
