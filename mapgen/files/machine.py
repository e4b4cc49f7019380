"""What mapgen runs on: versions of all that decides a result."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
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
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # an extra, or not a package at all
            continue
    return found


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
