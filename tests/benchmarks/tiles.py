"""Raster tiles of a class map, by mapgen, rio-pmtiles and GDAL's MBTiles driver, side by side.

    python tests/benchmarks/tiles.py [--side 8192] [--repeat 3] [--peers PYTHON] [--json docs/benchmarks/tiles.json]

The map is the argmax of six seeded noise fields, Gaussian-filtered with sigma 6, at 1 m in UTM. Every run is a process
of its own, which first does the whole work on a small map, so that imports and compilation do not count; its seconds
are the best of the repetitions, its memory the peak of the process and of those that it starts. All write zoom 12 to
17, 256² pixels, PNG. rio-pmtiles (`pip install rio-pmtiles`) may live in another environment: `--peers` is its Python.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ZOOMS = (12, 17)
PACKAGES = ("numpy", "numba", "rasterio", "pyproj")


def by_mapgen(source: Path, output: Path, threads: int) -> None:
    from mapgen.tiling.tiles import tiles

    tiles(source, output, zoom=ZOOMS, threads=threads, overwrite=True)


def by_rio_pmtiles(source: Path, output: Path, threads: int) -> None:
    """The command itself, of the map as red, green and blue, since it takes nothing else."""
    output.unlink(missing_ok=True)
    low, high = ZOOMS
    options = ["--zoom-levels", f"{low}..{high}", "--tile-size", "256", "-f", "PNG", "--resampling", "nearest"]
    command = [str(Path(sys.executable).with_name("rio")), "pmtiles", str(source.with_suffix(".rgb.tif")), str(output)]
    subprocess.run([*command, *options, "-j", str(threads), "--silent"], check=True, capture_output=True)


def by_gdal(source: Path, output: Path, threads: int) -> None:
    """A copy by GDAL's driver, then overviews by mode."""
    import rasterio
    import rasterio.shutil
    from rasterio.enums import Resampling

    output.unlink(missing_ok=True)
    with rasterio.Env(GDAL_NUM_THREADS=threads, GDAL_CACHEMAX=512 << 20):
        rasterio.shutil.copy(
            source, output, driver="MBTiles", TILE_FORMAT="PNG", ZOOM_LEVEL_STRATEGY="AUTO", RESAMPLING="NEAREST"
        )
        with rasterio.open(output, "r+") as dataset:
            dataset.build_overviews([2**k for k in range(1, ZOOMS[1] - ZOOMS[0] + 1)], Resampling.mode)


WAYS = {
    "mapgen, PMTiles": (by_mapgen, ".pmtiles"),
    "mapgen, MBTiles": (by_mapgen, ".mbtiles"),
    "rio-pmtiles": (by_rio_pmtiles, ".pmtiles"),
    "GDAL, MBTiles": (by_gdal, ".mbtiles"),
}


def work(way: str, folder: Path, threads: int, repeat: int) -> dict[str, Any]:
    """One way in this process: the small map first, then `repeat` times the large one."""
    run, suffix = WAYS[way]
    run(folder / "small.tif", folder / f"small{suffix}", threads)
    seconds, cpu = [], []
    output = folder / f"large{suffix}"
    for _ in range(repeat):
        start, before = time.perf_counter(), _cpu()
        run(folder / "large.tif", output, threads)
        seconds.append(time.perf_counter() - start)
        cpu.append(_cpu() - before)
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {"seconds": min(seconds), "cpu": min(cpu), "memory": peak / 1024, "bytes": output.stat().st_size}


def make(folder: Path, side: int) -> None:
    """The maps, large and small, and each in colours."""
    sys.path.insert(0, str(Path(__file__).parent))
    from vectorize import noise_mask, write_mask

    for name, size in (("large", side), ("small", 512)):
        write_mask(folder / f"{name}.tif", noise_mask(size, 6))
        expand(folder / f"{name}.tif", folder / f"{name}.rgb.tif")


