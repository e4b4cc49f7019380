"""Every option of `mapgen segment` changes what comes out, and nothing else does."""

import json

import geopandas
import numpy as np
import pytest
import rasterio
from factory import (
    NODATA,
    ORIGIN,
    cells,
    coordinate_classes,
    coordinates,
    make_model,
    make_raster,
    noise,
    read_map,
)
from shapely.geometry import Polygon, box

from mapgen.errors import UsageError
from mapgen.model.engine import Setup
from mapgen.model.normalization import Normalization

SIZE = (150, 130)


@pytest.fixture
def scene(tmp_path, engines):
    """A coordinate scene of 150 × 130 pixels of 1 m, for a rule that reads its coordinates."""
    engines.rule = cells
    return make_raster(tmp_path / "scene.tif", coordinates(*SIZE))


@pytest.fixture
def picture(tmp_path):
    """A scene of random brightness, for the rule that reads it."""
    return make_raster(tmp_path / "scene.tif", noise(*SIZE))


@pytest.fixture
def mapped(tmp_path, segment):
    """`mapped(path, …)`: the class map that segment makes with these options, in several windows of 64 pixels."""

    def make(path, *options):
        window = () if "--window" in options or "--max-memory" in options else ("--window", 64)
        run = segment(path, "-o", tmp_path / "map.tif", "--overwrite", *window, *options)
        assert run.code == 0, run.err
        return read_map(tmp_path / "map.tif")

    return make


def parameters(path):
    """What the tags of a class map say of the options."""
    with rasterio.open(path) as dataset:
        return json.loads(dataset.tags()["MAPGEN_PARAMETERS"])


def test_output_names_the_map(tmp_path, scene, segment):
    assert segment(scene).out == f"{tmp_path / 'scene.mask.tif'}\n"
    assert segment(scene, "-o", tmp_path / "other.tif").out == f"{tmp_path / 'other.tif'}\n"
    assert segment(scene, "--output", f"{tmp_path}/new/").out == f"{tmp_path / 'new' / 'scene.mask.tif'}\n"
    assert (tmp_path / "other.tif").read_bytes() == (tmp_path / "scene.mask.tif").read_bytes()


def test_model_chooses_the_model(tmp_path, scene, mapgen, model):
    other = make_model(tmp_path / "other.safetensors", name="another")
    for path, name in ((model, "fake"), (other, "another")):
        assert mapgen("segment", scene, "--model", path, "--overwrite").code == 0
        with rasterio.open(tmp_path / "scene.mask.tif") as dataset:
            assert dataset.tags()["MAPGEN_MODEL"] == name


def test_bands_choose_and_order_the_bands(scene, mapped):
    plain, swapped = mapped(scene), mapped(scene, "-b", "2,1,3")
    np.testing.assert_array_equal(plain, coordinate_classes(*SIZE))
    rows_and_columns_swapped = coordinate_classes(SIZE[1], SIZE[0]).T
    np.testing.assert_array_equal(swapped, rows_and_columns_swapped)
    assert (swapped != plain).any()


def test_nodata_names_the_value_without_data(tmp_path, mapped):
    pixels = np.repeat(noise(*SIZE, 1), 3, axis=0)  # grey, so that all bands hold the value where one does
    path = make_raster(tmp_path / "scene.tif", pixels)
    value = int(pixels[0, 40, 40])
    assert (mapped(path) != NODATA).all()
    np.testing.assert_array_equal(mapped(path, "--nodata", value) == NODATA, pixels[0] == value)


def test_nodata_takes_the_place_of_the_files_own(tmp_path, engines, mapped):
    engines.rule = cells
    path = make_raster(tmp_path / "scene.tif", coordinates(*SIZE), nodata=888)
    with rasterio.open(path, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, 3, 4], pixels[:, 5, 6] = 888, 777
        dataset.write(pixels)
    first, second = mapped(path) == NODATA, mapped(path, "--nodata", "777") == NODATA
    assert (first[3, 4], first[5, 6], first.sum()) == (True, False, 1)
    assert (second[3, 4], second[5, 6], second.sum()) == (False, True, 1)


