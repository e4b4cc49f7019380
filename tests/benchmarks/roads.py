"""Road networks of drawn cities, by mapgen and, where they are installed, by skimage with sknw or skan.

    python tests/benchmarks/roads.py [--seeds 41,42,43] [--json docs/benchmarks/roads.json]
    python tests/benchmarks/roads.py --side 4096

A city is drawn, damaged as predictions are (see tests/roads/city.py) and traced with the defaults of `mapgen roads`;
each network is measured against the drawn one. `--side` times the whole command on a grid of streets instead.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "roads"), str(Path(__file__).parents[1])]

from city import Plan, city, damaged, depth_of  # noqa: E402
from factory import make_raster  # noqa: E402
from machine import load, record, versions, write  # noqa: E402

from mapgen.roads.extract import extract_roads  # noqa: E402
from mapgen.roads.lines import read_lines  # noqa: E402
from mapgen.roads.score import score  # noqa: E402
from mapgen.roads.ways import Ways, ways_of  # noqa: E402

Array = np.ndarray[Any, np.dtype[Any]]


def on_the_plan(path: Path) -> Ways:
    """The network of a file in pixels of its raster, which is 1 m and has its corner at the factory's origin."""
    import pyproj
    from factory import CRS, ORIGIN

    ways = read_lines(path).ways
    x, y = pyproj.Transformer.from_crs("OGC:CRS84", CRS, always_xy=True).transform(ways.lines.x, ways.lines.y)
    ends = np.stack((np.asarray(x) - ORIGIN[0], ORIGIN[1] - np.asarray(y)), axis=1)
    cuts = ways.lines.offsets
    return ways_of([np.round(ends[a:b], 6) for a, b in itertools.pairwise(cuts)])


def traced(folder: Path, p: Array, guided: bool) -> tuple[Ways, float]:
    """The network of probabilities by the defaults of `mapgen roads`, and the seconds it took."""
    mask = make_raster(folder / "m.tif", (p > 0.5).astype(np.uint8))
    scores = make_raster(folder / "p.tif", np.round(p * 250).astype(np.uint8), scales=(0.004,))
    start = time.perf_counter()
    extract_roads(
        mask, folder / "m.fgb", classes=("1",), overwrite=True, probabilities_raster=scores if guided else None
    )  # fmt: skip
    return on_the_plan(folder / "m.fgb"), time.perf_counter() - start


def by_sknw(p: Array) -> tuple[Ways, float]:
    """The network by skimage's skeleton and sknw."""
    import sknw
    from skimage.morphology import skeletonize

    start = time.perf_counter()
    graph = sknw.build_sknw(skeletonize(p > 0.5), multi=True)
    seconds = time.perf_counter() - start
    places = {n: data["o"][::-1] + 0.5 for n, data in graph.nodes(data=True)}
    lines = [
        np.concatenate(([places[u]], data["pts"][:, ::-1] + 0.5, [places[v]])) for u, v, data in graph.edges(data=True)
    ]
    return ways_of([line.astype(float) for line in lines]), seconds


def by_skan(p: Array) -> tuple[Ways, float]:
    """The network by skimage's skeleton and skan, branches of its pixels as they are."""
    from skan import Skeleton
    from skimage.morphology import skeletonize

    start = time.perf_counter()
    skeleton = Skeleton(skeletonize(p > 0.5))
    lines = [skeleton.path_coordinates(i)[:, ::-1] + 0.5 for i in range(skeleton.n_paths)]
    seconds = time.perf_counter() - start
    return ways_of([line.astype(float) for line in lines if len(line) > 1]), seconds


PEERS = {"skimage + sknw": by_sknw, "skimage + skan": by_skan}
"""Others, where they are installed."""


def by_others(seed: int, plan: Plan, worn: Array, whole: Array) -> list[dict[str, Any]]:
    rows = []
    for name, trace in PEERS.items():
        try:
            rows.append(row(f"{name}, undamaged", seed, plan, *trace(whole)))
            rows.append(row(name, seed, plan, *trace(worn)))
        except ImportError:
            print(f"{name} is not installed", file=sys.stderr)
    return rows


