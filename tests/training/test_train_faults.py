"""Training that cannot go on or never begins: the cause, the remedy, the exit code, and what is left on the disk."""

import contextvars
import math
import os

import numpy as np
import pytest
import torch
from factory import contents, make_raster
from runs import CLASSES, make_run, make_scene

from mapgen.files.commit import locked
from mapgen.files.unfinished import PREFIX
from mapgen.model.file import open_model
from mapgen.training import losses
from mapgen.training.train import train


@pytest.fixture
def fails(mapgen, tmp_path):
    """`fails(code, words, arguments…)`: train ends with this exit code and one error line that holds all words, says
    nothing on stdout, and leaves everything in `tmp_path` as it was, unless `leaves` something."""

    def check(code, words, *arguments, leaves=False):
        before = contents(tmp_path)
        result = mapgen("train", *arguments, "-q")
        assert (result.code, len(result.errors)) == (code, 1), result
        missing = [word for word in words if word not in result.errors[0]]
        assert not missing, f"{missing} not in {result.errors[0]!r}"
        assert result.out == ""
        assert leaves or contents(tmp_path) == before
        return result

    return check


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": {"architecture": "Umet"}}, ("model: Umet", "not an architecture", "did you mean Unet?")),
        ({"model": {"encoder": "resnet19", "parameters": {}}}, ("resnet19", "did you mean resnet18?")),
        ({"model": {"encoder": "tu-resnet19", "parameters": {}}}, ("tu-resnet19", "cannot be built")),
        ({"model": {"parameters": {"activation": "softmax"}}}, ("activation is not for maps", "leave it out")),
        ({"run": {"crop": 33}}, ("run.crop: 33 is not a multiple of the network's stride 4", "use 32")),
        ({"model": {"window": 32, "halo": 16}}, ("model.halo: 16 leaves nothing of a window of 32", "use at most 12")),
        ({"run": {"device": "cuda"}}, ("run.device: torch finds no cuda device here", "use cpu")),
        ({"classes": {"all": CLASSES[:1]}}, ("data.classes: has one class", "add a class for the rest")),
        ({"run": {"stpes": 3}}, ("run.toml", "run.stpes", "did you mean run.steps?")),
        (
            {"model": {"architecture": "DeepLabV3Plus", "encoder": "resnet18", "parameters": {}}, "run": {"batch": 1}},
            ("run.batch: 1 crop at a time is too little for the norms of DeepLabV3Plus", "use 2 or more"),
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_configuration_that_cannot_be_trained_is_exit_2(tmp_path, fails, changes, words, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    fails(2, words, make_run(tmp_path, **changes), "-o", tmp_path / "run")


def test_a_model_to_begin_as_that_is_not_there_is_exit_6(tmp_path, fails):
    config = make_run(tmp_path, model={"from": "drycity-rgb-2m"})
    fails(6, ("drycity-rgb-2m", "no such model", "drycity-rgb-1m"), config, "-o", tmp_path / "run")


def test_a_model_to_begin_as_of_another_network_is_exit_2(tmp_path, fails):
    config = make_run(tmp_path, model={"from": "drycity-rgb-1m"})
    words = ("model.from: drycity-rgb-1m has the architecture 'Linknet', the configuration says 'Unet'", "model.take")
    fails(2, words, config, "-o", tmp_path / "run")


def test_imagenet_without_a_network_is_exit_7(tmp_path, fails, monkeypatch):
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(*args, **kwargs):
        raise LocalEntryNotFoundError("no route")

    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", offline)
    config = make_run(tmp_path, model={"from": "imagenet", "encoder": "resnet18", "parameters": {}, "window": 256})
    words = ("imagenet weights of resnet18", "cannot be downloaded", "go online once", "start from a mapgen model")
    fails(7, words, config, "-o", tmp_path / "run")


def test_a_configuration_that_is_not_there_is_exit_4(tmp_path, fails):
    fails(4, ("none.toml", "no such file"), tmp_path / "none.toml")


def test_ground_without_a_label_is_exit_4(tmp_path, fails):
    make_scene(tmp_path)
    blank = np.full((192, 192), 255, np.uint8)
    make_raster(tmp_path / "label" / "scene.tif", blank, nodata=255)
    words = ("training ground", "no pixel", "has a label", "check labels")
    fails(4, words, make_run(tmp_path), "-o", tmp_path / "run")


def test_ground_that_is_all_ignored_is_exit_4(tmp_path, fails):
    config = make_run(
        tmp_path, data={"ignore": [2, 3, 7, 9]}, classes={"all": ((4, "none"), (5, "nothing"))}
    )  # fmt: skip
    fails(4, ("training ground", "no pixel", "check labels, data.ignore"), config, "-o", tmp_path / "run")


def test_one_class_that_is_labelled_is_a_warning(tmp_path, mapgen):
    make_scene(tmp_path)
    make_raster(tmp_path / "label" / "scene.tif", np.full((192, 192), CLASSES[1][0], np.uint8), nodata=255)
    done = mapgen("train", make_run(tmp_path, run={"steps": 2}), "-o", tmp_path / "run")
    assert done.code == 0, done
    assert "warning" in done.err
    assert "field" in done.err


def test_one_sample_is_enough(tmp_path, mapgen):
    """One crop at a time of ground no larger than it."""
    make_scene(tmp_path, size=64)
    config = make_run(tmp_path, run={"batch": 1, "crop": 64, "steps": 2}, **{"data.split": {"validation": 0.0}})
    assert mapgen("train", config, "-o", tmp_path / "run").code == 0


def spoilt(step, value=math.nan):
    """Cross entropy that is not finite at the call after so many."""
    calls = []

    def loss(scores, target, smoothing, weight):
        calls.append(1)
        return losses.cross_entropy(scores, target) * (value if len(calls) == step + 1 else 1.0)

    return loss


@pytest.mark.parametrize(("step", "resumed"), [(2, 0), (9, 8)])
def test_a_loss_that_is_not_finite_is_exit_6_and_the_last_checkpoint_stays(tmp_path, fails, monkeypatch, step, resumed):
    config = make_run(tmp_path)
    with monkeypatch.context() as patch:
        patch.setitem(losses.LOSSES, "cross_entropy", spoilt(step))
        words = (f"training: the loss is nan at step {step}", "lower run.rate")
        fails(6, words, config, "-o", tmp_path / "run", leaves=resumed > 0)
    assert train(config, tmp_path / "run").begun == resumed


def test_a_checkpoint_that_is_broken_is_exit_4_and_left_alone(tmp_path, fails):
    config = make_run(tmp_path, run={"steps": 4})
    train(config, tmp_path / "run")
    path = tmp_path / "run" / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    fails(4, (path.name, "is not a checkpoint", "delete it to start over"), config, "-o", tmp_path / "run")


def test_a_checkpoint_is_never_executed(tmp_path, fails):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    config = make_run(tmp_path, run={"steps": 4})
    train(config, tmp_path / "run")
    torch.save({"recipe": Trap()}, tmp_path / "run" / "checkpoint.safetensors")
    fails(4, ("is not a checkpoint",), config, "-o", tmp_path / "run")
    assert not (tmp_path / "sprung").exists()


def test_the_folder_of_another_run_is_exit_5_and_names_what_differs(tmp_path, fails):
    train(make_run(tmp_path, run={"steps": 4}), tmp_path / "run")
    other = make_run(tmp_path, "other.toml", run={"steps": 4}, loss={"smoothing": 0.2})
    words = ("run: holds a run of another configuration", "loss.smoothing was 0.1, is 0.2", "-o", "--overwrite")
    fails(5, words, other, "-o", tmp_path / "run")


def test_what_changes_no_weight_is_no_other_run(tmp_path):
    train(make_run(tmp_path, run={"steps": 4}), tmp_path / "run")
    assert train(make_run(tmp_path, "other.toml", run={"steps": 4, "save_every": 1}), tmp_path / "run").begun == 4


def test_a_folder_of_something_else_is_exit_5(tmp_path, fails):
    config = make_run(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"precious")
    for more in ((), ("--overwrite",)):
        words = ("photos: is a folder with other files (one.jpg)", "choose another with -o")
        fails(5, words, config, "-o", tmp_path / "photos", *more)


def test_a_file_or_a_missing_parent_is_exit_5(tmp_path, fails):
    config = make_run(tmp_path)
    (tmp_path / "file").write_text("precious")
    fails(5, ("file: is a file", "name a folder with -o"), config, "-o", tmp_path / "file")
    fails(5, ("does not exist", "create it first"), config, "-o", tmp_path / "no" / "run")


def test_two_runs_at_once_in_one_folder_are_exit_5_and_it_says_who(tmp_path, fails):
    config = make_run(tmp_path, run={"steps": 4})
    train(config, tmp_path / "run")
    holding = contextvars.Context()  # as another run does
    holding.run((lock := locked(tmp_path / "run", inside=True)).__enter__)
    words = (f"run: is being written by process {os.getpid()} on this machine", "wait until it is done")
    fails(5, words, config, "-o", tmp_path / "run")
    holding.run(lock.__exit__, None, None, None)
    assert not [p for p in (tmp_path / "run").iterdir() if p.name.startswith(PREFIX)]


def test_a_full_disk_is_exit_5(tmp_path, fails):
    config = make_run(tmp_path, run={"steps": 8})
    train(config, tmp_path / "run")
    (tmp_path / "run" / "checkpoint.safetensors").unlink()
    (tmp_path / "run" / "checkpoint.safetensors.part").symlink_to("/dev/full")
    fails(5, ("run: the disk is full", "free some space"), config, "-o", tmp_path / "run", leaves=True)
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_memory_that_is_out_is_exit_8(tmp_path, fails, monkeypatch):
    config = make_run(tmp_path)

    def full(*args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("mapgen.training.fit.descend", full)
    fails(8, ("run.batch: does not fit into the memory", "use a smaller run.batch"), config, "-o", tmp_path / "run")


def test_a_bug_is_exit_1(tmp_path, fails, monkeypatch):
    config = make_run(tmp_path)
    monkeypatch.setattr("mapgen.training.fit.descend", lambda *args: 1 / 0)
    fails(1, ("a bug in mapgen: ZeroDivisionError",), config, "-o", tmp_path / "run")


def kept(folder):
    """All of a run but the ground, which may be laid down again at any time."""
    return {name: value for name, value in contents(folder).items() if "ground" not in name }


def test_overwrite_of_a_run_that_cannot_begin_loses_nothing(tmp_path, fails, mapgen):
    first = make_run(tmp_path, run={"steps": 4})
    train(first, tmp_path / "run")
    before = kept(tmp_path / "run")
    broken = make_run(tmp_path, "broken.toml", model={"architecture": "Umet"})
    fails(2, ("did you mean Unet?",), broken, "-o", tmp_path / "run", "--overwrite")
    unlisted = make_run(tmp_path, "unlisted.toml", data={"ignore": []})
    fails(4, ("labels that no class lists: 3",), unlisted, "-o", tmp_path / "run", "--overwrite", leaves=True)
    assert kept(tmp_path / "run") == before
    assert mapgen("train", first, "-o", tmp_path / "run", "--check", "--overwrite").code == 0
    assert {k: v for k, v in kept(tmp_path / "run").items() if k != "contact.png"} == before
    assert open_model(tmp_path / "run" / "tiny.safetensors").card.name == "tiny"
    assert train(first, tmp_path / "run").begun == 4
