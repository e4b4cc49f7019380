"""What mapgen runs on: versions of all that decides a result."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from mapgen import __version__

PACKAGES = (
    "numpy", "numba", "rasterio", "pyproj", "pyogrio", "shapely", "geopandas", "openvino", "torch",
    "segmentation-models-pytorch", "safetensors", "pillow", "typer",
)  # fmt: skip
"""What an installation always has."""

EXTRAS = ("pyarrow", "nncf", "captum", "dask", "tensorboard")
"""What extras add."""


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of mapgen, Python and these packages, those that are installed."""
    found = {"mapgen": __version__, "python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # an extra, or not a package at all
            continue
    return found
