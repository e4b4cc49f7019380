"""What a batch costs beside the network: writes docs/benchmarks/batch.json.

python tests/benchmarks/batch.py --scenes 1000

Small scenes, one of a hundred bad, through `mapgen segment` with an engine that costs nothing: by one job and by two.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine  # from this folder, which Python searches first for a script

sys.path.append(str(Path(__file__).parents[1]))

SIDE = 128
FIRST = 100
"""Scenes after which memory and handles are looked at for the first time."""


def make_scenes(folder: Path, count: int) -> None:
    """Scenes of SIDE² pixels; each hundredth is cut off after its header."""
    from factory import make_raster, noise

    for number in range(count):
        path = folder / f"{number:04}.tif"
        if number < FIRST:
            make_raster(path, noise(SIDE, SIDE, seed=number))
        else:
            path.write_bytes((folder / f"{number % FIRST:04}.tif").read_bytes())
    for number in range(FIRST // 2, count, 100):
        (folder / f"{number:04}.tif").write_bytes(b"II*\0\x08\0\0\0")


def resident_mb() -> float:
    """What this process holds now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def cpu_seconds() -> float:
    """Processor time of this process and of those that it has started and that have ended."""
    spent = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def run_batch(scenes: Path, out: Path, jobs: int) -> dict[str, float]:
    """One batch over all scenes in this process, after one over the first."""
    import fake_worker
    from factory import make_model

    import mapgen.cli.main as main

    fake_worker.pretend()
    main.help_another = fake_worker.help_with_fake
    common = ["--model", str(make_model(out / "model.safetensors")), "--jobs", str(jobs), "-q"]
    (out / "first").mkdir()
    main.run(["segment", str(scenes / "00*.tif"), "-o", str(out / "first"), *common])
    before, handles = resident_mb(), len(os.listdir("/proc/self/fd"))
    (out / "all").mkdir()
    start, spent = time.perf_counter(), cpu_seconds()
    code = main.run(["segment", str(scenes / "*.tif"), "-o", str(out / "all"), "--report", str(out / "run"), *common])
    seconds, spent = time.perf_counter() - start, cpu_seconds() - spent
    lines = [json.loads(line) for line in (out / "run").read_text().splitlines()]
    left = [path for path in (out / "all").iterdir() if path.name.startswith(".")]
    return {
        "jobs": jobs, "scenes": len(list(scenes.iterdir())),
        "done": sum(line.get("status") == "done" for line in lines), "exit code": code, "s": round(seconds, 2),
        "CPU s": round(spent, 2),
        "memory grown MB": round(resident_mb() - before, 1),
        "handles more": len(os.listdir("/proc/self/fd")) - handles, "files left": len(left),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--one", nargs=3, metavar=("SCENES", "OUT", "JOBS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        scenes, out, jobs = options.one
        print(json.dumps(run_batch(Path(scenes), Path(out), int(jobs))), file=sys.stderr)
        return
    notes = [note for note in [machine.load()] if note]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        scenes = Path(name) / "scenes"
        scenes.mkdir()
        make_scenes(scenes, options.scenes)
        for jobs in (1, 2):
            out = Path(name) / f"out{jobs}"
            out.mkdir()
            command = [sys.executable, __file__, "--one", str(scenes), str(out), str(jobs)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stderr.splitlines()[-1]))
            for what, told in (("s", "ms a scene"), ("CPU s", "CPU ms a scene")):
                rows[-1][told] = round(1000 * rows[-1][what] / options.scenes, 1)
            print(rows[-1])
    notes += [
        f"Scenes of {SIDE} × {SIDE} pixels, one of a hundred cut off after its header. The engine is a line of numpy: "
        "what is left is reading, planning, writing and verifying. Two jobs pay for starting two processes.",
        "Memory, handles and hidden files are those of the process that was started, against what they were after a "
        f"batch of {FIRST} scenes.",
    ]  # fmt: skip
    command = f"python tests/benchmarks/batch.py --scenes {options.scenes}"
    versions = machine.versions("numpy", "rasterio")
    figures = machine.record("What a batch costs beside the network", command, versions, 2, rows, notes)
    machine.write(figures, machine.BENCHMARKS / "batch.json")


if __name__ == "__main__":
    main()
