"""Ground files, and the built-in model's in particular."""

import json
import os
import runpy
from pathlib import Path

import numpy as np
import pytest

from mapgen.errors import InputError

BUILTIN = Path(__file__).parents[2] / "examples" / "builtin_model" / "ground.json"
read_ground = runpy.run_path(str(BUILTIN.with_name("ground.py")))["read_ground"]
DATA = os.environ.get("MAPGEN_DUBAI")
needs_data = pytest.mark.skipif(not DATA, reason="MAPGEN_DUBAI names no folder with the training imagery")


@pytest.fixture
def split():
    return {
        "training": {"a": 1.0, "b": 0.5},
        "validation": ["c"],
        "size": {"a": [10, 20], "b": [10, 20], "c": [30, 30]},
        "same_ground": [{"a": "a", "a_window": [0, 0, 5, 5], "b": "b", "b_window": [5, 15, 5, 5]}],
    }


def read(split, folder):
    path = folder / "ground.json"
    path.write_text(json.dumps(split))
    return read_ground(path)


def test_an_honest_split_is_read(split, tmp_path):
    ground = read(split, tmp_path)
    assert ground.training == {"a": 1.0, "b": 0.5}
    assert ground.validation == ("c",)
    assert ground.size["c"] == (30, 30)
    assert ground.overlaps[0].b_window == (5, 15, 5, 5)
    assert ground.shared() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"validation": ["a"]}, "a is in training and validation"),
        ({"validation": ["b"], "training": {"a": 1.0}}, "a and b picture the same ground"),
        ({"validation": ["x"]}, "x has no size"),
        ({"training": {"a": -1}}, "a has the weight -1"),
        (
            {"same_ground": [{"a": "a", "a_window": [6, 0, 5, 5], "b": "b", "b_window": [0, 0, 5, 5]}]},
            "a has no window",
        ),
        ({"training": ["a"]}, "is not a ground file"),
        ({"size": {"a": 3}}, "is not a ground file"),
    ],
)
def test_a_dishonest_or_broken_split_is_refused(split, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        read({**split, **change}, tmp_path)


def test_a_missing_or_foreign_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not a ground file"):
        read_ground(tmp_path / "none.json")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InputError, match="is not a ground file"):
        read_ground(tmp_path / "text")


def test_training_and_validation_of_the_builtin_model_share_no_ground():
    ground = read_ground(BUILTIN)
    assert ground.shared() == []
    assert set(ground.training) | set(ground.validation) == set(ground.size)
    assert {name.split("/")[0] for name in ground.size} == {f"tile{t}" for t in range(4, 9)}


def test_the_known_overlaps_are_on_record():
    ground = read_ground(BUILTIN)
    tiles = {frozenset((o.a.split("/")[0], o.b.split("/")[0])) for o in ground.overlaps}
    assert tiles == {frozenset(("tile7", "tile8")), frozenset(("tile4", "tile8"))}
    assert all(o.a_window[2:] == o.b_window[2:] for o in ground.overlaps)
    assert sum(o.a_window[2] * o.a_window[3] for o in ground.overlaps if o.a.startswith("tile7")) == 694 * 3019


@needs_data
def test_the_ground_is_as_the_file_says():
    rasterio = pytest.importorskip("rasterio")
    ground = read_ground(BUILTIN)
    drawn = np.zeros(6, np.int64)
    for name, size in ground.size.items():
        with rasterio.open(f"{DATA}/{name}.png") as label:
            assert label.shape == size
            if name in ground.validation:
                drawn += np.bincount(label.read(1).ravel(), minlength=6)
    assert (drawn[1:] > 50_000).all()


@needs_data
def test_recorded_overlaps_of_one_picture_look_alike():
    rasterio = pytest.importorskip("rasterio")

    def grey(name, window):
        row, col, height, width = window
        with rasterio.open(f"{DATA}/{name}.jpg") as image:
            cut = image.read(1, window=((row, row + height), (col, col + width))).astype(float)
        return cut[: height // 4 * 4, : width // 4 * 4].reshape(height // 4, 4, width // 4, 4).mean((1, 3)).ravel()

    for o in read_ground(BUILTIN).overlaps:
        if o.a.startswith("tile7"):  # the other pair has two dates
            assert np.corrcoef(grey(o.a, o.a_window), grey(o.b, o.b_window))[0, 1] > 0.9
