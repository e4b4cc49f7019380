"""Vector tiles of layers of polygons: where they belong, with their attributes, borders shared."""

import gzip
import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from decoding import by_mapbox, polygons_of
from hypothesis import given
from hypothesis import strategies as st
from tilegrounds import blobs

from mapgen.errors import InputError, UsageError
from mapgen.layers.polygonize import polygonize
from mapgen.tiling.containers.container import open_tiles
from mapgen.tiling.layer_features import BUFFER, Zoomed, on_tile, shape_tile, tile_parts, tile_shapes
from mapgen.tiling.mvt import EXTENT
from mapgen.tiling.quadtree import Tile, to_lonlat
from mapgen.tiling.tiles import tiles

UTM = "EPSG:32611"


def write(path: Path, shapes: Any, crs: str | None = UTM, layer: str | None = None, **columns: Any) -> Path:
    frame = geopandas.GeoDataFrame(columns or {"n": np.arange(len(shapes))}, geometry=list(shapes), crs=crs)
    frame.to_file(path, **({} if layer is None else {"layer": layer}))
    return path


def parcels(size: int = 60, seed: int = 3) -> np.ndarray:
    """Polygons of a coverage, at 10 m a pixel in UTM."""
    mask = blobs(np.random.default_rng(seed), size, size, 4, 3)
    _, shapes = polygonize(mask, transform=_place())
    return shapes


def _place() -> Any:
    from affine import Affine

    return Affine(10, 0, 400_000, 0, -10, 3_800_000)


def decoded(path: Path) -> dict[tuple[int, int, int], dict[str, list[dict]]]:
    """The layers of each tile, each feature with its shape in degrees."""
    with open_tiles(path) as source:
        found = {(z, x, y): gzip.decompress(data) for z, x, y, data in source.tiles()}
    files = []
    for i, data in enumerate(found.values()):
        files.append(path.with_suffix(f".{i}.pbf"))
        files[-1].write_bytes(data)
    out = {}
    for (z, x, y), layers in zip(found, by_mapbox(*files), strict=True):
        for features in layers.values():
            for f in features["features"]:
                f["units"] = shapely.geometry.shape(f["geometry"])
                f["shape"] = shapely.transform(f["units"], lambda xy, t=(z, x, y): _degrees(xy, *t))
        out[z, x, y] = {k: v["features"] for k, v in layers.items()}
    return out


def _degrees(xy: np.ndarray, z: int, x: int, y: int) -> np.ndarray:
    span = 2 * np.pi * 6_378_137.0
    world = (xy / EXTENT + (x, y)) / (1 << z)
    return np.stack(to_lonlat((world[:, 0] - 0.5) * span, (0.5 - world[:, 1]) * span), axis=1)


@pytest.mark.parametrize(("suffix", "crs"), [("gpkg", UTM), ("geojson", "EPSG:4326"), ("fgb", "EPSG:3857")])
def test_a_layer_in_any_crs_lies_where_it_belongs(tmp_path, suffix, crs):
    frame = geopandas.GeoDataFrame({"n": [5]}, geometry=[shapely.box(400_000, 3_800_000, 400_900, 3_801_500)], crs=UTM)
    frame.to_crs(crs).to_file(tmp_path / f"a.{suffix}")
    tiles(tmp_path / f"a.{suffix}", tmp_path / "a.pmtiles", vector=True, zoom=(14, 14))
    found = decoded(tmp_path / "a.pmtiles")
    whole = shapely.union_all([f["shape"] for layers in found.values() for f in layers["a"]])
    wanted = frame.to_crs("EPSG:4326").geometry[0]
    unit = 360 / (EXTENT << 14)
    assert shapely.hausdorff_distance(shapely.make_valid(whole), wanted) < 2 * unit
    assert shapely.symmetric_difference(shapely.buffer(whole, 0), wanted).area < 0.01 * wanted.area


def test_attributes_keep_their_kinds_and_ids_are_the_features(tmp_path):
    import pandas

    columns = {
        "text": ["Straße", "b", None], "whole": [1, -2, 3], "part": [0.5, float("nan"), -1e-9],
        "yes": [True, False, True], "day": pandas.to_datetime(["2020-01-02", "2021-03-04", None]),
    }  # fmt: skip
    boxes = [shapely.box(400_000 + 500 * i, 3_800_000, 400_300 + 500 * i, 3_800_300) for i in range(3)]
    write(tmp_path / "a.gpkg", boxes, layer="things", **columns)
    tiles(tmp_path / "a.gpkg", tmp_path / "a.pmtiles", vector=True, zoom=(10, 10))
    ((_, layers),) = decoded(tmp_path / "a.pmtiles").items()
    features = sorted(layers["things"], key=lambda f: f["id"])
    assert [f["id"] for f in features] == [1, 2, 3]
    one, two, three = (f["properties"] for f in features)
    assert one["day"].startswith("2020-01-02")
    assert {k: v for k, v in one.items() if k != "day"} == {"text": "Straße", "whole": 1, "part": 0.5, "yes": True}
    assert {k: v for k, v in two.items() if k != "day"} == {"text": "b", "whole": -2, "yes": False}
    assert three == {"whole": 3, "part": -1e-9, "yes": True}
    with open_tiles(tmp_path / "a.pmtiles") as source:
        (layer,) = source.info.vector_layers
    assert layer["fields"]["text"] == "String"
    assert layer["fields"]["part"] == "Number"


