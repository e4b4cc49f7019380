"""`mapgen evaluate` as it is called: every option, every kind of truth, and figures against counting by hand."""

import json
import shutil

import numpy as np
import pytest
import rasterio
import rasterio.warp
import shapely
from affine import Affine
from brute import counting, edge_pixels, near, regions
from factory import CRS, LEGEND, ORIGIN, make_raster, north_up

from mapgen.accuracy.evaluate import evaluate
from mapgen.files.pictures import LINE

X, Y = ORIGIN
SIZE = (90, 110)


def town(seed=0, size=SIZE):
    """Truth in patches of the three classes of LEGEND, and a map like it with errors; 255 where either has nothing."""
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 3, (size[0] // 10 + 1, size[1] // 10 + 1)), np.ones((10, 10)))[: size[0], : size[1]]
    truth[rng.random(size) < 0.02] = 255
    mapped = np.roll(truth, (1, 2), (0, 1))
    mapped[rng.random(size) < 0.05] = 1
    return truth.astype("uint8"), mapped.astype("uint8")


def make_map(path, array, **profile):
    """A class map with the names of LEGEND."""
    tags = {"MAPGEN_LEGEND": json.dumps(LEGEND.to_json())}
    return make_raster(path, array, **({"nodata": 255, "tags": tags} | profile))


@pytest.fixture
def pair(tmp_path):
    """Names of a map and of a truth raster on its grid."""
    truth, mapped = town()
    return make_map(tmp_path / "map.tif", mapped), make_raster(tmp_path / "truth.tif", truth, nodata=255)


@pytest.fixture
def report(mapgen):
    """`report(map, truth, options…)`: the record of a run that must succeed."""

    def call(*arguments):
        done = mapgen("evaluate", *arguments, "--json")
        assert done.code == 0, done.err
        return json.loads(done.out)

    return call


@pytest.fixture
def squares(tmp_path):
    """Three overlapping squares on the ground of the town, as GeoJSON: `squares(("dark", …))` names their classes."""

    def call(kinds=("dark", "bright", "middle"), name="truth.geojson"):
        features = [
            {
                "type": "Feature", "properties": {"kind": kind, "class_name": kind},
                "geometry": shapely.geometry.mapping(shapely.box(X + 10 * i, Y - 60, X + 40 + 10 * i, Y - 10)),
            }
            for i, kind in enumerate(kinds)
        ]  # fmt: skip
        crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32640"}}
        path = tmp_path / name
        path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
        return path

    return call


def by_name(record):
    return {one["name"]: one for one in record["classes"]}


def test_figures_are_those_of_counting_by_hand(pair, report):
    truth, mapped = (a.astype(int) for a in town())
    counted = (truth != 255) & (mapped != 255)
    found = report(*pair, "--boundary", "2", "--objects", "dark,bright")
    assert found["pixels"] == counted.sum()
    assert found["accuracy"] == pytest.approx((truth == mapped)[counted].mean(), abs=1e-6)
    on_map, in_truth = counting(np.where(mapped == 255, -1, mapped), np.where(truth == 255, -1, truth))
    ious = []
    for k, name in enumerate(LEGEND.names):
        t, m = in_truth == k, on_map == k
        one = by_name(found)[name]
        ious.append((t & m).sum() / (t | m).sum())
        assert one["iou"] == pytest.approx(ious[-1], abs=1e-6)
        assert one["precision"] == pytest.approx((t & m).sum() / m.sum(), abs=1e-6)
        assert one["recall"] == pytest.approx((t & m).sum() / t.sum(), abs=1e-6)
        assert one["support"] == t.sum()
        edges = edge_pixels(on_map, k), edge_pixels(in_truth, k)
        assert one["boundary"]["precision"] == pytest.approx(near(*edges, 2, 1, 1) / len(edges[0]), abs=1e-6)
        assert one["boundary"]["recall"] == pytest.approx(near(*edges[::-1], 2, 1, 1) / len(edges[1]), abs=1e-6)
        if name != "middle":
            assert (one["objects"]["mapped"], one["objects"]["truth"]) == (
                len(regions(on_map, k)), len(regions(in_truth, k)),
            )  # fmt: skip
    assert found["miou"] == pytest.approx(np.mean(ious), abs=1e-6)
    assert [[int(((in_truth == t) & (on_map == m)).sum()) for m in range(3)] for t in range(3)] == found["confusion"]


def test_the_report_is_a_text_of_tables(pair, mapgen):
    done = mapgen("evaluate", *pair, "--boundary", "2", "--objects", "dark", "--block", "20")
    assert done.code == 0
    assert "mIoU" in done.out
    assert "kappa" in done.out
    (header,) = [line.split() for line in done.out.splitlines() if line.startswith("class") and "IoU" in line]
    assert header == ["class", "IoU", "95", "%", "F1", "precision", "recall", "support", "boundary"]
    assert [line.split()[0] for line in done.out.splitlines() if line.startswith(LEGEND.names)] == [
        "dark", "middle", "bright", "dark", "dark", "middle", "bright",
    ]  # fmt: skip


def test_a_perfect_map_has_perfect_figures(pair, report):
    found = report(pair[1], pair[1], "--boundary", "1", "--objects", "0", "--block", "20")
    assert (found["miou"], found["accuracy"], found["kappa"], found["boundary"]) == (1, 1, 1, 1)
    assert found["miou_95"] == [1, 1]
    assert by_name(found)["0"]["objects"]["f1"] == 1


@pytest.mark.parametrize("strip", [1, 7, 32])
def test_strips_leave_no_trace(pair, strip, monkeypatch):
    options = {"boundary": 3.0, "objects": ("dark", "bright"), "block": 16.0}
    whole = evaluate(*pair, **options).report.to_json()
    monkeypatch.setattr("mapgen.accuracy.evaluate._rows", lambda width: strip)
    assert evaluate(*pair, **options).report.to_json() == whole


# Truth on other grids ------------------------------------------------------------------------------------------------


def reprojected(source, path, crs, **options):
    """The raster warped nearest to another CRS by GDAL, on pixels a third of the size."""
    with rasterio.open(source) as dataset:
        array = dataset.read(1)
        transform, width, height = rasterio.warp.calculate_default_transform(
            dataset.crs, crs, dataset.width, dataset.height, *dataset.bounds, **options
        )
        transform, width, height = transform @ Affine.scale(1 / 3), width * 3, height * 3
        out = np.full((height, width), 255, "uint8")
        rasterio.warp.reproject(
            array, out, src_transform=dataset.transform, src_crs=dataset.crs, dst_transform=transform, dst_crs=crs,
            src_nodata=255, dst_nodata=255,
        )  # fmt: skip
    return make_raster(path, out, nodata=255, crs=crs, transform=transform)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32639"])
def test_truth_in_another_crs_gives_the_same_figures(pair, report, tmp_path, crs):
    plain = report(*pair)
    moved = report(pair[0], reprojected(pair[1], tmp_path / "moved.tif", crs))
    assert moved["pixels"] == pytest.approx(plain["pixels"], rel=0.02)
    assert moved["miou"] == pytest.approx(plain["miou"], abs=0.02)


def test_finer_and_larger_truth_is_sampled_at_the_centres(pair, report, tmp_path):
    truth, _ = town()
    fine = np.pad(truth.repeat(3, 0).repeat(3, 1), 30, constant_values=255)
    name = make_raster(
        tmp_path / "fine.tif", fine, nodata=255, transform=north_up(1 / 3, (X - 10, Y + 10)), tiled=True, blockxsize=64,
        blockysize=64,
    )  # fmt: skip
    assert report(pair[0], name)["confusion"] == report(*pair)["confusion"]


def test_truth_that_is_much_finer_is_read_in_pieces(pair, report, tmp_path, monkeypatch):
    truth, _ = town()
    name = make_raster(tmp_path / "f.tif", truth.repeat(4, 0).repeat(4, 1), nodata=255, transform=north_up(0.25))
    expected = report(*pair)["confusion"]
    monkeypatch.setattr("mapgen.raster.class_raster._SOURCE", 500)
    monkeypatch.setattr("mapgen.raster.class_raster._PIECE", 900)
    assert report(pair[0], name)["confusion"] == expected


def test_truth_for_a_part_counts_there_alone(pair, report, tmp_path):
    truth, mapped = town()
    name = make_raster(
        tmp_path / "part.tif", truth[20:50, 30:70], nodata=255, transform=north_up(1.0, (X + 30, Y - 20))
    )
    found = report(pair[0], name)
    t, m = truth[20:50, 30:70], mapped[20:50, 30:70]
    assert found["pixels"] == ((t != 255) & (m != 255)).sum()
    assert found["accuracy"] == pytest.approx((t == m)[(t != 255) & (m != 255)].mean(), abs=1e-6)


def test_without_any_crs_rasters_of_one_size_are_compared_pixel_by_pixel(pair, report, tmp_path):
    truth, mapped = town()
    bare = {"crs": None, "transform": Affine.identity()}
    one = make_map(tmp_path / "bare_map.tif", mapped, **bare)
    other = make_raster(tmp_path / "bare.tif", truth, nodata=255, **bare)
    assert report(one, other)["confusion"] == report(*pair)["confusion"]
    half = report(pair[0], other)
    assert half["confusion"] == report(*pair)["confusion"]
    assert "compared pixel by pixel" in half["warnings"][0]


def test_assume_crs_places_a_truth_that_names_none(pair, report, tmp_path):
    truth, _ = town()
    name = make_raster(tmp_path / "bare.tif", np.pad(truth, 4, constant_values=255), nodata=255, crs=None,
                       transform=north_up(1.0, (X - 4, Y + 4)))  # fmt: skip
    found = report(pair[0], name, "--assume-crs", CRS)
    assert found["confusion"] == report(*pair)["confusion"]


def test_rasters_of_any_integers_do(pair, report, tmp_path):
    truth, _ = town()
    wide = np.where(truth == 255, -9999, truth.astype("int32"))
    assert (
        report(pair[0], make_raster(tmp_path / "w.tif", wide, nodata=-9999))["confusion"] == report(*pair)["confusion"]
    )


def test_a_mask_band_says_where_truth_has_nothing(pair, report, tmp_path):
    truth, _ = town()
    mask = np.where(truth == 255, 0, 255).astype("uint8")
    name = make_raster(tmp_path / "masked.tif", np.where(truth == 255, 1, truth).astype("uint8"), mask=mask)
    assert report(pair[0], name)["confusion"] == report(*pair)["confusion"]


# Classes -------------------------------------------------------------------------------------------------------------


def test_ignored_classes_do_not_count(pair, report):
    truth, mapped = town()
    found = report(*pair, "--ignore", "bright")
    counted = (truth < 2) & (mapped != 255)
    assert found["pixels"] == counted.sum()
    assert found["ignored"] == (truth == 2).sum()
    assert found["accuracy"] == pytest.approx((truth == mapped)[counted].mean(), abs=1e-6)
    assert by_name(found)["bright"]["support"] == 0


def test_classes_that_the_map_does_not_know_are_listed_and_count_as_errors(pair, report, tmp_path):
    truth, mapped = town()
    truth[5:25, 5:25] = 9
    name = make_raster(tmp_path / "more.tif", truth, nodata=255)
    found = report(pair[0], name)
    lost = int(((truth == 9) & (mapped != 255)).sum())
    assert found["warnings"] == [
        f"classes that the map does not know, counted as errors: 9 ({lost} pixels); leave them out by --ignore"
    ]
    nine = by_name(found)["9"]
    assert (nine["support"], nine["iou"], nine["recall"], nine["precision"]) == (lost, 0, 0, None)
    assert nine["known"] is False
    assert found["miou"] == pytest.approx(np.mean([c["iou"] for c in found["classes"]]), abs=1e-6)
    assert report(pair[0], name, "--ignore", "9")["warnings"] == []


def test_match_name_goes_by_the_names_of_both_files(pair, report, tmp_path):
    truth, _ = town()
    legend = [c | {"id": c["id"] + 10} for c in LEGEND.to_json()]
    name = make_raster(
        tmp_path / "other.tif", np.where(truth == 255, 255, truth + 10).astype("uint8"), nodata=255,
        tags={"MAPGEN_LEGEND": json.dumps(legend)},
    )  # fmt: skip
    assert report(pair[0], name)["accuracy"] == 0
    assert report(pair[0], name, "--match", "name")["confusion"] == report(*pair)["confusion"]


def test_names_that_disagree_on_an_id_are_noticed(pair, report, tmp_path):
    truth, _ = town()
    legend = [dict(c) for c in LEGEND.to_json()]
    legend[0]["name"], legend[2]["name"] = "bright", "dark"
    name = make_raster(tmp_path / "o.tif", truth, nodata=255, tags={"MAPGEN_LEGEND": json.dumps(legend)})
    assert any("0 is 'bright' here and 'dark' on the map; --match name" in w for w in report(pair[0], name)["warnings"])


# Vector truth --------------------------------------------------------------------------------------------------------


def test_vector_truth_is_burned_by_pixel_centre(pair, report, squares):
    _, mapped = town()
    truth = np.full(SIZE, -1)
    for i, code in enumerate((0, 2, 1)):
        truth[10:60, 10 * i : 40 + 10 * i] = code
    found = report(pair[0], squares(), "--attribute", "kind")
    counted = (truth >= 0) & (mapped != 255)
    assert found["pixels"] == counted.sum()
    assert found["accuracy"] == pytest.approx((truth == mapped)[counted].mean(), abs=1e-6)
    assert found["labels"] == {"features": 3, "repaired": 0, "no_geometry": 0, "no_class": 0}


def test_attribute_may_hold_names_or_ids(pair, report, squares):
    named = report(pair[0], squares(), "--attribute", "class_name")
    assert named["confusion"] == report(pair[0], squares((0, 2, 1)), "--attribute", "kind")["confusion"]
    assert named["confusion"] == report(pair[0], squares(("DARK", "2", " middle ")), "--attribute", "kind")["confusion"]
    assert named["confusion"] == report(pair[0], squares())["confusion"]  # found by its usual name


def test_priority_decides_where_features_overlap(pair, report, squares):
    supports = [
        [c["support"] for c in report(pair[0], squares(), *options)["classes"]]
        for options in ((), ("--priority", "dark"), ("--priority", "bright,dark"))
    ]
    assert supports[0][0] < supports[1][0]  # dark is drawn first and lies below
    assert supports[2][2] > supports[0][2]


def test_class_makes_all_features_one_class_and_outside_names_the_rest(pair, report, squares):
    found = report(pair[0], squares(), "--class", "bright")
    assert [c["support"] for c in found["classes"]][:2] == [0, 0]
    rest = report(pair[0], squares(), "--class", "bright", "--outside", "other")
    assert rest["pixels"] > found["pixels"]
    assert by_name(rest)["bright"]["support"] == by_name(found)["bright"]["support"]
    assert by_name(rest)["bright"]["precision"] < by_name(found)["bright"]["precision"] == 1
    assert "other" in rest["warnings"][0]


def test_names_that_the_map_does_not_know_are_listed_and_count_as_errors(pair, report, squares):
    truth = squares(("dark", "Pool", "middle"))
    found = report(pair[0], truth)
    assert "Pool (" in found["warnings"][0]
    assert by_name(found)["Pool"] | {"support": 0} == by_name(found)["Pool"] | {"id": None, "support": 0, "iou": 0}
    assert report(pair[0], truth, "--ignore", "pool")["warnings"] == []


def test_layer_names_the_layer_of_a_vector_truth(pair, report, tmp_path):
    import geopandas

    for name, size in (("small", 20), ("large", 50)):
        frame = geopandas.GeoDataFrame({"class": [1]}, geometry=[shapely.box(X, Y - size, X + size, Y)], crs=CRS)
        frame.to_file(tmp_path / "t.gpkg", layer=name)
    small, large = (report(pair[0], tmp_path / "t.gpkg", "--layer", name)["pixels"] for name in ("small", "large"))
    assert 5 * small < large


def test_a_layer_of_the_map_itself_agrees_with_it(pair, report, mapgen, tmp_path):
    layer = tmp_path / "map.gpkg"
    assert mapgen("vectorize", pair[0], "-o", layer, "-q").code == 0
    assert report(pair[0], layer)["accuracy"] == 1


# Options -------------------------------------------------------------------------------------------------------------


def test_boundary_is_a_tolerance_in_metres(pair, report, tmp_path):
    near_by, far = (report(*pair, "--boundary", metres)["boundary"] for metres in ("1", "3"))
    assert near_by < far
    truth, mapped = town()
    coarse = [
        maker(tmp_path / f"{n}.tif", array, transform=north_up(5.0), nodata=255)
        for n, maker, array in (("m", make_map, mapped), ("t", make_raster, truth))
    ]
    assert report(*coarse, "--boundary", "5")["boundary"] == near_by
    assert "boundary" not in report(*pair)


def test_objects_are_compared_for_the_classes_that_are_named(pair, report):
    found = by_name(report(*pair, "--objects", "dark", "--objects", "2"))
    assert "objects" in found["dark"]
    assert "objects" in found["bright"]
    assert "objects" not in found["middle"]


def test_block_is_in_metres_and_too_few_give_no_intervals(pair, report, mapgen):
    found = report(*pair, "--block", "10")
    assert found["blocks"] == 9 * 11
    low, high = found["miou_95"]
    assert low < found["miou"] < high
    assert all(c["iou_95"][0] < c["iou"] < c["iou_95"][1] for c in found["classes"])
    assert "miou_95" not in report(*pair)
    assert "too few for intervals" in mapgen("evaluate", *pair).err


def test_seed_changes_the_intervals_and_nothing_else(pair, report):
    one, same, other = (report(*pair, "--block", "10", "--seed", seed) for seed in ("1", "1", "2"))
    assert one["miou_95"] == same["miou_95"] != other["miou_95"]
    assert one["miou"] == other["miou"]


def test_worst_is_a_picture_of_map_truth_and_what_is_wrong(pair, report, tmp_path):
    picture = tmp_path / "worst.png"
    found = report(*pair, "--worst", picture, "--worst-count", "2", "--block", "30")
    with rasterio.open(picture) as dataset:
        pixels = dataset.read().transpose(1, 2, 0)
    truth, mapped = town()
    wrong = (truth != mapped) & (truth != 255) & (mapped != 255)
    blocks = {(r, c): int(wrong[r : r + 30, c : c + 30].sum()) for r in range(0, 90, 30) for c in range(0, 110, 30)}
    assert [b["wrong"] for b in found["worst"]] == sorted(blocks.values(), reverse=True)[:2]
    first = found["worst"][0]
    colors = np.array([*(c.rgb for c in LEGEND), *[(170, 170, 170)] * 253])
    side = 8 * 30  # blocks of 30 pixels are shown eight times as large
    top, lefts = 8 + LINE + 4, (8, 8 + 256 + 8)
    for left, classes in zip(lefts, (mapped, truth), strict=True):
        shown = pixels[top + 4 : top + side : 8, left + 4 : left + side : 8]
        block = classes[first["row"] : first["row"] + 30, first["col"] : first["col"] + 30]
        np.testing.assert_array_equal(shown, colors[block])


def test_worst_count_is_how_many_places_are_shown(pair, report, tmp_path):
    heights = []
    for count in ("1", "3"):
        found = report(*pair, "--worst", tmp_path / f"{count}.png", "--worst-count", count, "--block", "30")
        assert len(found["worst"]) == int(count)
        with rasterio.open(tmp_path / f"{count}.png") as dataset:
            heights.append(dataset.height)
    assert heights[1] > 2 * heights[0]


def test_overwrite_replaces_an_older_picture(pair, mapgen, tmp_path):
    picture = tmp_path / "worst.png"
    picture.write_text("old")
    refused = mapgen("evaluate", *pair, "--worst", picture)
    assert refused.code == 5
    assert picture.read_text() == "old"
    assert mapgen("evaluate", *pair, "--worst", picture, "--overwrite").code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_fail_under_exits_9_and_names_what_falls_short(pair, mapgen):
    floors = ["miou=0.1", "accuracy=0.999", "iou.dark=0.99", "f1.bright=0.1", "objects.dark=1", "recall.1=0.2"]
    options = [word for floor in floors for word in ("--fail-under", floor)]
    done = mapgen("evaluate", *pair, *options)
    assert done.code == 9
    assert "mIoU" in done.out  # the report is printed all the same
    named = [floor.partition("=")[0] for floor in floors]
    assert [name for name in named if f"{name} is" in done.err] == ["accuracy", "iou.dark", "objects.dark"]
    assert mapgen("evaluate", *pair, "--fail-under", "miou=0.1", "--fail-under", "kappa=0.1").code == 0


def test_fail_under_a_class_that_nothing_has_fails(pair, mapgen):
    done = mapgen("evaluate", *pair, "--fail-under", "iou.77=0.1")
    assert done.code == 9
    assert "iou.77 is unknown" in done.err


def test_fail_under_shows_in_the_json_with_the_exit_code(pair, mapgen):
    done = mapgen("evaluate", *pair, "--json", "--fail-under", "miou=0.99")
    record = json.loads(done.out)
    assert done.code == record["exit_code"] == 9
    assert record["failed"][0].startswith("miou is 0.")


def test_json_is_one_object(pair, mapgen):
    done = mapgen("evaluate", *pair, "--json")
    record = json.loads(done.out)
    assert record["source"] == str(pair[0])
    assert record["exit_code"] == 0
    assert [c["name"] for c in record["classes"]] == list(LEGEND.names)


def test_quiet_says_nothing_but_the_report(pair, mapgen):
    assert mapgen("evaluate", *pair).err != ""  # a note: too few blocks
    quiet = mapgen("evaluate", *pair, "--quiet")
    assert (quiet.err, quiet.out.count("mIoU")) == ("", 1)


def test_verbose_twice_shows_the_traceback(tmp_path, capfd):
    from mapgen.cli.main import run

    assert run(["evaluate", str(tmp_path / "none.tif"), str(tmp_path / "none.tif"), "-vv"]) == 4
    assert "Traceback" in capfd.readouterr().err


def test_inputs_stay_as_they_are(pair, report, tmp_path):
    copies = [shutil.copy(name, tmp_path / f"copy_{name.name}") for name in pair]
    report(*pair)
    for name, copy in zip(pair, copies, strict=True):
        with open(name, "rb") as one, open(copy, "rb") as other:
            assert one.read() == other.read()
