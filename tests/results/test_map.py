"""`mapgen map`: all parts of a map in one pass, the same as the separate commands make."""

import base64
import gzip
import json
import re
import sqlite3

import numpy as np
import pyogrio
import pytest
import rasterio
from factory import ORIGIN, cells, coordinate_classes, coordinates, make_model, make_raster, noise, north_up, read_map
from PIL import Image
from pyproj import Geod, Transformer

from mapgen.layers.vectorize import vectorize
from mapgen.legend import NODATA, Class, Legend
from mapgen.raster.scene import RasterScene
from mapgen.tiling.containers.container import open_tiles

FILES = {
    "class_map": "town.mask.tif", "preview": "town.preview.webp", "layer": "town.gpkg", "layer_geojson": "town.geojson",
    "raster_tiles": "town.mask.pmtiles",
    "vector_tiles": "town.pmtiles", "page": "index.html",
    "stac_model": "town.model.stac.json",
    "stac_item": "town.stac.json",
}  # fmt: skip


@pytest.fixture
def scene(tmp_path):
    return make_raster(tmp_path / "town.tif", noise(150, 200))


@pytest.fixture
def run(mapgen, model, engines, tmp_path):
    """`run(scene…, options…)`: the map in tmp_path/out with the fake model; its report."""

    def call(*arguments, code=0, out="out"):
        result = mapgen("map", "--model", model, "-o", tmp_path / out, *arguments)
        assert result.code == code, result
        return result

    return call


def report(tmp_path, out="out"):
    return json.loads((tmp_path / out / "report.json").read_text(encoding="utf-8"))


def tiles(path):
    with open_tiles(path) as source:
        return {(z, x, y): data for z, x, y, data in source.tiles()}


def layer(path):
    """The rows of the first layer of a GeoPackage, without their ids."""
    with sqlite3.connect(path) as base:
        (table,) = base.execute("select table_name from gpkg_contents where data_type = 'features'").fetchone()
        return [row[1:] for row in base.execute(f'select * from "{table}" order by 1')]


def test_all_parts_are_what_the_separate_commands_make(tmp_path, scene, run, mapgen, model):
    result = run(scene)
    out, apart = tmp_path / "out", tmp_path / "apart"
    apart.mkdir()
    assert mapgen("segment", scene, "--model", model, "-o", apart / "town.mask.tif").code == 0
    mask = apart / "town.mask.tif"
    assert mapgen("vectorize", mask, "-o", apart / "town.gpkg", "--sieve", "8px", "--simplify", "1.5px").code == 0
    generalized = ("--sieve", "8px", "--simplify", "1.5px")
    assert mapgen("vectorize", mask, "-o", apart / "town.geojson", *generalized).code == 0
    assert mapgen("tiles", mask).code == 0
    assert mapgen("tiles", mask, "--vector", "-o", apart / "town.pmtiles").code == 0
    assert (out / "town.mask.tif").read_bytes() == mask.read_bytes()
    assert (out / "town.mask.qml").read_bytes() == (apart / "town.mask.qml").read_bytes()
    assert layer(out / "town.gpkg") == layer(apart / "town.gpkg")
    assert (out / "town.geojson").read_bytes() == (apart / "town.geojson").read_bytes()
    assert tiles(out / "town.mask.pmtiles") == tiles(apart / "town.mask.pmtiles")
    assert tiles(out / "town.pmtiles") == tiles(apart / "town.pmtiles")
    assert report(tmp_path)["files"] == FILES
    assert result.out.split() == [str(out / name) for name in (*FILES.values(), "report.json")]


def test_nothing_is_read_or_inferred_more_than_for_the_class_map_alone(
    tmp_path, scene, run, mapgen, model, engines, monkeypatch
):
    asked, fetch = [], RasterScene._fetch
    look = lambda one, window: asked.append((one.name, window)) or fetch(one, window)  # noqa: E731
    monkeypatch.setattr(RasterScene, "_fetch", look)
    assert mapgen("segment", scene, "--model", model).code == 0
    bare, windows = list(asked), list(engines.seen)
    asked.clear()
    run(scene)
    assert asked == bare
    assert engines.seen[len(windows) :] == windows
    assert len(windows) == report(tmp_path)["engine"]["windows"] > 1