def test_lists_and_dictionaries_become_json(tmp_path):
    properties = {"tags": ["x", "y"], "of": {"a": 1}, "empty": []}
    geometry = shapely.geometry.mapping(shapely.box(7, 50, 7.1, 50.1))
    feature = {"type": "Feature", "properties": properties, "geometry": geometry}
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    tiles(tmp_path / "a.geojson", tmp_path / "a.pmtiles", vector=True, zoom=(8, 8))
    tile, *_ = decoded(tmp_path / "a.pmtiles").values()
    found = tile["a"][0]["properties"]
    assert {k: json.loads(v) for k, v in found.items()} == properties


def test_neighbours_share_their_borders_at_every_zoom(tmp_path):
    shapes = parcels()
    write(tmp_path / "a.gpkg", shapes)
    tiles(tmp_path / "a.gpkg", tmp_path / "a.pmtiles", vector=True, zoom=(11, 15))
    found = decoded(tmp_path / "a.pmtiles")
    assert {z for z, _, _ in found} == set(range(11, 16))
    for layers in found.values():
        drawn = np.array([f["units"] for f in layers["a"]])
        assert shapely.is_valid(drawn).all()
        overlap = shapely.area(drawn).sum() - shapely.union_all(drawn).area
        assert overlap == 0
    top = [f for (z, _, _), layers in found.items() if z == 15 for f in layers["a"]]
    assert {f["id"] for f in top} == set(range(1, len(shapes) + 1))


