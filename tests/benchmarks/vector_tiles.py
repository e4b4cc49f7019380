"""Vector tiles of a class map, by mapgen from the map and by GDAL's driver from the vectorized layer, side by side.

    python tests/benchmarks/vector_tiles.py [--side 8192] [--repeat 2] [--json docs/benchmarks/vector_tiles.json]

The map is the argmax of six seeded noise fields, Gaussian-filtered with sigma 6, at 1 m. GDAL's PMTiles driver, through
pyogrio, gets the polygons that `mapgen vectorize --simplify 1px` makes of it, in Web Mercator, with its limits raised
so that it drops nothing (MAX_SIZE, MAX_FEATURES), and the same zooms and buffer. Every run is a process of its own,
which first does the whole work on a small map, so that imports and compilation do not count. Both results are read back
by the packages pmtiles and mapbox-vector-tile, and looked at in the middle of the map.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vectorize import noise_mask, peak_mb, write_mask

PACKAGES = ("numpy", "numba", "shapely", "rasterio", "pyogrio", "pmtiles")
ZOOMS = 4
"""How many zooms are made, from that of the map's own pixels down."""


def by_mapgen(source: Path, output: Path, low: int, high: int, threads: int) -> None:
    from mapgen.tiling.tiles import tiles

    tiles(source, output, vector=True, zoom=(low, high), threads=threads, overwrite=True)


def by_gdal(source: Path, output: Path, low: int, high: int, threads: int) -> None:
    import pyogrio

    frame = pyogrio.read_dataframe(source.with_suffix(".fgb"), columns=["class_id", "class_name"])
    output.unlink(missing_ok=True)
    pyogrio.set_gdal_config_options({"GDAL_NUM_THREADS": str(threads)})
    pyogrio.write_dataframe(
        frame, output, driver="PMTiles", layer="classes", MINZOOM=str(low), MAXZOOM=str(high), BUFFER="64",
        MAX_SIZE="100000000", MAX_FEATURES="10000000",
    )  # fmt: skip


WAYS: dict[str, Callable[[Path, Path, int, int, int], None]] = {"mapgen": by_mapgen, "GDAL": by_gdal}


def prepare(folder: Path, name: str, side: int) -> Path:
    """A class map, and its layer in Web Mercator beside it."""
    from mapgen.layers.vectorize import vectorize
    from mapgen.settings import Size

    source = folder / f"{name}.tif"
    block = min(side, 4096)
    write_mask(source, noise_mask(block, 6), copies=-(-side // block), side=side)
    vectorize(source, source.with_suffix(".fgb"), simplify=Size(1.0), crs="EPSG:3857")
    return source


def work(way: str, source: Path, output: Path, low: int, high: int, threads: int) -> dict[str, float]:
    """In a process of its own: one run after one on a small map."""
    WAYS[way](source.with_name("small.tif"), output.with_name("small.pmtiles"), high - 1, high, threads)
    start, cpu = time.perf_counter(), time.process_time()
    WAYS[way](source, output, low, high, threads)
    return {
        "seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu, "memory_mb": peak_mb(),
        "bytes": output.stat().st_size,
    }  # fmt: skip


def measured(way: str, *arguments: object) -> dict[str, float]:
    """`work` in a fresh process."""
    command = [sys.executable, __file__, "--work", way, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def looked_at(path: Path, zoom: int, lon: float, lat: float) -> dict[str, Any]:
    """What is wrong with the polygons of the 4 × 4 tiles of a zoom around a place, as other decoders read them."""
    import gzip

    import mapbox_vector_tile
    import shapely
    from pmtiles.reader import MmapSource, Reader

    from mapgen.tiling.quadtree import WEB_MERCATOR, to_mercator

    counts = {"invalid": 0, "overlap %": 0.0, "gap %": 0.0}
    x, y = (float(v) for v in to_mercator(lon, lat))
    middle = WEB_MERCATOR.covering((x, y, x, y), zoom)
    with open(path, "rb") as stream:
        reader = Reader(MmapSource(stream))
        for x in range(middle.left - 2, middle.left + 2):
            for y in range(middle.top - 2, middle.top + 2):
                data = gzip.decompress(reader.get(zoom, x, y))
                layer = mapbox_vector_tile.decode(data)["classes"]
                shapes = shapely.from_geojson([json.dumps(f["geometry"]) for f in layer["features"]])
                counts["invalid"] += int((~shapely.is_valid(shapes)).sum())
                square = shapely.box(0, 0, layer["extent"], layer["extent"])
                cut = shapely.intersection(shapely.make_valid(shapes), square)
                whole = shapely.union_all(cut)
                counts["overlap %"] += 100 / 16 * (shapely.area(cut).sum() - whole.area) / square.area
                counts["gap %"] += 100 / 16 * (square.area - whole.area) / square.area
    return {k: v if k == "invalid" else round(abs(float(v)), 4) for k, v in counts.items()}


def rows(folder: Path, side: int, repeat: int, threads: int) -> list[dict[str, Any]]:
    """Both ways, with what they wrote."""
    import pyogrio

    prepare(folder, "small", 512)
    source = prepare(folder, "map", side)
    from mapgen.tiling.quadtree import to_lonlat
    from mapgen.tiling.tiles import tiles

    _, high = tiles(source, folder / "auto.pmtiles", vector=True, overwrite=True).zoom
    low = high - ZOOMS + 1
    bounds = pyogrio.read_info(source.with_suffix(".fgb"))["total_bounds"]
    lon, lat = to_lonlat((bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2)
    out = []
    for way, times in (("mapgen", repeat), ("GDAL", 1)):
        output = folder / f"{way}.pmtiles"
        runs = [measured(way, source, output, low, high, threads) for _ in range(times)]
        best = min(runs, key=lambda run: run["seconds"])
        row = {
            "tiles by": "mapgen tiles --vector" if way == "mapgen" else "GDAL's PMTiles driver",
            "zooms": f"{low}–{high}", "seconds": round(best["seconds"], 2), "CPU": round(best["cpu_seconds"], 2),
            "MB": round(best["bytes"] / 1e6, 2), "peak MB": round(max(run["memory_mb"] for run in runs)),
        }  # fmt: skip
        out.append(row | looked_at(output, high - 1, float(lon), float(lat)))
        print(out[-1], file=sys.stderr, flush=True)
    return out


def main() -> None:
    """Run the comparison and write its table."""
    if sys.argv[1:2] == ["--work"]:
        way, source, output, *numbers = sys.argv[2:]
        print(json.dumps(work(way, Path(source), Path(output), *map(int, numbers))))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--repeat", type=int, default=2, help="runs of mapgen; GDAL runs once")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    threads = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as name:
        table = rows(Path(name), options.side, options.repeat, threads)
    ratio = table[1]["seconds"] / table[0]["seconds"]
    smaller = table[1]["MB"] / table[0]["MB"]
    record = {
        "title": "Vector tiles",
        "command": "python tests/benchmarks/vector_tiles.py",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {p: version(p) for p in PACKAGES},
        "threads": threads,
        "rows": table,
        "notes": [
            f"A class map of {options.side}². mapgen reads the map and takes {ratio:.1f} times less time than the "
            "driver takes for the vectorized layer, whose making is not counted; its archive is "
            f"{smaller:.1f} times smaller.",
            "`invalid`, `overlap` and `gap` are counted by mapbox-vector-tile and shapely in the 4 × 4 tiles in the "
            "middle, at the zoom below the highest; everything there is of some class.",
        ],
    }
    text = json.dumps(record, indent=1, ensure_ascii=False)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
