"""What writing safely costs `segment`: with and without journal, locks and verification, side by side.

    python tests/benchmarks/safety.py [--size 4096] [--runs 3] [--json docs/benchmarks/safety.json]

Both ways map the same scene in turns, in one process. Seconds are those of the processor, all threads together, so that
other work on the machine counts little; the least of the runs is shown. Beside them the time spent in each part.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from contextlib import ExitStack, contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from unittest.mock import patch

import numpy as np
import rasterio
from affine import Affine

from mapgen.files.journal import Journal
from mapgen.files.lock import lock
from mapgen.inference.options import SegmentOptions
from mapgen.inference.segment import Segmenter
from mapgen.raster.classmap import verify_raster

EXAMPLE = Path(__file__).parents[2] / "examples" / "scene.tif"
SHARE = 0.05
"""Of the time of a run, at most."""


def main() -> None:
    """Measure, print, and write the JSON that the documentation is made from; exit 1 where it costs too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scene = tiled(Path(name) / "scene.tif", arguments.size)
        run = Segmenter(SegmentOptions(overwrite=True, resolution="native"))
        run(str(scene), scene.with_name("warm.tif"))
        least, parts = {"without": np.inf, "with": np.inf}, {}
        for _ in range(arguments.runs):
            for way in least:
                with without() if way == "without" else watched(parts):
                    start = time.process_time()
                    run(str(scene), scene.with_name("map.tif"))
                    least[way] = min(least[way], time.process_time() - start)
    spent = {part: seconds / arguments.runs for part, seconds in parts.items()}
    rows = [{"part": way, "CPU seconds": round(seconds, 2), "share, %": None} for way, seconds in least.items()]
    rows += [{"part": p, "CPU seconds": round(s, 3), "share, %": round(100 * s / least["with"], 2)}
             for p, s in spent.items()]  # fmt: skip
    share = sum(spent.values()) / least["with"]
    record = {
        "title": "What writing safely costs",
        "command": f"python tests/benchmarks/safety.py --size {arguments.size} --runs {arguments.runs}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("mapgen", "openvino", "rasterio", "numpy")},
        "threads": os.cpu_count(), "rows": rows,
        "notes": f"Together {share:.2%} of a run over {arguments.size}² pixels; the limit is {SHARE:.0%}. The two ways "
        "differ by less than runs differ among themselves.",
    }  # fmt: skip
    print(json.dumps(record, indent=1, ensure_ascii=False))
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    raise SystemExit(share > SHARE)


def tiled(path: Path, size: int) -> Path:
    """The example over and over."""
    with rasterio.open(EXAMPLE) as dataset:
        pixels = dataset.read([1, 2, 3])
    times = -(-size // min(pixels.shape[1:]))
    pixels = np.tile(pixels, (1, times, times))[:, :size, :size]
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": size, "width": size, "tiled": True,
               "crs": "EPSG:32640", "transform": Affine(1, 0, 500_000, 0, -1, 2_700_000)}  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
    return path


@contextmanager
def without():
    """Nothing is kept, locked, looked at again or flushed to the disk."""
    with ExitStack() as stack:
        for name, value in {
            "mapgen.inference.segment.key_of": lambda *a: None,
            "mapgen.files.commit.lock": lambda *a, **k: nullcontext(),
            "mapgen.raster.classmap.verify_raster": lambda *a: None, "mapgen.raster.cog.seal": lambda *a: None,
            "os.fsync": lambda handle: None,
        }.items():  # fmt: skip
            stack.enter_context(patch(name, value))
        yield


@contextmanager
def watched(parts):
    """The processor's time in journal, locks and verification is added up in `parts`."""

    def timed(part, function):
        def call(*arguments, **options):
            start = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                parts[part] = parts.get(part, 0.0) + time.thread_time() - start

        return call

    @contextmanager
    def locking(*arguments, **options):
        held = lock(*arguments, **options)
        timed("locks", held.__enter__)()
        try:
            yield
        finally:
            timed("locks", held.__exit__)(None, None, None)

    from mapgen.inference import segment

    with (
        patch.object(Journal, "append", timed("journal", Journal.append)),
        patch("mapgen.inference.segment.key_of", timed("journal", segment.key_of)),
        patch("mapgen.files.commit.lock", locking),
        patch("mapgen.raster.classmap.verify_raster", timed("verification", verify_raster)),
    ):
        yield


if __name__ == "__main__":
    main()