def expand(source: Path, output: Path) -> None:
    """The map in three bands of colour."""
    import numpy as np
    import rasterio

    with rasterio.open(source) as dataset:
        mask, profile = dataset.read(1), dataset.profile
    table = np.array([[228, 26, 28], [55, 126, 184], [77, 175, 74], [152, 78, 163], [255, 127, 0], [255, 255, 51]])
    with rasterio.open(output, "w", **(profile | {"count": 3, "nodata": None, "photometric": "RGB"})) as dataset:
        for band in range(3):
            dataset.write(table.astype(np.uint8)[:, band][mask], band + 1)


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def measured(way: str, folder: Path, threads: int, repeat: int, python: str) -> dict[str, Any] | None:
    """The figures of one way in a process of its own; None where its package is missing."""
    command = [python, __file__, "--work", way, str(folder), str(threads), str(repeat)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{way}: {(done.stderr.splitlines() or ['failed'])[-1]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def compared(folder: Path, repeat: int, peers: str) -> list[dict[str, Any]]:
    """The rows of the table, two threads each and mapgen with one too."""
    plan = [
        ("mapgen, PMTiles", 2, repeat, sys.executable), ("rio-pmtiles", 2, 1, peers),
        ("mapgen, PMTiles", 1, repeat, sys.executable), ("GDAL, MBTiles", 2, 1, sys.executable),
        ("mapgen, MBTiles", 2, repeat, sys.executable),
    ]  # fmt: skip
    rows, first = [], 0.0
    for way, threads, times, python in plan:
        found = measured(way, folder, threads, times, python)
        if found is None:
            continue
        first = first or found["seconds"]
        rows.append(
            {
                "tiles by": way, "threads": threads, "seconds": round(found["seconds"], 2),
                "CPU": round(found["cpu"], 2), "× the first": round(found["seconds"] / first, 2),
                "MB written": round(found["bytes"] / 1e6, 1), "peak MB": round(found["memory"]),
            }
        )  # fmt: skip
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Run the comparison and write its table."""
    if sys.argv[1:2] == ["--work"]:
        way, folder, threads, repeat = sys.argv[2:]
        print(json.dumps(work(way, Path(folder), int(threads), int(repeat))))
        return
    if sys.argv[1:2] == ["--make"]:
        make(Path(sys.argv[2]), int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--repeat", type=int, default=3, help="runs of mapgen; the others run once")
    parser.add_argument("--peers", default=sys.executable, help="the Python that has rio-pmtiles")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        # In a process of its own: what this one had needed at most would be counted for those that it starts.
        subprocess.run([sys.executable, __file__, "--make", str(folder), str(options.side)], check=True)
        rows = compared(folder, options.repeat, options.peers)
    finally:
        shutil.rmtree(folder)
    record = {
        "title": "Raster tiles",
        "command": f"python tests/benchmarks/tiles.py --side {options.side} --repeat {options.repeat}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {p: _version(p, sys.executable) for p in PACKAGES}
        | {"rio-pmtiles": _version("rio-pmtiles", options.peers)},
        "threads": 2,
        "rows": rows,
        "notes": [
            f"From a class map of {options.side}² pixels to tiles of zoom {ZOOMS[0]} to {ZOOMS[1]}, in a process that "
            "has done the same with a small map before; best of the repetitions.",
            "rio-pmtiles, which takes colours only and got the map as such, warps each tile of each zoom, nearest; the "
            "start of its process is in its time. GDAL copies with its MBTiles driver and "
            "builds overviews by mode; mapgen makes each tile of the four above it, by mode, and checks what it wrote.",
        ],
    }
    text = json.dumps(record, indent=1, ensure_ascii=False)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    print(text)


def _version(package: str, python: str) -> str:
    if python == sys.executable:
        try:
            return version(package)
        except PackageNotFoundError:
            return "–"
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=False).stdout.strip() or "–"


if __name__ == "__main__":
    main()