@pytest.mark.parametrize(("scale", "dtype", "factor"), [("0,1", "float32", 1 / 255), ("0,510", "uint16", 2)])
def test_scale_brings_a_range_to_the_models(tmp_path, picture, mapped, scale, dtype, factor):
    expected = mapped(picture)
    other = make_raster(tmp_path / "scaled.tif", (noise(*SIZE).astype(float) * factor).astype(dtype))
    assert (mapped(other, "--scale", scale) == expected).mean() > 0.999
    assert (mapped(other) == expected).mean() < 0.9


def test_scale_by_type_brings_the_types_range_to_the_models(tmp_path, picture, mapped):
    expected = mapped(picture)
    other = make_raster(tmp_path / "scaled.tif", noise(*SIZE).astype("uint16") * 257)
    np.testing.assert_array_equal(mapped(other, "--scale", "dtype"), expected)


def test_scale_by_percentiles_is_one_stretch_for_the_whole_scene(tmp_path, engines, mapped):
    """A scene whose left half is dark and right half bright keeps the difference, wherever the windows lie."""
    pixels = np.concatenate([np.full((3, 150, 65), 1000), np.full((3, 150, 65), 3000)], axis=2).astype("uint16")
    path = make_raster(tmp_path / "scene.tif", pixels)
    for options in ((), ("--window", "32")):
        result = mapped(path, "--scale", "p2,p98", *options)
        assert (result[:, :64] == 0).all()
        assert (result[:, 66:] == 2).all()
    assert len({engine.setup.normalization for engine in engines.opened}) == 1


