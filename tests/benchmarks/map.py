"""How long `mapgen map` takes, beside the separate commands that make the same files.

    python tests/benchmarks/map.py [--side 4096] [--repeat 3] [--json docs/benchmarks/map.json]

Each command runs in a process of its own, as people run it; the best of the repeats counts. To be run on a quiet
machine. Prints one JSON object: seconds of each command, and their sum.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import load, record, versions, write

MAKE_SCENE = Path(__file__).parents[2] / "examples" / "make_scene.py"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    note = load()
    with tempfile.TemporaryDirectory() as name:
        seconds, parts = measured(Path(name), options.side, options.repeat)
    apart = sum(value for name, value in seconds.items() if name != "map")
    rows = [{"command": f"mapgen {name}", "seconds": round(value, 2)} for name, value in seconds.items()]
    rows.append({"command": "the separate commands together", "seconds": round(apart, 2)})
    shares = ", ".join(f"{name} {value:.1f} s" for name, value in parts.items())
    notes = [
        f"A drawn town of {options.side}² pixels, the built-in model; whole processes, the best of {options.repeat}.",
        f"map takes {seconds['map'] / apart:.0%} of their time, with a picture of the imagery; its parts: {shares}.",
        note,
    ]
    packages = versions("mapgen", "openvino", "rasterio", "numpy")
    write(record("A whole map in one pass", "python tests/benchmarks/map.py", packages, 2, rows, notes), options.json)


def measured(folder: Path, side: int, repeat: int) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds by command, and those of the parts of map."""
    scene, mask = folder / "town.tif", folder / "town.mask.tif"
    size = ["--height", str(side), "--width", str(side)]
    truth = folder / "truth.tif"
    run([sys.executable, str(MAKE_SCENE), "--seed", "1", *size, "--out", str(scene), "--truth", str(truth)])
    mapgen = [sys.executable, "-m", "mapgen"]
    commands = {
        "map": ["map", scene, "-o", folder / "out"],
        "segment": ["segment", scene],
        "vectorize": ["vectorize", mask, "-o", folder / "town.gpkg", "--sieve", "8px", "--simplify", "1.5px"],
        "tiles": ["tiles", mask],
        "tiles --vector": ["tiles", mask, "--vector", "-o", folder / "town.pmtiles"],
    }
    seconds = {
        name: min(run([*mapgen, *map(str, command), "--overwrite", "-q"]) for _ in range(repeat))
        for name, command in commands.items()
    }
    report = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    return seconds, report["seconds"]


def run(command: list[str]) -> float:
    """Seconds that a command takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
