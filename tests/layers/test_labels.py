"""Polygons with classes on a grid: burned by pixel centre, in order, in any CRS, with their faults counted."""

import json
from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from factory import CRS, ORIGIN, north_up

from mapgen.errors import InputError, UsageError
from mapgen.grid import Grid, Window
from mapgen.layers.labels import read_labels
from mapgen.raster.placement import Placement

GRID = Grid(pyproj.CRS(CRS).to_wkt(), north_up(1.0), 40, 50)
X, Y = ORIGIN


def square(col, row, width, height):
    """A box in pixels of GRID, in its CRS."""
    return shapely.box(X + col, Y - row - height, X + col + width, Y - row)


def write(path, features, crs=CRS):
    """GeoJSON of (geometry or None, properties); the CRS is named as GDAL does unless it is None."""
    entries = [
        {"type": "Feature", "properties": p, "geometry": None if g is None else shapely.geometry.mapping(g)}
        for g, p in features
    ]
    head = (
        {"crs": {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{crs.split(':')[1]}"}}} if crs else {}
    )
    path.write_text(json.dumps({"type": "FeatureCollection", "features": entries} | head))
    return path


def burned(labels, window=None):
    return labels.polygons.rasterized(window or labels.grid.window, [int(c) for c in labels.classes], -1)


def read(path, grid=GRID, **options):
    return read_labels(path, grid, lambda value: value, **({"attribute": "kind"} | options))


def blobs(count, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        x, y = rng.uniform(0, 50), rng.uniform(0, 40)
        yield shapely.Point(X + x, Y - y).buffer(rng.uniform(1, 9), quad_segs=4), {"kind": int(rng.integers(1, 4))}


def by_centres(features, grid=GRID):
    """The class at the centre of each pixel, later features over earlier, by asking each polygon."""
    rows, cols = np.mgrid[0 : grid.height, 0 : grid.width] + 0.5
    x, y = grid.transform @ (cols, rows)
    out = np.full((grid.height, grid.width), -1)
    for geometry, properties in features:
        out[shapely.contains_xy(geometry, x, y)] = properties["kind"]
    return out


def test_a_pixel_has_the_class_at_its_centre_and_later_features_lie_over_earlier(tmp_path):
    features = list(blobs(25))
    np.testing.assert_array_equal(burned(read(write(tmp_path / "t.geojson", features))), by_centres(features))


def test_on_a_turned_grid_too(tmp_path):
    features = list(blobs(25))
    turned = Grid(GRID.crs, Affine.translation(X + 10, Y) @ Affine.rotation(30) @ Affine.scale(0.8, -0.9), 40, 50)
    np.testing.assert_array_equal(
        burned(read(write(tmp_path / "t.geojson", features), turned)), by_centres(features, turned)
    )


@pytest.mark.parametrize("rows", [1, 7, 16])
def test_what_is_burned_does_not_depend_on_the_strips(tmp_path, rows):
    labels = read(write(tmp_path / "t.geojson", list(blobs(25, 1))))
    parts = [burned(labels, Window(r, 0, min(rows, 40 - r), 50)) for r in range(0, 40, rows)]
    np.testing.assert_array_equal(np.concatenate(parts), burned(labels))


def test_classes_of_priority_win_the_first_over_the_second(tmp_path):
    features = [(square(0, 0, 30, 30), {"kind": k}) for k in (3, 1, 2)]
    path = write(tmp_path / "t.geojson", features)
    assert burned(read(path))[5, 5] == 2
    assert burned(read(path, priority=[1]))[5, 5] == 1
    assert burned(read(path, priority=[3, 1]))[5, 5] == 3


def test_labels_in_lon_lat_burn_like_those_in_the_crs_of_the_grid(tmp_path):
    features = [(square(3, 5, 20, 21), {"kind": 1}), (square(20, 10, 25, 25), {"kind": 2})]
    to = pyproj.Transformer.from_crs(CRS, "OGC:CRS84", always_xy=True)
    moved = [(shapely.transform(g, lambda p: np.stack(to.transform(*p.T), 1)), p) for g, p in features]
    plain = burned(read(write(tmp_path / "a.geojson", features)))
    np.testing.assert_array_equal(burned(read(write(tmp_path / "b.geojson", moved, crs=None))), plain)


def test_edges_stay_straight_in_the_crs_that_they_were_drawn_in(tmp_path):
    wide = Grid(GRID.crs, north_up(500.0), 300, 400)  # 200 km: the edge of a degree box is far from straight here
    box = shapely.box(57.2, 22.9, 58.7, 24.2)
    found = burned(read(write(tmp_path / "t.geojson", [(box, {"kind": 1})], crs=None), wide))
    lonlat = Grid(pyproj.CRS("EPSG:4326").to_wkt(), Affine(1.5 / 4000, 0, 57.2, 0, -1.3 / 4000, 24.2), 4000, 4000)
    rows, _ = Placement(wide, lonlat).positions(wide.window)
    assert ((rows >= 0) != (found == 1)).sum() <= 3


def test_holes_and_parts_of_multipolygons_are_respected(tmp_path):
    ring = square(2, 2, 20, 20).difference(square(6, 6, 5, 5))
    features = [(shapely.union(ring, square(30, 30, 5, 5)), {"kind": 2})]
    found = burned(read(write(tmp_path / "t.geojson", features)))
    assert (found == 2).sum() == 400 - 25 + 25
    assert found[8, 8] == -1


def test_bow_ties_are_repaired_nulls_left_out_and_all_is_counted(tmp_path):
    bow_tie = shapely.Polygon([(X + 5, Y - 5), (X + 15, Y - 15), (X + 15, Y - 5), (X + 5, Y - 15)])
    features = [
        (bow_tie, {"kind": 1}), (None, {"kind": 1}), (shapely.Polygon(), {"kind": 1}),
        (square(20, 20, 4, 4), {"kind": None}),
        (square(30, 30, 4, 4), {"kind": 2}),
    ]  # fmt: skip
    labels = read(write(tmp_path / "t.geojson", features))
    assert labels.counts == {"features": 5, "repaired": 1, "no_geometry": 2, "no_class": 1}
    assert [w.split(" ", 3)[0] for w in labels.warnings] == ["1", "2", "1"]
    found = burned(labels)
    assert 40 <= (found == 1).sum() <= 60  # both triangles
    assert (found == 2).sum() == 16
    assert found[21, 21] == -1


def test_coordinates_that_are_not_lon_lat_are_noticed_and_their_crs_can_be_said(tmp_path):
    path = write(tmp_path / "t.geojson", [(square(0, 0, 400, 9), {"kind": 1})], crs=None)
    with pytest.raises(InputError, match="coordinates up to 2700000 are not lon/lat"):
        read(path)
    assert (burned(read(path, assume_crs=CRS)) == 1).sum() == 9 * 50


def test_a_crs_that_is_named_is_not_overruled(tmp_path):
    path = write(tmp_path / "t.geojson", [(square(0, 0, 4, 4), {"kind": 1})])
    with pytest.raises(InputError, match="has a CRS of its own"):
        read(path, assume_crs="EPSG:3857")


def test_a_grid_without_a_crs_takes_coordinates_as_its_own(tmp_path):
    bare = Grid(None, Affine.identity(), 40, 50)
    labels = read(write(tmp_path / "t.geojson", [(shapely.box(3, 4, 10, 8), {"kind": 1})], crs=None), bare)
    assert (burned(labels) == 1).sum() == 28
    assert burned(labels)[4, 3] == 1
    assert "the raster has no CRS" in labels.warnings[0]


@pytest.mark.parametrize("suffix", ["gpkg", "fgb", "shp"])
def test_other_formats_are_read_alike(tmp_path, suffix):
    import geopandas

    features = list(blobs(12, 2))
    frame = geopandas.GeoDataFrame([p for _, p in features], geometry=[g for g, _ in features], crs=CRS)
    frame.to_file(tmp_path / f"t.{suffix}")
    found, expected = burned(read(tmp_path / f"t.{suffix}")), by_centres(features)
    if suffix == "fgb":  # FlatGeobuf has an order of its own
        found, expected = found > 0, expected > 0
    np.testing.assert_array_equal(found, expected)


def test_of_several_layers_one_must_be_named(tmp_path):
    import geopandas

    path = tmp_path / "t.gpkg"
    for name, size in (("small", 3), ("large", 9)):
        frame = geopandas.GeoDataFrame({"kind": [1]}, geometry=[square(0, 0, size, size)], crs=CRS)
        frame.to_file(path, layer=name)
    with pytest.raises(UsageError, match=r"several layers \(small, large\)"):
        read(path)
    assert (burned(read(path, layer="large")) == 1).sum() == 81
    with pytest.raises(InputError, match="it has small, large"):
        read(path, layer="medium")


FAULTS = {
    "no class attribute": ([(square(0, 0, 4, 4), {"name": 1})], "has no attribute 'kind'; it has name"),
    "no features": ([], "holds no polygons"),
    "nulls only": ([(None, {"kind": 1})], "holds no polygons"),
    "lines": ([(shapely.LineString([(X, Y), (X + 9, Y - 9)]), {"kind": 1})], "holds linestring, labels are polygons"),
    "mixed dimensions": (
        [(square(0, 0, 4, 4), {"kind": 1}), (shapely.Point(X, Y), {"kind": 1})], "mixes polygons with 1 of point",
    ),
    "elsewhere": ([(square(500, 500, 4, 4), {"kind": 1})], "nothing of it lies on the map"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_labels_are_refused(tmp_path, fault):
    features, words = FAULTS[fault]
    with pytest.raises((InputError, UsageError), match=words):
        read(write(tmp_path / "t.geojson", features))


def test_the_attribute_must_be_named_unless_it_has_a_usual_name(tmp_path):
    path = write(tmp_path / "t.geojson", [(square(0, 0, 4, 4), {"kind": 1, "height": 3})])
    with pytest.raises(UsageError, match=r"it has kind, height.*attribute='kind'"):
        read(path, attribute=None)
    usual = write(tmp_path / "u.geojson", [(square(0, 0, 4, 4), {"kind": 1, "class_id": 3})])
    assert read(usual, attribute=None).classes == [3]
    assert read(path, attribute=None, feature_class="7").classes == ["7"]


def test_folders_missing_files_and_text_are_refused(tmp_path):
    (tmp_path / "text.geojson").write_text("once upon a time")
    (tmp_path / "empty.gpkg").write_bytes(b"")
    (tmp_path / "folder.shp").mkdir()
    for name, words in (("text.geojson", "cannot be read"), ("empty.gpkg", "is empty"), ("folder.shp", "is a folder"),
                        ("none.fgb", "no such file")):  # fmt: skip
        with pytest.raises(InputError, match=words):
            read(Path(tmp_path / name))


def test_bow_ties_too_large_to_be_looked_at_are_burned_alike(tmp_path, monkeypatch):
    bow_tie = shapely.Polygon([(X + 5, Y - 5), (X + 15, Y - 15), (X + 15, Y - 5), (X + 5, Y - 15)])
    path = write(tmp_path / "t.geojson", [(bow_tie, {"kind": 1})])
    repaired = read(path)
    monkeypatch.setattr("mapgen.layers.labels._LARGE", 3)
    as_it_is = read(path)
    assert (repaired.counts["repaired"], as_it_is.counts["repaired"]) == (1, 0)
    assert (burned(repaired) != burned(as_it_is)).sum() <= 10  # centres exactly on the crossing lines
