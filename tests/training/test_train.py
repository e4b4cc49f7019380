"""`mapgen train`: from a configuration to a model that maps, killed and resumed at will."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from runs import BY_HEART, CLASSES, UNLABELLED, config_text, make_run

from mapgen.accuracy.confusion import Tally, confusion
from mapgen.cli.console import console
from mapgen.cli.progress import ProgressBar
from mapgen.cli.train import _show
from mapgen.model.file import open_model, read_tensors
from mapgen.training.config import content_key, parse_config, read_config
from mapgen.training.curves import Curves, draw_curves, smoothed, ticks
from mapgen.training.outcome import Report
from mapgen.training.parts import recipe_of
from mapgen.training.runs import Log
from mapgen.training.train import train

ROOT = Path(__file__).parents[2]


def rows(folder):
    """The log without what the clock says."""
    table = list(csv.DictReader((folder / "log.csv").read_text().splitlines()))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in table]


def tensors(folder, name="tiny"):
    return read_tensors(open_model(folder / f"{name}.safetensors"))


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """The folder of a run that has learnt its scene by heart."""
    folder = tmp_path_factory.mktemp("learnt")
    train(make_run(folder, **BY_HEART), folder / "run")
    return folder


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The folder of a run of twelve steps that nobody disturbed."""
    folder = tmp_path_factory.mktemp("unbroken")
    train(make_run(folder), folder / "run")
    return folder


def test_a_trained_model_maps_at_once_what_it_has_learnt_by_heart(learnt, mapgen):
    model, scene = learnt / "run" / "tiny.safetensors", learnt / "scene.tif"
    done = mapgen("segment", scene, "--model", model, "-o", learnt / "map.tif", "--engine", "torch", "--overwrite")
    assert done.code == 0, done
    with rasterio.open(learnt / "map.tif") as mapped, rasterio.open(learnt / "label" / "scene.tif") as labels:
        found, truth = mapped.read(1), labels.read(1)
    ids = [c[0] for c in CLASSES]
    assert set(np.unique(found)) == {*ids, 255}
    assert (found[-20:, -20:] == 255).all(), "no data became a class"
    code = np.full(256, -1)
    code[ids] = range(len(ids))
    unlabelled = truth == UNLABELLED
    assert set(np.unique(found[unlabelled])) <= set(ids), "what was not labelled became a class of its own"
    iou = Tally.of(confusion(code[truth], code[found], len(ids))).iou
    assert (iou > 0.95).all(), iou


def test_the_card_says_all_that_segment_and_people_need(learnt, mapgen):
    card = open_model(learnt / "run" / "tiny.safetensors").card
    assert [(c.id, c.name) for c in card.legend] == list(CLASSES)
    assert (card.bands, card.data_type, card.resolution_m) == (("red", "green", "blue"), "uint8", 1.0)
    assert (card.window, card.halo, card.stride) == (64, 16, 4)
    assert card.scores["miou"] > 0.95
    assert set(card.scores["classes"]) == {c[1] for c in CLASSES}
    assert "Mpx of labelled ground" in card.data
    assert "after step 60 of 60" in card.description
    shown = mapgen("models", "show", learnt / "run" / "tiny.safetensors")
    assert shown.code == 0
    assert "2 field, 7 roof, 9 lake" in shown.out


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_run_folder_holds_log_curves_and_the_configuration_that_was_run(learnt):
    run = learnt / "run"
    table = rows(run)
    assert [int(r["step"]) for r in table] == list(range(60))
    assert [int(r["step"]) for r in table if r["miou"]] == [29, 59]
    assert float(table[-1]["iou roof"]) > 0.95
    again = parse_config((run / "config.toml").read_text())
    assert content_key(again) == content_key(read_config(learnt / "run.toml"))
    with rasterio.open(run / "curves.png") as picture:
        assert (picture.count, picture.width) == (3, 960)
    assert sorted(p.name for p in run.iterdir()) == [
        "checkpoint.safetensors", "config.toml", "curves.png", "ground", "log.csv", "tiny.safetensors",
    ]  # fmt: skip


def test_scores_of_a_card_are_those_of_the_weights_in_the_file(learnt):
    """Float16 as stored; what was measured in training is what the file gives."""
    stored = tensors(learnt / "run")
    assert {v.dtype.name for k, v in stored.items() if "num_batches" not in k} == {"float16"}
    best = max(float(r["miou"]) for r in rows(learnt / "run") if r["miou"])
    assert open_model(learnt / "run" / "tiny.safetensors").card.scores["miou"] == pytest.approx(best, abs=1e-4)


