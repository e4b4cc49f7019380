"""Names and colours of class rasters, from wherever they are written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from factory import make_raster
from layer_maps import TOWN, class_map

from mapgen.legend import BUILTIN, Class, LayerClass, Legend, color_of, colors_of, expected_color
from mapgen.raster.legends import ClassNames, read_names
from mapgen.raster.masks import NODATA, open_mask
from mapgen.raster.style import pam_xml, qml

MASK = np.array([[1, 2, 11]], np.uint8)
OTHERS = Legend((Class(1, "wall", "#112233"), Class(2, "roof", "#445566"), Class(11, "Background", "#778899")))


def names_of(path: Path) -> ClassNames:
    with open_mask(path) as mask:
        return mask.names


def test_the_legend_of_a_class_map_of_mapgen_comes_first(tmp_path: Path) -> None:
    path = class_map(tmp_path / "a.tif")
    (tmp_path / "a.tif.aux.xml").write_bytes(pam_xml(OTHERS))
    names = names_of(path)
    assert [c.name for c in names.of([1, 2, 3])] == ["building", "land", "road"]
    assert names.background == {9}
    assert [c.color for c in names.of([1])] == [TOWN.find("building").color]


def test_a_raster_attribute_table_names_and_colours_the_classes(tmp_path: Path) -> None:
    path = make_raster(tmp_path / "a.tif", MASK)
    (tmp_path / "a.tif.aux.xml").write_bytes(pam_xml(OTHERS))
    assert names_of(path).of([1, 11, 12]) == (
        LayerClass(1, "wall", "#112233"), LayerClass(11, "Background", "#778899"), LayerClass(12, "12", "#a6d854"),
    )  # fmt: skip
    assert names_of(path).background == {11}


def test_a_table_is_read_by_the_names_of_its_columns_where_they_have_no_usage(tmp_path: Path) -> None:
    path = make_raster(tmp_path / "a.tif", MASK)
    (tmp_path / "a.tif.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><GDALRasterAttributeTable>"
        "<FieldDefn index='0'><Name>VALUE</Name></FieldDefn><FieldDefn index='1'><Name>Class_Name</Name></FieldDefn>"
        "<Row index='0'><F>2.0</F><F>shed</F></Row><Row index='1'><F>bad</F><F>x</F></Row>"
        "</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"
    )
    assert names_of(path).of([2])[0].name == "shed"
    assert set(names_of(path).classes) == {2}


def test_category_names_are_numbered_from_zero_and_take_the_colours_of_the_colour_table(tmp_path: Path) -> None:
    path = make_raster(tmp_path / "a.tif", MASK, photometric="palette", colormap={1: (1, 2, 3, 255)})
    import rasterio

    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {1: (1, 2, 3, 255)})
    (tmp_path / "a.tif.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category/><Category>hut</Category></CategoryNames>"
        "</PAMRasterBand></PAMDataset>"
    )
    assert names_of(path).of([1]) == (LayerClass(1, "hut", "#010203"),)


def test_a_qgis_style_names_the_classes(tmp_path: Path) -> None:
    path = make_raster(tmp_path / "a.tif", MASK)
    (tmp_path / "a.qml").write_bytes(qml(OTHERS))
    assert names_of(path).of([2]) == (LayerClass(2, "roof", "#445566"),)


def test_without_any_names_the_numbers_serve(tmp_path: Path) -> None:
    assert [c.name for c in names_of(make_raster(tmp_path / "a.tif", MASK)).of([11, 2])] == ["2", "11"]


@pytest.mark.parametrize("text", [
    "<PAMDataset><", "not xml", "", "<!DOCTYPE a [<!ENTITY b 'c'>]><PAMDataset>&b;</PAMDataset>",
    "<PAMDataset><GDALRasterAttributeTable/></PAMDataset>",
])  # fmt: skip
def test_a_side_car_that_makes_no_sense_counts_as_absent(tmp_path: Path, text: str) -> None:
    path = make_raster(tmp_path / "a.tif", MASK)
    (tmp_path / "a.tif.aux.xml").write_text(text)
    (tmp_path / "a.qml").write_text(text)
    assert names_of(path).of([1])[0].name == "1"


@pytest.mark.parametrize("tag", ["", "[1]", "{}", '[{"id": "x", "name": 1, "color": 2}]', "null"])
def test_a_tag_that_makes_no_sense_counts_as_absent(tag: str) -> None:
    assert read_names(None, {"MAPGEN_LEGEND": tag}, {}).of([3])[0].name == "3"


def test_colours_that_are_none_become_grey() -> None:
    tag = json.dumps([{"id": 1, "name": "a", "color": "url(x)"}])
    assert read_names(None, {"MAPGEN_LEGEND": tag}, {}).of([1])[0].color == "#808080"


def test_classes_are_found_by_name_in_any_case_or_by_number() -> None:
    names = ClassNames({4: LayerClass(4, "Tall Tree", "#000000"), 5: LayerClass(5, "4", "#000000")})
    assert [names.find(k) for k in ("tall tree", " 4 ", "-3", "bush")] == [4, 5, -3, None]


@pytest.mark.parametrize(("dtype", "nodata", "expected"), [
    ("uint8", 255, 255), ("uint8", None, NODATA), ("int16", -9999, -9999), ("int32", -1, -1),
    ("uint32", 2**32 - 1, 2**32 - 1),
])  # fmt: skip
def test_nodata_is_the_file_s_own_where_its_pixels_can_hold_it(
    tmp_path: Path, dtype: str, nodata: int | None, expected: int
) -> None:
    path = make_raster(tmp_path / "a.tif", MASK.astype(dtype), nodata=nodata)
    with open_mask(path) as mask:
        assert mask.nodata == expected


def test_classes_that_bring_no_colour_get_the_one_that_people_expect() -> None:
    named = {0: "background", 1: "Wald", 2: "buildings", 3: "agua", 4: "植被", 5: "paved_road", 6: "x"}
    found = colors_of(named)
    assert found[1] == expected_color("forest")
    assert found[2] == expected_color("building") == BUILTIN.find("building").color
    assert found[3] == BUILTIN.find("water").color
    assert found[4] == BUILTIN.find("vegetation").color
    assert found[5] == BUILTIN.find("road").color
    assert found[6] == color_of(6)
    assert list(found) == list(named)


def test_no_two_classes_of_a_legend_get_one_colour() -> None:
    named = dict(enumerate(["road", "street", "water", "river", "1", "2", "3", "4"]))
    found = colors_of(named, ["#377EB8"])
    assert len(set(found.values())) == len(named)
    assert "#377eb8" not in found.values()
    assert colors_of({3: "a", 1: "b"}) == {3: color_of(3), 1: color_of(1)}