@given(data=st.data(), z=st.integers(3, 7))
def test_every_tile_has_what_lies_in_it_and_its_buffer(data, z):
    """Against cutting each polygon for each tile of the world, without blocks."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    size, count = EXTENT << z, data.draw(st.integers(1, 6))
    corners = rng.uniform(-0.1, 1.1, (count, 2)) * size
    sides = size * 2.0 ** -rng.uniform(0, z + 3, (count, 2))
    shapes = shapely.box(*corners.T, *(corners + sides).T)
    found = {tile: (parts, which) for tile, parts, which in tile_parts(Zoomed(z, shapes, np.arange(count)))}
    for x in range(1 << z) if z < 5 else rng.integers(0, 1 << z, 8).tolist():
        for y in range(1 << z) if z < 5 else rng.integers(0, 1 << z, 8).tolist():
            box = shapely.box(
                x * EXTENT - BUFFER, y * EXTENT - BUFFER, (x + 1) * EXTENT + BUFFER, (y + 1) * EXTENT + BUFFER
            )
            cut = shapely.intersection(shapes, box)
            parts, which = found.get(Tile(z, x, y), (np.empty(0, object), np.empty(0, int)))
            for i in range(count):
                own = shapely.union_all(parts[which == i])
                assert shapely.symmetric_difference(own, cut[i]).area < 1e-3


def test_holes_and_parts_survive():
    ring = shapely.difference(shapely.box(10, 10, 100, 100), shapely.box(20, 20, 30, 30))
    both = shapely.MultiPolygon([ring, shapely.box(200, 200, 210, 210)])
    shapes, kept = on_tile(np.array([both, shapely.box(0.1, 0.1, 0.3, 0.3)]), Tile(0, 0, 0))
    assert kept.tolist() == [True, False]
    (back,) = polygons_of(tile_shapes(shapes[kept]))
    assert shapely.equals(back, both)
    assert all(p.exterior.is_ccw for p in back.geoms)  # y is down here: clockwise on the screen


def test_lines_lie_where_they_belong_as_wide_as_they_say(tmp_path):
    lines = [
        shapely.LineString([(400_000, 3_800_000), (400_400, 3_800_300), (401_500, 3_800_300)]),
        shapely.LineString([(400_400, 3_800_300), (400_400, 3_799_000)]),
    ]
    path = write(tmp_path / "net.gpkg", lines, layer="edges", width_m=[6.5, 11.0])
    write(path, [shapely.Point(400_400, 3_800_300)], layer="nodes")
    made = tiles(path, tmp_path / "net.pmtiles", vector=True, zoom=(11, 15))
    frame = geopandas.GeoSeries(lines, crs=UTM).to_crs("EPSG:4326")
    for (z, _, _), layers in decoded(tmp_path / "net.pmtiles").items():
        for feature in layers["edges"]:
            wanted = frame[0 if feature["properties"]["width_m"] == 6.5 else 1]
            assert feature["units"].geom_type in ("LineString", "MultiLineString")
            away = shapely.distance(wanted, shapely.points(shapely.get_coordinates(feature["shape"])))
            assert away.max() < 2 * 360 / (EXTENT << z)
    top = [layers["edges"] for (z, _, _), layers in decoded(made.output).items() if z == 15]
    whole = shapely.union_all([feature["shape"] for features in top for feature in features])
    assert shapely.length(whole) == pytest.approx(shapely.length(shapely.union_all(frame.values)), rel=0.05)
    style = json.loads((tmp_path / "net.pmtiles.style.json").read_text())
    assert (style["layers"][0]["type"], style["layers"][0]["paint"]["line-width"][0]) == ("line", "interpolate")


def test_a_tile_too_full_is_simplified_and_then_says_what_it_gave_up():
    rng = np.random.default_rng(0)
    places = rng.uniform(0, EXTENT, (3000, 2))
    shapes = shapely.buffer(shapely.points(places), rng.uniform(2, 40, 3000))
    arguments = (Tile(0, 0, 0), shapes, np.arange(3000), "dots", np.arange(3000), {"n": np.arange(3000)})
    full, small = (shape_tile(*arguments, limit=n) for n in (10**9, 20_000))
    assert full.tile is not None
    assert small.tile is not None
    assert full.given_up == 0
    assert len(small.tile.data) <= 20_000 < len(full.tile.data)
    assert small.tile.features + small.given_up == 3000
    # The largest are what is left.
    assert shapely.area(shapes[small.which]).min() > np.median(shapely.area(shapes))


def test_invalid_polygons_are_repaired_and_empty_ones_counted(tmp_path):
    bow = shapely.Polygon([(400_000, 3_800_000), (400_100, 3_800_100), (400_100, 3_800_000), (400_000, 3_800_100)])
    write(tmp_path / "a.gpkg", [bow, None, shapely.box(400_200, 3_800_000, 400_300, 3_800_100)])
    result = tiles(tmp_path / "a.gpkg", tmp_path / "a.pmtiles", vector=True)
    assert any("1 of 3 features have no geometry" in w for w in result.warnings)
    assert any("1 of 3 invalid polygons were repaired" in w for w in result.warnings)
    for layers in decoded(tmp_path / "a.pmtiles").values():
        assert shapely.is_valid([f["units"] for f in layers["a"]]).all()


def test_an_empty_layer_is_an_empty_set_and_says_so(tmp_path):
    write(tmp_path / "a.gpkg", [])
    result = tiles(tmp_path / "a.gpkg", tmp_path / "a.pmtiles", vector=True)
    assert result.tiles == 0
    assert any("empty" in w for w in result.warnings)


@pytest.mark.parametrize(
    ("shapes", "crs", "words"),
    [
        ([shapely.Point(0, 0)], UTM, "holds point, vector tiles are made of polygons; buffer them first"),
        ([shapely.LineString([(0, 0), (1, 1)]), shapely.box(0, 0, 1, 1)], UTM, "holds linestring"),
        ([shapely.box(0, 0, 1, 1)], None, "does not name its CRS; name it with assume_crs"),
        ([shapely.box(400_000, 0, 400_010, 9)], "EPSG:4326", "coordinates up to 400010 are not lon/lat"),
    ],
)
def test_layers_that_make_no_tiles_are_refused(tmp_path, shapes, crs, words):
    write(tmp_path / "a.gpkg", shapes, crs)
    with pytest.raises(InputError, match=words) as refused:
        tiles(tmp_path / "a.gpkg", tmp_path / "a.pmtiles", vector=True)
    assert refused.value.exit_code == 4
    assert [p.name for p in tmp_path.iterdir()] == ["a.gpkg"]


def test_of_several_layers_one_must_be_named(tmp_path):
    for name in ("one", "other"):
        write(tmp_path / "a.gpkg", [shapely.box(400_000, 3_800_000, 400_100, 3_800_100)], layer=name)
    with pytest.raises(UsageError, match="has several layers"):
        tiles(tmp_path / "a.gpkg", tmp_path / "a.pmtiles", vector=True)
    tiles(tmp_path / "a.gpkg", tmp_path / "a.pmtiles", vector=True, layer="other")
    assert all(set(layers) == {"other"} for layers in decoded(tmp_path / "a.pmtiles").values())


def test_a_layer_without_vector_is_refused(tmp_path):
    write(tmp_path / "a.gpkg", [shapely.box(400_000, 3_800_000, 400_100, 3_800_100)])
    with pytest.raises(UsageError, match="add vector=True"):
        tiles(tmp_path / "a.gpkg", tmp_path / "a.pmtiles")


def test_any_number_of_threads_writes_the_same_tiles(tmp_path):
    write(tmp_path / "a.gpkg", parcels())
    sets = []
    for threads in (1, 3):
        tiles(tmp_path / "a.gpkg", tmp_path / f"{threads}.pmtiles", vector=True, threads=threads)
        with open_tiles(tmp_path / f"{threads}.pmtiles") as source:
            sets.append(list(source.tiles()))
    assert sets[0] == sets[1]