KILLED = """
import os, signal, sys
import mapgen.training.runs as runs
add = runs.Log.add
def watched(log, row):
    add(log, row)
    if row["step"] == int(sys.argv[1]):
        {what}
runs.Log.add = watched
signal.signal(signal.SIGINT, signal.default_int_handler)
from mapgen.cli.main import main
main(sys.argv[2:])
"""


def stopped(what, step, *arguments):
    """The command line in a process of its own, in which `what` happens after a step."""
    program = KILLED.format(what=what)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", program, str(step), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)


@pytest.mark.parametrize("step", [2, 9])
def test_a_killed_run_goes_on_to_the_same_log_and_the_same_weights(tmp_path, unbroken, mapgen, step):
    config = make_run(tmp_path)
    ended = stopped("os.kill(os.getpid(), signal.SIGKILL)", step, "train", config, "-o", tmp_path / "run")
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert (tmp_path / "run" / "checkpoint.safetensors").exists() == (step > 4)
    with open(tmp_path / "run" / "log.csv", "a") as log:
        log.write("10,0.5")  # half a line
    again = mapgen("train", config, "-o", tmp_path / "run")
    assert again.code == 0, again
    assert again.out.strip() == str(tmp_path / "run" / "tiny.safetensors")
    assert ("goes on from step 8 of 12" in again.err) == (step > 4)
    assert rows(tmp_path / "run") == rows(unbroken / "run")
    assert same(tensors(tmp_path / "run"), tensors(unbroken / "run"))


def test_a_run_stopped_before_its_first_checkpoint_loses_no_step(tmp_path, unbroken, mapgen):
    config = make_run(tmp_path)
    ended = stopped("os.kill(os.getpid(), signal.SIGTERM)", 2, "train", config, "-o", tmp_path / "run")
    assert ended.returncode == 143, ended.stderr
    assert "stopped at step 3; run the same command again to go on from the last checkpoint" in ended.stderr
    again = mapgen("train", config, "-o", tmp_path / "run")
    assert again.code == 0, again
    assert "goes on from step 3 of 12" in again.err
    assert rows(tmp_path / "run") == rows(unbroken / "run")
    assert same(tensors(tmp_path / "run"), tensors(unbroken / "run"))


def test_a_checkpoint_of_an_earlier_mapgen_is_not_read(tmp_path, mapgen):
    config = make_run(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").write_text(config.read_text())
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"PK")
    again = mapgen("train", config, "-o", tmp_path / "run")
    assert (again.code, len(again.errors)) == (5, 1), again
    assert "holds checkpoint.pt of an older mapgen, which is no longer read; start over with --overwrite" in again.err
    assert mapgen("train", config, "-o", tmp_path / "run", "--overwrite").code == 0
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_run_that_is_stopped_says_how_it_goes_on(tmp_path, number, code):
    config = make_run(tmp_path)
    ended = stopped(f"os.kill(os.getpid(), signal.{number})", 6, "train", config, "-o", tmp_path / "run", "-q")
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    warning, _, rest = ended.stderr.partition("\n")
    assert "within a kilometre" in warning
    assert rest == (
        f"mapgen: error: {number}: stopped at step 7; "
        "run the same command again to go on from the last checkpoint\n"
    )  # fmt: skip
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_same_seed_same_weights_and_another_seed_others(tmp_path, unbroken):
    one = train(make_run(tmp_path), tmp_path / "one")
    assert same(tensors(tmp_path / "one"), tensors(unbroken / "run"))
    assert (one.steps, one.begun) == (12, 0)
    assert ["within a kilometre" in w for w in one.warnings] == [True]
    train(make_run(tmp_path, "two.toml", **{"": {"seed": 2}}), tmp_path / "two")
    assert not same(tensors(tmp_path / "one"), tensors(tmp_path / "two"))


def test_a_run_that_is_done_is_not_done_again(unbroken, mapgen):
    before = (unbroken / "run" / "checkpoint.safetensors").stat().st_mtime_ns
    again = mapgen("train", unbroken / "run.toml", "-o", unbroken / "run")
    assert again.code == 0
    assert "was done before, after 12 steps" in again.err
    assert again.out.strip() == str(unbroken / "run" / "tiny.safetensors")
    assert (unbroken / "run" / "checkpoint.safetensors").stat().st_mtime_ns == before


