"""How long `mapgen map` takes, beside the separate commands that make the same files.

    python tests/benchmarks/map.py [--side 4096] [--repeat 3] [--ratio] [--json docs/benchmarks/map.json]

Each command runs in a process of its own, as people run it, in turn with the others; the best of the repeats counts.
Seconds on the wall want a quiet machine; those of the processors say something on a shared one too. `--scene` takes
imagery of one's own instead of a drawn town, `--ratio` leaves out all but `map` and `segment`. Prints one JSON object:
seconds of each command, their sum, how many times that of segment alone a whole map takes, and the preview's share.
"""

from __future__ import annotations

import argparse
import json
import resource
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
    parser.add_argument("--scene", type=Path)
    parser.add_argument("--ratio", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    note = load()
    with tempfile.TemporaryDirectory() as name:
        seconds, busy, parts = measured(Path(name), options.scene, options.side, options.repeat, options.ratio)
    apart, worked = (sum(v for name, v in one.items() if name != "map") for one in (seconds, busy))
    rows = [
        {"command": f"mapgen {name}", "seconds": round(value, 2), "cpu_seconds": round(busy[name], 2)}
        for name, value in seconds.items()
    ]
    if not options.ratio:
        together = {"seconds": round(apart, 2), "cpu_seconds": round(worked, 2)}
        rows.append({"command": "the separate commands together"} | together)
    shares = ", ".join(f"{name} {value:.1f} s" for name, value in parts.items())
    notes = [
        f"{'Imagery' if options.scene else f'A drawn town of {options.side}² pixels'}, the built-in model; whole "
        f"processes, the best of {options.repeat}.",
        f"map takes {seconds['map'] / seconds['segment']:.2f} times as long as segment alone, "
        f"{busy['map'] / busy['segment']:.2f} times in seconds of the processors.",
        f"The parts of map: {shares}; the preview is {parts['preview'] / parts['total']:.1%} of it.",
        *([] if options.ratio else [f"map takes {seconds['map'] / apart:.0%} of the time of the separate commands."]),
        note,
    ]
    packages = versions("mapgen", "openvino", "rasterio", "numpy")
    write(record("A whole map in one pass", "python tests/benchmarks/map.py", packages, 2, rows, notes), options.json)


def measured(
    folder: Path, imagery: Path | None, side: int, repeat: int, ratio: bool
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Seconds by command on the wall and of the processors, and those of the parts of map."""
    scene, mask = folder / "town.tif", folder / "town.mask.tif"
    small = folder / "small.tif"
    draw(small, 512)
    if imagery is None:
        draw(scene, side)
    else:
        scene.symlink_to(imagery.resolve())
    mapgen = [sys.executable, "-m", "mapgen"]
    commands = {
        "map": ["map", scene, "-o", folder / "out"],
        "segment": ["segment", scene],
        "vectorize": ["vectorize", mask, "-o", folder / "town.gpkg", "--sieve", "8px", "--simplify", "1.5px"],
        "tiles": ["tiles", mask],
        "tiles --vector": ["tiles", mask, "--vector", "-o", folder / "town.pmtiles"],
    }
    if ratio:
        commands = {name: commands[name] for name in ("map", "segment")}
    run([*mapgen, "map", str(small), "-o", str(folder / "small"), "-q"])  # graphs and kernels are kept from here on
    runs = [
        {name: run([*mapgen, *map(str, command), "--overwrite", "-q"]) for name, command in commands.items()}
        for _ in range(repeat)
    ]
    seconds, busy = ({name: min(one[name][at] for one in runs) for name in commands} for at in (0, 1))
    report = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    return seconds, busy, report["seconds"]


def draw(scene: Path, side: int) -> None:
    """Draw a town of so many pixels each way."""
    size = ["--height", str(side), "--width", str(side), "--truth", str(scene.with_suffix(".truth.tif"))]
    run([sys.executable, str(MAKE_SCENE), "--seed", "1", *size, "--out", str(scene)])


def run(command: list[str]) -> tuple[float, float]:
    """Seconds that a command takes on the wall, and of the processors."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
