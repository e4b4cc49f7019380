"""What mapgen runs on, and whether it runs: for people, and for reports of faults."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from typing import Any

import numpy as np

from mapgen.errors import MapgenError, one_line
from mapgen.files.cache import cache_folder
from mapgen.files.machine import EXTRAS, PACKAGES, cpu_features, memory_bytes, versions
from mapgen.model.engine import Setup
from mapgen.model.file import find_model, network_of
from mapgen.model.normalization import Normalization
from mapgen.model.select import open_engine
from mapgen.settings import DEFAULT_MODEL

_TOLD = ("GDAL_", "PROJ_", "MAPGEN_", "NUMBA_", "OMP_", "MKL_", "OPENBLAS_", "CUDA_VISIBLE", "LC_", "LANG")
_HIDDEN = ("KEY", "SECRET", "TOKEN", "PASS", "AUTH", "USERPWD", "COOKIE", "HEADER", "PROXY")


def checked() -> dict[str, dict[str, Any]]:
    """What was found, by part; the part `problems` is empty where all is well."""
    problems: dict[str, Any] = {}
    found = {
        "versions": versions(), "machine": _machine(), "caches": _caches(problems),
        "environment": told_environment(dict(os.environ)), "inference": _inference(problems),
    }  # fmt: skip
    missing = [name for name in PACKAGES if name not in found["versions"]]
    if missing:
        problems["packages"] = f"not installed: {', '.join(missing)}"
    found["extras"] = {name: found["versions"].pop(name, "not installed") for name in EXTRAS}
    return found | {"problems": problems}


def told_environment(variables: dict[str, str]) -> dict[str, str]:
    """The variables that change what mapgen does; of those that may hold secrets the names alone."""
    return {
        name: "(set, not shown)" if any(word in name.upper() for word in _HIDDEN) else one_line(value)
        for name, value in sorted(variables.items())
        if name.startswith(_TOLD) or name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    }


def _machine() -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": platform.platform(), "processor": platform.machine(), "features": " ".join(cpu_features()),
        "cores": cores, "memory": f"{memory_bytes() / 1e9:.1f} GB",
        "free in the temporary folder": f"{shutil.disk_usage(tempfile.gettempdir()).free / 1e9:.1f} GB",
    }  # fmt: skip


def _caches(problems: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name in ("kernels",):
        folder = cache_folder(name)
        if folder is None:
            problems[name] = "no folder to keep them in; set MAPGEN_CACHE to one that can be written"
            continue
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        found[name] = f"{folder} ({size / 1e6:.1f} MB)"
    return found


def _inference(problems: dict[str, Any]) -> dict[str, Any]:
    """A window of the built-in model by the engine that would be chosen, and the seconds that it took."""
    try:
        model = find_model(DEFAULT_MODEL)
        card = model.card
        setup = Setup(Normalization(card.mean, card.std), np.dtype(np.uint8), precision="auto")
        engine = open_engine(network_of(model), setup, "auto", "auto")
        side = -(-128 // card.stride) * card.stride
        pixels = np.random.default_rng(0).integers(0, 256, (1, len(card.bands), side, side), np.uint8)
        start = time.perf_counter()
        ((_, scores),) = engine.stream([(0, pixels)])
        seconds = time.perf_counter() - start
    except (MapgenError, ImportError, OSError, RuntimeError) as exc:
        problems["inference"] = one_line(exc)
        return {"model": DEFAULT_MODEL}
    if scores is None or not np.isfinite(scores).all():
        problems["inference"] = "the network gives no numbers"
    return {
        "model": f"{card.name} {model.sha256[:12]}",
        "engine": f"{engine.name} on {engine.device} in {engine.precision}",
        "window": f"{side} × {side} pixels in {seconds:.2f} s",
    }  # fmt: skip