@pytest.mark.parametrize(("resolution", "seen"), [("model", 150), ("native", 150), ("2", 75), ("0.5m", 300)])
def test_resolution_is_what_the_network_sees(scene, engines, segment, resolution, seen):
    assert segment(scene, "--resolution", resolution, "--window", "512").code == 0
    assert engines.seen[0][2] == -(-seen // 8) * 8


def test_resolution_native_differs_from_the_models(tmp_path, engines, segment):
    path = make_raster(tmp_path / "scene.tif", noise(*SIZE), crs="EPSG:2263")  # feet
    for resolution, seen in (("model", 48), ("native", 152)):
        assert segment(path, "--resolution", resolution, "--window", "512", "--overwrite").code == 0
        assert engines.seen[-1][2] == seen


def test_window_is_the_size_that_the_network_sees(scene, engines, mapped):
    plain = mapped(scene, "--window", "64")
    assert max(shape[2:] for shape in engines.seen) == (64, 64)
    engines.opened.clear()
    np.testing.assert_array_equal(mapped(scene, "--window", "96"), plain)
    assert max(shape[2:] for shape in engines.seen) == (96, 96)


def test_halo_is_context_that_is_not_kept(scene, engines, mapped):
    plain, few = mapped(scene), len(engines.seen)
    engines.opened.clear()
    np.testing.assert_array_equal(mapped(scene, "--halo", "24"), plain)
    assert len(engines.seen) > few


def test_halo_hides_what_a_window_cannot_see(tmp_path, engines, mapped):
    """A network that errs within 4 pixels of its window's border shows only where there is no halo."""

    def nearsighted(pixels):
        channels = np.zeros(pixels[:, 0].shape, int)
        channels[:, :4], channels[:, -4:], channels[..., :4], channels[..., -4:] = 2, 2, 2, 2
        return channels

    engines.rule = nearsighted
    path = make_raster(tmp_path / "scene.tif", noise(*SIZE))
    inner = (slice(8, -8), slice(8, -8))
    assert (mapped(path)[inner] == 0).all()
    assert (mapped(path, "--halo", "0")[inner] == 2).any()


def test_stitch_blend_averages_where_windows_disagree(tmp_path, scene, engines, mapped):
    """The first window calls all dark, the others all bright: its corner is square if cropped and round if blended."""

    def first(pixels):
        dark = (pixels[:, :2, 0, 0] == 0).all(axis=1)
        return np.where(dark, 0, 2)[:, None, None] * np.ones(pixels[:, 0].shape, int)

    engines.rule = first
    crop, blend = mapped(scene), mapped(scene, "--stitch", "blend")
    assert parameters(tmp_path / "map.tif")["stitch"] == "blend"
    np.testing.assert_array_equal(np.argwhere(crop == 0).max(axis=0), (55, 55))
    assert crop[55, 55] == 0
    assert blend[55, 55] == 2
    assert (crop != blend).sum() < 100


def test_stitch_changes_nothing_where_windows_agree(scene, mapped):
    np.testing.assert_array_equal(mapped(scene, "--stitch", "blend"), mapped(scene, "--stitch", "crop"))


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batch_is_how_many_windows_run_together(scene, engines, mapped, batch):
    np.testing.assert_array_equal(mapped(scene, "--batch", batch), coordinate_classes(*SIZE))
    assert max(shape[0] for shape in engines.seen) == min(batch, 2)  # two full windows lie side by side
    assert sum(shape[0] for shape in engines.seen) == 9


def test_engine_is_the_one_that_was_asked_for(tmp_path, scene, segment):
    for name in ("torch", "openvino"):
        assert segment(scene, "--engine", name, "--overwrite").code == 0
        assert parameters(tmp_path / "scene.mask.tif")["engine"] == name


def test_precision_is_the_one_that_was_asked_for(tmp_path, scene, segment):
    for name in ("fp32", "bf16"):
        run = segment(scene, "--precision", name, "--overwrite", "--json")
        assert json.loads(run.out.splitlines()[0])["precision"] == name
        assert parameters(tmp_path / "scene.mask.tif")["precision"] == name


def test_int8_needs_a_model_that_brings_it(tmp_path, scene, refuses):
    refuses(6, ("fake.safetensors", "no int8 graph", "mapgen compress"), scene, "--precision", "int8")


def test_threads_reach_the_engine(scene, engines, mapped):
    plain = mapped(scene)
    np.testing.assert_array_equal(mapped(scene, "--threads", 3), plain)
    assert [engine.setup.threads for engine in engines.opened] == [None, 3]


def test_max_memory_decides_the_window(tmp_path, engines, mapped):
    engines.rule = cells
    scene = make_raster(tmp_path / "scene.tif", coordinates(300, 280))
    maps, windows = [], []
    for limit in ("1GB", "180MB"):
        maps.append(mapped(scene, "--max-memory", limit))
        windows.append(parameters(tmp_path / "map.tif")["window"])
    np.testing.assert_array_equal(*maps)
    assert max(windows[1]) < max(windows[0])


def test_a_memory_limit_that_nothing_fits_is_refused(scene, refuses):
    words = ("scene.tif", "needs about", "--max-memory is 20 MB", "give a larger --max-memory")
    refuses(8, words, scene, "--max-memory", "20MB")
    refuses(2, ("--max-memory", "'much' is not an amount", "800MB"), scene, "--max-memory", "much")
    refuses(2, ("--max-memory", "'800' is not an amount"), scene, "--max-memory", "800")


def sloped(pixels):
    """A rule that sees where it is in its window: left of the middle one class, right of it another."""
    cols = np.arange(pixels.shape[-1]) * 2 >= pixels.shape[-1]
    return np.broadcast_to(np.where(cols, 2, 0), pixels[:, 0].shape)


def test_tta_averages_over_mirrored_and_turned_windows(tmp_path, engines, mapped, segment):
    engines.rule = sloped
    scene = make_raster(tmp_path / "scene.tif", noise(64, 64))
    seen = {}
    for name in ("none", "flip", "d4"):
        engines.opened.clear()
        seen[name] = mapped(scene, "--tta", name), len(engines.seen), parameters(tmp_path / "map.tif")["tta"]
    assert [(count, said) for _, count, said in seen.values()] == [(1, "none"), (2, "flip"), (8, "d4")]
    assert set(np.unique(seen["none"][0])) == {0, 2}
    # A window and its mirror image contradict each other everywhere: the mean is a draw, which the lower class wins.
    assert set(np.unique(seen["flip"][0])) == {0}


@pytest.mark.parametrize("turn", [np.fliplr, np.flipud, np.transpose, np.rot90])
def test_under_d4_the_map_of_a_turned_scene_is_the_turned_map(tmp_path, engines, mapped, turn):
    engines.rule = sloped
    picture = noise(128, 128)
    turned = np.stack([turn(band) for band in picture])
    plain = mapped(make_raster(tmp_path / "a.tif", picture), "--tta", "d4", "--halo", 0)
    np.testing.assert_array_equal(
        mapped(make_raster(tmp_path / "b.tif", turned), "--tta", "d4", "--halo", 0), turn(plain)
    )


@pytest.mark.parametrize("stitch", ["crop", "blend"])
@pytest.mark.parametrize("options", [(), ("--resolution", "2")])
def test_probabilities_and_confidence_lie_beside_the_map(tmp_path, scene, segment, stitch, options):
    run = segment(scene, "--probabilities", "--confidence", "--window", 64, "--stitch", stitch, "--json", *options)
    assert run.code == 0
    record = json.loads(run.out.splitlines()[0])
    assert record["scores"] == [str(tmp_path / f"scene.{kind}.tif") for kind in ("confidence", "probabilities")]
    classes = read_map(tmp_path / "scene.mask.tif")
    with rasterio.open(tmp_path / "scene.probabilities.tif") as dataset:
        shares, names = dataset.read().astype(int), dataset.descriptions
        assert (set(dataset.scales), dataset.nodata) == ({0.004}, NODATA)
    confidence = read_map(tmp_path / "scene.confidence.tif").astype(int)
    assert names == ("dark", "middle", "bright")
    np.testing.assert_array_equal(confidence, shares.max(axis=0))
    np.testing.assert_allclose(shares.sum(axis=0), 250, atol=2)
    chosen = np.take_along_axis(shares, classes[None].astype(int), axis=0)[0]
    np.testing.assert_array_equal(chosen, confidence)
    plain = segment(scene, "-o", tmp_path / "plain.tif", "--window", 64, "--stitch", stitch, *options)
    assert plain.code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "plain.tif"), classes)


