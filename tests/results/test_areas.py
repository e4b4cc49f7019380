"""`mapgen areas`: what each class covers, in all and zone by zone."""

import csv
import json
import re

import numpy as np
import pyogrio
import pytest
import rasterio
from factory import make_raster, noise
from rasterio.transform import from_origin
from shapely import Polygon, box

import mapgen as package
from mapgen.errors import InputError, UsageError

LEGEND = json.dumps([{"id": 1, "name": "field", "color": "#00ff00"}, {"id": 2, "name": "lake", "color": "#0000ff"}])
WEST, NORTH = 300_000, 2_800_000


@pytest.fixture
def town(tmp_path):
    """A class map of 40 × 60 pixels of 10 m: lake in the left third, no data in the last row, field elsewhere."""

    def make(crs="EPSG:32640", values=None, **tags):
        values = np.ones((40, 60), np.uint8) if values is None else values
        if values.dtype == np.uint8:
            values[:, :20] = 2
            values[-1] = 255
        path = tmp_path / "town.mask.tif"
        with rasterio.open(
            path, "w", driver="GTiff", width=60, height=40, count=1, dtype=values.dtype, crs=crs,
            transform=from_origin(WEST, NORTH, 10, 10), nodata=255 if values.dtype == np.uint8 else None,
        ) as file:  # fmt: skip
            file.write(values, 1)
            file.update_tags(**({"MAPGEN_LEGEND": LEGEND} | tags))
        return path

    return make


def zones(path, shapes, crs="EPSG:32640", **fields):
    fields = fields or {"name": [f"zone {n}" for n in range(len(shapes))]}
    wkb = np.array([shape.wkb for shape in shapes], object)
    values = [np.array(column, object) for column in fields.values()]
    pyogrio.raw.write(path, wkb, values, list(fields), geometry_type="Polygon", crs=crs, driver="GPKG")
    return path


def square(row, col, rows, cols):
    return box(WEST + 10 * col, NORTH - 10 * (row + rows), WEST + 10 * (col + cols), NORTH - 10 * row)


def test_pixels_shares_and_ground_are_those_of_the_map(town):
    found = package.areas(town())
    assert [(r.name, r.pixels) for r in found.rows] == [("field", 39 * 40), ("lake", 39 * 20)]
    assert [r.share for r in found.rows] == pytest.approx([2 / 3, 1 / 3], abs=1e-6)
    for row in found.rows:
        assert row.area_m2 == pytest.approx(100 * row.pixels, rel=2e-3), "the scale of the projection is near 1"
        assert row.area_ha == pytest.approx(row.area_m2 / 1e4)
        assert row.area_km2 == pytest.approx(row.area_m2 / 1e6)


def test_zones_that_tile_the_map_add_up_to_it(town, tmp_path):
    path = town()
    tiles = [square(r, c, 20, 15) for r in (0, 20) for c in (0, 15, 30, 45)]
    whole = {r.name: r for r in package.areas(path).rows}
    parts = package.areas(path, zones=zones(tmp_path / "z.gpkg", tiles)).rows
    for name, row in whole.items():
        mine = [r for r in parts if r.name == name]
        assert len(mine) == 8
        assert sum(r.pixels for r in mine) == row.pixels
        # A pixel counts with the mean of its cell, which is another one in a zone.
        assert sum(r.area_m2 for r in mine) == pytest.approx(row.area_m2, rel=1e-5)


def test_a_zone_may_be_of_any_shape_and_crs_and_may_overlap_another(town, tmp_path, mapgen):
    import pyproj
    import shapely

    slanted = Polygon([(WEST + 33, NORTH - 18), (WEST + 581, NORTH - 140), (WEST + 222, NORTH - 371)])
    path, shapes = town(), [slanted, square(0, 0, 40, 60)]
    rows, cols = np.mgrid[0:40, 0:60]
    inside = shapely.contains_xy(slanted, WEST + 10 * (cols + 0.5), NORTH - 10 * (rows + 0.5))
    with rasterio.open(path) as file:
        values = file.read(1)
    wanted = {k: int((inside & (values == k)).sum()) for k in (1, 2)}
    own = package.areas(path, zones=zones(tmp_path / "own.gpkg", shapes))
    assert {r.id: r.pixels for r in own.rows if r.zone == "1"} == wanted
    to = pyproj.Transformer.from_crs(32640, 4326, always_xy=True)
    far = shapely.transform(np.array(shapes), lambda xy: np.stack(to.transform(xy[:, 0], xy[:, 1]), 1))
    degrees = package.areas(path, zones=zones(tmp_path / "degrees.gpkg", far, "EPSG:4326"))
    assert [r.pixels for r in degrees.rows] == [r.pixels for r in own.rows]


def test_zones_are_called_by_an_attribute_of_a_layer(town, tmp_path, mapgen):
    file = zones(tmp_path / "z.gpkg", [square(0, 0, 5, 5), square(100, 100, 5, 5)], name=["Süd", "away"])
    run = mapgen("areas", town(), "--zones", file, "--zone-name", "name", "--layer", "z", "--json")
    record = json.loads(run.out)
    assert (run.code, record["beside"], {r["zone"] for r in record["areas"]}) == (0, ["away"], {"Süd"})
    assert "away lies beside the map" in run.err
    assert mapgen("areas", town(), "--zones", file, "--layer", "y").code != 0
    with pytest.raises(UsageError, match=r"no attribute 'title'.*there are: name"):
        package.areas(town(), zones=file, zone_name="title")
    with pytest.raises(UsageError, match="there are no zones"):
        package.areas(town(), zone_name="name")


