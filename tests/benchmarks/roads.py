"""Road networks of drawn cities, by mapgen and, where they are installed, by skimage with sknw or skan and by GRASS.

    python tests/benchmarks/roads.py [--seeds 41,42,43] [--json docs/benchmarks/roads.json]
    python tests/benchmarks/roads.py --side 4096,20000 [--json docs/benchmarks/roads_large.json]

A city is drawn, damaged as predictions are (see tests/roads/city.py) and traced with the defaults of `mapgen roads`;
each network is measured against the drawn one. What others make is measured as it is and tidied (TIDIED). `--side`
times the whole command on grids of streets instead.

Others: pip install scikit-image sknw skan; apt-get install grass-core.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "roads"), str(Path(__file__).parents[1])]

from city import Plan, city, damaged, depth_of  # noqa: E402
from factory import CRS, ORIGIN, make_raster  # noqa: E402
from machine import load, record, versions, write  # noqa: E402

from mapgen.roads.extract import extract_roads  # noqa: E402
from mapgen.roads.lines import read_lines  # noqa: E402
from mapgen.roads.score import score  # noqa: E402
from mapgen.roads.ways import Ways, ways_of  # noqa: E402

Array = np.ndarray[Any, np.dtype[Any]]


def on_the_plan(path: Path) -> Ways:
    """The network of a file in pixels of its raster, which is 1 m and has its corner at the factory's origin."""
    import pyproj

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


def by_sknw(mask: Array) -> tuple[list[Array], float]:
    """The lines by skimage's skeleton and sknw, and the seconds."""
    import sknw
    from skimage.morphology import skeletonize

    start = time.perf_counter()
    graph = sknw.build_sknw(skeletonize(mask), multi=True)
    seconds = time.perf_counter() - start
    places = {n: data["o"][::-1] + 0.5 for n, data in graph.nodes(data=True)}
    lines = [
        np.concatenate(([places[u]], data["pts"][:, ::-1] + 0.5, [places[v]])) for u, v, data in graph.edges(data=True)
    ]
    return lines, seconds


def by_skan(mask: Array) -> tuple[list[Array], float]:
    """The lines by skimage's skeleton and skan, branches of its pixels as they are."""
    from skan import Skeleton
    from skimage.morphology import skeletonize

    start = time.perf_counter()
    skeleton = Skeleton(skeletonize(mask))
    lines = [skeleton.path_coordinates(i)[:, ::-1] + 0.5 for i in range(skeleton.n_paths)]
    return lines, time.perf_counter() - start


GRASS = """
r.in.gdal -o --q input={mask} output=m
g.region raster=m
r.null --q map=m setnull=0
r.thin --q input=m output=t
r.to.vect --q -s input=t output=v type=line
v.clean --q input=v output=c type=line tool=rmdangle,snap,break,rmdupl threshold=10,3,0,0
v.out.ascii --q input=c type=line format=standard output={lines}
"""


def by_grass(mask: Array) -> tuple[list[Array], float]:
    """The lines by r.thin, r.to.vect (smooth corners) and v.clean (dangles below 10, ends within 3), start included."""
    if shutil.which("grass") is None:
        raise ImportError("grass")
    with tempfile.TemporaryDirectory() as name:
        path, out = make_raster(Path(name) / "m.tif", mask.astype(np.uint8), crs=None), Path(name) / "lines"
        (Path(name) / "job").write_text("set -e" + GRASS.format(mask=path, lines=out))
        start = time.perf_counter()
        command = ["grass", "--tmp-location", "XY", "--exec", "bash", str(Path(name) / "job")]
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - start
        blocks = re.findall(r"^L  ?(\d+).*\n((?: .*\n)+)", out.read_text(), re.M)
    lines = []
    for count, text in blocks:
        points = np.array([line.split()[:2] for line in text.splitlines()[: int(count)]], float)
        lines.append(np.stack((points[:, 0] - ORIGIN[0], ORIGIN[1] - points[:, 1]), axis=1))
    return lines, seconds


PEERS = {"skimage + sknw": by_sknw, "skimage + skan": by_skan, "GRASS": by_grass}
"""Others, where they are installed."""

TIDIED = "specks and holes below 60 px out, dead ends below 10 px and parts below 30 px off, joined, simplified by 1 px"


