"""What mapgen runs on: versions of all that decides a result."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from mapgen import __version__

PACKAGES = (
    "numpy", "numba", "rasterio", "pyproj", "pyogrio", "shapely", "geopandas", "openvino", "safetensors", "pillow",
    "typer",
)  # fmt: skip
"""What an installation always has."""

EXTRAS = ("torch", "torchvision", "segmentation-models-pytorch", "nncf", "onnx", "pyarrow", "morecantile")
"""What extras add."""


def versions(packages: Iterable[str] = (*PACKAGES, *EXTRAS)) -> dict[str, str]:
    """Versions of mapgen, Python and these packages, those that are installed."""
    found = {"mapgen": __version__, "python": platform.python_version()}
    return found | {name: text for name in packages if (text := version_of(name))}


@cache
def version_of(package: str) -> str:
    """The version of a package that is installed; empty for an extra that is not, and for what is not a package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def cpu_features() -> list[str]:
    """The sets of instructions of the processor that numpy names."""
    try:
        from numpy._core._multiarray_umath import __cpu_features__ as features  # type: ignore[import-not-found]
    except ImportError:  # it is not part of numpy's promises
        return []
    return sorted(name for name, there in features.items() if there)


def memory_bytes() -> int:
    """Memory of the machine; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0