def row(name: str, seed: int, truth: Plan, found: Ways, seconds: float) -> dict[str, Any]:
    true = ways_of(truth.lines)
    s = score(true, found)
    return {
        "network": name, "seed": seed, "apls": round(s.apls, 4), "topo": round(s.topo.f1, 4),
        "length": round(s.length_error, 4), "edges": round(len(found) / len(true) - 1, 4),
        "reach": round(s.found.reach, 4), "offset_m": round(s.offset_m, 3), "seconds": round(seconds, 3),
    }  # fmt: skip


def cities(seeds: list[int]) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        traced(folder, damaged(city(1, 256, stubs=2), 1), True)  # kernels are compiled or loaded
        for seed in seeds:
            plan = city(seed)
            depth = depth_of(plan)
            worn = damaged(plan, seed + 1000, depth)
            whole = (depth > 0).astype(float)
            rows.append(row("mapgen, undamaged", seed, plan, *traced(folder, whole, False)))
            rows.append(row("mapgen, probabilities", seed, plan, *traced(folder, worn, True)))
            rows.append(row("mapgen, classes", seed, plan, *traced(folder, worn, False)))
            rows += by_others(seed, plan, worn, whole)
            print("\n".join(json.dumps(found) for found in rows if found["seed"] == seed), flush=True)
    return means(rows)


def means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each network: the means of its figures over the seeds."""
    out = []
    for name in dict.fromkeys(found["network"] for found in rows):
        same = [found for found in rows if found["network"] == name]
        figures = [key for key in same[0] if key not in ("network", "seed")]
        out.append({"network": name} | {k: round(float(np.mean([found[k] for found in same])), 3) for k in figures})
    return out


def large(side: int) -> list[dict[str, Any]]:
    """Seconds and memory of the whole command on streets of 9 pixels every 125, about one pixel in seven road."""
    mask = np.zeros((side, side), np.uint8)
    for at in range(60, side - 9, 125):
        mask[at : at + 9], mask[:, at : at + 9] = 1, 1
    with tempfile.TemporaryDirectory() as name:
        path = make_raster(Path(name) / "m.tif", mask, tiled=True, compress="deflate")
        small = make_raster(Path(name) / "s.tif", mask[:300, :300])
        extract_roads(small, Path(name) / "s.gpkg", classes=("1",))
        start = time.perf_counter()
        found = extract_roads(path, Path(name) / "m.gpkg", classes=("1",))
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rows = [{"network": "mapgen", "side": side, "edges": found.edges, "seconds": round(seconds, 3)}]
    rows[0]["peak_mb"] = round(peak / 1e6)
    try:
        ways, others = by_sknw(mask.astype(float))
    except ImportError:
        return rows
    return [*rows, {"network": "skimage + sknw", "side": side, "edges": len(ways), "seconds": round(others, 3)}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="41,42,43")
    parser.add_argument("--side", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = large(options.side) if options.side else cities([int(s) for s in options.seeds.split(",")])
    for found in rows if options.side else []:
        print(json.dumps(found))
    if options.json:
        notes = [
            f"Means of drawn cities (seeds {options.seeds}) of 1536 px at 1 m, damaged as predictions are: trees,"
            " holes, specks, uneven borders. `apls` and `topo` are 1 for the true network; `length` and `edges` are"
            " shares too many or too few; `offset_m` is how far lines lie off.",
            load(),
        ]
        command = f"python tests/benchmarks/roads.py --seeds {options.seeds}"
        packages = versions("mapgen", "numpy", "shapely", "numba", "scikit-image", "sknw", "skan")
        title = "roads: networks of drawn cities"
        write(record(title, command, packages, os.cpu_count() or 1, rows, notes), options.json)


if __name__ == "__main__":
    main()