def tidied(lines: list[Array], spur: float = 10.0, least: float = 30.0) -> list[Array]:
    """What of lines is no short dead end and no short part, joined and simplified: what a careful user would do."""
    import shapely

    for _ in range(2):
        ways = ways_of(lines)
        degrees = np.bincount(np.concatenate((ways.u, ways.v)), minlength=ways.count)
        dead = (degrees[ways.u] == 1) | (degrees[ways.v] == 1)
        parts = ways.parts()[ways.u]
        sizes = np.bincount(parts, ways.length)[parts]
        keep = ~(dead & (ways.length < spur)) & (sizes >= least)
        kept = [shapely.linestrings(lines[i]) for i in np.flatnonzero(keep)]
        merged = shapely.line_merge(shapely.multilinestrings(kept))
        lines = [shapely.get_coordinates(shapely.simplify(part, 1.0)) for part in shapely.get_parts(merged)]
    return lines


def without_specks(mask: Array) -> Array:
    """The mask without specks and holes below 60 pixels, by skimage."""
    from skimage.morphology import remove_small_holes, remove_small_objects

    return np.asarray(remove_small_holes(remove_small_objects(mask, max_size=59), max_size=59))


def by_others(seed: int, plan: Plan, worn: Array, whole: Array) -> list[dict[str, Any]]:
    rows = []
    for name, trace in PEERS.items():
        try:
            for kind, p in ((", undamaged", whole), ("", worn)):
                lines, seconds = trace(p > 0.5)
                cleaned, more = trace(without_specks(p > 0.5))
                rows.append(row(f"{name}{kind}", seed, plan, ways_of(lines), seconds))
                rows.append(row(f"{name}{kind}, tidied", seed, plan, ways_of(tidied(cleaned)), more))
        except ImportError as exc:
            print(f"{name} is left out: {exc}", file=sys.stderr)
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


LARGE = """
import json, resource, sys, time
from mapgen.roads.extract import extract_roads
extract_roads(sys.argv[1], sys.argv[1] + ".gpkg", classes=("1",))
start = time.perf_counter()
found = extract_roads(sys.argv[2], sys.argv[2] + ".gpkg", classes=("1",))
seconds = time.perf_counter() - start
print(json.dumps([found.edges, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6]))
"""


def large(side: int) -> list[dict[str, Any]]:
    """Seconds and memory of the whole command on streets of 9 pixels every 125, about one pixel in seven road."""
    mask = np.zeros((side, side), np.uint8)
    for at in range(60, side - 9, 125):
        mask[at : at + 9], mask[:, at : at + 9] = 1, 1
    with tempfile.TemporaryDirectory() as name:
        path = make_raster(Path(name) / "m.tif", mask, tiled=True, compress="deflate")
        small = make_raster(Path(name) / "s.tif", mask[:300, :300])
        command = [sys.executable, "-c", LARGE, str(small), str(path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    edges, seconds, peak = json.loads(done.stdout)
    about = {"side": side, "Mpx of road": round(int(mask.sum()) / 1e6, 2)}
    rows = [{"network": "mapgen roads"} | about | {"edges": edges, "s": round(seconds, 2), "peak MB": round(peak)}]
    for name, trace in PEERS.items() if side < 10_000 else ():
        try:
            lines, others = trace(mask > 0)
        except ImportError as exc:
            print(f"{name} is left out: {exc}", file=sys.stderr)
            continue
        figures = {"edges": len(lines), "s": round(others, 2), "times mapgen": round(others / seconds, 1)}
        rows.append({"network": name} | about | figures)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="41,42,43")
    parser.add_argument("--side", help="sides of grids of streets to time instead, such as 4096,20000")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.side:
        rows = [found for side in options.side.split(",") for found in large(int(side))]
        print("\n".join(json.dumps(found) for found in rows))
        title, command = "roads: large grids of streets", f"python tests/benchmarks/roads.py --side {options.side}"
        notes = [
            "Streets of 9 pixels every 125. mapgen's seconds are of the whole command, from the class map to the"
            " verified GeoPackage, its memory of the whole process; those of others are from the array in memory to"
            " lines in memory (of GRASS from a file to a file).",
        ]
    else:
        rows = cities([int(s) for s in options.seeds.split(",")])
        title, command = "roads: networks of drawn cities", f"python tests/benchmarks/roads.py --seeds {options.seeds}"
        notes = [
            f"Means of drawn cities (seeds {options.seeds}) of 1536 px at 1 m, damaged as predictions are: trees,"
            " holes, specks, uneven borders. `apls` and `topo` are 1 for the true network; `length` and `edges` are"
            " shares too many or too few; `offset_m` is how far lines lie off.",
            f"Tidied: {TIDIED}; the seconds are those of the program alone.",
        ]
    if options.json:
        packages = versions("mapgen", "numpy", "shapely", "numba", "scikit-image", "sknw", "skan")
        write(record(title, command, packages, os.cpu_count() or 1, rows, [*notes, load()]), options.json)


if __name__ == "__main__":
    main()
