"""Datasets: whatever the files are, each pixel gets its own label, or none."""

import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pyproj
import pytest
from factory import make_raster, north_up
from grounds import PAIRS, box, data_of, feature, kinds, make_pair, places, write_features

from mapgen.dataset.dataset import IGNORE
from mapgen.dataset.read import read_dataset
from mapgen.errors import InputError, UsageError
from mapgen.training.samples import Sampler, Sampling

ALL = {"split": {"validation": 0.0}}


def read(folder, sources=None, **more):
    return read_dataset(data_of(folder, sources or PAIRS, **(ALL | more)), folder / "prepared")


def refused(folder, words, sources=None, error=InputError, **more):
    with pytest.raises(error) as found:
        read(folder, sources, **more)
    missing = [w for w in words if w not in str(found.value)]
    assert not missing, f"{missing} not in {found.value}"


def drawn(pieces):
    """(row, column, class) of every labelled pixel, by what the pixels of the image say."""
    found = []
    for p in pieces:
        on = p.label != IGNORE
        found.append(np.stack([*(np.asarray(p.image[b])[on].astype(int) - 1000 for b in (0, 1)), p.label[on]], 1))
    return np.concatenate(found)


def expect(found, truth, row=0, col=0):
    """Every labelled pixel has the channel of the truth (H, W) of ids 1…3 at its place."""
    assert len(found)
    np.testing.assert_array_equal(found[:, 2] + 1, truth[found[:, 0] - row, found[:, 1] - col])


def test_pairs_are_matched_by_name_and_keep_pixel_and_label_together(tmp_path):
    make_pair(tmp_path, "b", row=300)
    make_pair(tmp_path, "a")
    data = read(tmp_path)
    assert [p.name for p in data.training] == ["images/a.tif", "images/b.tif"]
    found = drawn(data.training)
    assert len(found) == 2 * 200 * 240
    expect(found, kinds(500, 240))
    assert data.pixels["training"] == tuple(np.bincount(found[:, 2], minlength=3))
    assert (data.bands, data.data_type, data.resolution_m) == (("row", "col"), "uint16", 1.0)


