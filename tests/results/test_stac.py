"""STAC items hold what the core and their extensions require, and say what is true."""

import hashlib
import json
import re
from datetime import datetime

import numpy as np
import pytest
import shapely
from affine import Affine
from factory import LEGEND, card, make_raster, noise, north_up
from hypothesis import example, given
from hypothesis import strategies as st

from mapgen.grid import Grid
from mapgen.legend import Class, Legend
from mapgen.results.stac import (
    CLASSIFICATION,
    FILE,
    MLM,
    PROCESSING,
    PROJECTION,
    RASTER,
    Source,
    classes,
    map_item,
    model_item,
    model_name,
    outline,
)

UTM = Grid("EPSG:32640", north_up(10.0, (400_000, 2_700_000)), 300, 500)


def item(grid=UTM, files=None, legend=LEGEND):
    files = files or {"class_map": "a b.mask.tif", "layer": "a.gpkg", "vector_tiles": "a.pmtiles", "stac_item": "x"}
    made = map_item(
        "town", grid, legend, files, [Source("scene.tif", "../scene.tif")], "./town.model.stac.json",
        {"mapgen": "1"}, "2026-01-02T03:04:05Z",
    )  # fmt: skip
    return json.loads(json.dumps(made))


def check_core(made):
    """What the schema of items requires (v1.1.0)."""
    assert made["type"] == "Feature"
    assert made["stac_version"] == "1.1.0"
    assert made["id"]
    assert {"geometry", "links", "assets", "properties", "stac_extensions"} <= set(made)
    assert ("bbox" in made) == (made["geometry"] is not None)
    when = made["properties"]
    if when["datetime"] is None:
        assert {"start_datetime", "end_datetime"} <= set(when)
    else:
        datetime.fromisoformat(when["datetime"])
    assert all(link["rel"] and link["href"] for link in made["links"])
    for asset in made["assets"].values():
        assert asset["href"]
        assert asset["roles"]
    assert ("bands" in when) == any("bands" in asset for asset in made["assets"].values())


def check_classes(entries):
    """What `classification` requires in its versions 1.1 and 2.0, of which `mlm` uses the older."""
    assert len({entry["value"] for entry in entries}) == len(entries) > 0
    for entry in entries:
        assert isinstance(entry["value"], int)
        assert re.fullmatch(r"[0-9A-Za-z_-]+", entry["name"])
        assert re.fullmatch(r"[0-9A-F]{6}", entry.get("color_hint", "000000"))


def test_a_map_says_where_it_is_what_it_holds_and_where_it_comes_from():
    made = item()
    check_core(made)
    assert made["stac_extensions"] == [CLASSIFICATION, PROCESSING, PROJECTION]
    properties = made["properties"]
    assert properties["proj:code"] == "EPSG:32640"
    assert properties["proj:shape"] == [300, 500]
    assert properties["proj:transform"] == [10, 0, 400_000, 0, -10, 2_700_000]
    assert properties["proj:bbox"] == [400_000, 2_697_000, 405_000, 2_700_000]
    assert properties["proj:wkt2"].startswith("PROJCRS[")
    assert properties["processing:software"] == {"mapgen": "1"}
    assert properties["gsd"] == pytest.approx(10, rel=1e-2)
    assert [(link["rel"], link["href"]) for link in made["links"]] == [
        ("via", "../scene.tif"), ("derived_from", "./town.model.stac.json"),
    ]  # fmt: skip
    assert made["links"][0]["type"] == "image/tiff; application=geotiff"
    beside = {"vector_tiles_tilejson": "./a.pmtiles.json", "vector_tiles_style": "./a.pmtiles.style.json"}
    assert set(made["assets"]) == {"class_map", "layer", "vector_tiles", *beside}
    assert {name: made["assets"][name]["href"] for name in beside} == beside
    mask = made["assets"]["class_map"]
    assert mask["href"] == "./a%20b.mask.tif"
    assert "cloud-optimized" in mask["type"]
    check_classes(mask["classification:classes"])
    assert [c["value"] for c in mask["classification:classes"]] == [0, 1, 2, 255]
    assert mask["classification:classes"][-1]["nodata"] is True


def test_the_outline_is_that_of_the_grid():
    geometry, box = outline(UTM)
    shape = shapely.from_geojson(json.dumps(geometry))
    assert shape.is_valid
    assert shape.exterior.is_ccw
    assert tuple(box) == shape.bounds
    from pyproj import Transformer

    to = Transformer.from_crs("EPSG:32640", "EPSG:4326", always_xy=True)
    rng = np.random.default_rng(1)
    inside = to.transform(rng.uniform(400_001, 404_999, 99), rng.uniform(2_697_001, 2_699_999, 99))
    assert shapely.contains_xy(shape, *inside).all()
    beside = to.transform(np.full(9, 405_005), np.linspace(2_697_001, 2_699_999, 9))
    assert not shapely.contains_xy(shape, *beside).any()


def test_across_the_antimeridian_it_is_cut_there():
    grid = Grid("EPSG:32660", north_up(100.0, (700_000, -1_000_000 + 2_000_000)), 1000, 3000)
    geometry, (west, _, east, _) = outline(grid)
    assert geometry["type"] == "MultiPolygon"
    assert 170 < west < 180
    assert -180 < east < -170
    shape = shapely.from_geojson(json.dumps(geometry))
    assert shape.is_valid
    assert (shape.bounds[0], shape.bounds[2]) == (-180, 180)
    assert shape.area < 30


