"""Byte fuzz: whatever a file has become, its reader says one line or does its work; never a traceback or a hang.

Some hundred seeds a kind in this process. A seed that fails is named: run it alone again.
"""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from factory import card, make_model, make_raster, noise

from mapgen.cli.course import inputs_of
from mapgen.errors import Interrupted, MapgenError
from mapgen.files.journal import Journal, described
from mapgen.layers.read import read_polygons
from mapgen.model.card import ModelCard
from mapgen.model.file import open_model, read_tensors
from mapgen.raster.open import open_scene
from mapgen.training.config import parse_config

ROOT = Path(__file__).parents[2]


def damaged(data: bytes, seed: int) -> bytes:
    """The bytes with some flipped, cut out, doubled, or cut off, by the seed."""
    rng = np.random.default_rng(seed)
    out = bytearray(data)
    for _ in range(1 + seed % 4):
        at = int(rng.integers(0, max(1, len(out))))
        length = int(rng.integers(1, 40))
        match int(rng.integers(4)):
            case 0:
                out[at : at + 1] = bytes([int(rng.integers(256))])
            case 1:
                del out[at : at + length]
            case 2:
                out[at:at] = out[at : at + length]
            case _:
                out[at : at + length] = rng.bytes(length)
    return bytes(out[: int(rng.integers(len(out) + 1))] if seed % 5 == 0 else out)


def raster(path: Path) -> None:
    with open_scene(path) as scene:
        scene.read(scene.grid.window)


def model(path: Path) -> None:
    read_tensors(open_model(path))


def card_text(path: Path) -> None:
    ModelCard.from_json(path.read_bytes().decode("utf-8", "replace"), "card")


def config(path: Path) -> None:
    parse_config(path.read_bytes().decode("utf-8", "replace"))


def journal(path: Path) -> None:
    said = described(path)
    if said is None:
        return
    with suppress(Interrupted), Journal(path.parent / "map.tif", said["key"]) as one:
        one.path = path
        for told, data in one.parts():
            assert isinstance(told, dict)
            assert isinstance(data, bytes)
        raise Interrupted("SIGINT", "stopped")


def report(path: Path) -> None:
    inputs_of([], [path], None)


def make(kind: str, folder: Path) -> bytes:
    """A whole file of this kind."""
    path = folder / f"whole.{kind}"
    if kind in ("tif", "png", "jpg"):
        drivers = {"tif": "GTiff", "png": "PNG", "jpg": "JPEG"}
        options = {"compress": "DEFLATE"} if kind == "tif" else {"crs": None, "transform": None}
        make_raster(path, noise(48, 40), driver=drivers[kind], **options)
    elif kind == "vrt":
        source = make_raster(folder / "source.tif", noise(20, 20))
        import rasterio.shutil

        rasterio.shutil.copy(source, path, driver="VRT")
    elif kind == "geojson":
        ring = [[57.0, 24.0], [57.1, 24.0], [57.1, 24.1], [57.0, 24.0]]
        shape = {"type": "Polygon", "coordinates": [ring]}
        feature = {"type": "Feature", "properties": {"class_id": 1}, "geometry": shape}
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    elif kind == "safetensors":
        make_model(path)
    elif kind == "card":
        path.write_text(card().to_json())
    elif kind == "toml":
        return (ROOT / "examples" / "train_scene.toml").read_bytes()
    elif kind == "journal":
        with suppress(Interrupted), Journal(folder / "map.tif", {"model": "x"}) as one:
            for row in range(3):
                one.append({"row": row * 512, "rows": 512}, bytes(200))
            raise Interrupted("SIGINT", "stopped")
        return one.path.read_bytes()
    else:
        line = {"input": "a.tif", "status": "failed", "seconds": 1.5}
        path.write_text("\n".join(json.dumps(line) for _ in range(4)))
    return path.read_bytes()


READERS = {
    "tif": (raster, 120), "png": (raster, 60), "jpg": (raster, 60), "vrt": (raster, 60), "geojson": (read_polygons, 60),
    "safetensors": (model, 150), "card": (card_text, 150), "toml": (config, 100), "journal": (journal, 200),
    "jsonl": (report, 100),
}  # fmt: skip
"""What reads each kind of file, and how many seeds it is tried with: 1060 in all."""


def outcome(read, path: Path, called: str) -> MapgenError | None:
    """How a reader refuses a file; None where it reads it. Anything else that it raises fails the test by its name."""
    try:
        read(path)
    except MapgenError as exc:
        return exc
    except Exception as exc:
        raise AssertionError(called) from exc
    return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path, kind):
    read, seeds = READERS[kind]
    whole = make(kind, tmp_path)
    path = tmp_path / f"damaged.{kind}"
    for seed in range(seeds):
        data = damaged(whole, seed)
        path.write_bytes(data)
        refused = outcome(read, path, f"seed {seed} of {kind}")
        assert refused is None or ("\n" not in str(refused) and refused.exit_code in (2, 4, 6, 8)), (seed, refused)
        if kind != "journal":  # which is cut back to its whole parts
            assert path.read_bytes() == data, seed
