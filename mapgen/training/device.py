"""Where a network learns, and with which numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from mapgen.errors import ResourceError, UsageError
from mapgen.model.torch import cuda_half, find_device
from mapgen.training.pace import Precision


def device_of(wanted: str) -> torch.device:
    """The device called `auto`, `cpu`, `cuda` or `mps`; `auto` is the GPU where there is one.

    Raises `UsageError` for one that torch does not find.
    """
    found = find_device(wanted)
    if found is None:
        raise UsageError("run.device", f"torch finds no {wanted} device here", "use cpu, or a torch that knows the GPU")
    return torch.device(found)


def precision_of(wanted: Literal["auto", "fp32", "bf16", "fp16"], device: torch.device) -> Precision:
    """The numbers of the forward pass; `auto` takes half of them where the device computes with them by itself.

    That is bf16 on CPUs and GPUs with instructions for it, fp16 on other CUDA devices. What is named is honoured.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if cuda_half() == "bf16" else "fp16"
    return "bf16" if device.type == "cpu" and cpu_has_bf16() else "fp32"


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 by instructions of its own; emulated, it is slower than float32."""
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # which older torch does not have
    if capabilities is None:
        return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
    found = capabilities()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def use_threads(count: int) -> None:
    """Let torch compute with this many threads; 0 leaves it to torch."""
    if count:
        torch.set_num_threads(count)


def seeded(seed: int) -> None:
    """Let what torch draws next follow from the seed alone."""
    torch.manual_seed(seed)


@contextmanager
def memory_errors(subject: str, remedy: str) -> Iterator[None]:
    """Turn torch's ways of saying that memory is out into `ResourceError`."""
    try:
        yield
    except torch.OutOfMemoryError as exc:
        raise ResourceError(subject, "does not fit into the memory of the GPU", remedy) from exc
    except RuntimeError as exc:
        if "can't allocate memory" not in str(exc):  # of the CPU, for which torch has no error of its own
            raise
        raise ResourceError(subject, "does not fit into memory", remedy) from exc
