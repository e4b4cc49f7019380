"""`mapgen compare`: variants and seeds as runs that are done once, models on scenes, one table, no second opinion."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from factory import FakeEngine, cells, contents, coordinate_classes, coordinates, make_model, make_raster
from runs import make_run

from mapgen.accuracy.paired import Judged, Rating
from mapgen.errors import Interrupted
from mapgen.files.pictures import PAPER
from mapgen.model.file import open_model
from mapgen.training.compare import FILES, compare_runs
from mapgen.training.compared import Compared, Row, lines
from mapgen.training.comparison import read_comparison
from mapgen.training.config import NEVER, content_key, read_config
from mapgen.training.cost import multiplications
from mapgen.training.pareto import Point, draw_pareto, front
from mapgen.training.rates import rates
from mapgen.training.runs import holds

TEXT = """base = "base.toml"
seeds = [3, 4]

[[variants]]
name = "plain"

[[variants]]
run.rate = 1e-3
"""
TINY = {"run": {"steps": 4, "check_every": 2}}


def make(folder, text=TEXT, **changes):
    """The TOML file of a comparison over a small scene."""
    make_run(folder, "base.toml", **(TINY | changes))
    path = folder / "rates.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    path = make(folder)
    return path, compare_runs(path, folder / "out", speed=False)


def test_each_variant_is_trained_with_each_seed_as_an_ordinary_run(done):
    path, found = done
    assert [row.name for row in found.rows] == ["plain", "0.001"]
    comparison = read_comparison(path)
    for variant in comparison.variants:
        for seed in (3, 4):
            assert holds(path.parent / "out" / variant.name / f"seed-{seed}", variant.seeded(seed))
    config = comparison.variants[1].config
    assert (config.run.rate, config.run.check_every, config.run.patience) == (1e-3, NEVER, 0)
    assert content_key(comparison.variants[0].seeded(1)) != content_key(read_config(path.parent / "base.toml"))


def test_what_is_reported_is_what_the_runs_say(done):
    path, found = done
    record = json.loads((path.parent / "out" / "compare.json").read_text())
    assert record == found.to_json()
    assert record["seeds"] == [3, 4]
    for row in record["rows"]:
        models = [open_model(path.parent / "out" / row["name"] / f"seed-{s}" / f"{row['name']}.safetensors")
                  for s in (3, 4)]  # fmt: skip
        assert [one["miou"] for one in row["runs"]] == pytest.approx([m.card.scores["miou"] for m in models], abs=1e-4)
        assert row["miou"] == pytest.approx(np.mean([one["miou"] for one in row["runs"]]), abs=1e-5)
        assert row["parameters"] == models[0].parameters
        assert row["megabytes"] == pytest.approx(models[0].path.stat().st_size / 1e6, abs=1e-3)
        assert all(s > 0 for s in row["train_seconds"])
        assert row["gmac_per_mpx"] == pytest.approx(multiplications(models[0]) / 1e3, abs=1e-3)
    first, other = record["rows"]
    assert (first["verdict"], first["difference"]["miou"]) == ("first", 0)
    assert other["difference"]["miou"] == pytest.approx(other["miou"] - first["miou"], abs=2e-6)
    assert other["verdict"] == "not told apart", "a few blocks told something apart"
    table = (path.parent / "out" / "compare.md").read_text()
    assert table == "\n".join(lines(found)) + "\n"
    with rasterio.open(path.parent / "out" / "compare.png") as picture:
        assert (picture.read() != PAPER[0]).any()


def test_what_is_done_is_not_done_again_and_a_new_variant_is_all_that_is_trained(done):
    path, found = done
    steps = []
    again = compare_runs(path, path.parent / "out", speed=False, progress=lambda label, report: steps.append(label))
    assert not steps
    assert again.to_json()["rows"] == found.to_json()["rows"]
    more = path.with_name("more.toml")
    more.write_text(TEXT + '\n[[variants]]\nname = "third"\nrun.rate = 2e-3\n')
    compare_runs(more, path.parent / "out", speed=False, progress=lambda label, report: steps.append(label))
    assert set(steps) == {"third, seed 3", "third, seed 4"}


def test_ground_is_laid_down_once_for_all_runs(done):
    path, _ = done
    assert len(list((path.parent / "out" / "ground").iterdir())) == 1
    assert not list((path.parent / "out").glob("*/seed-*/ground"))


def test_a_comparison_that_is_stopped_goes_on_where_it_was(tmp_path, done):
    path = make(tmp_path, TEXT.replace("[3, 4]", "[3]"))
    steps = []

    def stop(label, report):
        steps.append((label, report.step))
        if len(steps) == 6:
            raise Interrupted("SIGINT", "stopped", "")

    with pytest.raises(Interrupted):
        compare_runs(path, tmp_path / "out", speed=False, progress=stop)
    assert not (tmp_path / "out" / "compare.json").exists()
    found = compare_runs(path, tmp_path / "out", speed=False, progress=lambda *step: steps.append(step))
    assert len(steps) == 2 * 4
    unbroken = [row["runs"][0]["miou"] for row in done[1].to_json()["rows"]]
    assert [row["miou"] for row in found.to_json()["rows"]] == unbroken


def trained(folder):
    """The models and logs of all runs."""
    return {k: v for k, v in contents(folder / "out").items() if k.endswith((".safetensors", "log.csv"))}


def test_a_budget_that_is_changed_half_way_is_refused_and_overwrite_starts_over_only_that(done, tmp_path, mapgen):
    path, _ = done
    folder = tmp_path / "copy"
    shutil.copytree(path.parent, folder)
    text = TEXT.replace("run.rate = 1e-3", "run.rate = 1e-3\nrun.steps = 5")
    (folder / "rates.toml").write_text(text.replace("run.rate", 'name = "0.001"\nrun.rate'))
    before = contents(folder / "out")
    refused = mapgen("compare", folder / "rates.toml", "-o", folder / "out", "--no-speed", "-q")
    assert (refused.code, len(refused.errors)) == (5, 1), refused
    for words in ("0.001, seed 3: ", "holds a run of another configuration (run.steps was 4, is 5)", "--overwrite"):
        assert words in refused.errors[0]
    assert trained(folder) == {name: data for name, data in before.items() if name in trained(folder)}
    made = mapgen("compare", folder / "rates.toml", "-o", folder / "out", "--no-speed", "--overwrite", "--json", "-q")
    assert made.code == 0, made
    assert json.loads(made.out)["rows"][1]["name"] == "0.001"
    changed = {name.split("/")[0] for name, data in trained(folder).items() if before[name] != data}
    assert changed == {"0.001"}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (TEXT.replace("seeds", "sedes"), 2, ("sedes is not a key", "did you mean seeds?")),
        (TEXT.replace("run.rate", "run.rte"), 2, ("variants[2]: run.rte is not a key", "did you mean run.rate?")),
        (TEXT + '[[variants]]\nname = "Plain"\n', 2, ("two variants are called plain", "a name of its own")),
        (TEXT.replace('name = "plain"', "seed = 4"), 2, ("variants[1]: has a seed", "`seeds` says them")),
        (TEXT.replace('"plain"', '"../plain"'), 2, ("name is '../plain'", "letters, digits")),
        (TEXT.replace("[3, 4]", "[3, 3]"), 2, ("seeds are [3, 3]", "each once")),
        (TEXT.replace("[3, 4]", "[]"), 2, ("seeds are []", "one or more")),
        (TEXT[: TEXT.rindex("[[")], 2, ("fewer than two variants", "add another")),
        (TEXT.replace("base.toml", "gone.toml"), 4, ("gone.toml", "no such file")),
        (TEXT.replace("run.rate = 1e-3", "data.split.seed = 9"), 2, ("another data.split", "the same ground")),
        (TEXT.replace("run.rate = 1e-3", 'model.encoder = "resnet19"'), 2, ("resnet19", "did you mean resnet18?")),
        (TEXT + "[", 2, ("is not TOML",)),
    ],
)
def test_a_comparison_that_makes_no_sense_is_one_line(tmp_path, mapgen, text, code, words):
    path = make(tmp_path, text)
    before = contents(tmp_path)
    result = mapgen("compare", path, "-o", tmp_path / "out", "-q")
    assert (result.code, len(result.errors), result.out) == (code, 1, ""), result
    assert all(word in result.errors[0] for word in words), result.errors
    assert contents(tmp_path) == before


def test_ground_that_nobody_judges_on_is_named(tmp_path, mapgen):
    path = make(tmp_path, **{"data.split": {"validation": 0.0}})
    result = mapgen("compare", path, "-o", tmp_path / "out", "-q")
    assert (result.code, len(result.errors)) == (2, 1), result
    assert "no ground judges" in result.errors[0]


def test_a_folder_of_something_else_is_left_alone(tmp_path, mapgen):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("dear")
    result = mapgen("compare", make(tmp_path), "-o", tmp_path / "out", "-q")
    assert result.code == 5, result
    assert "is a folder with other files (letter.txt)" in result.errors[0]


def test_equal_pixels_are_as_many_steps_as_show_them(tmp_path):
    path = make(tmp_path, TEXT.replace("seeds", 'budget = "pixels"\nseeds').replace("run.rate = 1e-3", "run.batch = 1"))
    first, other = read_comparison(path).variants
    assert (first.config.run.steps, other.config.run.steps) == (4, 8)


# Models that are there -----------------------------------------------------------------------------------------------


@pytest.fixture
def town(tmp_path, monkeypatch):
    """A scene, its truth, and two models: `old` is wrong on every eleventh row, `new` on every twentieth."""

    def opened(network, setup, name, device):
        often = 11 if network.card.name == "old" else 20

        def rule(pixels):
            rows = np.round(pixels[..., 0, :, :]).astype(int)
            return np.where(rows % often == 0, (cells(pixels) + 1) % 3, cells(pixels))

        return FakeEngine(network, setup, rule)

    monkeypatch.setattr("mapgen.inference.segment.open_engine", opened)
    monkeypatch.setattr("mapgen.training.cost.multiplications", lambda model: 12_000.0)
    scene = make_raster(tmp_path / "scene.tif", coordinates(240, 240, "uint8"), nodata=255)
    truth = make_raster(tmp_path / "truth.tif", coordinate_classes(240, 240), nodata=255)
    models = [make_model(tmp_path / f"{name}.safetensors", name=name) for name in ("old", "new")]
    return scene, truth, models


@pytest.fixture
def judged(town, mapgen):
    """`judged(models…, options…)`: the record of a comparison on the town that must succeed."""

    def call(*arguments, block=24):
        scene, truth, _ = town
        done = mapgen(
            "compare", *arguments, "--scene", scene, "--truth", truth, "--block", block, "--no-speed", "--json"
        )
        assert done.code == 0, done
        return json.loads(done.out)

    return call


def test_a_model_differs_from_itself_by_nothing(town, judged):
    old = town[2][0]
    record = judged(old, old)
    assert [row["name"] for row in record["rows"]] == [f"{old} (1)", f"{old} (2)"]
    assert record["rows"][1]["difference"]["miou_95"] == [0, 0]
    assert record["rows"][1]["verdict"] == "not told apart"
    assert record["blocks"] == 100
    assert record["files"] == []


def test_the_better_model_wins_and_swapped_it_is_the_other_that_loses(town, judged):
    old, new = town[2]
    there, back = judged(old, new), judged(new, old)
    assert (there["rows"][1]["verdict"], back["rows"][1]["verdict"]) == ("better", "worse")
    gain, loss = there["rows"][1]["difference"], back["rows"][1]["difference"]
    assert gain["miou"] == pytest.approx(-loss["miou"])
    assert gain["miou_95"] == pytest.approx([-v for v in loss["miou_95"][::-1]], abs=2e-6)
    assert there["rows"][0]["accuracy"] == pytest.approx(1 - 22 / 240)
    assert there["rows"][1]["accuracy"] == pytest.approx(1 - 12 / 240)
    assert there["rows"][1]["gmac_per_mpx"] == 12.0


def test_scene_and_truth_may_be_several_and_are_counted_together(town, judged):
    scene, truth, (old, new) = town
    one = judged(old, new)
    two = judged(old, new, "--scene", scene, "--truth", truth)
    assert two["blocks"] == 200
    assert two["rows"][1]["miou"] == one["rows"][1]["miou"]
    assert np.ptp(two["rows"][1]["difference"]["miou_95"]) < np.ptp(one["rows"][1]["difference"]["miou_95"])


def test_block_is_in_metres_and_too_few_tell_nothing_apart(town, judged):
    record = judged(*town[2], block=120)
    assert record["blocks"] == 4
    assert record["rows"][1]["difference"]["miou_95"] is None
    assert record["rows"][1]["verdict"] == "not told apart"


def test_seed_changes_the_intervals_and_nothing_else(town, judged):
    one, two = (judged(*town[2], "--seed", n)["rows"][1] for n in (0, 1))
    assert one["miou"] == two["miou"]
    assert one["difference"]["miou_95"] != two["difference"]["miou_95"]


def test_the_truth_is_read_as_evaluate_reads_it(town, judged, mapgen):
    scene, truth, models = town
    plain = judged(*models)
    assert judged(*models, "--ignore", "bright")["rows"][0]["classes"] != plain["rows"][0]["classes"]
    assert judged(*models, "--match=id")["rows"] == plain["rows"]
    west, south, east, north = 500_000, 2_699_760, 500_240, 2_700_000
    corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    box = {"type": "Polygon", "coordinates": [corners]}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32640"}}
    features = [{"type": "Feature", "properties": {"kind": kind}, "geometry": box} for kind in ("dark", "middle")]
    layer = truth.with_suffix(".geojson")
    layer.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    words = ("compare", *models, "--scene", scene, "--truth", layer, "--block", 24, "--no-speed", "--json")
    found = {}
    for name, more in {
        "attribute": ("--attribute=kind",),
        "priority": ("--attribute=kind", "--priority=dark"),
        "class": ("--class=bright", "--outside=dark"),
    }.items():
        done = mapgen(*words, *more)
        assert done.code == 0, done
        found[name] = [c["iou"] for c in json.loads(done.out)["rows"][0]["classes"]]
    assert [np.argmax(iou) for iou in found.values()] == [1, 0, 2]


def test_output_is_a_folder_with_table_record_and_picture(town, mapgen, tmp_path):
    scene, truth, models = town
    words = ("compare", *models, "--scene", scene, "--truth", truth, "--block", 24, "--no-speed")
    words = (*words, "-o", tmp_path / "out")
    done = mapgen(*words, "-q")
    assert done.code == 0, done
    assert done.err == ""
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(FILES)
    assert (tmp_path / "out" / "compare.md").read_text() == done.out
    before = contents(tmp_path)
    again = mapgen(*words)
    assert (again.code, len(again.errors)) == (5, 1), again
    assert "compare.md: exists" in again.errors[0]
    assert contents(tmp_path) == before
    assert mapgen(*words, "--overwrite").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("MODELS", "--scene", "SCENE"), ("--truth: 0 truths for 1 scenes", "one for each")),
        (("MODELS",), ("--scene: no scene is given", "its truth")),
        (("OLD", "--scene", "SCENE", "--truth", "TRUTH"), ("is one model", "name two or more")),
        (("x.toml", "y.toml"), ("x.toml: is compared with y.toml", "one TOML file, or models")),
        (("x.toml", "--scene", "SCENE"), ("--scene: is for models", "leave it out")),
        (("x.toml", "--ignore", "road"), ("--ignore: is for models", "leave it out")),
        (("OLD", "OTHER", "--scene", "SCENE", "--truth", "TRUTH"), ("other classes than", "the same classes")),
    ],
)
def test_models_that_cannot_be_compared_are_one_line(town, tmp_path, mapgen, arguments, words):
    scene, truth, (old, new) = town
    legend = replace(open_model(old).card.legend, classes=open_model(old).card.legend.classes[:2])
    other = make_model(tmp_path / "other.safetensors", name="other", legend=legend)
    names = {"SCENE": [scene], "TRUTH": [truth], "OLD": [old], "OTHER": [other], "MODELS": [old, new]}
    done = mapgen("compare", *(one for a in arguments for one in names.get(a, [a])), "-q")
    assert (done.code, len(done.errors), done.out) == (2, 1, ""), done
    assert all(word in done.errors[0] for word in words), done.errors


def test_json_is_one_object(town, mapgen):
    scene, truth, models = town
    done = mapgen("compare", *models, "--scene", scene, "--truth", truth, "--no-speed", "--json")
    assert json.loads(done.out)["exit_code"] == 0
    assert len(done.out.splitlines()) == 1


def test_no_speed_leaves_out_what_takes_its_time(town, mapgen, monkeypatch):
    scene, truth, models = town
    monkeypatch.setattr("mapgen.training.rates.rates", lambda models: {name: {"fp32": 7.5} for name in models})
    words = ("compare", *models, "--scene", scene, "--truth", truth)
    assert "7.50" in mapgen(*words).out
    assert "Mpx/s" not in mapgen(*words, "--no-speed").out


def test_verbose_twice_shows_the_traceback(mapgen, capfd):
    from mapgen.cli.main import run

    assert run(["compare", "gone.toml", "-vv"]) == 4
    assert "Traceback" in capfd.readouterr().err


# What is drawn and measured ------------------------------------------------------------------------------------------


def row(name, wrong, rate=None):
    counts = np.full((40, 2, 2), 1000) + np.array([[1000, -10 * wrong], [-10 * wrong, 1000]])
    rates = {} if rate is None else {"fp32": rate}
    return Row(name, Rating([Judged.of(counts)]), 1_000_000, 9_000.0, 2.0, (60.0,), rates)


def test_the_front_is_what_no_other_beats_in_both():
    points = [Point(str(i), x, y, y, y) for i, (x, y) in enumerate([(1, 0.5), (2, 0.5), (4, 0.4), (3, 0.3), (2, 0.5)])]
    assert [p.name for p in front(points, True)] == ["1", "4", "2"]
    assert [p.name for p in front(points, False)] == ["0"]


def test_the_picture_shows_every_model_with_and_without_rates():
    pictures = []
    for rated in ([1.0, 30.0], [None, None], [5.0, 5.0]):
        rows = tuple(row(f"model {i}", i, rate) for i, rate in enumerate(rated))
        picture = draw_pareto(Compared("Two models", ("a", "b"), rows, (), "ground", "machine"))
        assert picture.shape == (560, 960, 3)
        assert (picture == (38, 92, 168)).all(-1).sum() > 60, "the other model is not there"
        assert (picture == (200, 80, 40)).all(-1).sum() > 60, "the first model is not there"
        pictures.append(picture)
    assert (pictures[0] != pictures[1]).any()


def test_rates_are_measured_for_every_way_that_can_run_a_model(done, monkeypatch):
    monkeypatch.setattr("mapgen.training.rates.SECONDS", 0.01)
    path, _ = done
    model = open_model(path.parent / "out" / "plain" / "seed-3" / "plain.safetensors")
    found = rates({"a": model, "b": model})
    assert found["a"].keys() == found["b"].keys() >= {"fp32"}
    assert all(rate > 0 for own in found.values() for rate in own.values())