def test_scores_are_nodata_where_the_map_is_and_stdout_names_the_map_alone(tmp_path, engines, segment):
    engines.rule = cells
    pixels = coordinates(100, 90)
    pixels[:, 20:50, 30:60] = 0
    path = make_raster(tmp_path / "scene.tif", pixels, nodata=0)
    run = segment(path, "--confidence")
    assert run.out == f"{tmp_path / 'scene.mask.tif'}\n"
    assert "scene.confidence.tif" in run.err
    classes, confidence = read_map(tmp_path / "scene.mask.tif"), read_map(tmp_path / "scene.confidence.tif")
    np.testing.assert_array_equal(confidence == NODATA, classes == NODATA)
    assert (classes == NODATA).any()


def test_scores_that_exist_are_replaced_only_when_asked(tmp_path, scene, segment, refuses):
    (tmp_path / "scene.confidence.tif").write_text("old")
    refuses(5, ("scene.confidence.tif", "exists", "--overwrite"), scene, "--confidence")
    assert segment(scene, "--confidence", "--overwrite").code == 0
    assert read_map(tmp_path / "scene.confidence.tif").shape == SIZE


def test_vectorize_takes_the_confidence_that_segment_writes(tmp_path, scene, segment, mapgen):
    assert segment(scene, "--confidence").code == 0
    layer = tmp_path / "layer.geojson"
    arguments = ("--confidence", tmp_path / "scene.confidence.tif", "-o", layer)
    assert mapgen("vectorize", tmp_path / "scene.mask.tif", *arguments).code == 0
    assert geopandas.read_file(layer).confidence.between(0.89, 0.91).all()