def test_the_table_is_text_on_stdout_and_csv_in_a_file(town, tmp_path, mapgen):
    output = tmp_path / "areas.csv"
    run = mapgen("areas", town(), "--output", output)
    head, *body = run.out.splitlines()
    assert (run.code, head.split()) == (0, ["class", "pixels", "share", "ha", "km²"])
    assert [line.split()[0] for line in body] == ["field", "lake", "all"]
    assert body[-1].split()[1:3] == [str(39 * 60), "100.0%"]
    with open(output, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["name"], int(r["pixels"])) for r in rows] == [("field", 1560), ("lake", 780)]
    assert list(rows[0]) == ["id", "name", "pixels", "share", "area_m2", "area_ha", "area_km2"]
    before = output.read_bytes()
    assert mapgen("areas", town(), "-o", output).code == 5
    assert output.read_bytes() == before
    assert mapgen("areas", town(), "-o", output, "--overwrite").code == 0
    assert mapgen("areas", town(), "-o", tmp_path / "areas.xlsx").code == 5


def test_a_map_of_no_place_has_pixels_and_no_hectares(town):
    assert [(r.pixels, r.area_ha) for r in package.areas(town(crs=None)).rows] == [(1560, None), (780, None)]


def test_large_ids_are_classes_and_too_many_are_no_class_map(town):
    values = np.full((40, 60), 7000, np.int32)
    values[0, 0] = -3
    assert [(r.name, r.pixels) for r in package.areas(town(values=values, MAPGEN_LEGEND="")).rows] == [
        ("-3", 1), ("7000", 2399),
    ]  # fmt: skip
    with pytest.raises(InputError, match="more than 255 classes"):
        package.areas(town(values=np.arange(2400, dtype=np.int32).reshape(40, 60)))


def test_python_gets_a_dataframe(town):
    frame = package.areas(town()).to_dataframe()
    assert list(frame["name"]) == ["field", "lake"]


def test_quiet_and_verbose_are_those_of_every_command(town, tmp_path, mapgen, capfd):
    from mapgen.cli.main import run

    assert mapgen("areas", town(), "-o", tmp_path / "a.csv", "--quiet").err == ""
    for option, shown in (("--verbose", False), ("-vv", True)):
        capfd.readouterr()
        assert run(["areas", str(tmp_path / "none.tif"), option]) != 0
        assert ("Traceback" in capfd.readouterr().err) is shown


def rows_of(table):
    return list(csv.DictReader(table.read_text().splitlines()))


def test_vectorize_writes_a_table_of_its_layers(tmp_path, town, mapgen):
    source, table = town(), tmp_path / "table.csv"
    assert mapgen("vectorize", source, "--table", table).code == 0
    rows = rows_of(table)
    assert [(r["name"], r["polygons"]) for r in rows] == [("field", "1"), ("lake", "1")]
    assert float(rows[0]["area_ha"]) == pytest.approx(float(rows[0]["area_m2"]) / 1e4)
    assert "pixels" not in rows[0]
    refused = mapgen("vectorize", source, "--table", table, "-o", tmp_path / "b.gpkg")
    assert (refused.code, (tmp_path / "b.gpkg").exists()) == (5, False)
    second = tmp_path / "second.mask.tif"
    second.write_bytes(source.read_bytes())
    run = mapgen("vectorize", source, second, "-o", f"{tmp_path}/layers/", "--table", table, "--overwrite")
    assert run.code == 0
    assert {r["zone"] for r in rows_of(table)} == {str(source), str(second)}


def test_map_writes_a_table_and_shows_it(tmp_path, mapgen, model, engines):
    scene, table = make_raster(tmp_path / "town.tif", noise(60, 70)), tmp_path / "areas.csv"
    plain = ("--no-tiles", "--no-page", "--no-stac", "--no-preview")
    run = mapgen("map", "--model", model, scene, "-o", tmp_path / "out", "--table", table, *plain)
    assert run.code == 0
    rows, report = rows_of(table), json.loads((tmp_path / "out" / "report.json").read_text())
    assert [int(r["pixels"]) for r in rows] == [c["pixels"] for c in report["classes"]]
    assert [int(r["polygons"]) for r in rows] == [c["polygons"] for c in report["classes"]]
    assert re.search(r"^mapgen:   class +pixels +share +ha +km² +polygons$", run.err, re.MULTILINE)
    assert "the layer is sieved by 8px, simplified by 1.5px; class map, tiles and the areas below" in run.err
    assert mapgen("map", "--model", model, scene, "-o", tmp_path / "b", "--table", tmp_path / "x.txt").code == 5
    assert not (tmp_path / "b").exists()


def test_a_small_area_is_not_shown_as_nothing(town):
    from mapgen.results.areas import Areas, Row, lines

    small = Row("", 1, "pond", 3, 1.0, 12.0, 0.0012, 0.000012)
    assert list(lines(Areas("x", (small,))))[1].split() == ["pond", "3", "100.0%", "0.001", "1e-05"]


def test_a_colour_table_without_names_adds_no_classes(tmp_path):
    path = make_raster(tmp_path / "plain.tif", np.array([[1, 1], [3, 3]], "uint8"))
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {value: (value, 0, 0, 255) for value in range(256)})
    assert [(row.id, row.pixels) for row in package.areas(path).rows] == [(1, 2), (3, 2)]
