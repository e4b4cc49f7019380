"""Vector tiles of class maps: the pyramid's own pixels as polygons, without gaps, at every zoom."""

import gzip
import itertools
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio.features
import shapely
from decoding import by_gdal, by_mapbox
from factory import make_raster
from mosaics import ids, tile_images
from tilegrounds import blobs

from mapgen.errors import UsageError
from mapgen.legend import NODATA, Class, Legend
from mapgen.tiling.class_features import ClassTiles
from mapgen.tiling.containers.container import open_tiles
from mapgen.tiling.mvt import EXTENT
from mapgen.tiling.tiles import tiles

LEGEND = Legend((Class(1, "building", "#c0504d"), Class(2, "land", "#e8d9b0"), Class(3, "road", "#6b6b73"),
                 Class(4, "other", "#808080", background=True)))  # fmt: skip
COLORS = {c.id: c.rgb for c in LEGEND if not c.background}
UTM = "EPSG:32611"
BUFFER = 64


def town(height: int = 300, width: int = 340, seed: int = 5, grain: int = 4) -> np.ndarray:
    return np.array([1, 2, 3, 4, NODATA], np.uint8)[blobs(np.random.default_rng(seed), height, width, 5, grain)]


def class_map(path: Path, mask: np.ndarray | None = None, **profile: object) -> Path:
    """A class map with names; `mask` or a town, at 1 m in UTM."""
    place = {"crs": UTM, "transform": rasterio.Affine(1, 0, 400_000, 0, -1, 3_800_000), "nodata": NODATA}
    tags = {"MAPGEN_LEGEND": json.dumps(LEGEND.to_json())}
    return make_raster(path, town() if mask is None else mask, **(place | {"tags": tags} | profile))


def decoded(path: Path, folder: Path, layer: str = "classes") -> dict[tuple[int, int, int], list[dict]]:
    """The features of each tile, geometries in units of the world at its zoom, y down; not cut at the tile."""
    with open_tiles(path) as source:
        found = {(z, x, y): gzip.decompress(data) for z, x, y, data in source.tiles()}
    files = []
    for i, data in enumerate(found.values()):
        files.append(folder / f"{path.stem}-{i}.pbf")
        files[-1].write_bytes(data)
    out = {}
    for (z, x, y), layers in zip(found, by_mapbox(*files), strict=True):
        assert list(layers) == [layer]
        assert layers[layer]["extent"] == EXTENT
        move = np.array([x, y]) * EXTENT
        out[z, x, y] = [
            f | {"shape": shapely.transform(shapely.geometry.shape(f["geometry"]), lambda xy, move=move: xy + move)}
            for f in layers[layer]["features"]
        ]
    return out


def ground(x: int, y: int, buffer: int = 0) -> shapely.Polygon:
    low, high = -buffer, EXTENT + buffer
    return shapely.box(x * EXTENT + low, y * EXTENT + low, x * EXTENT + high, y * EXTENT + high)


@pytest.mark.parametrize("size", [256, 512])
def test_without_simplification_each_zoom_is_the_raster_pyramid_pixel_for_pixel(tmp_path, size):
    scene = class_map(tmp_path / "scene.tif")
    tiles(scene, tmp_path / "raster.mbtiles", tile_size=size, zoom=(10, 16))
    tiles(scene, tmp_path / "vector.mbtiles", tile_size=size, zoom=(10, 16), vector=True, simplify=0)
    pictures = {k: ids(v, COLORS, NODATA) for k, v in tile_images(tmp_path / "raster.mbtiles").items()}
    pictures = {k: v for k, v in pictures.items() if (v != NODATA).any()}
    found = decoded(tmp_path / "vector.mbtiles", tmp_path)
    assert found.keys() == pictures.keys()
    assert {z for z, _, _ in found} == set(range(10, 17))
    step = EXTENT / size
    for (z, x, y), features in found.items():
        shapes = [(f["shape"], f["properties"]["class_id"]) for f in features]
        transform = rasterio.Affine(step, 0, x * EXTENT, 0, step, y * EXTENT)
        burnt = rasterio.features.rasterize(shapes, (size, size), NODATA, transform=transform, dtype="uint8")
        np.testing.assert_array_equal(burnt, pictures[z, x, y])


