"""The same ONNX file in mapgen and in GeoDeep, side by side: seconds, and how far both are from the whole image.

    python tests/benchmarks/onnx_elsewhere.py --python PEERS/bin/python --scene SCENE --json docs/benchmarks/onnx.json

PEERS is the environment of peers.py. The file is the built-in model as `mapgen models export --to onnx --window 512`
writes it, brought in again by `mapgen models import`, and compressed to int8 on the scene. Each program runs in a
process of its own, in turn with the others; the best of the repeats counts, from the start of the process to the
finished map. The reference is the model in float32 in windows of 2048 pixels, 512 of which overlap.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from machine import load, record, versions, write

from mapgen.settings import DEFAULT_MODEL

GEODEEP = """
import sys
from geodeep import segment
from geodeep.segmentation import save_mask_to_raster
scene, model, out = sys.argv[1:]
save_mask_to_raster(scene, segment(scene, model, max_threads=2), out)
"""


def main() -> None:
    """Measure, print, and write the JSON that the documentation is made from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="of an environment with GeoDeep")
    parser.add_argument("--scene", type=Path, required=True)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    note = load()
    with tempfile.TemporaryDirectory() as name:
        rows = measured(Path(name), options)
    with rasterio.open(options.scene) as scene:
        size = f"{scene.width} × {scene.height}"
    notes = [
        f"{options.model} as ONNX with windows of 512², on imagery of {size} pixels, 2 threads; whole processes, the "
        f"best of {options.repeat} in turn. Agreement is with the model in windows of 2048 pixels that overlap by 512.",
        note,
    ]
    packages = versions("mapgen", "openvino", "rasterio", "numpy")
    asked = ["tests/benchmarks/onnx_elsewhere.py", "--python PEERS/bin/python", "--scene SCENE"]
    write(record("The same ONNX file elsewhere", " ".join(["python", *asked]), packages, 2, rows, notes), options.json)


def measured(folder: Path, options: argparse.Namespace) -> list[dict[str, object]]:
    """A row for each program."""
    scene, onnx = str(options.scene), folder / "model.onnx"
    mapgen("models", "export", options.model, "--to", "onnx", "--window", "512", "-o", str(onnx))
    mapgen("models", "import", str(onnx), "-o", str(folder / "model.safetensors"))
    own = ["--model", str(folder / "model.safetensors")]
    mapgen("compress", str(folder / "model.safetensors"), "--to", "int8", "--calibrate", scene)
    whole = folder / "whole.tif"
    mapgen("segment", scene, "--model", options.model, "--precision", "fp32", "--window", "2048", "--halo", "256",
           "-o", str(whole))  # fmt: skip
    programs = {
        "GeoDeep": [options.python, "-c", GEODEEP, scene, str(onnx)],
        "mapgen, fp32": [*MAPGEN, "segment", scene, *own, "--precision", "fp32", "-q", "--overwrite", "-o"],
        "mapgen, int8": [*MAPGEN, "segment", scene, *own, "--precision", "int8", "-q", "--overwrite", "-o"],
        "mapgen's own file, fp32": [
            *MAPGEN, "segment", scene, "--model", options.model, "--precision", "fp32", "-q", "--overwrite", "-o",
        ],
    }  # fmt: skip
    best = dict.fromkeys(programs, (np.inf, np.inf))
    for _ in range(options.repeat):
        for number, (name, words) in enumerate(programs.items()):
            best[name] = min(best[name], timed([*words, str(folder / f"{number}.tif")]))
    first = best["GeoDeep"][0]
    return [
        {
            "program": name, "seconds": round(best[name][0], 2), "CPU s": round(best[name][1], 2),
            "times as fast": round(first / best[name][0], 2),
            "agreement %": round(100 * agreement(folder / f"{number}.tif", whole), 2),
        }
        for number, name in enumerate(programs)
    ]  # fmt: skip


MAPGEN = [sys.executable, "-m", "mapgen"]


def mapgen(*words: str) -> None:
    """Run a command that is not measured."""
    subprocess.run([*MAPGEN, *words], check=True, stdout=subprocess.DEVNULL)


def timed(words: list[str]) -> tuple[float, float]:
    """Seconds of a process, on the wall and of the processors."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "2"})
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def agreement(path: Path, whole: Path) -> float:
    """The share of pixels of one class; GeoDeep counts its classes from 0, mapgen's have their ids."""
    values, wanted = (rasterio.open(one).read(1) for one in (path, whole))
    ids = np.unique(wanted)
    counted = ids[np.minimum(values, len(ids) - 1)]
    return max(float((one == wanted).mean()) for one in (values, counted))


if __name__ == "__main__":
    main()
