"""What the CPU can do."""

from __future__ import annotations

from pathlib import Path

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