def test_mean_and_deviation_are_those_of_the_labelled_pixels(tmp_path):
    make_pair(tmp_path, "a")
    values = drawn(read(tmp_path, ignore=[3], classes=[{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]).training)
    data = read(tmp_path, ignore=[3], classes=[{"id": 1, "name": "x"}, {"id": 2, "name": "y"}])
    assert set(values[:, 2]) == {0, 1}
    np.testing.assert_allclose(data.mean, values[:, :2].mean(0) + 1000, rtol=1e-9)
    np.testing.assert_allclose(data.std, values[:, :2].std(0), rtol=1e-9)
    assert data.high == values[:, :2].max() + 1000


def test_a_scale_by_range_puts_pixels_between_minus_one_and_one(tmp_path):
    make_pair(tmp_path, "a")
    data = read(tmp_path, scale="range")
    assert data.mean == data.std == (data.high / 2,) * 2


@pytest.mark.parametrize("crs", ["EPSG:32640", "EPSG:4326", "EPSG:3857", "EPSG:32639"])
def test_polygons_of_any_crs_are_burned_where_they_lie(tmp_path, crs):
    make_pair(tmp_path, "a", 120, 160)
    to = pyproj.Transformer.from_crs("EPSG:32640", crs, always_xy=True)
    x, y = 500_000, 2_700_000

    def moved(*sides):
        return list(zip(*to.transform(*zip(*box(*sides), strict=True)), strict=True))

    shapes = [
        feature(moved(x + 10, y - 100, x + 90, y - 20), use="Meadow"),
        feature(moved(x + 50, y - 60, x + 120, y - 10), use="forest "),
        feature(moved(x + 60, y - 50, x + 70, y - 40), use="unknown"),
    ]
    write_features(tmp_path / "use.geojson", shapes, None if crs == "EPSG:4326" else crs)
    classes = [{"id": 1, "name": "meadow"}, {"id": 2, "name": "wood", "values": ["forest"]}, {"id": 3, "name": "other"}]
    source = {"images": "images/a.tif", "labels": "use.geojson", "attribute": "use", "outside": "other"}
    data = read(tmp_path, [source], classes=classes, ignore=["unknown"])
    truth = np.full((120, 160), 3)
    truth[20:100, 10:90], truth[10:60, 50:120], truth[40:50, 60:70] = 1, 2, 0
    found = drawn(data.training)
    assert len(found) == (truth > 0).sum()
    expect(found, truth)
    first = read(tmp_path, [source | {"priority": ["meadow"]}], classes=classes, ignore=["unknown"])
    assert first.pixels["training"][0] == 80 * 80


def test_labels_of_two_files_lie_over_each_other(tmp_path):
    make_pair(tmp_path, "a", 60, 80)
    x, y = 500_000, 2_700_000
    write_features(tmp_path / "fields.geojson", [feature(box(x, y - 60, x + 40, y))])
    write_features(tmp_path / "lakes.geojson", [feature(box(x + 30, y - 60, x + 50, y))])
    sources = [
        {"images": "images/a.tif", "labels": "fields.geojson", "class": "field", "outside": "wood"},
        {"images": "images/a.tif", "labels": "lakes.geojson", "class": "lake"},
    ]
    truth = np.full((60, 80), 2)
    truth[:, :40], truth[:, 30:50] = 1, 3
    found = drawn(read(tmp_path, sources).training)
    assert len(found) == 60 * 80
    expect(found, truth)


def test_label_rasters_of_another_grid_are_taken_by_their_nearest_pixels(tmp_path):
    make_raster(tmp_path / "a.tif", places(90, 120))
    coarse = np.kron(kinds(40, 40), np.ones((1, 1), np.uint8))
    make_raster(tmp_path / "label.tif", coarse, transform=north_up(4.0, (500_000 - 8.0, 2_700_000 + 12.0)))
    found = drawn(read(tmp_path, [{"images": "a.tif", "labels": "label.tif"}]).training)
    truth = np.kron(coarse, np.ones((4, 4), np.uint8))[12:, 8:]
    assert len(found) == 90 * 120
    expect(found, truth[:90, :120])


def test_colours_of_pictures_are_classes(tmp_path):
    make_raster(tmp_path / "a.tif", places(40, 50), crs=None, transform=None)
    truth = kinds(40, 50)
    colors = np.array([[0, 0, 0], [60, 16, 152], [132, 41, 246], [0, 255, 0]], np.uint8)
    make_raster(tmp_path / "m.png", colors[truth].transpose(2, 0, 1), driver="PNG", crs=None, transform=None)
    source = [{"images": "a.tif", "labels": "m.png"}]
    listed = [{"id": 1, "name": "x", "values": ["#3C1098"]}, {"id": 2, "name": "y", "values": ["#8429f6"]}]
    data = read(tmp_path, source, classes=listed, ignore=["#00ff00"], resolution_m=1.0)
    found = drawn(data.training)
    assert len(found) == (truth < 3).sum()
    expect(found, truth)
    refused(tmp_path, ["m.png", "#00ff00"], source, classes=listed, resolution_m=1.0)
    refused(tmp_path, ["has 3 bands", 'values = ["#3c1098"]'], source, resolution_m=1.0)


def test_invalid_pixels_and_ignored_values_never_count(tmp_path):
    image = places(100, 100)
    image[:, 10:20] = 0  # nodata
    image[0, 30:40] = 0  # in one band alone it is a value
    label = kinds(100, 100)
    label[50:60] = 9
    label[60:70] = 7
    make_raster(tmp_path / "a.tif", image, nodata=0)
    make_raster(tmp_path / "l.tif", label, nodata=7)
    data = read(tmp_path, [{"images": "a.tif", "labels": "l.tif"}], ignore=[9])
    (piece,) = data.training
    rows = np.zeros(100, bool)
    rows[[*range(10, 20), *range(50, 70)]] = True
    assert ((piece.label == IGNORE) == rows[:, None]).all()
    assert (np.asarray(piece.image[1]) > 0).all(), "what has no data is filled"
    fact = data.report["images"][0]
    assert (fact["nodata"], fact["unlabelled"]) == (1000, 2000)


def test_nan_is_nodata_and_is_filled(tmp_path):
    image = places(64, 64).astype(np.float32)
    image[0, :, 20:30] = np.nan
    make_raster(tmp_path / "a.tif", image)
    make_raster(tmp_path / "l.tif", kinds(64, 64))
    (piece,) = read(tmp_path, [{"images": "a.tif", "labels": "l.tif"}]).training
    assert np.isfinite(np.asarray(piece.image)).all()
    assert (piece.label[:, 20:30] == IGNORE).all()
    assert (piece.label[:, 30:] != IGNORE).all()


def test_values_that_no_class_lists_are_named_with_their_number(tmp_path):
    make_pair(tmp_path, "a", 64, 64)
    two = [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]
    count = Counter(kinds(64, 64).ravel().tolist())[3]
    refused(tmp_path, ["a.png", f"3 ({count})", "data.ignore", 'data.unlisted = "ignore"'], classes=two)
    data = read(tmp_path, classes=two, unlisted="ignore")
    assert sum(data.pixels["training"]) == 64 * 64 - count
    assert list(data.report["unlisted"].values()) == [{"3": count}]


def test_images_are_resampled_to_the_resolution_of_training(tmp_path):
    make_raster(tmp_path / "a.tif", places(120, 160))
    label = np.repeat(np.repeat(kinds(60, 80), 2, 0), 2, 1)
    make_raster(tmp_path / "l.tif", label)
    data = read(tmp_path, [{"images": "a.tif", "labels": "l.tif"}], resolution_m=2.0)
    (piece,) = data.training
    assert piece.label.shape == (60, 80)
    assert data.report["images"][0]["resampled"]
    rows = np.asarray(piece.image[0], int)
    np.testing.assert_array_equal(rows, np.repeat(np.rint(1000.5 + 2 * np.arange(60))[:, None], 80, 1))
    np.testing.assert_array_equal(piece.label + 1, kinds(60, 80))
    refused(
        tmp_path,
        ["a.tif", "refined 10.0 times", "the limit is 4"],
        [{"images": "a.tif", "labels": "l.tif"}],
        resolution_m=0.1,
    )


def test_bands_are_taken_by_name_by_number_or_in_order(tmp_path):
    image = np.concatenate([places(64, 64), places(64, 64)[:1] * 0 + 7])
    make_raster(tmp_path / "a.tif", image, descriptions=("row", "col", "nir"))
    make_raster(tmp_path / "l.tif", kinds(64, 64))
    source = {"images": "a.tif", "labels": "l.tif"}
    (piece,) = read(tmp_path, [source], bands=["nir", "col"]).training
    assert (np.asarray(piece.image[0]) == 7).all()
    (piece,) = read(tmp_path, [source | {"bands": [3, "row"]}], bands=["x", "y"]).training
    np.testing.assert_array_equal(piece.image[1], image[0])
    assert read(tmp_path, [source], bands=[]).bands == ("row", "col", "nir")
    refused(tmp_path, ["model needs 2 bands (x, y), file has 3", "bands = "], [source], bands=["x", "y"])


def test_images_of_different_types_are_refused_unless_told(tmp_path):
    make_raster(tmp_path / "a.tif", places(40, 40))
    make_raster(tmp_path / "b.tif", (places(40, 40) // 8).astype(np.uint8))
    make_raster(tmp_path / "l.tif", kinds(40, 40))
    source = [{"images": ["a.tif", "b.tif"], "labels": "l.tif"}]
    refused(tmp_path, ["holds uint8", "holds uint16"], source)
    refused(tmp_path, ["b.tif", "data.data_type says uint16"], source, data_type="uint16")
    assert read(tmp_path, source, data_type="float32").data_type == "float32"


def test_pictures_without_georeferencing_must_measure_what_their_labels_do(tmp_path):
    make_raster(tmp_path / "a.png", places(40, 50), driver="PNG", crs=None, transform=None)
    make_raster(tmp_path / "l.png", kinds(40, 50), driver="PNG", crs=None, transform=None)
    source = [{"images": "a.png", "labels": "l.png"}]
    expect(drawn(read(tmp_path, source, resolution_m=1.0).training), kinds(40, 50))
    refused(tmp_path, ["data.resolution_m", "set it"], source, UsageError)
    make_raster(tmp_path / "l.png", kinds(40, 49), driver="PNG", crs=None, transform=None)
    refused(tmp_path, ["49 × 40", "50 × 40", "of one size"], source, resolution_m=1.0)


def test_bow_ties_are_repaired_and_nulls_left_out_and_both_counted(tmp_path):
    make_pair(tmp_path, "a", 64, 64)
    x, y = 500_000, 2_700_000
    tie = [(x + 10, y - 10), (x + 30, y - 30), (x + 30, y - 10), (x + 10, y - 30)]
    shapes = [feature(tie, c="field"), feature(None, c="wood"), feature(box(x + 40, y - 40, x + 50, y - 30), c=None)]
    write_features(tmp_path / "l.geojson", shapes)
    data = read(tmp_path, [{"images": "images/a.tif", "labels": "l.geojson", "attribute": "c"}])
    (counts,) = data.report["features"].values()
    assert counts == {"features": 3, "no_geometry": 1, "no_class": 1, "repaired": 1}
    assert data.pixels["training"] == (200, 0, 0)
    assert any("1 of 3 invalid polygons were repaired" in w for w in data.warnings)


LABEL_FAULTS = [
    ({"crs": None}, {}, ["coordinates up to 2699990 are not lon/lat", "sources[1].assume_crs, such as EPSG:32640"]),
    ({"features": []}, {}, ["holds no polygons"]),
    ({"line": True}, {}, ["mixes polygons with 1 of linestring"]),
    ({}, {"attribute": "kind"}, ["has no attribute 'kind'; it has c", "attribute"]),
    ({}, {"attribute": None}, ["which attribute of", 'attribute = "c"']),
    ({}, {"layer": "roads"}, ["has no layer 'roads'"]),
]


@pytest.mark.parametrize(("made", "said", "words"), LABEL_FAULTS, ids=[f[2][0] for f in LABEL_FAULTS])
def test_polygons_that_cannot_be_labels_are_refused(tmp_path, made, said, words):
    make_pair(tmp_path, "a", 64, 64)
    x, y = 500_000, 2_700_000
    shapes = made.get("features", [feature(box(x + 10, y - 40, x + 40, y - 10), c="field")])
    if made.get("line"):
        line = {"type": "LineString", "coordinates": [(x, y), (x + 9, y - 9)]}
        shapes.append({"type": "Feature", "properties": {"c": "wood"}, "geometry": line})
    write_features(tmp_path / "l.geojson", shapes, made.get("crs", "EPSG:32640"))
    source = {"images": "images/a.tif", "labels": "l.geojson", "attribute": "c"} | said
    error = UsageError if said == {"attribute": None} else InputError
    refused(tmp_path, words, [{k: v for k, v in source.items() if v is not None}], error)
    with pytest.raises(error) as found:
        read(tmp_path, [{k: v for k, v in source.items() if v is not None}])
    assert "--" not in str(found.value), "a configuration has no options"


FAULTS = [
    ([{"images": "nothing/*.tif", "labels": "labels/*.png"}], ["nothing/*.tif", "matches no file"]),
    ([{"images": "images/b.tif", "labels": "labels/*.png"}], ["images/b.tif", "no such file"]),
    (
        [{"images": "images/*.tif", "labels": "labels/{stem}.tif"}],
        ["a.tif", "has no labels: there is no", "labels/a.tif"],
    ),
    ([{"images": "images/*.tif", "labels": "images/*.tif"}], ["a.tif", "no labels of its name", "{stem}"]),
    ([{"images": "images/*.tif", "labels": "images/a.tif"}], ["images/*.tif", "matches labels alone"]),
]


@pytest.mark.parametrize(("sources", "words"), FAULTS, ids=[f[1][1] for f in FAULTS])
def test_files_that_are_not_there_are_named(tmp_path, sources, words):
    make_pair(tmp_path, "a", 40, 40)
    refused(tmp_path, words, sources)


def test_a_folder_a_text_and_floats_are_no_labels(tmp_path):
    make_raster(tmp_path / "a.tif", places(40, 40))
    make_raster(tmp_path / "f.tif", kinds(40, 40).astype(np.float32))
    (tmp_path / "t.tif").write_text("hello")
    refused(tmp_path, ["f.tif", "float32"], [{"images": "a.tif", "labels": "f.tif"}])
    refused(tmp_path, ["t.tif", "is not a raster"], [{"images": "a.tif", "labels": "t.tif"}])
    refused(tmp_path, ["t.tif", "is not a raster"], [{"images": "t.tif", "labels": "f.tif"}])


def test_no_label_at_all_one_class_and_one_sample(tmp_path):
    make_raster(tmp_path / "a.tif", places(40, 40))
    make_raster(tmp_path / "l.tif", kinds(40, 40))
    source = [{"images": "a.tif", "labels": "l.tif"}]
    refused(
        tmp_path, ["no pixel that may train has a label"], source, ignore=[1, 2, 3], classes=[{"id": 8, "name": "x"}]
    )
    one = read(tmp_path, source, ignore=[1, 3])
    assert any("of one class" in w for w in one.warnings)
    images, target = Sampler(one.training, 3, Sampling(), 0).batch(0, 2, 64)
    assert images.shape == (2, 2, 64, 64)
    assert set(target.unique().tolist()) <= {1, IGNORE}
    make_raster(tmp_path / "a.tif", places(1, 1))
    make_raster(tmp_path / "l.tif", kinds(1, 1))
    single = read(tmp_path, source)
    assert single.pixels["training"] == (1, 0, 0)
    assert all(s > 0 for s in single.std)


def test_what_was_laid_down_is_used_again_until_a_file_or_the_configuration_changes(tmp_path):
    make_pair(tmp_path, "a", 64, 64)
    read(tmp_path)
    index = tmp_path / "prepared" / "index.json"

    def made():
        return index.stat().st_mtime_ns

    first = made()
    again = read(tmp_path)
    assert made() == first
    expect(drawn(again.training), kinds(64, 64))
    read(tmp_path, ignore=[3])
    second = made()
    assert second != first
    make_pair(tmp_path, "a", 64, 72)
    assert read(tmp_path, ignore=[3]).training[0].label.shape == (64, 72)
    third = made()
    with open(tmp_path / "prepared" / "labels.bin", "r+b") as stream:
        stream.truncate(100)
    read(tmp_path, ignore=[3])
    assert made() != third
    index.write_text("{")
    expect(drawn(read(tmp_path).training), kinds(64, 72))


def test_a_run_that_was_stopped_leaves_nothing_to_be_trusted(tmp_path, monkeypatch):
    make_pair(tmp_path, "a", 64, 64)
    before = read(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("mapgen.dataset.build.choose", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            read(tmp_path, ignore=[1, 2], split={"block": "32px", "guard": "2px"})
    expect(drawn(before.training), kinds(64, 64))  # mapped before, and as it was
    found = drawn(read(tmp_path).training)
    assert len(found) == 64 * 64
    expect(found, kinds(64, 64))


def test_weights_go_with_the_images_of_their_source(tmp_path):
    make_pair(tmp_path, "a", 40, 40)
    make_pair(tmp_path, "b", 40, 40, row=100)
    sources = [{"images": f"images/{n}.tif", "labels": "labels/*.png", "weight": w} for n, w in (("a", 0.25), ("b", 2))]
    assert [p.weight for p in read(tmp_path, sources).training] == [0.25, 2.0]
    sources[1]["images"] = "images/*.tif"
    refused(tmp_path, ["a.tif", "data.sources 1 and 2", "another use or weight"], sources, UsageError)


def test_the_arrays_are_files_and_not_memory(tmp_path):
    make_pair(tmp_path, "a", 64, 64)
    (piece,) = read(tmp_path).training
    assert isinstance(piece.image, np.memmap)
    assert isinstance(piece.label, np.memmap)
    sizes = {p.name: p.stat().st_size for p in Path(tmp_path / "prepared").iterdir()}
    assert sizes["images.bin"] == 64 * 64 * 2 * 2
    assert sizes["labels.bin"] == 64 * 64


def test_memory_does_not_grow_with_an_image(tmp_path):
    def peak(height):
        folder = tmp_path / str(height)
        folder.mkdir()
        make_pair(folder, "a", height, 256)
        split = {"block": "128px", "guard": "8px"}
        data = data_of(folder, PAIRS, split=split)
        read_dataset(data, folder / "once")  # kernels and drivers are loaded
        tracemalloc.start()
        read_dataset(data, folder / "again")
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    short, tall = peak(2048), peak(6144)
    assert tall < 1.2 * short


def test_polygons_on_a_picture_without_a_crs_are_taken_in_its_pixels(tmp_path):
    make_pair(tmp_path, "a", 40, 50, crs=None, transform=None)
    write_features(tmp_path / "l.geojson", [feature(box(10, 5, 30, 25), c="wood")])
    data = read(tmp_path, [{"images": "images/a.tif", "labels": "l.geojson", "attribute": "c"}], resolution_m=1.0)
    truth = np.zeros((40, 50), int)
    truth[5:25, 10:30] = 2
    found = drawn(data.training)
    assert len(found) == 400
    expect(found, truth)
    (said,) = [w for w in data.warnings if "l.geojson" in w]
    assert "the raster has no CRS; the coordinates of the polygons are taken as its own" in said


def test_one_picture_under_two_names_is_noticed(tmp_path):
    for name in "ab":
        make_pair(tmp_path, name, 64, 72, crs=None, transform=None)
    said = "images/a.tif and images/b.tif are the same picture"
    assert any(said in w for w in read(tmp_path, resolution_m=1.0).warnings)
    same = [{"a": "images/a.tif", "b": "images/b.tif", "shift": [0, 0]}]
    assert not any(said in w for w in read(tmp_path, resolution_m=1.0, same_ground=same).warnings)


LOCAL = 'LOCAL_CS["site", UNIT["metre", 1], AXIS["x", EAST], AXIS["y", NORTH]]'


def test_crss_that_cannot_be_brought_together_are_refused(tmp_path):
    make_raster(tmp_path / "a.tif", places(40, 40))
    make_raster(tmp_path / "b.tif", places(40, 40), crs=LOCAL)
    make_raster(tmp_path / "l.tif", kinds(40, 40), crs=LOCAL)
    make_raster(tmp_path / "m.tif", kinds(40, 40))
    refused(tmp_path, ["l.tif", "cannot be brought to that of the image"], [{"images": "a.tif", "labels": "l.tif"}])
    both = [{"images": "a.tif", "labels": "m.tif"}, {"images": "b.tif", "labels": "l.tif"}]
    refused(tmp_path, ["the CRSs of these 2 images cannot be brought together"], both)
    expect(drawn(read(tmp_path, both[1:], resolution_m=1.0).training), kinds(40, 40))
    source = [{"images": "a.tif", "labels": "m.tif", "assume_crs": "EPSG:0"}]
    refused(tmp_path, ["data.sources[1].assume_crs", "'EPSG:0' is not a CRS"], source, UsageError)


def test_polygons_that_lie_elsewhere_are_noticed(tmp_path):
    make_pair(tmp_path, "a", 40, 50)
    make_pair(tmp_path, "b", 40, 50, row=200)
    x, y = 500_000, 2_700_000
    write_features(tmp_path / "a.geojson", [feature(box(x + 9000, y, x + 9009, y + 9), c="wood")])
    shared = {"images": "images/*.tif", "labels": "a.geojson", "attribute": "c", "outside": "field"}
    refused(tmp_path, ["a.geojson", "nothing of it lies on any image", "CRS"], [shared])
    write_features(tmp_path / "b.geojson", [feature(box(x + 10, y - 220, x + 20, y - 210), c="wood")])
    data = read(tmp_path, [shared | {"labels": "{folder}/../{stem}.geojson"}])
    assert data.pixels["training"] == (2 * 40 * 50 - 100, 100, 0)
    assert any("a.geojson: nothing of it lies on its images" in w for w in data.warnings)
