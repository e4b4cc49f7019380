"""Choosing an engine and its precision: what was asked for, or what suits the machine."""

from __future__ import annotations

import ctypes
import dataclasses
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from mapgen.errors import UsageError, option, require
from mapgen.model.engine import Engine, Network, Setup
from mapgen.settings import Device, EngineName, Precision


def open_engine(network: Network, setup: Setup, name: EngineName, device: Device) -> Engine:
    """The engine `name` on `device`; `auto` takes OpenVINO on the CPU, torch on a GPU where there is one.

    int8 is OpenVINO's alone, so `auto` takes that for it. An explicit choice is honoured or raises `UsageError`; so is
    an explicit precision, and an engine that is not installed.
    """
    if name == "openvino" and device not in ("auto", "cpu"):
        raise UsageError(
            option("device"), f"OpenVINO runs on the CPU here, not on {device}", f"use {option('engine', 'torch')}"
        )
    if name == device == "auto" and network.card.graph is not None:
        name = "openvino"
    if _suitable(name, device, setup.precision) == "openvino":
        if find_spec("openvino") is None:
            raise UsageError(
                option("engine"),
                "OpenVINO is not installed",
                f"pip install openvino, or use {option('engine', 'torch')}",
            )
        from mapgen.model.openvino import OpenVINOEngine

        precision = _openvino_precision(network, setup.precision)
        return OpenVINOEngine(network, dataclasses.replace(setup, precision=precision))
    if network.card.graph is not None:
        problem = f"{network.card.name} is held as a graph, which torch cannot run"
        raise UsageError(option("engine" if name == "torch" else "device"), problem, f"use {option('device', 'cpu')}")
    if setup.precision == "int8":
        raise UsageError(
            option("precision"),
            "int8 graphs are OpenVINO's, torch cannot run them",
            f"use {option('engine', 'openvino')}",
        )
    require("torch", option("engine"), f"computing on {device}" if name == "auto" else "this engine")
    from mapgen.model.torch import TorchEngine

    return TorchEngine(network, setup, device)


def likely_precision(wanted: Precision, name: EngineName, device: Device, *, int8: bool) -> Precision:
    """What the engine that will run computes in, on its device; for estimates."""
    if wanted != "auto":
        return wanted
    if _suitable(name, device, wanted) == "openvino":
        return _fastest(int8=int8) if find_spec("openvino") else "fp32"
    if not find_spec("torch"):
        return "fp32"
    from mapgen.model.torch import usual_precision

    return usual_precision(device)


def _suitable(name: EngineName, device: Device, precision: Precision) -> EngineName:
    """The engine for what was asked for: that which is named, else what suits the device and the precision.

    Whether there is a GPU is asked of the driver first, because importing torch takes seconds.
    """
    if name != "auto":
        return name
    if device == "auto" and precision != "int8" and _nvidia_driver() and find_spec("torch") and _torch_sees_gpu():
        return "torch"
    return "torch" if device in ("cuda", "mps") or find_spec("openvino") is None else "openvino"


def _fastest(*, int8: bool) -> Precision:
    """int8 where there is a graph for it and the CPU multiplies bytes fast, else bf16 where it is native, else fp32."""
    if int8 and multiplies_bytes():
        return "int8"
    from mapgen.model.openvino import native_precisions

    return "bf16" if "bf16" in native_precisions() else "fp32"


def _openvino_precision(network: Network, wanted: Precision) -> Precision:
    """The precision that was asked for, or the fastest. Raises `UsageError` where model or CPU do not have it."""
    if wanted == "auto":
        return _fastest(int8=network.int8 is not None)
    if wanted == "int8" and network.int8 is None:
        raise UsageError(
            option("precision"),
            f"{network.subject} brings no int8 graph",
            f"make one with mapgen compress, or use {option('precision', 'auto')}",
        )
    if wanted in ("int8", "fp32"):
        return wanted
    from mapgen.model.openvino import native_precisions

    native = native_precisions()
    if wanted not in native:
        raise UsageError(
            option("precision"),
            f"this CPU does not compute in {wanted}",
            f"use {option('precision', 'auto')} or {' or '.join(native)}",
        )
    return wanted


def idle_gpu(name: EngineName, device: Device, precision: Precision) -> str:
    """What to say where an NVIDIA driver is there and torch, which would use its GPU, is not; else nothing."""
    chosen = name == "auto" and device == "auto" and precision != "int8"
    if not chosen or find_spec("torch") is not None or not _nvidia_driver():
        return ""
    return "runs on the CPU; there is an NVIDIA driver: pip install 'mapgen[torch]' to run on its GPU"


@cache
def _nvidia_driver() -> bool:
    """Whether the library of the driver can be loaded. ctypes' own search for it runs a compiler, for 40 ms."""
    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


def _torch_sees_gpu() -> bool:
    from mapgen.model.torch import cuda_available

    return cuda_available()


try:
    from numpy._core._multiarray_umath import __cpu_features__ as _features  # type: ignore[import-not-found]
except ImportError:  # it is not part of numpy's promises
    _features = {}

_BYTE_PRODUCTS = ("AVX512VNNI", "AVX512_ICL", "AVX512_SPR", "ASIMDDP")
"""Names that numpy gives to sets of instructions with a dot product of bytes: VNNI, and Arm's."""

_LINUX_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}


def multiplies_bytes() -> bool:
    """Whether the CPU has a dot product of 8-bit integers (VNNI, AMX, Arm's); without, int8 is hardly faster."""
    if any(_features.get(name) for name in _BYTE_PRODUCTS):
        return True
    try:  # numpy does not name AVX-VNNI, which desktop CPUs without AVX-512 have
        lines = Path("/proc/cpuinfo").read_text("ascii", "replace").splitlines()
    except OSError:
        return False
    return any(not _LINUX_FLAGS.isdisjoint(line.split()) for line in lines if line.startswith(("flags", "Features")))