def test_device_is_the_one_that_was_asked_for(tmp_path, scene, segment):
    for name in ("cpu", "cuda"):
        assert segment(scene, "--device", name, "--overwrite").code == 0
        assert parameters(tmp_path / "scene.mask.tif")["device"] == name


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_the_engine_does_not_have_is_refused(device):
    from mapgen.model.select import open_engine

    with pytest.raises(UsageError, match=f"OpenVINO runs on the CPU here, not on {device}; use engine='torch'"):
        open_engine(None, None, "openvino", device)


def test_an_engine_that_is_not_installed_is_refused(monkeypatch):
    from mapgen.model import select

    monkeypatch.setattr(select, "find_spec", lambda name: None)
    setup = Setup(Normalization((0,), (1,)), np.dtype(np.uint8))
    with pytest.raises(UsageError, match="OpenVINO is not installed; pip install openvino, or use engine='torch'"):
        select.open_engine(None, setup, "openvino", "auto")


TRIANGLE = Polygon([(ORIGIN[0] + x, ORIGIN[1] - y) for x, y in ((20, 30), (100, 40), (60, 120))])


@pytest.mark.parametrize(
    ("suffix", "crs"),
    [("gpkg", "EPSG:32640"), ("gpkg", "EPSG:4326"), ("gpkg", "EPSG:3857"), ("geojson", "EPSG:4326")],
)
def test_aoi_cuts_the_map_to_its_polygons(tmp_path, scene, mapped, crs, suffix):
    frame = geopandas.GeoDataFrame(geometry=[TRIANGLE], crs="EPSG:32640").to_crs(crs)
    frame.to_file(tmp_path / f"aoi.{suffix}")
    result = mapped(scene, "--aoi", tmp_path / f"aoi.{suffix}")
    rows, cols = np.mgrid[30:120, 20:100] + 0.5
    inside = TRIANGLE.buffer(1e-6).contains(
        geopandas.points_from_xy((ORIGIN[0] + cols).ravel(), (ORIGIN[1] - rows).ravel())
    )
    expected = np.where(inside.reshape(90, 80), coordinate_classes(*SIZE)[30:120, 20:100], NODATA)
    with rasterio.open(tmp_path / "map.tif") as dataset:
        top, left = round(ORIGIN[1] - dataset.transform.f), round(dataset.transform.c - ORIGIN[0])
    whole = np.full(SIZE, NODATA, "uint8")
    whole[top : top + result.shape[0], left : left + result.shape[1]] = result
    assert (whole[30:120, 20:100] != expected).mean() < 0.002  # centres on the very border, after reprojection
    whole[30:120, 20:100] = NODATA
    assert (whole == NODATA).all()


@pytest.mark.parametrize("crs", ["EPSG:32640", "EPSG:3857"])
def test_an_area_far_larger_than_the_scene_is_all_of_it(tmp_path, engines, mapped, crs):
    """A map of the world, most of which has no place in the scene's projection."""
    engines.rule = cells
    path = make_raster(tmp_path / "scene.tif", coordinates(*SIZE), crs=crs)
    geopandas.GeoDataFrame(geometry=[box(-180, -90, 180, 90)], crs="EPSG:4326").to_file(tmp_path / "world.geojson")
    result = mapped(path, "--resolution", "native", "--aoi", tmp_path / "world.geojson")
    np.testing.assert_array_equal(result, coordinate_classes(*SIZE))


