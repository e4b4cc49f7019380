"""`mapgen sample` and `mapgen evaluate --points`: from a map to points to hectares with intervals."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pyogrio
import pytest
from factory import LEGEND, make_raster, north_up

import mapgen as package

TAGS = {"MAPGEN_LEGEND": json.dumps(LEGEND.to_json())}
SIZE = (200, 300)


def ground(seed=0):
    """A map in patches, and a truth that is another class at a tenth of the pixels; a corner has no data."""
    rng = np.random.default_rng(seed)
    mapped = np.kron(rng.choice(3, (20, 30), p=[0.7, 0.2, 0.1]), np.ones((10, 10))).astype("uint8")
    truth = np.where(rng.random(SIZE) < 0.1, rng.integers(0, 3, SIZE), mapped).astype("uint8")
    mapped[:20, :20] = 255
    return mapped, truth


@pytest.fixture
def town(tmp_path):
    mapped, _ = ground()
    return make_raster(tmp_path / "town.tif", mapped, nodata=255, tags=TAGS, transform=north_up(10.0))


def rows_of(path):
    frame = pyogrio.read_dataframe(path, layer="points")
    return frame["row"].to_numpy(), frame["col"].to_numpy()


def labelled(path, names, crs=None, **changes):
    """The points with these classes filled in, as QGIS would leave them."""
    frame = pyogrio.read_dataframe(path, layer="points")
    frame["truth"] = names
    for name, values in changes.items():
        frame[name] = values
    frame = frame if crs is None else frame.to_crs(crs)
    out = path.with_name("labelled.gpkg")
    pyogrio.write_dataframe(frame, out, layer="points")
    return out


def truth_names(path):
    truth = ground()[1]
    rows, cols = rows_of(path)
    return [LEGEND.names[k] for k in truth[rows, cols]]


@pytest.fixture
def points(town, tmp_path):
    package.sample(town, tmp_path / "points.gpkg", count=300)
    return tmp_path / "points.gpkg"


def test_points_lie_at_centres_of_different_pixels_that_have_data(town, points):
    frame = pyogrio.read_dataframe(points, layer="points")
    rows, cols = rows_of(points)
    assert len(set(zip(rows.tolist(), cols.tolist(), strict=True))) == 300
    assert (ground()[0][rows, cols] != 255).all()
    assert frame["truth"].isna().all()
    np.testing.assert_allclose(frame.geometry.x, 500_000 + 10 * (cols + 0.5))
    np.testing.assert_allclose(frame.geometry.y, 2_700_000 - 10 * (rows + 0.5))


def test_the_style_inside_offers_the_classes_to_choose_from(points):
    with closing(sqlite3.connect(points)) as db:
        (text,) = db.execute("SELECT styleQML FROM layer_styles").fetchone()
    assert all(f'value="{name}"' in text for name in LEGEND.names)
    assert "ValueMap" in text


def test_count_least_and_expected_say_how_many_each_class_gets(town, tmp_path, mapgen):
    def shares(*options):
        done = mapgen("sample", town, "-o", tmp_path / "p.gpkg", "--overwrite", "--json", *options)
        assert done.code == 0, done
        return {c["name"]: c["points"] for c in json.loads(done.out)["classes"]}

    assert sum(shares("--count", "120").values()) == 120
    assert min(shares("-n", "200", "--least", "60").values()) >= 60
    assert min(shares("-n", "200", "--least", "2").values()) < 40
    assert shares("--least", "2", "--expected", "bright=0.5")["bright"] > shares("--least", "2")["bright"]


def test_by_pixel_classes_get_points_as_they_have_pixels(town, tmp_path, mapgen):
    done = mapgen("sample", town, "-o", tmp_path / "p.gpkg", "-n", "5000", "--by", "pixel", "--json")
    classes = json.loads(done.out)["classes"]
    for one in classes:
        assert one["points"] / 5000 == pytest.approx(one["pixels"] / sum(c["pixels"] for c in classes), abs=0.03)


def test_seed_draws_others_and_the_same_draws_the_same(town, tmp_path, mapgen):
    drawn = []
    for number, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{number}.gpkg"
        assert mapgen("sample", town, "-o", path, "--seed", seed).code == 0
        drawn.append(np.array(rows_of(path)).tolist())
    assert drawn[0] == drawn[1] != drawn[2]


def test_output_is_beside_the_map_and_replaced_only_when_asked(town, mapgen):
    done = mapgen("sample", town)
    assert done.out.strip() == str(town.with_name("town.points.gpkg"))
    assert mapgen("sample", town).code == 5
    assert mapgen("sample", town, "--overwrite").code == 0
    assert mapgen("sample", town, "--output", town.with_name("x.csv")).code == 5


def test_quiet_and_verbose_are_those_of_every_sample(town, mapgen, capfd):
    from mapgen.cli.main import run

    assert "middle" in mapgen("sample", town, "--overwrite").err
    assert mapgen("sample", town, "--overwrite", "--quiet").err == ""
    for option, shown in (("--verbose", False), ("-vv", True)):
        capfd.readouterr()
        assert run(["sample", str(town), option]) == 5
        assert ("Traceback" in capfd.readouterr().err) is shown


def test_hectares_are_those_of_the_truth_within_their_intervals(town, points):
    from mapgen.accuracy.options import EvaluateOptions
    from mapgen.accuracy.points import evaluate_points

    path = labelled(points, truth_names(points))
    found = evaluate_points(str(town), str(path), EvaluateOptions())
    mapped, truth = ground()
    inside = mapped != 255
    area = found.area_m2
    for k in range(3):
        real = 100 * (truth[inside] == k).sum()
        assert abs(area.value[k] - real) <= 1.5 * area.half[k]
        assert found.mapped_m2[k] == pytest.approx(100 * (mapped == k).sum(), rel=2e-3)
    assert abs(found.estimates.overall.value - (mapped == truth)[inside].mean()) < 1.5 * found.estimates.overall.half


def test_points_may_be_in_any_crs_and_some_may_have_no_truth(town, points, mapgen):
    names = truth_names(points)
    here = mapgen("evaluate", town, "--points", labelled(points, names), "--json")
    there = mapgen("evaluate", town, "--points", labelled(points, names, crs="EPSG:4326"), "--json")
    assert here.code == 0, here
    one, two = (json.loads(run.out) for run in (here, there))
    assert one["classes"] == two["classes"]
    part = mapgen("evaluate", town, "--points", labelled(points, [None] * 10 + names[10:]))
    assert "10 of 300 points have no truth" in part.err


def test_points_give_a_table_of_hectares_and_fail_under(town, points, mapgen):
    path = labelled(points, truth_names(points))
    done = mapgen("evaluate", town, "--points", path, "--attribute", "truth")
    assert done.code == 0
    assert "±" in done.out
    assert "area, ha" in done.out
    assert mapgen("evaluate", town, "--points", path, "--fail-under", "accuracy=0.99").code == 9
    assert mapgen("evaluate", town, "--points", path, "--fail-under", "precision.dark=0.2").code == 0


def refused(run, code, *words):
    assert run.code == code, run
    assert len(run.errors) == 1
    assert all(word in run.errors[0] for word in words), run.errors


def test_what_cannot_be_told_from_points_is_refused(town, points, mapgen):
    names = truth_names(points)
    rows, cols = rows_of(points)
    mapped = ground()[0][rows, cols]
    first = np.flatnonzero(mapped == 2)[0]
    one = [n if k != 2 or i == first else None for i, (n, k) in enumerate(zip(names, mapped, strict=True))]
    refused(mapgen("evaluate", town, "--points", labelled(points, one)), 4, "too few points", "bright (1)")
    refused(mapgen("evaluate", town, "--points", points), 4, "no point has a truth")
    path = labelled(points, names)
    refused(mapgen("evaluate", town, "--points", path, "--attribute", "kind"), 2, "has no attribute", "truth")
    refused(mapgen("evaluate", town, town, "--points", path), 2, "--points")
    refused(mapgen("evaluate", town), 2, "nothing to measure")
    refused(mapgen("evaluate", town, "--points", path, "--fail-under", "miou=0.5"), 2, "points do not tell miou")
    refused(mapgen("evaluate", town, "--points", path, "--boundary", "3"), 2, "--boundary", "no meaning for points")
    refused(mapgen("sample", town, "-n", "4"), 2, "4 points for 3 classes")
    refused(mapgen("sample", town, "--expected", "swamp=0.5"), 2, "swamp")


def test_points_beside_the_map_or_on_nodata_do_not_count(town, points, tmp_path, mapgen):
    frame = pyogrio.read_dataframe(points, layer="points")
    frame["truth"] = truth_names(points)
    moved = frame.geometry.copy()
    moved.iloc[0] = moved.iloc[0].__class__(0, 0)
    moved.iloc[1] = moved.iloc[1].__class__(500_005, 2_699_995)
    frame["geometry"] = moved
    pyogrio.write_dataframe(frame, tmp_path / "moved.gpkg")
    done = mapgen("evaluate", town, "--points", tmp_path / "moved.gpkg")
    assert done.code == 0
    assert "1 of 300 points lie outside the map" in done.err
    assert "1 of 300 points lie where the map has no data" in done.err
    frame["geometry"] = frame.geometry.translate(1e6, 0)
    pyogrio.write_dataframe(frame, tmp_path / "far.gpkg")
    refused(mapgen("evaluate", town, "--points", tmp_path / "far.gpkg"), 4, "none of its points lies on the map")


def test_classes_that_the_map_lacks_have_ground_all_the_same(town, points, mapgen):
    names = ["swamp" if i % 20 == 0 else name for i, name in enumerate(truth_names(points))]
    done = mapgen("evaluate", town, "--points", labelled(points, names), "--json")
    swamp = next(c for c in json.loads(done.out)["classes"] if c["name"] == "swamp")
    assert swamp["area_ha"] > 0
    assert swamp["user"] is None
    assert swamp["producer"] == 0
    assert "swamp (15 points)" in done.err


def test_an_empty_map_and_other_shapes_are_refused(tmp_path, town, mapgen):
    nothing = make_raster(tmp_path / "none.tif", np.full(SIZE, 255, "uint8"), nodata=255, tags=TAGS)
    refused(mapgen("sample", nothing), 4, "nothing to sample")
    frame = pyogrio.read_dataframe(package.sample(town, tmp_path / "p.gpkg").output, layer="points")
    frame["truth"], frame["geometry"] = "dark", frame.geometry.buffer(5)
    pyogrio.write_dataframe(frame, tmp_path / "polygons.gpkg")
    refused(mapgen("evaluate", town, "--points", tmp_path / "polygons.gpkg"), 4, "polygon", "not points")
