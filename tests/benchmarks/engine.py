"""How near `segment` comes to the engine's own rate, how fast it starts, and what memory it takes.

    python tests/benchmarks/engine.py [SCENE] [--json docs/benchmarks/engine.json]

Without SCENE, noise of 4096² pixels that suits the built-in model. Each row is a process of its own, in turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import rasterio
from machine import load, record, versions, write

from mapgen.inference.bench import write_specimen
from mapgen.model.file import find_model
from mapgen.settings import DEFAULT_MODEL

SIDE, SMALL = 4096, 512
ROUNDS, STARTS = 2, 5


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", nargs="?", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--threads", type=int, default=2, help="only said in the table")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    note = load()
    with tempfile.TemporaryDirectory() as name:
        folder, card = Path(name), find_model(options.model).card
        scene = options.scene or write_specimen(folder / "noise.tif", card, options.side)
        rows = efficiencies(scene, options.model) + [memory(scene, folder, options.model)]
        rows += [start(write_specimen(folder / "small.tif", card, SMALL), folder, options.model)]
    command = " ".join(["python tests/benchmarks/engine.py", *(["SCENE"] if options.scene else [])])
    packages = versions("mapgen", "openvino", "torch", "rasterio", "numpy")
    write(record("segment beside its engine", command, packages, options.threads, rows, [*NOTES, note]), options.json)


NOTES = [
    "Efficiency: the time that the engine alone takes for the same windows, from memory, as a share of the time from "
    "the scene to the verified map, once the engine is open; by `mapgen bench`, the fastest of two runs beside the "
    "best of four rates of the engine. Mpx/s are of the map, and for the engine of windows with their overlaps.",
    "Memory is the peak of a process of `mapgen segment` at its defaults. The start is the wall time of a process that "
    "maps 512², its graph cached: the median of five.",
]


def efficiencies(scene: Path, model: str) -> list[dict[str, Any]]:
    """A row for each precision and way of stitching, runs in turn."""
    ways = [(precision, stitch) for precision in precisions(model) for stitch in ("crop", "blend")]
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for precision, stitch in ways:
            told = ["--precision", precision, "--stitch", stitch, "--model", model]
            runs[precision, stitch].append(json.loads(called(["bench", str(scene), *told, "--json", "-q"])))
            print(precision, stitch, runs[precision, stitch][-1], file=sys.stderr, flush=True)
    return [efficiency(precision, stitch, found) for (precision, stitch), found in runs.items()]


def efficiency(precision: str, stitch: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of some runs: the fastest of them beside the best rate of the engine alone in any."""
    best = min(runs, key=lambda run: run["seconds"])
    alone = max(run["engine_rate"] for run in runs)
    return {
        "what": f"{best['model']}, {precision}, {stitch}, window {best['window']}",
        "Mpx/s": best["rate"], "engine Mpx/s": alone,
        "efficiency %": round(100 * best["window_pixels"] / 1e6 / alone / best["seconds"]),
        "seconds": best["seconds"], "peak MB": max(run["peak_mb"] for run in runs),
    }  # fmt: skip


def precisions(model: str) -> list[str]:
    """Those that pay on this machine: float32 only where there is nothing cheaper."""
    from mapgen.model.openvino import native_precisions

    cheap = [name for name in native_precisions() if name != "fp32"] + (["int8"] if find_model(model).int8 else [])
    return cheap or ["fp32"]


def memory(scene: Path, folder: Path, model: str) -> dict[str, Any]:
    """The row of peak memory and seconds of a whole run at the defaults."""
    seconds, peak = timed(scene, folder / "map.tif", model)
    with rasterio.open(scene) as dataset:
        side = f"{dataset.width} × {dataset.height}"
    return {"what": f"mapgen segment at its defaults, {side}", "seconds": round(seconds, 2), "peak MB": peak}


def start(scene: Path, folder: Path, model: str) -> dict[str, Any]:
    """The row of a scene that is so small that starting is most of it."""
    runs = [timed(scene, folder / "small.map.tif", model) for _ in range(STARTS + 1)][1:]
    median = statistics.median(seconds for seconds, _ in runs)
    return {"what": f"the same, {SMALL} × {SMALL}", "seconds": round(median, 2), "peak MB": max(p for _, p in runs)}


def timed(scene: Path, out: Path, model: str) -> tuple[float, int]:
    """Wall seconds and peak megabytes of a process of `mapgen segment`."""
    told = ["segment", "-q", str(scene), "-o", str(out), "--model", model, "--overwrite"]
    here = str(Path(__file__).parent)
    code = "import sys; from mapgen.cli.main import run; code = run(sys.argv[1:])\n"
    code += f"sys.path.insert(0, {here!r}); from machine import peak_mb; print(peak_mb()); sys.exit(code)"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *told], capture_output=True, text=True, check=True)
    return time.perf_counter() - began, int(done.stdout.splitlines()[-1])


def called(arguments: list[str]) -> str:
    """What `mapgen` prints."""
    done = subprocess.run([sys.executable, "-m", "mapgen", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


if __name__ == "__main__":
    main()
