"""How long `mapgen map` takes, beside the separate commands that make the same files.

    python tests/benchmarks/map.py [--side 4096] [--repeat 3]

Each command runs in a process of its own, as people run it; the best of the repeats counts. To be run on a quiet
machine. Prints one JSON object: seconds of each command, and the ratio of map to their sum.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MAKE_SCENE = Path(__file__).parents[2] / "examples" / "make_scene.py"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(measured(Path(name), options.side, options.repeat), indent=1))


def measured(folder: Path, side: int, repeat: int) -> dict[str, object]:
    """Seconds by command, and the ratio."""
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
    apart = sum(value for name, value in seconds.items() if name != "map")
    report = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    return {
        "pixels": side * side, "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "apart": round(apart, 2), "ratio": round(seconds["map"] / apart, 3), "parts": report["seconds"],
    }  # fmt: skip


def run(command: list[str]) -> float:
    """Seconds that a command takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
