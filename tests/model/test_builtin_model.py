"""The model that comes with mapgen, as a stranger first meets it."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from factory import read_map

from mapgen.model.file import find_model, open_model
from mapgen.settings import DEFAULT_MODEL

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def builtin():
    return find_model(DEFAULT_MODEL)


def test_it_is_small_and_says_what_it_is(builtin):
    card = builtin.card
    assert builtin.path.stat().st_size <= 30_000_000
    assert builtin.parameters <= 15_000_000
    assert card.name == DEFAULT_MODEL
    assert [(c.id, c.name) for c in card.legend] == [
        (1, "building"), (2, "land"), (3, "road"), (4, "vegetation"), (5, "water"),
    ]  # fmt: skip
    assert card.bands == ("red", "green", "blue")
    assert card.resolution_m == pytest.approx(1.03, abs=0.02)
    assert all((card.domain, card.data, card.license, card.limits))


def test_it_reaches_the_promised_score_on_its_validation_ground(builtin):
    assert builtin.card.scores["miou"] >= 0.45


def test_its_int8_graph_goes_with_it_and_costs_less_than_promised(builtin):
    assert builtin.int8 is not None, builtin.int8_problem
    assert builtin.int8.stat().st_size <= 12_000_000
    measured = open_model(builtin.int8).card.compression.measured
    assert measured["fp32"]["miou"] - measured["int8"]["miou"] <= 0.005
    assert measured["int8"]["agreement"] >= 0.99
    assert measured["bf16"]["agreement"] >= 0.995
    assert measured["fp32"]["miou"] == pytest.approx(builtin.card.scores["miou"], abs=0.0005)


def test_its_int8_graph_maps_the_example_scene_as_float32_does(mapgen, tmp_path):
    maps = []
    for precision in ("fp32", "int8"):
        output = tmp_path / f"{precision}.tif"
        assert mapgen("segment", EXAMPLES / "scene.tif", "--precision", precision, "-o", output).code == 0
        maps.append(read_map(output))
    assert (maps[0] == maps[1]).mean() >= 0.99


def test_it_maps_the_example_scene_well(mapgen, tmp_path):
    output = tmp_path / "scene.mask.tif"
    result = mapgen("segment", EXAMPLES / "scene.tif", "-o", output)
    assert (result.code, result.warnings) == (0, []), result
    with rasterio.open(EXAMPLES / "scene_truth.tif") as dataset:
        truth = dataset.read(1)
    mask = read_map(output)
    assert set(np.unique(mask)) == {1, 2, 3, 4, 5}
    assert (mask == truth).mean() >= 0.75
