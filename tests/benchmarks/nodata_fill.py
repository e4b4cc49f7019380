"""What to put where a scene has no data: how much it changes the map of the pixels beside it.

    python tests/benchmarks/nodata_fill.py [SCENE...] [--model NAME] [--json docs/benchmarks/nodata_fill.json]

Of each scene (default: the example) a square of 640 pixels is mapped whole, then with all but a part blanked and filled
in each way. The share of the part's pixels that keep their class says how little the filling shows.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import rasterio

from mapgen.model.engine import Setup
from mapgen.model.file import find_model, network_of
from mapgen.model.normalization import Normalization
from mapgen.model.select import open_engine
from mapgen.raster.patch import filled
from mapgen.settings import DEFAULT_MODEL

SIZE = 640
EXAMPLE = Path(__file__).parents[2] / "examples" / "scene.tif"
PARTS = {"beside a straight edge, 32 px": np.s_[:, 268:300], "a chip of 160 × 160 px": np.s_[200:360, 200:360]}
VALID = {"beside a straight edge, 32 px": np.s_[:, :300], "a chip of 160 × 160 px": np.s_[200:360, 200:360]}


def main() -> None:
    """Measure, print, and write the JSON that the documentation is made from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", nargs="*", type=Path, default=[EXAMPLE])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    model = find_model(arguments.model)
    norm = Normalization(model.card.mean, model.card.std)
    engine = open_engine(network_of(model), Setup(norm, np.dtype("uint8")), "auto", "auto")
    rows = [row for scene in arguments.scenes for row in measure(scene, engine, norm.mean)]
    record = {
        "title": "Filling nodata: share of pixels that keep their class, %",
        "command": "python tests/benchmarks/nodata_fill.py " + " ".join(s.name for s in arguments.scenes),
        "machine": "any: the figures are counts",
        "versions": {name: version(name) for name in ("mapgen", "openvino", "numpy")},
        "threads": 2,
        "rows": rows,
        "notes": f"Model {model.card.name}. Mirror is what mapgen does.",
    }
    print(json.dumps(record, indent=1, ensure_ascii=False))
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def measure(scene, engine, mean):
    """A row for each part of one scene."""
    with rasterio.open(scene) as dataset:
        pixels = dataset.read([1, 2, 3], window=((0, SIZE), (0, SIZE)))
    whole = classes(engine, pixels)
    for part, place in PARTS.items():
        valid = np.zeros((SIZE, SIZE), bool)
        valid[VALID[part]] = True
        ways = {
            "zero": np.where(valid, pixels, 0),
            "model's mean": np.where(valid, pixels, np.round(mean)[:, None, None]),
            "mirror": filled(pixels, valid),
        }
        same = {way: float((classes(engine, p) == whole)[place].mean()) for way, p in ways.items()}
        yield {"scene": scene.name, "part": part} | {way: round(100 * share, 1) for way, share in same.items()}


def classes(engine, pixels):
    """Channels (H, W) of one window of pixels."""
    ((_, scores),) = engine.stream([(0, pixels.astype(np.uint8)[None])])
    return scores[0].argmax(axis=0)


if __name__ == "__main__":
    main()