def test_a_model_that_was_deleted_is_written_again(tmp_path):
    config = make_run(tmp_path)
    done = train(config, tmp_path / "run")
    done.model.unlink()
    assert train(config, tmp_path / "run").model.exists()


def test_validation_ground_may_be_missing(tmp_path, mapgen):
    config = make_run(tmp_path, **{"data.split": {"validation": 0.0}})
    assert mapgen("train", config, "-o", tmp_path / "run").code == 0
    card = open_model(tmp_path / "run" / "tiny.safetensors").card
    assert card.scores == {}
    assert "the average after step 12 of 12" in card.description
    assert not any(r["miou"] for r in rows(tmp_path / "run"))


def test_output_is_by_default_named_after_the_model(tmp_path, mapgen, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = make_run(tmp_path, run={"steps": 1})
    default = mapgen("train", config)
    assert (default.code, default.out.strip()) == (0, "runs/tiny/tiny.safetensors")
    named = mapgen("train", config, "-o", "here")
    assert (named.code, named.out.strip()) == (0, "here/tiny.safetensors")
    assert Path("here/tiny.safetensors").exists()


def test_check_surveys_the_ground_and_trains_nothing(tmp_path, mapgen):
    config = make_run(tmp_path)
    seen = mapgen("train", config, "--check", "-o", tmp_path / "run")
    assert seen.code == 0, seen
    assert "roof" in seen.out
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["config.toml", "contact.png", "ground"]
    record = json.loads(mapgen("train", config, "--check", "-o", tmp_path / "run", "--json").out)
    assert record["exit_code"] == 0
    assert record["picture"] == str(tmp_path / "run" / "contact.png")
    other = make_run(tmp_path, "other.toml", run={"rate": 1e-3, "steps": 1})
    assert mapgen("train", other, "-o", tmp_path / "run").code == 0, "what was only checked may still be changed"
    both = mapgen("train", config, "--check", "--steps", "3")
    assert (both.code, "--check trains nothing" in both.err) == (2, True)


def test_check_fails_where_labels_are_not_listed(tmp_path, mapgen):
    config = make_run(tmp_path, data={"ignore": []})
    seen = mapgen("train", config, "--check", "-o", tmp_path / "run")
    assert seen.code == 9, seen
    assert "3" in seen.errors[0]


def test_steps_end_a_run_sooner_or_later(tmp_path, mapgen):
    config = make_run(tmp_path)
    assert mapgen("train", config, "-o", tmp_path / "run", "--steps", "6").code == 0
    log = rows(tmp_path / "run")
    assert len(log) == 6
    assert "after step 6 of 6" in open_model(tmp_path / "run" / "tiny.safetensors").card.description
    more = mapgen("train", config, "-o", tmp_path / "run", "--steps", "9")
    assert (more.code, "the run is finished after 6 steps" in more.err) == (2, True)


def test_overwrite_begins_a_run_anew(tmp_path, mapgen):
    config = make_run(tmp_path, run={"steps": 3})
    assert mapgen("train", config, "-o", tmp_path / "run").code == 0
    (tmp_path / "run" / "notes.txt").write_text("mine")
    other = make_run(tmp_path, "other.toml", **{"": {"name": "other"}, "run": {"steps": 2}})
    assert mapgen("train", other, "-o", tmp_path / "run").code == 5
    assert mapgen("train", other, "-o", tmp_path / "run", "--overwrite").code == 0
    assert len(rows(tmp_path / "run")) == 2
    left = {p.name for p in (tmp_path / "run").iterdir()}
    assert {"other.safetensors", "notes.txt"} <= left
    assert "tiny.safetensors" not in left


def test_json_is_one_object(unbroken, mapgen):
    done = mapgen("train", unbroken / "run.toml", "-o", unbroken / "run", "--json")
    record = json.loads(done.out)
    assert record["model"] == str(unbroken / "run" / "tiny.safetensors")
    assert (record["steps"], record["end"], record["exit_code"]) == (12, 12, 0)
    assert 0 <= record["scores"]["miou"] <= 1


def test_the_log_keeps_the_steps_that_quiet_does_not_say(tmp_path, mapgen):
    config = make_run(tmp_path, run={"steps": 2})
    done = mapgen("train", config, "-o", tmp_path / "run", "-q", "--log-file", tmp_path / "log.jsonl")
    said = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["text"] for line in said if line["level"] == "result"] == done.out.splitlines()
    assert any(line["text"].startswith("2 steps, ") for line in said)
    assert "2 steps, " not in done.err


