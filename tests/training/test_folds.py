"""Folds: ground is judged by runs that did not see it, and the model itself learns from all."""

from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from runs import make_run, make_scene

from mapgen.errors import Interrupted, UsageError
from mapgen.model.file import open_model, read_tensors
from mapgen.training.config import content_key, parse_config, read_config
from mapgen.training.folds import folds_of
from mapgen.training.measure import blocks_of, scores
from mapgen.training.parts import BLOCK, loaded
from mapgen.training.runs import Run
from mapgen.training.train import run, train

FOLDS = {"method": "groups", "group": r"(s\d)", "folds": [["s1"], ["s2", "s3"]], "block": None, "guard": None}


def three_places(folder, **split):
    """A configuration over three scenes that lie apart."""
    for n in (1, 2, 3):
        make_scene(folder, f"s{n}", seed=n, transform=Affine(1, 0, 500_000 + 5000 * n, 0, -1, 2_700_000))
    config = make_run(folder, **{"data.split": FOLDS | {"validation": None} | split})
    text = config.read_text().replace('images = ["scene.tif"]', 'images = ["s1.tif", "s2.tif", "s3.tif"]')
    config.write_text(text)
    return config


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folds")
    heard = []
    config = read_config(three_places(folder))
    return run(config, folder / "run", say=heard.append), config, heard


def test_each_fold_is_an_ordinary_run_that_lacks_its_groups(judged):
    done, config, heard = judged
    assert [f.groups for f in folds_of(config, done.run)] == [("s1",), ("s2", "s3")]
    assert [line for line in heard if line.startswith("fold")] == [
        "fold 1 of 2: without s1", "fold 2 of 2: without s2, s3",
    ]  # fmt: skip
    cards = [open_model(f.folder / "tiny.safetensors").card for f in folds_of(config, done.run)]
    assert [round(c.scores["miou"], 4) for c in cards] == [*done.card.scores["miou_left_out"].values()]


def test_the_card_says_the_scores_of_all_that_was_left_out_together(judged, tmp_path):
    from mapgen.dataset.read import read_dataset

    done, config, _ = judged
    counts = []
    for fold in folds_of(config, done.run):
        model = open_model(fold.folder / "tiny.safetensors")
        data = read_dataset(fold.config.data, fold.folder / "ground")
        counts.append(blocks_of(loaded(model), data, model.card, BLOCK).sum(0))
    assert done.card.scores["miou"] == pytest.approx(scores(sum(counts))["miou"], abs=1e-4)
    assert set(done.card.scores["miou_left_out"]) == {"s1", "s2, s3"}
    assert "did not know" in done.card.scores["ground"]
    labelled = read_dataset(config.data, tmp_path / "ground")
    assert sum(int(c.sum()) for c in counts) == sum(labelled.pixels["training"]), "not every place was judged once"


def test_the_model_is_that_of_a_run_on_all_ground(judged, tmp_path):
    done, _, _ = judged
    plain = train(three_places(tmp_path, folds=None, validation=0.0), tmp_path / "run")
    one, other = (read_tensors(open_model(t.model)) for t in (done, plain))
    assert all(np.array_equal(one[k], other[k]) for k in one)


def test_a_run_that_is_stopped_in_a_fold_goes_on_there(judged, tmp_path):
    config, steps = three_places(tmp_path), []

    def stop(report):
        steps.append(report.step)
        if len(steps) == 17:
            raise Interrupted("mapgen", "stopped", "run it again")

    with pytest.raises(Interrupted):
        run(read_config(config), tmp_path / "run", progress=stop)
    again = []
    done = run(read_config(config), tmp_path / "run", progress=lambda report: again.append(report.step))
    assert len(again) == 3 * 12 - 17
    assert done.card.scores == judged[0].card.scores


def test_a_stop_before_the_first_checkpoint_of_a_fold_leaves_a_folder_to_go_on_in(tmp_path):
    config = three_places(tmp_path)

    def stop(report):
        raise Interrupted("mapgen", "stopped", "run it again")

    for _ in range(2):
        with pytest.raises(Interrupted):
            run(read_config(config), tmp_path / "run", progress=stop)


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({"folds": [["s1"]]}, "one set of groups"),
        ({"folds": [["s1"], []]}, "an empty one"),
        ({"folds": [["s1"], ["s2", "s1"]]}, "the group 's1' twice"),
        ({"method": None}, 'method = "groups"'),
        ({"groups": ["s1"]}, "leave out data.split.groups"),
    ],
)
def test_folds_that_make_no_sense_are_refused(tmp_path, split, words):
    with pytest.raises(UsageError) as caught:
        read_config(three_places(tmp_path, **split))
    assert words in str(caught.value)


def test_a_group_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"data\.split\.folds: there is no group 's9'; the groups are 's1', 's2'"):
        train(three_places(tmp_path, folds=[["s1"], ["s9"]]), tmp_path / "run")
    assert not (tmp_path / "run").exists(), "it trained before it looked"


def test_the_key_of_a_run_without_folds_is_what_it_was(tmp_path):
    config = parse_config(three_places(tmp_path, folds=None).read_text())
    with_folds = replace(config, data=replace(config.data, split=replace(config.data.split, folds=(("s1",), ("s2",)))))
    assert content_key(with_folds) != content_key(config)
    assert [f.folder.parts[-2:] for f in folds_of(with_folds, Run(tmp_path, "x"))] == [("folds", "1"), ("folds", "2")]