@pytest.mark.parametrize("simplify", [0, 1, 3])
def test_every_zoom_has_no_gap_no_overlap_and_no_invalid_polygon(tmp_path, simplify):
    """Without nodata or background, the tiles of a zoom fill the outline of the map, each its own square."""
    mask = np.array([1, 2, 3], np.uint8)[blobs(np.random.default_rng(8), 260, 280, 3, 3)]
    tiles(class_map(tmp_path / "a.tif", mask), tmp_path / "a.pmtiles", vector=True, zoom=(11, 16), simplify=simplify)
    found = decoded(tmp_path / "a.pmtiles", tmp_path)
    for zoom in range(11, 17):
        parts, outlines = [], []
        for (_, x, y), features in ((k, v) for k, v in found.items() if k[0] == zoom):
            shapes = np.array([f["shape"] for f in features])
            assert shapely.is_valid(shapes).all()
            cut = shapely.intersection(shapes, ground(x, y))
            parts += [g for g in cut if g.area > 0]
            outlines.append(shapely.union_all(shapes))
        whole = shapely.union_all(parts)
        assert shapely.area(parts).sum() == pytest.approx(whole.area, rel=1e-12)
        # One piece without a hole: a gap between two polygons or two tiles would be one.
        assert isinstance(whole, shapely.Polygon)
        assert not whole.interiors


def test_tiles_agree_where_their_buffers_overlap(tmp_path):
    tiles(class_map(tmp_path / "a.tif"), tmp_path / "a.pmtiles", vector=True, zoom=(14, 16), tile_size=256)
    found = decoded(tmp_path / "a.pmtiles", tmp_path)
    compared = 0
    for one, other in itertools.combinations(found, 2):
        if one[0] != other[0] or max(abs(one[1] - other[1]), abs(one[2] - other[2])) > 1:
            continue
        both = shapely.intersection(ground(*one[1:], BUFFER), ground(*other[1:], BUFFER))
        for kind in COLORS:
            parts = [
                shapely.union_all([f["shape"] for f in found[t] if f["properties"]["class_id"] == kind])
                for t in (one, other)
            ]
            cut = [shapely.intersection(p, both) for p in parts]
            assert shapely.symmetric_difference(*cut).area == 0
            compared += cut[0].area > 0
    assert compared > 10


def test_a_region_has_one_id_in_all_tiles_of_the_highest_zoom(tmp_path):
    scene = class_map(tmp_path / "a.tif", town(grain=9))
    tiles(scene, tmp_path / "a.pmtiles", vector=True, tile_size=256, zoom=(15, 17), simplify=0)
    found = decoded(tmp_path / "a.pmtiles", tmp_path)
    assert not any(f.get("id") for (z, _, _), features in found.items() if z < 17 for f in features)
    by_id: dict[int, list[dict]] = {}
    for key, features in found.items():
        if key[0] == 17:
            assert len({f["id"] for f in features}) == len(features)
            for f in features:
                by_id.setdefault(f["id"], []).append(f)
    wholes = {}
    for key, features in by_id.items():
        assert len({f["properties"]["class_id"] for f in features}) == 1
        wholes[key] = shapely.union_all([f["shape"] for f in features])
    # 4-connected regions: their inner parts hang together, and two of one class never share an edge.
    assert any(len(v) > 2 for v in by_id.values())
    for shape in wholes.values():
        assert isinstance(shapely.buffer(shape, -1, join_style="mitre"), shapely.Polygon)
    for kind in COLORS:
        same = [wholes[k] for k, v in by_id.items() if v[0]["properties"]["class_id"] == kind]
        for one, other in itertools.combinations(same, 2):
            assert shapely.intersection(one, other).length == 0
    parts = [f["geometry"]["type"] for v in by_id.values() for f in v]
    assert "MultiPolygon" in parts


