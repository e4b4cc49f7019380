"""Vectorizing a class map, by mapgen and by the usual chain of libraries, side by side.

    python tests/benchmarks/vectorize.py [--side 4096] [--repeat 3] [--noded] [--sigma 2] [--json FILE]
    python tests/benchmarks/vectorize.py --large [--repeat 3] [--json docs/benchmarks/vectorize_large.json]

The masks are the argmax of six seeded noise fields, Gaussian-filtered with sigma 6 or 2. Every run is a process of its
own, which first does the whole work on a small mask, so that imports and compilation do not count; its seconds are the
best of the repetitions, its memory the peak of the process. Both results are GeoJSON files with class_id, class_name
and area_m2, and are read back and checked.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

CRS = "EPSG:32611"
EQUAL_AREA = "EPSG:6933"
TOLERANCE = 1.5
CLASSES = 6
PACKAGES = ("numpy", "numba", "shapely", "rasterio", "pyogrio", "geopandas", "pyproj")


def noise_mask(side: int, sigma: float, seed: int = 0) -> np.ndarray:
    """Which of six noise fields is the highest: uint8 (side, side), periodic, so that copies join without a seam."""
    rng = np.random.default_rng(seed)
    frequency = np.fft.fftfreq(side)[:, None] ** 2 + np.fft.rfftfreq(side)[None] ** 2
    transfer = np.exp(-2 * (np.pi * sigma) ** 2 * frequency)
    best, mask = np.full((side, side), -np.inf), np.zeros((side, side), np.uint8)
    for i in range(CLASSES):
        field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * transfer, s=(side, side))
        mask[field > best] = i
        np.maximum(best, field, out=best)
    return mask


def write_mask(path: Path, mask: np.ndarray, copies: int = 1, side: int | None = None) -> None:
    """The mask, or `copies`² of it cut to `side`, as a compressed GeoTIFF with nodata 255 at 1 m."""
    import rasterio
    from affine import Affine

    side = side or copies * len(mask)
    transform = Affine(1, 0, 400_000, 0, -1, 4_000_000)
    profile = {
        "driver": "GTiff", "height": side, "width": side, "count": 1, "dtype": "uint8", "crs": CRS, "nodata": 255,
        "transform": transform, "compress": "DEFLATE", "tiled": True, "blockxsize": 512, "blockysize": 512,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        for row in range(0, side, 512):
            rows = np.arange(row, min(row + 512, side)) % len(mask)
            strip = np.tile(mask[rows], (1, copies))[:, :side]
            dataset.write(strip, 1, window=((row, row + len(strip)), (0, side)))


# --- the two ways -----------------------------------------------------------------------------------------------------


def by_mapgen(source: Path, output: Path, tolerance: float) -> None:
    from mapgen.layers.vectorize import vectorize
    from mapgen.settings import Size

    vectorize(source, output, simplify=Size(tolerance) if tolerance else None, overwrite=True)


def by_libraries(source: Path, output: Path, tolerance: float, *, noded: bool = False) -> None:
    """rasterio's shapes, shapely, coverage_simplify, to_crs, attributes, GeoJSON by pyogrio.

    The shapes lack the vertices where a third region meets a straight border, so they are no valid coverage, and stay
    none. `noded` puts a vertex at every pixel first, the simplest cure.
    """
    import geopandas
    import rasterio
    import shapely
    from rasterio.features import shapes
    from shapely.geometry import shape

    with rasterio.open(source) as dataset:
        mask, transform = dataset.read(1), dataset.transform
    pairs = [(shape(geometry), int(value)) for geometry, value in shapes(mask, mask != 255, transform=transform)]
    polygons = np.array([p for p, _ in pairs], object)
    ids = np.array([v for _, v in pairs])
    if noded:
        polygons = shapely.segmentize(polygons, 1.0)
    if tolerance:
        polygons = shapely.coverage_simplify(polygons, tolerance)
    frame = geopandas.GeoDataFrame({"class_id": ids, "class_name": ids.astype(str)}, geometry=polygons, crs=CRS)
    frame["area_m2"] = frame.to_crs(EQUAL_AREA).area
    frame = frame.to_crs("EPSG:4326")
    output.unlink(missing_ok=True)
    frame.to_file(output, driver="GeoJSON", engine="pyogrio", RFC7946="YES")


def by_noded_libraries(source: Path, output: Path, tolerance: float) -> None:
    by_libraries(source, output, tolerance, noded=True)


WAYS: dict[str, Callable[[Path, Path, float], None]] = {
    "mapgen": by_mapgen,
    "shapes": by_libraries,
    "shapes, noded": by_noded_libraries,
}


def work(way: str, source: Path, output: Path, tolerance: float, repeat: int) -> dict[str, float]:
    """In a process of its own: the best of some runs after one on a small mask."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.tif"
        write_mask(small, noise_mask(256, 3))
        WAYS[way](small, Path(folder) / "small.geojson", tolerance)
    seconds, cpu = [], []
    for _ in range(repeat):
        start, cpu_start = time.perf_counter(), time.process_time()
        WAYS[way](source, output, tolerance)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    return {"seconds": min(seconds), "cpu_seconds": min(cpu), "memory_mb": peak_mb()}


