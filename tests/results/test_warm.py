"""Kernels are made ready while the network runs: none is left for the parts that follow."""

import json
import subprocess
import sys

import numpy as np
from factory import make_raster

from mapgen.legend import NODATA
from mapgen.results.warm import warming

SCRIPT = """
import gc, json, sys
from pathlib import Path
from numba.core.dispatcher import Dispatcher
from mapgen.layers.vectorize import Vectorizer
from mapgen.results.warm import warm
from mapgen.settings import Size
from mapgen.tiling.options import TilesOptions
from mapgen.layers.options import VectorizeOptions
from mapgen.tiling.tiles import Tiler

def known():
    kernels = [one for one in gc.get_objects() if isinstance(one, Dispatcher)]
    return {f"{k.py_func.__module__}.{k.py_func.__name__}{s}" for k in kernels for s in k.signatures
            if k.py_func.__module__.startswith("mapgen")}

warm(True, True)
before = known()
mask, out = sys.argv[1], Path(sys.argv[2])
Vectorizer(VectorizeOptions(sieve=Size(8.0), simplify=Size(1.5)))(mask, out / "a.gpkg", copy=out / "a.geojson")
Tiler(TilesOptions(kind="classes"))(mask, out / "a.mask.pmtiles")
Tiler(TilesOptions(kind="classes", vector=True))(mask, out / "a.pmtiles")
print(json.dumps(sorted(known() - before)))
"""


def test_no_kernel_is_left_for_what_follows_the_network(tmp_path):
    squares = np.random.default_rng(2).integers(1, 6, (100, 120)).astype(np.uint8)
    classes = squares.repeat(9, 0).repeat(9, 1)
    classes[:200, :300] = NODATA
    mask = make_raster(tmp_path / "a.mask.tif", classes, nodata=NODATA)
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, mask, tmp_path], capture_output=True, text=True, check=False, timeout=600
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1]) == []


def test_a_process_that_ends_meanwhile_says_nothing_of_it(monkeypatch, capfd):
    """Its pools take no more work then; nobody waits for the kernels of a run that has failed."""

    def ending(layer, tiles):
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr("mapgen.results.warm.warm", ending)
    warming(layer=True, tiles=True).join()
    assert capfd.readouterr().err == ""