def test_areas_are_counted_and_measured_on_the_ellipsoid(tmp_path, run, engines):
    rows, cols = 90, 130
    array = coordinates(rows, cols)
    scene = make_raster(tmp_path / "town.tif", array, nodata=0, transform=north_up(1.0, (240_000, 6_000_000)))
    engines.rule = cells
    run(scene)
    found = report(tmp_path)
    classes = coordinate_classes(rows, cols)
    x, y = 240_000 + np.array([0, cols, cols, 0]), 6_000_000 - np.array([0, 0, rows, rows])
    lon, lat = Transformer.from_crs("EPSG:32640", "EPSG:4326", always_xy=True).transform(x, y)
    total = abs(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0])
    mask = read_map(tmp_path / "out" / "town.mask.tif")
    assert found["nodata_pixels"] == (mask == NODATA).sum() == 0
    for entry in found["classes"]:
        assert entry["pixels"] == (classes == entry["id"]).sum()
        assert entry["area_m2"] == pytest.approx(entry["pixels"] / classes.size * total, rel=1e-6)
        assert entry["area_ha"] == pytest.approx(entry["area_m2"] / 10_000)
        assert entry["polygons"] >= 0
    assert sum(entry["area_m2"] for entry in found["classes"]) == pytest.approx(total, rel=1e-6)


def test_the_preview_shows_the_scene_where_it_is(tmp_path, scene, run):
    run(scene)
    found = report(tmp_path)
    image = Image.open(tmp_path / "out" / found["files"]["preview"])
    west, _south, _east, north = found["preview"]["bounds"]
    left, top = Transformer.from_crs("EPSG:4326", "EPSG:32640", always_xy=True).transform(west, north)
    assert abs(left - ORIGIN[0]) < 2
    assert abs(top - ORIGIN[1]) < 2
    with rasterio.open(scene) as dataset:
        pixels = dataset.read().mean(axis=0)
    shown = np.asarray(image.convert("L").resize(pixels.shape[::-1], Image.Resampling.BILINEAR), float)
    assert np.corrcoef(shown.ravel(), pixels.ravel())[0, 1] > 0.9


def test_two_halves_make_the_map_of_the_whole(tmp_path, scene, run):
    array = noise(150, 200)
    halves = [
        make_raster(tmp_path / "west.tif", array[:, :, :93]),
        make_raster(tmp_path / "east.tif", array[:, :, 93:], transform=north_up(1.0, (ORIGIN[0] + 93, ORIGIN[1]))),
    ]
    run(scene)
    run(*halves, "--name", "town", out="halves")
    one, two = tmp_path / "out", tmp_path / "halves"
    np.testing.assert_array_equal(read_map(one / "town.mask.tif"), read_map(two / "town.mask.tif"))
    assert layer(one / "town.gpkg") == layer(two / "town.gpkg")
    assert (one / "town.preview.webp").read_bytes() == (two / "town.preview.webp").read_bytes()
    assert report(tmp_path, "halves")["scenes"] == [{"name": str(h), "path": f"../{h.name}"} for h in halves]
    assert report(tmp_path)["classes"] == report(tmp_path, "halves")["classes"]


@pytest.mark.parametrize(
    ("flag", "gone"),
    [
        ("--no-layer", {"layer", "layer_geojson"}),
        ("--no-tiles", {"raster_tiles", "vector_tiles"}),
        ("--no-preview", {"preview"}),
        ("--no-stac", {"stac_item", "stac_model"}),
        ("--no-page", {"page"}),
    ],
)
def test_each_part_can_be_turned_off(tmp_path, scene, run, flag, gone):
    others = [f for f in ("--no-layer", "--no-tiles", "--no-preview", "--no-stac", "--no-page") if f != flag]
    run(scene, flag, *([] if flag != "--no-preview" else ["--no-tiles"]))
    files = report(tmp_path)["files"]
    assert not gone & set(files)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert not {FILES[role] for role in gone} & names
    run(scene, *others, out="alone")
    assert gone <= set(report(tmp_path, "alone")["files"])


def test_the_class_map_is_not_read_again_for_its_polygons(tmp_path, scene, run, monkeypatch):
    def strips(*_):
        raise AssertionError("the regions were found while the map was made")

    monkeypatch.setattr("mapgen.raster.masks.Mask.strips", strips)
    run(scene, "--no-tiles", "--no-page")
    assert layer(tmp_path / "out" / "town.gpkg")


def test_geojson_is_written_beside_a_geopackage_only_where_it_is_small(tmp_path, scene, run, monkeypatch):
    plain = ["--no-tiles", "--no-preview"]
    run(scene, *plain, "-f", "fgb", out="fgb")
    assert "layer_geojson" not in report(tmp_path, "fgb")["files"]
    run(scene, *plain)
    monkeypatch.setattr("mapgen.layers.vectorize.SMALL", 1000)
    result = run(scene, *plain, "--overwrite")
    assert "layer_geojson" not in report(tmp_path)["files"]
    assert "town.geojson is left out" in result.err
    assert any("town.geojson (layer geojson) is of an earlier run" in line for line in result.warnings)
    run(scene, *plain, "-f", "geojson", out="asked")
    assert report(tmp_path, "asked")["files"]["layer"] == "town.geojson"


