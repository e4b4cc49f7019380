"""Figures of `segment`: agreement with whole-image inference, start-up, memory.

    python tests/benchmarks/segment.py SCENE [--json docs/benchmarks/segment.json]

SCENE is an RGB uint8 scene of about 4096² pixels at the model's resolution. Whole-image inference runs the same network
in torch over all of it at once, which takes some 10 GB of memory.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import rasterio

SMALL, LARGE = ("--window", 512, "--halo", 32), ("--window", 1024, "--halo", 64)
VARIANTS: dict[str, tuple[object, ...]] = {
    "fp32, crop, window 512, halo 32": ("--precision", "fp32", *SMALL),
    "fp32, crop, window 1024, halo 64": ("--precision", "fp32", *LARGE),
    "fp32, blend, window 1024, halo 64": ("--precision", "fp32", "--stitch", "blend", *LARGE),
    "bf16, crop, window chosen": ("--precision", "bf16"),
    "int8, crop, window chosen": ("--precision", "int8"),
    "int8, blend, window chosen": ("--precision", "int8", "--stitch", "blend"),
}
"""What is compared with whole-image inference, by the options that make it."""


def main() -> None:
    """Measure, print, and write the JSON that the documentation is made from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = agreement(arguments.scene, Path(folder)) + start_up(arguments.scene, Path(folder))
    record = {
        "title": "segment: agreement, memory and start-up",
        "command": f"python tests/benchmarks/segment.py {arguments.scene.name}",
        "machine": f"{platform.machine()}, {cpu_name()}, 2 cores",
        "versions": {name: version(name) for name in ("mapgen", "openvino", "torch", "rasterio", "numpy")},
        "threads": 2,
        "rows": rows,
        "notes": "Agreement is the share of pixels whose class is that of whole-image inference in torch, float32. "
        "Memory is the peak of the whole process. Seconds are of the whole process, imports and verification included.",
    }
    print(json.dumps(record, indent=1))
    if arguments.json:
        arguments.json.parent.mkdir(exist_ok=True)
        arguments.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def agreement(scene: Path, folder: Path) -> list[dict[str, object]]:
    """A row for each way of stitching, compared with whole-image inference."""
    truth_file = folder / "whole.npy"
    subprocess.run([sys.executable, __file__, "--whole", str(scene), str(truth_file)], check=True)
    truth = np.load(truth_file)
    rows: list[dict[str, object]] = []
    for what, options in VARIANTS.items():
        output = folder / f"{len(rows)}.tif"
        timed(["segment", "-q", scene, "-o", output, "--dry-run", *options])  # makes the graph where it is the first
        seconds, peak = timed(["segment", "-q", scene, "-o", output, *options])
        with rasterio.open(output) as dataset:
            mask = dataset.read(1)
        same = (mask == truth).mean()
        rows.append(row(what, scene, same, seconds, peak))
    return rows


def start_up(scene: Path, folder: Path) -> list[dict[str, object]]:
    """A row for a scene of 512², the graph being cached."""
    small = folder / "small.tif"
    with rasterio.open(scene) as source:
        profile = source.profile | {"driver": "GTiff", "height": 512, "width": 512, "compress": "deflate"}
        profile.pop("photometric", None)
        with rasterio.open(small, "w", **profile) as target:
            target.write(source.read(window=((0, 512), (0, 512))))
    command = ["segment", "-q", small, "-o", folder / "small.mask.tif", "--overwrite"]
    timed(command)
    runs = sorted(timed(command) for _ in range(5))
    return [row("512 × 512, cached graph, median of 5 runs", small, None, *runs[2])]


def row(what: str, scene: Path, agreement: float | None, seconds: float, peak_mb: float) -> dict[str, object]:
    """One line of the table."""
    with rasterio.open(scene) as dataset:
        pixels = dataset.width * dataset.height
    return {
        "what": what,
        "agreement %": None if agreement is None else round(100 * agreement, 2),
        "seconds": round(seconds, 2),
        "Mpx/s": round(pixels / 1e6 / seconds, 2),
        "peak MB": round(peak_mb),
    }


def timed(arguments: list[object]) -> tuple[float, float]:
    """Seconds and peak megabytes of one run of mapgen in a process of its own."""
    script = "import resource, sys\nfrom mapgen.cli.main import run\ncode = run(sys.argv[1:])\n"
    script += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\nsys.exit(code)"
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], check=True, capture_output=True, text=True
    )
    return time.perf_counter() - start, int(done.stderr.split()[-1]) / 1024


def cpu_name() -> str:
    """The processor as Linux calls it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def whole(scene: str, target: str) -> None:
    """Classes of the whole scene from one pass of the network in torch."""
    from mapgen.model.engine import Setup
    from mapgen.model.file import find_model, network_of
    from mapgen.model.normalization import Normalization
    from mapgen.model.torch import TorchEngine
    from mapgen.raster.patch import padded
    from mapgen.settings import DEFAULT_MODEL

    model = find_model(DEFAULT_MODEL)
    card = model.card
    engine = TorchEngine(network_of(model), Setup(Normalization(card.mean, card.std), np.dtype("uint8")), "cpu")
    with rasterio.open(scene) as dataset:
        pixels = dataset.read([1, 2, 3])
    start = time.perf_counter()
    ((_, scores),) = engine.stream([(0, padded(pixels, card.stride)[None])])
    assert scores is not None
    ids = np.asarray(card.legend.ids, np.uint8)[scores[0].argmax(axis=0)]
    np.save(target, ids[: pixels.shape[1], : pixels.shape[2]])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"whole image: {time.perf_counter() - start:.1f} s, {peak} MB", file=sys.stderr)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--whole"]:
        whole(*sys.argv[2:])
    else:
        main()