def peak_mb() -> float:
    """The most memory this process has held. Linux counts the parent's into `ru_maxrss`, but not into VmHWM."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measured(way: str, source: Path, output: Path, tolerance: float, repeat: int) -> dict[str, float]:
    """`work` in a fresh process."""
    command = [sys.executable, __file__, "--work", way, str(source), str(output), str(tolerance), str(repeat)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def checked(path: Path) -> dict[str, Any]:
    """Facts of a layer, read back by GDAL."""
    import pyogrio
    import shapely

    meta, _, geometry, fields = pyogrio.raw.read(path)
    polygons = shapely.from_wkb(geometry)
    area = fields[list(meta["fields"]).index("area_m2")]
    return {
        "polygons": len(polygons),
        "vertices": int(shapely.get_num_coordinates(polygons).sum()),
        "all valid": bool(shapely.is_valid(polygons).all()),
        "valid coverage": bool(shapely.coverage_is_valid(polygons)),
        "area_km2": round(float(area.sum()) / 1e6, 6),
        "megabytes": round(path.stat().st_size / 1e6, 1),
    }


# --- the table --------------------------------------------------------------------------------------------------------


def compared(folder: Path, side: int, sigma: int, repeat: int, ways: dict[float, list[str]]) -> list[dict[str, Any]]:
    """Rows for one mask: each way, for each tolerance; `times` says how many times as long as mapgen it took."""
    source = folder / f"sigma{sigma}.tif"
    write_mask(source, noise_mask(side, sigma))
    rows = []
    for tolerance, names in ways.items():
        ours = 0.0
        for way in names:
            output = folder / "out.geojson"
            figures = measured(way, source, output, tolerance, repeat if way == "mapgen" else 1)
            ours = figures["seconds"] if way == "mapgen" else ours
            rows.append(
                {
                    "mask": f"{side}², sigma {sigma}",
                    "simplified": f"{tolerance:g} px" if tolerance else "no",
                    "by": way,
                    "seconds": round(figures["seconds"], 2),
                    "times mapgen": round(figures["seconds"] / ours, 1),
                    "peak MB": round(figures["memory_mb"]),
                    **checked(output),
                }
            )
            print(rows[-1], file=sys.stderr, flush=True)
            output.unlink()
    return rows


def large(folder: Path, side: int, repeat: int) -> list[dict[str, Any]]:
    """Rows of a mask of `side`² and of the 4096² one that it is made of, measured in turn, the best of some runs."""
    mask, sources = noise_mask(4096, 6), {4096: folder / "small.tif", side: folder / "large.tif"}
    for edge, source in sources.items():
        write_mask(source, mask, copies=-(-edge // 4096), side=edge)
    del mask
    figures: dict[int, list[dict[str, float]]] = {edge: [] for edge in sources}
    for _ in range(repeat):
        for edge, source in sources.items():
            figures[edge].append(measured("mapgen", source, folder / "out.geojson", TOLERANCE, 1))
    rows = []
    for edge, runs in figures.items():
        best = {name: min(run[name] for run in runs) for name in ("seconds", "cpu_seconds")}
        row = {"mask": f"{edge}², sigma 6", "seconds": round(best["seconds"], 2), "CPU": round(best["cpu_seconds"], 2)}
        row |= {"ns/pixel": round(best["seconds"] / edge**2 * 1e9, 1)}
        row |= {"CPU ns/pixel": round(best["cpu_seconds"] / edge**2 * 1e9, 1)}
        rows.append(row | {"peak MB": round(max(run["memory_mb"] for run in runs))})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def starts(folder: Path) -> str:
    """A sentence on the command line's start with an empty and with a filled cache of kernels."""
    mask = folder / "start.tif"
    write_mask(mask, noise_mask(512, 6))
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        command = [sys.executable, "-m", "mapgen", "vectorize", str(mask), "--overwrite", "-q", "--simplify", "1.5"]
        cache = {"NUMBA_CACHE_DIR": str(folder / "kernels")}
        subprocess.run(command, check=True, env=os.environ | cache, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return (
        f"`mapgen vectorize` of a 512² mask, from the start of the process to its end: {seconds[0]:.1f} s the first "
        f"time ever, when the kernels are compiled, {seconds[1]:.1f} s from then on."
    )


def main() -> None:
    """Run one of the two comparisons and write its table."""
    if sys.argv[1:2] == ["--work"]:
        way, source, output, tolerance, repeat = sys.argv[2:]
        print(json.dumps(work(way, Path(source), Path(output), float(tolerance), int(repeat))))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--repeat", type=int, default=3, help="runs of mapgen; the chain of libraries runs once")
    parser.add_argument("--large", action="store_true", help="mapgen alone, 20000² beside 4096²")
    parser.add_argument("--noded", action="store_true", help="also the chain with a vertex at every pixel")
    parser.add_argument("--sigma", type=int, help="only the mask of this sigma, only simplified")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        title = "Vectorizing a large map" if options.large else "Vectorizing"
        title += f", sigma {options.sigma}" if options.sigma else ""
        rows, notes = _large(Path(name), options) if options.large else _side_by_side(Path(name), options)
    record = {
        "title": title,
        "command": "python tests/benchmarks/vectorize.py " + " ".join(sys.argv[1:]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {p: version(p) for p in PACKAGES},
        "threads": os.cpu_count(),
        "rows": rows,
        "notes": notes,
    }
    text = json.dumps(record, indent=1, ensure_ascii=False)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    print(text)


def _side_by_side(folder: Path, options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    start_note, rows = starts(folder), []
    for sigma in (options.sigma,) if options.sigma else (6, 2):
        ways = {TOLERANCE: ["mapgen", "shapes"], 0.0: ["mapgen", "shapes"]}
        if options.sigma:
            ways = {TOLERANCE: ["mapgen"]}
        if options.noded and (sigma == 6 or options.sigma):
            ways[TOLERANCE].append("shapes, noded")
        rows += compared(folder, options.side, sigma, options.repeat, ways)
    return rows, [
        "From the map to a GeoJSON file with class_id, class_name and area_m2 (mapgen also writes perimeter_m); "
        "`shapes` is rasterio.features.shapes, shapely, coverage_simplify, to_crs, GeoJSON by pyogrio.",
        "coverage_simplify takes the tolerance as the root of an area, mapgen's default as a distance.",
        start_note,
    ]


def _large(folder: Path, options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    return large(folder, 20_000, options.repeat), [
        f"From the map to a GeoJSON file, simplified by {TOLERANCE:g} px. The large mask is the small one repeated.",
    ]


if __name__ == "__main__":
    main()