def test_confidence_is_the_mean_of_the_whole_region(tmp_path):
    mask = np.full((700, 300), 2, np.uint8)
    mask[:, 150:] = 1
    scene = class_map(tmp_path / "a.tif", mask)
    share = np.full(mask.shape, 0.25)
    share[350:, :150], share[:, 150:] = 0.75, 1.0
    values = np.rint(share * 250).astype(np.uint8)
    conf = class_map(tmp_path / "c.tif", values, tags={}, scales=(0.004,))
    tiles(scene, tmp_path / "a.pmtiles", vector=True, confidence_raster=conf, tile_size=256)
    found = decoded(tmp_path / "a.pmtiles", tmp_path)
    top = max(z for z, _, _ in found)
    assert len([k for k in found if k[0] == top]) > 4
    for (z, _, _), features in found.items():
        for f in features:
            if z == top:
                wanted = 1.0 if f["properties"]["class_id"] == 1 else 0.5
                assert f["properties"]["confidence"] == pytest.approx(wanted, abs=0.01)
            else:
                assert "confidence" not in f["properties"]


def test_attributes_name_the_classes_and_background_is_left_out(tmp_path):
    result = tiles(class_map(tmp_path / "a.tif"), tmp_path / "a.pmtiles", vector=True)
    found = {
        (f["properties"]["class_id"], f["properties"]["class_name"])
        for features in decoded(tmp_path / "a.pmtiles", tmp_path).values() for f in features
    }  # fmt: skip
    assert found == {(1, "building"), (2, "land"), (3, "road")}
    assert "background, not drawn: other" in result.notes
    with open_tiles(tmp_path / "a.pmtiles") as source:
        assert [c.name for c in source.info.classes] == ["building", "land", "road"]
        (layer,) = source.info.vector_layers
    assert layer["id"] == "classes"
    assert layer["fields"] == {"class_id": "Number", "class_name": "String"}
    style = json.loads((tmp_path / "a.pmtiles.style.json").read_text())
    assert style["layers"][0]["source-layer"] == "classes"


def test_gdal_reads_the_tiles_where_they_belong(tmp_path):
    """GDAL's own MBTiles driver, with georeferencing: every class has the area of its pixels."""
    import pyogrio

    mask = town()
    tiles(class_map(tmp_path / "a.tif", mask), tmp_path / "a.mbtiles", vector=True, simplify=0)
    info = pyogrio.read_info(tmp_path / "a.mbtiles")
    assert info["crs"] == "EPSG:3857"
    _, _, wkb, (classes, *_) = pyogrio.raw.read(tmp_path / "a.mbtiles", columns=["class_id"])
    stretch = 1 / np.cos(np.radians(34.33)) ** 2  # of areas, at the latitude of the scene
    for kind in COLORS:
        area = shapely.area(shapely.from_wkb(wkb[classes == kind])).sum() / stretch
        assert area == pytest.approx((mask == kind).sum(), rel=0.01)


@pytest.mark.parametrize("suffix", ["pmtiles", "mbtiles"])
def test_any_number_of_threads_writes_the_same_bytes(tmp_path, suffix):
    scene = class_map(tmp_path / "a.tif")
    for threads in (1, 3):
        tiles(scene, tmp_path / f"{threads}.{suffix}", vector=True, threads=threads)
    one, three = ((tmp_path / f"{n}.{suffix}") for n in (1, 3))
    if suffix == "pmtiles":
        # All but the metadata, where the set has the name of its file.
        assert one.read_bytes()[-10_000:] == three.read_bytes()[-10_000:]
    with open_tiles(one) as first, open_tiles(three) as second:
        assert list(first.tiles()) == list(second.tiles())


def test_a_folder_holds_plain_tiles(tmp_path):
    tiles(class_map(tmp_path / "a.tif"), tmp_path / "a", vector=True)
    path = next((tmp_path / "a").glob("*/*/*.pbf"))
    columns, shapes = by_gdal(path)
    assert set(columns) >= {"class_id", "class_name"}
    assert shapely.is_valid(shapes).all()


def test_imagery_has_no_classes_to_draw(tmp_path):
    picture = make_raster(tmp_path / "p.tif", np.zeros((3, 20, 20), np.uint8) + 9)
    with pytest.raises(UsageError, match="has no classes to draw; run mapgen segment first"):
        tiles(picture, tmp_path / "p.pmtiles", vector=True)


