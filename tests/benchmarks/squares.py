"""Buildings at right angles: drawn towns with uneven borders, simplified, and squared as `vectorize --square` does.

    python tests/benchmarks/squares.py [--seeds 21,22] [--json docs/benchmarks/squares.json]

Every layer is checked: valid polygons that share their borders.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "polygons"), str(Path(__file__).parents[1])]

from machine import load, record, versions, write  # noqa: E402
from test_squares import buildings, figures, squared  # noqa: E402
from towns import town  # noqa: E402

from mapgen.polygons.coverage import count_squares  # noqa: E402


def measured(jitter: float, crowded: bool, size: float, seeds: list[int]) -> dict[str, Any]:
    """The row of one kind of town at one tolerance, the mean over the seeds."""
    rows, done, tried, seconds = [], 0, 0, 0.0
    for seed in seeds:
        rows.append(figures(seed, jitter, crowded, size))
        made = town(seed, jitter, crowded=crowded)
        start = time.perf_counter()
        coverage = squared(made.classes, size)
        seconds += time.perf_counter() - start
        for one, of in count_squares(coverage).values():
            done, tried = done + one, tried + of
        assert len(buildings(coverage))
    iou, ratio, right = np.mean(rows, axis=0).tolist()
    touched = "touched by roads and woods" if crowded else "standing free"
    return {
        "borders off by (px)": jitter, "buildings": touched, "--square": f"{size:g}px" if size else "none",
        "C-IoU": round(iou, 3), "vertices": round(ratio, 2), "right angles %": round(100 * right, 1),
        "squared %": round(100 * done / tried, 1) if tried else None, "s": round(seconds / len(seeds), 3),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="21,22")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    seeds = [int(s) for s in options.seeds.split(",")]
    rows = []
    for jitter, sizes in ((0.0, (0.0, 1.5, 2.0)), (1.0, (0.0, 2.0, 2.5)), (1.8, (0.0, 2.5, 3.0))):
        for crowded in (False, True):
            for size in sizes:
                rows.append(measured(jitter, crowded, size, seeds))
                print(json.dumps(rows[-1]), flush=True)
    notes = [
        f"Means of towns of 110 drawn buildings (seeds {options.seeds}), borders simplified by 1 px. `vertices`: by"
        " those of the truth. Every layer was checked to be a valid coverage.",
        load(),
    ]
    title = "vectorize --square: right angles on drawn towns"
    command = f"python tests/benchmarks/squares.py --seeds {options.seeds}"
    made = record(title, command, versions("mapgen", "numpy", "shapely", "numba"), 1, rows, notes)
    if options.json:
        write(made, options.json)


if __name__ == "__main__":
    main()
