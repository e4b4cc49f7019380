"""Layers as files, in every format: what GDAL reads back, and what the formats' own rules say."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely
from factory import CRS, north_up
from layer_maps import TOWN, class_map, read_layer, town
from rasterio.features import rasterize

from mapgen.errors import InputError, OutputError, UsageError
from mapgen.layers.read import read_polygons
from mapgen.layers.vectorize import vectorize
from mapgen.legend import BUILTIN
from mapgen.raster.style import qml
from mapgen.settings import Size

FORMATS = ["geojson", "geojsonl", "gpkg", "fgb", "shp"]
NAMES = {c.id: c.name for c in TOWN}


@pytest.mark.parametrize("form", FORMATS)
def test_gdal_reads_every_format_back_as_it_was_meant(tmp_path: Path, form: str) -> None:
    mask = class_map(tmp_path / "town.tif")
    result = vectorize(mask, tmp_path / f"town.{form}", simplify=Size(1.5))
    columns, polygons = read_layer(result.output)
    assert len(polygons) == result.features == sum(c["polygons"] for c in result.classes.values())
    assert shapely.is_valid(polygons).all()
    assert shapely.coverage_is_valid(polygons)
    assert [NAMES[i] for i in columns["class_id"]] == list(columns["class_name"])
    assert columns["crs"] == ("EPSG:4326" if form.startswith("geojson") else CRS)
    if columns["crs"] == CRS:
        assert columns["area_m2"] == pytest.approx(shapely.area(polygons), rel=1e-3)


@pytest.mark.parametrize("form", ["gpkg", "fgb", "shp"])
def test_formats_in_the_map_s_own_crs_hold_the_very_pixels(tmp_path: Path, form: str) -> None:
    mask = class_map(tmp_path / "town.tif")
    result = vectorize(mask, tmp_path / f"town.{form}", background=())
    columns, polygons = read_layer(result.output)
    pairs = zip(polygons, columns["class_id"], strict=True)
    burnt = rasterize(pairs, town().shape, fill=255, transform=north_up(1.0))
    assert (burnt == np.where(town() == 9, 255, town())).all()


def test_all_formats_hold_the_same_attributes(tmp_path: Path) -> None:
    mask = class_map(tmp_path / "town.tif")
    tables = []
    for form in FORMATS:
        columns, _ = read_layer(vectorize(mask, tmp_path / f"town.{form}").output)
        order = np.argsort(columns["area_m2"] + 1e-3 * columns["class_id"], kind="stable")
        tables.append([columns["class_id"][order], columns["area_m2"][order]])
        assert {"perimeter_m", "perim_m"} & set(columns)
    for ids, areas in tables[1:]:
        assert (ids == tables[0][0]).all()
        assert areas == pytest.approx(tables[0][1], abs=2e-6)


def test_geojson_is_as_rfc_7946_has_it(tmp_path: Path) -> None:
    result = vectorize(class_map(tmp_path / "town.tif"), tmp_path / "town.geojson")
    document = json.loads(result.output.read_text(encoding="utf-8"))
    assert document["type"] == "FeatureCollection"
    assert document["name"] == "town"
    assert "crs" not in document
    assert len(document["features"]) == result.features
    for feature in document["features"]:
        assert feature["type"] == "Feature"
        assert set(feature["properties"]) == {"class_id", "class_name", "area_m2", "perimeter_m"}
        assert feature["geometry"]["type"] == "Polygon"
        for place, ring in enumerate(feature["geometry"]["coordinates"]):
            assert ring[0] == ring[-1]
            assert len(ring) >= 4
            assert shapely.is_ccw(shapely.linearrings(ring)) == (place == 0)
            assert all(-180 <= x <= 180 and -90 <= y <= 90 for x, y in ring)


def test_geojson_has_seven_decimals_and_more_for_small_pixels(tmp_path: Path) -> None:
    for size, digits in ((1.0, 7), (0.05, 8), (0.001, 10)):
        mask = class_map(tmp_path / "town.tif", transform=north_up(size))
        text = vectorize(mask, tmp_path / "town.geojson", overwrite=True).output.read_text()
        numbers = [n for f in json.loads(text)["features"] for n in np.ravel(f["geometry"]["coordinates"][0])]
        assert max(len(repr(float(n)).partition(".")[2]) for n in numbers) == digits


def test_geojsonseq_is_one_feature_a_line(tmp_path: Path) -> None:
    mask = class_map(tmp_path / "town.tif")
    whole = json.loads(vectorize(mask, tmp_path / "town.geojson").output.read_text())
    lines = vectorize(mask, tmp_path / "town.geojsonl").output.read_text().splitlines()
    assert [json.loads(line) for line in lines] == whole["features"]


def test_large_layers_are_written_in_parts_that_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = class_map(tmp_path / "town.tif")
    whole = {form: vectorize(mask, tmp_path / f"a.{form}", layer_name="l").output.read_bytes() for form in FORMATS[:2]}
    monkeypatch.setattr("mapgen.layers.write.CHUNK", 7)
    monkeypatch.setattr("mapgen.layers.formats.BATCH", 7)
    for form in FORMATS[:2]:
        for threads in (1, 3):
            result = vectorize(mask, tmp_path / f"b.{form}", layer_name="l", overwrite=True, threads=threads)
            assert result.output.read_bytes() == whole[form]
    assert len(read_layer(vectorize(mask, tmp_path / "b.gpkg").output)[1]) == len(whole["geojsonl"].splitlines())


@pytest.mark.parametrize("name", ['quo"te\\', "<b>&amp;", "ünï—码", "a" * 300])
def test_any_class_name_survives(tmp_path: Path, name: str) -> None:
    mask = class_map(tmp_path / "town.tif", legend=None)
    (tmp_path / "town.tif.aux.xml").write_bytes(_rat(1, name))
    for form in ("geojson", "gpkg"):
        columns, _ = read_layer(vectorize(mask, tmp_path / f"town.{form}").output)
        assert set(columns["class_name"]) == {name, "2", "3", "4", "9"}


def _rat(value: int, name: str) -> bytes:
    from mapgen.legend import Class, Legend
    from mapgen.raster.style import pam_xml

    return pam_xml(Legend((Class(value, name, "#123456"),)))


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_layer_has_its_schema(tmp_path: Path, form: str) -> None:
    mask = class_map(tmp_path / "empty.tif", np.full((9, 9), 255, np.uint8))
    result = vectorize(mask, tmp_path / f"empty.{form}")
    assert result.features == 0
    assert any("empty" in w for w in result.warnings)
    if form.startswith("geojson"):
        text = result.output.read_text()
        assert not text if form == "geojsonl" else json.loads(text)["features"] == []
        return
    columns, polygons = read_layer(result.output)
    assert len(polygons) == 0
    assert {"class_id", "class_name", "area_m2"} <= set(columns)


def test_a_geopackage_brings_its_class_colours(tmp_path: Path) -> None:
    result = vectorize(class_map(tmp_path / "town.tif"), tmp_path / "town.gpkg", layer_name="land use")
    with closing(sqlite3.connect(result.output)) as db:
        name, column, style, default = db.execute(
            "SELECT f_table_name, f_geometry_column, styleQML, useAsDefault FROM layer_styles"
        ).fetchone()
        geometry = db.execute("SELECT column_name FROM gpkg_geometry_columns").fetchone()[0]
    assert (name, column, default) == ("land use", geometry, 1)
    for c in TOWN:
        if not c.background:
            assert ",".join(map(str, c.rgb)) in style
            assert f'label="{c.name}"' in style


def test_append_adds_to_a_geopackage(tmp_path: Path) -> None:
    mask, other = class_map(tmp_path / "town.tif"), class_map(tmp_path / "other.tif", town(seed=8))
    path = tmp_path / "all.gpkg"
    first = vectorize(mask, path, layer_name="one")
    second = vectorize(other, path, layer_name="two", append=True)
    third = vectorize(other, path, layer_name="one", append=True)
    assert len(read_layer(path, "one")[1]) == first.features + third.features
    assert len(read_layer(path, "two")[1]) == second.features
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT f_table_name FROM layer_styles ORDER BY 1").fetchall() == [("one",), ("two",)]


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_run_gives_the_same_bytes(tmp_path: Path, form: str) -> None:
    mask = class_map(tmp_path / "town.tif")
    contents = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        output = vectorize(mask, folder / f"town.{form}").output
        contents.append({p.name: p.read_bytes() for p in output.parent.iterdir()})
    if form == "gpkg":  # GDAL writes the time of the last change into it
        return
    assert contents[0] == contents[1]


def test_geoparquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapgen.files.parquet.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"mapgen\[parquet\]"):
        vectorize(class_map(tmp_path / "town.tif"), tmp_path / "town.parquet")
    assert not (tmp_path / "town.parquet").exists()


@pytest.mark.parametrize("form", ["geojson", "geojsonl", "fgb", "shp"])
def test_a_style_for_qgis_lies_beside_a_layer(tmp_path: Path, form: str) -> None:
    vectorize(class_map(tmp_path / "town.tif"), tmp_path / f"roads.{form}")
    renderer = ElementTree.parse(tmp_path / "roads.qml").find("renderer-v2")
    assert renderer is not None
    assert renderer.attrib["attr"] == "class_id"
    found = {int(c.attrib["value"]): c.attrib["label"] for c in renderer.iter("category")}
    assert found.items() <= NAMES.items()


def test_a_style_that_somebody_made_stays(tmp_path: Path) -> None:
    mask, style = class_map(tmp_path / "town.tif"), tmp_path / "roads.qml"
    style.write_text("<qgis>mine</qgis>")
    vectorize(mask, tmp_path / "roads.geojson", overwrite=True)
    assert style.read_text() == "<qgis>mine</qgis>"
    style.unlink()
    vectorize(mask, tmp_path / "roads.geojson", overwrite=True, classes=("road",))
    first = style.read_bytes()
    vectorize(mask, tmp_path / "roads.geojson", overwrite=True)
    assert style.read_bytes() != first


def test_one_style_is_for_a_class_map_and_the_layer_of_its_name(tmp_path: Path) -> None:
    root = ElementTree.fromstring(qml(BUILTIN))
    assert len(root.findall("pipe/rasterrenderer//paletteEntry")) == len(root.findall("renderer-v2//category")) == 5


def test_a_geopackage_is_of_a_version_that_older_programs_know(tmp_path: Path) -> None:
    output = vectorize(class_map(tmp_path / "town.tif"), tmp_path / "town.gpkg").output
    with closing(sqlite3.connect(output)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (10200,)


def test_geoparquet_is_read_like_any_other_layer(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    mask = class_map(tmp_path / "town.tif")
    ours, theirs = (read_polygons(vectorize(mask, tmp_path / f"town.{form}").output) for form in ("parquet", "fgb"))
    for one in (ours, theirs):
        order = np.lexsort((shapely.area(one.shapes), one.columns["class_id"]))
        one.shapes, one.columns = one.shapes[order], {k: v[order] for k, v in one.columns.items()}
    assert shapely.equals_exact(ours.shapes, theirs.shapes, 1e-9, normalize=True).all()
    assert {k: v.tolist() for k, v in ours.columns.items()} == {k: v.tolist() for k, v in theirs.columns.items()}


def test_geoparquet_of_others_may_lack_a_crs_and_hold_lists(tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    pytest.importorskip("pyarrow")
    frame = geopandas.GeoDataFrame(
        {"n": [1, None], "tags": [["a", "ö"], None]}, geometry=[shapely.box(0, 0, 1, 1)] * 2, crs="EPSG:4326"
    )
    frame.to_parquet(tmp_path / "a.parquet")
    layer = read_polygons(tmp_path / "a.parquet")
    assert layer.columns["tags"].tolist() == ['["a", "ö"]', None]
    frame.set_crs(None, allow_override=True).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match="does not name its CRS"):
        read_polygons(tmp_path / "b.parquet")


@pytest.mark.parametrize("damage", [lambda data: data[:-5], lambda data: b"PAR1 nothing"])
def test_a_damaged_geoparquet_is_refused(tmp_path: Path, damage: Any) -> None:
    pytest.importorskip("pyarrow")
    path = vectorize(class_map(tmp_path / "town.tif"), tmp_path / "town.parquet").output
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="cannot be read"):
        read_polygons(path)


def test_a_parquet_that_is_a_table_is_refused(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="without geometry"):
        read_polygons(tmp_path / "a.parquet")


def test_reading_geoparquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr("mapgen.files.parquet.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"mapgen\[parquet\]"):
        read_polygons(tmp_path / "a.parquet")


def test_geoparquet_has_the_box_of_each_feature(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(vectorize(class_map(tmp_path / "town.tif"), tmp_path / "town.parquet").output)
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["columns"]["geometry"]["covering"]["bbox"]["ymax"] == ["bbox", "ymax"]
    polygons = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    boxes = [[box[k] for k in ("xmin", "ymin", "xmax", "ymax")] for box in table["bbox"].to_pylist()]
    assert boxes == shapely.bounds(polygons).tolist()


def test_geoparquet_reads_back(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    result = vectorize(class_map(tmp_path / "town.tif"), tmp_path / "town.parquet")
    table = parquet.read_table(result.output)
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["crs"]["id"] == {"authority": "EPSG", "code": 32640}
    polygons = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    assert shapely.is_valid(polygons).all()
    assert table.num_rows == result.features


def test_a_shapefile_comes_with_all_its_parts_and_names_that_fit(tmp_path: Path) -> None:
    result = vectorize(class_map(tmp_path / "town.tif"), tmp_path / "town.shp")
    assert {p.suffix for p in tmp_path.glob("town.*")} == {".tif", ".shp", ".shx", ".dbf", ".prj", ".cpg", ".qml"}
    assert {"class_id", "class_name", "area_m2", "perim_m"} <= set(read_layer(result.output)[0])


def test_a_layer_that_does_not_read_back_is_not_delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = class_map(tmp_path / "town.tif")
    monkeypatch.setattr("mapgen.layers.write._count", lambda path, layer: 0)
    with pytest.raises(OutputError, match="did not read back"):
        vectorize(mask, tmp_path / "town.fgb")
    assert {p.name for p in tmp_path.iterdir()} == {"town.tif"}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no /dev/full")
def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    mask = class_map(tmp_path / "town.tif")
    monkeypatch.setattr("mapgen.layers.write._write_json", full)
    with pytest.raises(OutputError, match="the disk is full"):
        vectorize(mask, tmp_path / "town.geojson")
    assert {p.name for p in tmp_path.iterdir()} == {"town.tif"}


def test_what_a_library_could_not_write_on_a_full_disk_is_called_so(tmp_path, monkeypatch):
    """GDAL and SQLite say that a transaction could not be rolled back."""
    from mapgen.files.commit import unwritten

    assert "could not be written (ROLLBACK failed)" in str(unwritten(tmp_path / "town.gpkg", "ROLLBACK failed"))
    monkeypatch.setattr("mapgen.files.commit.free_bytes", lambda folder: 4096)
    assert "town.gpkg: the disk is full; free some space" in str(unwritten(tmp_path / "town.gpkg", "ROLLBACK failed"))