def test_tiles_beyond_the_limit_are_made_smaller_and_it_is_said(tmp_path, monkeypatch):
    limit = 4000
    monkeypatch.setattr("mapgen.tiling.class_job.ClassTiles", partial(ClassTiles, limit=limit))
    mask = np.array([1, 2, 3], np.uint8)[blobs(np.random.default_rng(8), 260, 280, 3, 2)]
    result = tiles(class_map(tmp_path / "a.tif", mask), tmp_path / "a.pmtiles", vector=True, zoom=(16, 16))
    assert any("absorbed by their neighbours" in note for note in result.notes)
    with open_tiles(tmp_path / "a.pmtiles") as source:
        assert max(len(data) for *_, data in source.tiles()) <= limit
    parts = [
        shapely.intersection(f["shape"], ground(x, y))
        for (_, x, y), features in decoded(tmp_path / "a.pmtiles", tmp_path).items() for f in features
    ]  # fmt: skip
    whole = shapely.union_all(parts)
    assert shapely.area(parts).sum() == pytest.approx(whole.area, rel=1e-12)
    assert isinstance(whole, shapely.Polygon)
    assert not whole.interiors


# --- odd places and shapes --------------------------------------------------------------------------------------------


def test_a_map_across_the_antimeridian_is_whole_on_both_edges(tmp_path):
    mask = np.full((120, 200), 2, np.uint8)
    mask[40:80, 50:150] = 1
    place = {"crs": "EPSG:4326", "transform": rasterio.Affine(0.01, 0, 179, 0, -0.01, 10)}
    tiles(class_map(tmp_path / "a.tif", mask, **place), tmp_path / "a.pmtiles", vector=True, simplify=0, zoom=(0, 9))
    found = decoded(tmp_path / "a.pmtiles", tmp_path)
    for zoom in range(10):
        world = EXTENT << zoom
        areas = {1: 0.0, 2: 0.0}
        for (_, x, y), features in ((k, v) for k, v in found.items() if k[0] == zoom):
            for f in features:
                areas[f["properties"]["class_id"]] += shapely.intersection(f["shape"], ground(x, y)).area
        if zoom >= 6:
            wanted = 4000 * (0.01 / 360 * world) ** 2
            assert areas[1] == pytest.approx(wanted, rel=0.05)
        assert areas[1] + areas[2] > 0
    top = {f["id"]: None for (z, _, _), features in found.items() if z == 9 for f in features}
    assert len(top) == 2
    assert {x for z, x, _ in found if z == 9} == {0, 1, 510, 511}


def test_a_map_around_the_whole_earth_is_cut_at_the_last_latitude(tmp_path):
    mask = np.array([1, 2, 3], np.uint8)[blobs(np.random.default_rng(1), 180, 360, 3, 8)]
    place = {"crs": "EPSG:4326", "transform": rasterio.Affine(1, 0, -180, 0, -1, 90)}
    result = tiles(class_map(tmp_path / "a.tif", mask, **place), tmp_path / "a.pmtiles", vector=True)
    assert any("85.05°" in w for w in result.warnings)
    found = decoded(tmp_path / "a.pmtiles", tmp_path)
    for (z, x, y), features in found.items():
        cut = shapely.intersection([f["shape"] for f in features], ground(x, y))
        assert shapely.area(cut).sum() == EXTENT**2, (z, x, y)


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1)])
def test_maps_of_one_pixel_or_row_have_their_polygon(tmp_path, shape):
    tiles(class_map(tmp_path / "a.tif", np.full(shape, 3, np.uint8)), tmp_path / "a.pmtiles", vector=True)
    found = decoded(tmp_path / "a.pmtiles", tmp_path)
    assert {f["properties"]["class_name"] for features in found.values() for f in features} == {"road"}


@pytest.mark.parametrize("value", [NODATA, 4])
def test_a_map_without_anything_to_draw_is_an_empty_set_and_says_so(tmp_path, value):
    result = tiles(
        class_map(tmp_path / "a.tif", np.full((50, 60), value, np.uint8)), tmp_path / "a.pmtiles", vector=True
    )
    assert result.tiles == 0
    assert any("empty" in w for w in result.warnings)