def test_quiet_says_nothing_but_the_model_and_what_may_spoil_it(tmp_path, mapgen):
    config = make_run(tmp_path, run={"steps": 1})
    done = mapgen("train", config, "-o", tmp_path / "run", "-q")
    assert (done.code, done.out) == (0, f"{tmp_path / 'run' / 'tiny.safetensors'}\n")
    assert ["within a kilometre" in line for line in done.err.splitlines()] == [True]


def test_verbose_twice_shows_the_traceback(tmp_path, capfd):
    from mapgen.cli.main import run

    assert run(["train", str(tmp_path / "none.toml"), "-vv"]) == 4
    assert "Traceback" in capfd.readouterr().err


def test_progress_says_loss_miou_rate_and_the_time_that_is_left():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    bar = ProgressBar("tiny", "steps", shown=True, stream=Terminal())
    _show(bar, Report(50, 100, 50, 0.5123, 1.23e-3, 0.4321))
    bar.past[0] = (bar.past[0][0] - 20, 50)
    _show(bar, Report(60, 100, 50, 0.5123, 1.23e-3, 0.4321))
    console.screen.pause()
    console.clear_screen()
    shown = " ".join(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", bar.stream.getvalue()).split())
    assert "60 of 100 loss 0.512, mIoU 0.432, rate 1.2e-03, 80 s left" in shown


def test_epochs_are_passes_over_the_labelled_ground(learnt):
    config = read_config(learnt / "run.toml")
    from mapgen.dataset.read import read_dataset

    data = read_dataset(config.data, learnt / "run" / "ground")
    ground = sum(data.pixels["training"])
    run = replace(config.run, steps=None, epochs=3.0)
    recipe = recipe_of(replace(config, run=run, model=replace(config.model, freeze_epochs=1.5)), data, "fp32")
    shown = recipe.steps * 4 * 64**2
    assert 3 * ground <= shown < 3 * ground + 4 * 64**2
    assert recipe.frozen * shown == pytest.approx(1.5 * ground)
    staged = parse_config(
        config_text(run={"stages": [{"start": 0, "batch": 4, "crop": 64}, {"start": 0.5, "batch": 2, "crop": 32}]})
    )
    assert [(s.start, s.count, s.size) for s in recipe_of(staged, data, "fp32").stages] == [(0, 4, 64), (0.5, 2, 32)]


def test_a_log_forgets_what_is_done_again(tmp_path):
    log = Log(tmp_path / "log.csv", ("step", "loss", "iou a,b"))
    log.resume(0)
    for step in range(5):
        log.add({"step": step, "loss": 1 / (step + 1), "iou a,b": 0.5 if step == 3 else ""})
    again = Log(tmp_path / "log.csv", ("step", "loss", "iou a,b"))
    again.resume(4)
    assert again.points("loss") == [(s, 1 / (s + 1)) for s in range(4)]
    assert again.points("iou a,b") == [(3, 0.5)]


def test_curves_show_every_line_where_its_values_are():
    points = [(0, 0.0), (50, 1.0), (99, 0.0)]
    red = (200, 30, 30)
    picture = draw_curves(Curves(100, points, points, [(50, 0.5)], {"roof": points}, {"roof": red}))
    assert picture.dtype == np.uint8
    places = np.argwhere((np.abs(picture.astype(int) - red) < 8).all(2))
    plot = places[places[:, 1] < 800]
    highest = plot[plot[:, 0].argmin()]
    assert abs(highest[1] - (76 + (960 - 76 - 190) / 2)) < 6, "the peak is not over the middle of the run"
    assert draw_curves(Curves(10, [], [])).shape == picture.shape


def test_ticks_are_round_and_inside():
    for low, high in ((0, 1), (0, 12), (0.0013, 7.7), (-3, 1e6), (0, 3e-5)):
        found = ticks(low, high)
        assert 2 <= len(found) <= 7
        assert all(low - 1e-9 <= v <= high * (1 + 1e-9) for v in found)
        steps = np.diff(found)
        assert np.allclose(steps, steps[0])
        assert f"{steps[0]:.0e}"[0] in "125"


def test_smoothing_keeps_the_mean():
    values = np.random.default_rng(0).random(1000)
    means = smoothed(list(enumerate(values)))
    assert len(means) == 100
    assert np.mean([m for _, m in means]) == pytest.approx(values.mean())