def test_the_guess_of_the_size_of_geojson_is_near(tmp_path, scene, run):
    from mapgen.layers import vectorize

    found, guess = [], vectorize._geojson_bytes
    vectorize._geojson_bytes = lambda *a: found.append(guess(*a)) or found[-1]
    try:
        run(scene, "--no-tiles")
    finally:
        vectorize._geojson_bytes = guess
    assert found[0] == pytest.approx((tmp_path / "out" / "town.geojson").stat().st_size, rel=0.2)


def page(path):
    """What the page at `path` is told, and the whole of it."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.findall(r'id="data">(.*?)</script>', text, re.S)[0]), text


def test_the_page_shows_the_parts_that_lie_beside_it(tmp_path, scene, run):
    run(scene)
    out = tmp_path / "out"
    data, text = page(out / "index.html")
    (side,) = data["sides"]
    found = report(tmp_path)
    assert side["bounds"] == pytest.approx(found["grid"]["bounds"])
    assert [c["name"] for c in side["classes"]] == [c["name"] for c in found["classes"] if c["pixels"]]
    assert all(c["area"] for c in side["classes"])
    assert base64.b64encode((out / FILES["raster_tiles"]).read_bytes()).decode() in text
    # The polygons are those of the layer, with all that it knows of them.
    polygons = base64.b64decode(re.findall(f'id="{side["vector"]["geojson"]}">([^<]*)<', text)[0])
    features = json.loads(gzip.decompress(polygons))["features"]
    assert len(features) == sum(c["polygons"] for c in found["classes"])
    assert all({"class_id", "class_name", "area_m2"} <= f["properties"].keys() for f in features)
    assert base64.b64encode((out / FILES["preview"]).read_bytes()).decode() in text
    assert side["imagery"]["bounds"] == pytest.approx(found["preview"]["bounds"])


def test_a_page_that_would_be_large_lacks_polygons_then_is_left_out(tmp_path, scene, run, monkeypatch):
    run(scene)
    size = {role: (tmp_path / "out" / name).stat().st_size for role, name in FILES.items()}
    monkeypatch.setattr("mapgen.results.map_page.LIMIT", size["raster_tiles"] + size["preview"])
    assert "index.html has no polygons" in run(scene, "--overwrite").err
    assert page(tmp_path / "out" / "index.html")[0]["sides"][0]["vector"] is None
    monkeypatch.setattr("mapgen.results.map_page.LIMIT", 10)
    assert "index.html is left out" in run(scene, out="none").err
    assert not (tmp_path / "none" / "index.html").exists()
    assert "page" not in report(tmp_path, "none")["files"]


def test_a_map_without_a_place_has_no_page(tmp_path, run):
    scene = make_raster(tmp_path / "town.tif", noise(150, 200), crs=None)
    result = run(scene, "--no-tiles", "--no-layer")
    assert "index.html is left out: the map has no place on Earth" in result.err


def test_name_is_that_of_the_results(tmp_path, scene, run):
    run(scene, "--name", "Örtchen", "--no-tiles")
    assert report(tmp_path)["files"]["layer"] == "Örtchen.gpkg"
    assert (tmp_path / "out" / "Örtchen.mask.tif").is_file()
    run(scene, "--name", "a/b", code=2, out="two")


def test_model_chooses_the_model(tmp_path, scene, run, mapgen):
    run(scene, "--no-tiles", "--no-layer")
    legend = Legend((Class(7, "low", "#101010"), Class(8, "mid", "#808080"), Class(9, "high", "#f0f0f0")))
    other = make_model(tmp_path / "other.safetensors", name="other", legend=legend)
    assert mapgen("map", scene, "--model", other, "-o", tmp_path / "two", "--no-tiles").code == 0
    found = report(tmp_path, "two")
    assert found["model"]["name"] == "other"
    assert [c["id"] for c in found["classes"]] == [7, 8, 9]
    np.testing.assert_array_equal(
        read_map(tmp_path / "two" / "town.mask.tif"), 7 + read_map(tmp_path / "out" / "town.mask.tif")
    )


def test_several_scenes_are_named_after_the_folder(tmp_path, scene, run):
    other = make_raster(tmp_path / "other.tif", noise(9, 9))
    run(scene, other, "--no-tiles", "--no-layer", out="valley")
    assert report(tmp_path, "valley")["files"]["class_map"] == "valley.mask.tif"


def test_format_sieve_and_simplify_shape_the_layer(tmp_path, scene, run):
    run(scene, "--format", "geojson", "--sieve", "0", "--simplify", "0", "--no-tiles")
    run(scene, "-f", "geojson", "--sieve", "200px", "--simplify", "0", "--no-tiles", out="tidy")
    run(scene, "-f", "geojson", "--sieve", "0", "--simplify", "4px", "--no-tiles", out="simple")
    exact, tidy, simple = (
        json.loads((tmp_path / out / "town.geojson").read_text()) for out in ("out", "tidy", "simple")
    )
    assert len(tidy["features"]) < len(exact["features"])
    count = lambda it: sum(len(ring) for f in it["features"] for ring in f["geometry"]["coordinates"])  # noqa: E731
    assert count(simple) < count(exact)
    assert report(tmp_path, "tidy")["generalization"] == {"sieve": "200px", "simplify": "0px"}


def test_confidence_lies_beside_the_map_and_with_its_polygons(tmp_path, scene, run):
    run(scene, "--confidence", "-f", "geojson")
    assert report(tmp_path)["files"]["confidence"] == "town.confidence.tif"
    feature = json.loads((tmp_path / "out" / "town.geojson").read_text())["features"][0]
    assert feature["properties"]["confidence"] == pytest.approx(0.9, abs=0.01)


def test_zoom_says_which_tiles(tmp_path, scene, run):
    run(scene, "--zoom", "14-15")
    assert {z for z, _, _ in tiles(tmp_path / "out" / "town.mask.pmtiles")} == {14, 15}


def test_segment_options_reach_the_network(tmp_path, run, engines):
    four = noise(150, 200, bands=4).astype(np.uint16) * 10
    four[:, :, :50] = 0
    scene = make_raster(tmp_path / "town.tif", four)
    plain = ["--no-tiles", "--no-layer", "--no-stac"]
    box = f"{ORIGIN[0] + 40},{ORIGIN[1] - 100},{ORIGIN[0] + 160},{ORIGIN[1] - 20}"
    run(
        scene, "-b", "4,3,2", "--nodata", "0", "--scale", "0,2550", "--resolution", "native", "--engine", "torch",
        "--device", "cuda", "--precision", "fp16", "--threads", "3", "--max-memory", "900MB", "--bbox", box, *plain,
    )  # fmt: skip
    setup, engine = engines.opened[-1].setup, engines.opened[-1]
    assert (engine.name, engine.device, setup.precision, setup.threads) == ("torch", "cuda", "fp16", 3)
    assert (setup.normalization.low, setup.normalization.high) == (0, 2550)
    mask = read_map(tmp_path / "out" / "town.mask.tif")
    assert mask.shape == (80, 120)
    assert (mask[:, :10] == NODATA).all()
    assert (mask[:, 10:] != NODATA).all()
    with rasterio.open(tmp_path / "out" / "town.mask.tif") as dataset:
        parameters = json.loads(dataset.tags()["MAPGEN_PARAMETERS"])
    assert (parameters["bands"], parameters["resolution"]) == ([4, 3, 2], "native")
    assert report(tmp_path)["nodata_pixels"] == (mask == NODATA).sum()
    run(scene, "-b", "4,3,2", "--max-memory", "1MB", *plain, code=8, out="two")
    assert not (tmp_path / "two").exists()


def test_windows_are_those_of_segment(tmp_path, scene, run, engines):
    plain = ["--no-tiles", "--no-layer", "--no-stac", "--no-preview"]
    run(scene, "--window", "64", "--halo", "16", "--stitch", "blend", "--batch", "3", "--tta", "flip", *plain)
    shapes = engines.opened[-1].seen
    assert max(shape[-1] for shape in shapes) == 64
    assert max(shape[0] for shape in shapes) == 3
    with rasterio.open(tmp_path / "out" / "town.mask.tif") as dataset:
        parameters = json.loads(dataset.tags()["MAPGEN_PARAMETERS"])
    assert [parameters[k] for k in ("window", "halo", "stitch", "tta")] == [[64, 64], 16, "blend", "flip"]


def test_options_of_the_run_are_known_to_map(scene, run, monkeypatch):
    import mapgen.results.map as module

    seen, make = [], module.Segmenter
    monkeypatch.setattr("mapgen.files.remote.set_net_timeout", seen.append)
    monkeypatch.setattr(module, "Segmenter", lambda options, *more: seen.append(options.resume) or make(options, *more))
    log = scene.with_suffix(".log")
    run(scene, "--no-resume", "--net-timeout", "5", "--no-tiles", "--no-layer", "--log-file", log)
    assert [one for one in seen if one is not None] == [5.0, False]
    assert all(json.loads(line)["level"] for line in log.read_text().splitlines())


def test_probabilities_lie_beside_the_map(tmp_path, scene, run):
    run(scene, "--probabilities", "--co", "LEVEL=1", "--no-tiles", "--no-layer")
    assert report(tmp_path)["files"]["probabilities"] == "town.probabilities.tif"
    with rasterio.open(tmp_path / "out" / "town.probabilities.tif") as dataset:
        assert dataset.count == 3


def test_dry_run_says_what_it_would_take_and_makes_nothing(tmp_path, scene, run):
    result = run(scene, "--dry-run", "--window", "64", "--halo", "16")
    assert "windows of 64 × 64" in result.out
    assert not (tmp_path / "out").exists()


def test_the_layer_takes_what_vectorize_takes(tmp_path, scene, run):
    shape = ["--sieve", "0", "--simplify", "2px", "--method", "vw", "--smooth", "1", "--decimals", "9", "--dissolve"]
    areas = ["--min-area", "4px", "--max-area", "90000px", "--min-hole", "3px", "--classes", "0,1", "--background", "0"]
    run(scene, "-f", "geojson", "--no-tiles", *shape, *areas)
    apart = tmp_path / "apart.geojson"
    vectorize(
        tmp_path / "out" / "town.mask.tif", apart, sieve=0, simplify="2px", method="vw", smooth=1, decimals=9,
        dissolve=True, min_area="4px", max_area="90000px", min_hole="3px", classes="0,1", background="0",
    )  # fmt: skip
    made, same = (json.loads(path.read_text())["features"] for path in (tmp_path / "out" / "town.geojson", apart))
    assert made == same != []
    run(scene, "--no-tiles", "--crs", "EPSG:3857", out="web")
    assert pyogrio.read_info(tmp_path / "web" / "town.gpkg")["crs"] == "EPSG:3857"


def test_aoi_cuts_the_map(tmp_path, scene, run):
    area = tmp_path / "area.geojson"
    x, y = ORIGIN
    ring = [(x + 20, y - 20), (x + 120, y - 20), (x + 20, y - 120), (x + 20, y - 20)]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32640"}}
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    area.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    run(scene, "--aoi", area, "--no-tiles")
    mask = read_map(tmp_path / "out" / "town.mask.tif")
    assert mask.shape == (100, 100)
    assert 4800 < (mask != NODATA).sum() < 5200
    assert sum(c["pixels"] for c in report(tmp_path)["classes"]) == (mask != NODATA).sum()


def test_json_is_the_report_and_a_summary(tmp_path, scene, run):
    lines = [json.loads(line) for line in run(scene, "--json", "--no-tiles").out.splitlines()]
    assert lines[0]["files"] == report(tmp_path)["files"]
    assert (lines[0]["exit_code"], lines[0]["output"]) == (0, str(tmp_path / "out"))
    assert lines[1] == {"summary": {"done": 1, "failed": 0, "exit_code": 0}}


def test_quiet_says_nothing_but_the_results(scene, run):
    assert run(scene, "-q", "--no-tiles").err == ""
    loud = run(scene, "--no-tiles", out="loud").err
    assert "the layer is sieved by 8px, simplified by 1.5px; class map, tiles" in loud
    assert " ha " in loud


def test_verbose_twice_shows_the_traceback(mapgen, model, engines, tmp_path, capfd):
    from mapgen.cli.main import run

    capfd.readouterr()
    assert run(["map", "--model", str(model), str(tmp_path / "none.tif"), "-o", str(tmp_path / "out"), "-vv"]) == 4
    assert "Traceback" in capfd.readouterr().err


def test_overwrite_replaces_an_older_map_and_tells_what_is_left_of_it(tmp_path, scene, run):
    run(scene)
    before = (tmp_path / "out" / "town.mask.tif").read_bytes()
    run(scene, code=5)
    make_raster(scene, noise(150, 200, seed=9))
    result = run(scene, "--overwrite", "--no-layer")
    assert (tmp_path / "out" / "town.mask.tif").read_bytes() != before
    assert "layer" not in report(tmp_path)["files"]
    assert any("town.gpkg (layer) is of an earlier run" in line for line in result.warnings)


def test_from_stdin(tmp_path, scene, run, monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{scene}\n"))
    run("-", "--no-tiles")
    assert report(tmp_path)["scenes"] == [{"name": str(scene), "path": "../town.tif"}]