@pytest.mark.parametrize(("value", "dtype"), [("300", "uint8"), ("-1", "uint16"), ("1.5", "uint8"), ("nan", "uint8")])
def test_a_nodata_value_that_no_pixel_can_have_is_warned_of(tmp_path, segment, value, dtype):
    path = make_raster(tmp_path / "scene.tif", noise(*SIZE, dtype=dtype))
    run = segment(path, "--nodata", value)
    assert run.code == 0
    assert f"no pixel of type {dtype} can be {value}, so --nodata has no effect" in run.warnings[0]


def test_bbox_cuts_the_map_to_a_box(tmp_path, scene, mapped):
    left, bottom, right, top = ORIGIN[0] + 10, ORIGIN[1] - 90, ORIGIN[0] + 75, ORIGIN[1] - 20
    result = mapped(scene, "--bbox", f"{left},{bottom},{right},{top}")
    np.testing.assert_array_equal(result, coordinate_classes(*SIZE)[20:90, 10:75])
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert tuple(dataset.bounds) == (left, bottom, right, top)


def test_bbox_and_aoi_together_cut_to_both(tmp_path, scene, mapped):
    corner = box(ORIGIN[0] + 30, ORIGIN[1] - 150, ORIGIN[0] + 130, ORIGIN[1] - 30)
    geopandas.GeoDataFrame(geometry=[corner], crs="EPSG:32640").to_file(tmp_path / "aoi.gpkg")
    limits = f"{ORIGIN[0]},{ORIGIN[1] - 60},{ORIGIN[0] + 50},{ORIGIN[1]}"
    result = mapped(scene, "--aoi", tmp_path / "aoi.gpkg", "--bbox", limits)
    np.testing.assert_array_equal(result, coordinate_classes(*SIZE)[30:60, 30:50])


@pytest.mark.parametrize("option", ["--bbox", "--aoi"])
def test_an_area_beside_the_scene_is_refused(tmp_path, scene, refuses, option):
    geopandas.GeoDataFrame(geometry=[box(0, 0, 1, 1)], crs="EPSG:4326").to_file(tmp_path / "aoi.gpkg")
    value = tmp_path / "aoi.gpkg" if option == "--aoi" else "0,0,1,1"
    refuses(4, (option, "nothing of it lies on the scene", "check its coordinates and CRS"), scene, option, value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ("no such file", "check the path")),
        ("some text", ("cannot be read", "GeoJSON")),
        ('{"type":"FeatureCollection","features":[]}', ("holds no polygons",)),
        ('{"type":"Point","coordinates":[57,24.4]}', ("holds no polygons",)),
        ('{"type":"Polygon","coordinates":[]}', ("holds no polygons",)),
        ('{"type":"Polygon","coordinates":[[[57,24],[57.1,24]]]}', ("holds no polygons",)),
        ('{"type":"Feature","properties":{"a":1},"geometry":null}', ("holds no polygons",)),
        (
            '{"type":"Polygon","coordinates":[[[500000,2699950],[500050,2699950],[500050,2700000],[500000,2699950]]]}',
            ("coordinates reach 2.7e+06", "longitudes and latitudes"),
        ),
    ],
)
def test_an_area_that_is_none_is_refused(tmp_path, scene, refuses, content, words):
    if content is not None:
        (tmp_path / "aoi.geojson").write_text(content)
    refuses(4, ("aoi.geojson", *words), scene, "--aoi", tmp_path / "aoi.geojson")