@pytest.mark.parametrize("first", [-180.0, -170.0, 0.0, 100.0])
@pytest.mark.parametrize("width", [181.0, 270.0, 360.0])
def test_however_wide_it_is_all_of_it_is_inside(first, width):
    grid = Grid("OGC:CRS84", Affine(width / 100, 0, first, 0, -0.5, 40), 100, 100)
    geometry, (west, south, east, north) = outline(grid)
    shape = shapely.from_geojson(json.dumps(geometry))
    assert shape.is_valid
    assert shape.area == pytest.approx(width * 50)
    assert (south, north) == (-10, 40)
    assert max(abs(west), abs(east)) <= 180
    assert (east - west) % 360 == pytest.approx(width % 360)
    longitudes = (first + width * np.linspace(0.01, 0.99, 50) + 180) % 360 - 180
    assert shapely.contains_xy(shape, longitudes, np.full(50, 15.0)).sum() >= 49  # one may lie on the 180th itself


def test_around_a_pole_it_has_all_longitudes():
    geometry, box = outline(Grid("EPSG:3995", Affine(20_000, 0, -1e6, 0, -20_000, 1e6), 100, 100))
    assert (box[0], box[2], box[3]) == (-180, 180, 90)
    assert shapely.from_geojson(json.dumps(geometry)).is_valid


def test_a_confidence_says_how_its_bytes_are_meant():
    made = item(files={"class_map": "a.tif", "confidence": "c.tif"})
    assert RASTER in made["stac_extensions"]
    confidence = made["assets"]["confidence"]
    assert (confidence["raster:scale"], confidence["raster:offset"], confidence["nodata"]) == (0.004, 0, 255)


def test_without_a_crs_there_is_no_place():
    made = item(Grid(None, north_up(1.0), 9, 9))
    check_core(made)
    assert made["geometry"] is None
    assert made["properties"]["proj:code"] is None


def test_a_model_says_what_goes_in_and_out():
    made = json.loads(json.dumps(model_item(card(), "model.safetensors", 1234, "ab" * 32)))
    check_core(made)
    assert made["stac_extensions"] == [MLM, FILE]
    properties = made["properties"]
    assert {"mlm:name", "mlm:architecture", "mlm:tasks", "mlm:input", "mlm:output"} <= set(properties)
    assert properties["mlm:total_parameters"] == 1234
    (given_, (out,)) = properties["mlm:input"][0], properties["mlm:output"]
    assert given_["bands"] == ["red", "green", "blue"] == [b["name"] for b in properties["bands"]]
    assert given_["input"]["dim_order"] == ["batch", "bands", "height", "width"]
    assert given_["input"]["shape"] == [-1, 3, 64, 64]
    assert given_["value_scaling"] == [{"type": "z-score", "mean": 128.0, "stddev": 64.0}] * 3
    assert out["result"]["shape"] == [-1, 3, 64, 64]
    assert "bands" not in out["result"]["dim_order"]
    check_classes(out["classification:classes"])
    assert all(entry["description"] for entry in out["classification:classes"])
    (asset,) = made["assets"].values()
    assert "mlm:model" in asset["roles"]
    assert asset["mlm:artifact_type"]
    assert not {"mlm:name", "mlm:input", "mlm:output", "mlm:hyperparameters"} & set(asset)


@given(st.text(max_size=12))
def test_any_name_becomes_one_that_mlm_allows(name):
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]", model_name(name))


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=6, unique=True))
@example(["é", "class", "class--2", "class-0"])
def test_any_classes_have_names_of_their_own(names):
    legend = Legend(tuple(Class(i, name, "#a0b0c0") for i, name in enumerate(names)))
    made = classes(legend)
    check_classes(made)
    assert len({entry["name"] for entry in made}) == len(names)
    assert [entry["title"] for entry in made] == names


def test_map_writes_both_items(tmp_path, mapgen, model, engines):
    scene = make_raster(tmp_path / "my town.tif", noise(60, 80))
    out = tmp_path / "out"
    assert mapgen("map", scene, "--model", model, "-o", out, "--no-tiles").code == 0
    made, about = (json.loads((out / f"my town{end}.stac.json").read_text()) for end in ("", ".model"))
    check_core(made)
    check_core(about)
    report = json.loads((out / "report.json").read_text())
    assert report["grid"]["crs"] == "EPSG:32640"
    assert report["grid"]["wkt"].startswith("PROJCS[")
    from urllib.parse import unquote

    assert {unquote(asset["href"])[2:] for asset in made["assets"].values()} == {
        name for role, name in report["files"].items() if not role.startswith("stac")
    } | {"report.json"}
    for link in made["links"]:
        assert (out / unquote(link["href"])).resolve().is_file()
    assert str(tmp_path) not in json.dumps([made["links"][0]["title"], about])
    (asset,) = about["assets"].values()
    assert asset["href"] == model.name
    assert asset["file:checksum"] == "1220" + hashlib.sha256(model.read_bytes()).hexdigest()