def test_a_rotated_grid_is_warped(tmp_path):
    mask = np.full((200, 200), 1, np.uint8)
    turned = (
        rasterio.Affine.translation(400_000, 3_800_000) @ rasterio.Affine.rotation(30) @ rasterio.Affine.scale(1, -1)
    )
    tiles(class_map(tmp_path / "a.tif", mask, transform=turned), tmp_path / "a.pmtiles", vector=True, zoom=(16, 16))
    found = decoded(tmp_path / "a.pmtiles", tmp_path)
    shape = shapely.union_all([f["shape"] for features in found.values() for f in features])
    box = shapely.minimum_rotated_rectangle(shape)
    assert shape.area / box.area == pytest.approx(1, abs=0.05)
    assert shape.area / shapely.box(*shape.bounds).area < 0.6


# --- the command line -------------------------------------------------------------------------------------------------


def vector_set(mapgen, tmp_path: Path, *options: object) -> tuple[dict, int]:
    """What a set made by the command says about itself, and its size."""
    scene, out = class_map(tmp_path / "scene.tif"), tmp_path / "out.pmtiles"
    run = mapgen("tiles", scene, "-o", out, "--vector", "--overwrite", "--zoom", "15", *options)
    assert (run.code, run.out) == (0, f"{out}\n")
    with open_tiles(out) as source:
        return source.info.metadata()["vector_layers"][0], sum(len(data) for *_, data in source.tiles())


def test_vector_makes_polygons_of_classes(tmp_path, mapgen):
    scene, formats = class_map(tmp_path / "scene.tif"), []
    for options in ([], ["--vector"]):
        run = mapgen("tiles", scene, "-o", tmp_path / "out.pmtiles", "--overwrite", *options)
        assert run.code == 0
        with open_tiles(tmp_path / "out.pmtiles") as source:
            formats.append((source.info.format, bool(source.info.vector_layers)))
    assert formats == [("png", False), ("mvt", True)]


def test_simplify_is_a_tolerance_in_pixels(tmp_path, mapgen):
    sizes = [vector_set(mapgen, tmp_path, "--simplify", n)[1] for n in (0, 1, 4)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_layer_names_the_layer(tmp_path, mapgen):
    assert vector_set(mapgen, tmp_path, "--layer-name", "land cover")[0]["id"] == "land cover"


def test_confidence_adds_an_attribute(tmp_path, mapgen):
    conf = class_map(tmp_path / "c.tif", np.full(town().shape, 125, np.uint8), tags={}, scales=(0.004,))
    assert vector_set(mapgen, tmp_path, "--confidence-raster", conf)[0]["fields"]["confidence"] == "Number"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("--vector", "--tile-format", "png"),
            "--tile-format: vector tiles are not pictures; leave it out, or leave out --vector",
        ),
        (("--vector", "--quality", "50"), "--quality: vector tiles are not pictures"),
        (("--vector", "--simplify", "-1"), "--simplify: -1px is not a size of 0 to 64 in px; such as --simplify 8px"),
        (("--layer", "a"), "--layer: pictures have no attributes and no layers; add --vector"),
        (
            ("--confidence-raster", "c.tif"),
            "--confidence-raster: pictures have no attributes and no layers; add --vector",
        ),
    ],
)
def test_options_that_make_no_sense_together_are_refused(tmp_path, mapgen, options, words):
    scene = class_map(tmp_path / "scene.tif")
    run = mapgen("tiles", scene, *options)
    assert run.code == 2
    assert words in run.err
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"crs": None}, "has no CRS, so it has no place on the ground; name it with --assume-crs"),
        ({"crs": None, "transform": rasterio.Affine.identity()}, "has no georeferencing"),
    ],
)
def test_maps_without_a_place_are_refused(tmp_path, mapgen, profile, words):
    run = mapgen("tiles", class_map(tmp_path / "scene.tif", **profile), "--vector")
    assert run.code == 4
    assert words in run.err


def test_a_confidence_raster_is_never_overwritten(tmp_path, mapgen):
    scene = class_map(tmp_path / "scene.tif")
    conf = class_map(tmp_path / "conf.mbtiles", np.full(town().shape, 125, np.uint8), tags={})
    before = conf.read_bytes()
    run = mapgen("tiles", scene, "--vector", "--confidence-raster", conf, "-o", conf, "--overwrite")
    assert run.code == 5
    assert conf.read_bytes() == before