def test_on_read_error_decides_what_becomes_of_damage(tmp_path, engines, segment):
    engines.rule = cells
    path = make_raster(
        tmp_path / "scene.tif", coordinates(*SIZE), compress="DEFLATE", tiled=True, blockxsize=64, blockysize=64
    )
    with rasterio.open(path) as dataset:
        place = int(dataset.get_tag_item("BLOCK_OFFSET_1_0", "TIFF", bidx=1))
    with open(path, "r+b") as stream:
        stream.seek(place)
        stream.write(b"\xaa" * 50)
    assert segment(path, "--on-read-error", "fail").code == 4
    assert segment(path, "--on-read-error", "nodata").code == 3
    result = read_map(tmp_path / "scene.mask.tif")
    assert (result[:64, 64:128] == NODATA).all()
    assert (result == NODATA).sum() == 64 * 64


def test_creation_options_reach_the_file(tmp_path, scene, mapped):
    plain = mapped(scene)
    changed = mapped(scene, "--co", "COMPRESS=ZSTD", "--co", "BLOCKSIZE=128")
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.compression.name == "zstd"
        assert dataset.block_shapes == [(128, 128)]
    np.testing.assert_array_equal(changed, plain)


def test_dry_run_says_what_it_would_take_and_writes_nothing(tmp_path, scene, segment, engines):
    run = segment(scene, "--dry-run", "--window", 64)
    assert run.code == 0
    assert f"{scene}: 9 windows of 64 × 64 on 130 × 150 pixels" in run.out
    assert "time about" in run.out
    assert "memory about" in run.out
    assert "disk at most about" in run.out
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]
    assert sum(shape[0] for shape in engines.seen) < 9, "it ran over the scene"


def test_dry_run_counts_the_windows_that_a_run_takes(scene, segment):
    for options in ((), ("--halo", "24"), ("--resolution", "2"), ("--stitch", "blend")):
        told = json.loads(segment(scene, "--dry-run", "--json", *options).out.splitlines()[0])
        done = json.loads(segment(scene, "--overwrite", "--json", *options).out.splitlines()[0])
        assert told["windows"] == done["windows"]


def test_overwrite_replaces_an_older_map(tmp_path, scene, segment):
    (tmp_path / "scene.mask.tif").write_text("old")
    assert segment(scene).code == 5
    assert (tmp_path / "scene.mask.tif").read_text() == "old"
    assert segment(scene, "--overwrite").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), coordinate_classes(*SIZE))


def test_json_prints_one_object_for_each_scene_and_a_summary(tmp_path, scene, segment):
    run = segment(scene, "--json", "--window", 64)
    record, summary = map(json.loads, run.out.splitlines())
    assert record["output"] == str(tmp_path / "scene.mask.tif")
    assert (record["windows"], record["skipped"], record["exit_code"]) == (9, 0, 0)
    assert sum(record["shares"].values()) == pytest.approx(1, abs=1e-5)
    assert summary["summary"] == {"done": 1, "failed": 0, "exit_code": 0}


def test_quiet_says_nothing_but_the_result(scene, segment):
    assert "model fake" in segment(scene).err
    run = segment(scene, "-q", "--overwrite")
    assert (run.code, run.err) == (0, "")
    assert run.out


def test_quiet_still_warns(tmp_path, segment):
    path = make_raster(tmp_path / "scene.tif", noise(40, 40), crs=None)
    assert len(segment(path, "--quiet").warnings) == 1


def test_verbose_twice_shows_the_traceback(scene, engines, model, capfd):
    from mapgen.cli.main import run

    engines.rule = lambda pixels: 1 // 0
    for flag, shown in (("-v", False), ("-vv", True), ("--verbose", False)):
        assert run(["segment", str(scene), "--model", str(model), flag]) == 1
        assert ("Traceback" in capfd.readouterr().err) == shown


def test_options_are_written_into_the_map(tmp_path, scene, segment):
    assert segment(scene, "--window", "96", "--halo", "16", "--nodata", "7", "--scale", "0,100").code == 0
    said = parameters(tmp_path / "scene.mask.tif")
    assert (said["window"], said["halo"], said["nodata"], said["scale"], said["bands"]) == (
        [96, 96],
        16,
        7,
        "0,100",
        [1, 2, 3],
    )
