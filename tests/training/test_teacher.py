"""The teacher: what its answers pull, and what they leave alone."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from affine import Affine
from runs import make_run, make_scene
from torch import nn

from mapgen.dataset.dataset import IGNORE
from mapgen.errors import UsageError
from mapgen.legend import Class, Legend
from mapgen.model.card import ModelCard
from mapgen.model.file import open_model, read_tensors
from mapgen.training.config import content_key, parse_config, resolved
from mapgen.training.fit import fit, start
from mapgen.training.losses import combined
from mapgen.training.pace import Recipe, Stage
from mapgen.training.teacher import Teacher, own_average, taught, taught_classes, tutor
from mapgen.training.train import train

LOSS = combined({"cross_entropy": 1.0})
NAMES = ("land", "road", "water")


def card(names=NAMES, bands=("red", "green", "blue"), **changes) -> ModelCard:
    legend = Legend(tuple(Class(i, n, "#102030") for i, n in enumerate(names)))
    n = len(bands)
    return replace(
        ModelCard(
            name="m", architecture="Unet", encoder="resnet18", bands=bands, mean=(10.0, 20.0, 30.0)[:n],
            std=(5.0, 6.0, 7.0)[:n], legend=legend, resolution_m=1.0, data_type="uint8", window=256, halo=32, stride=32,
        ), **changes,
    )  # fmt: skip


def network(seed=0, bands=3, classes=3) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(bands, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, classes, 1))


def numbers(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def pixels(seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(0, 255, (2, 3, 16, 16)).astype(np.float32))


def test_it_is_the_divergence_of_the_two_answers():
    scores, other, t = numbers(2, 3, 4, 4), numbers(2, 3, 4, 4, seed=1), 2.0
    p, q = ((v.double() / t).softmax(1).numpy() for v in (other, scores))
    by_hand = t**2 * (p * np.log(p / q)).sum(1).mean()
    assert float(taught(scores, (other / t).softmax(1), t)) == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_one_of_the_same_opinion_teaches_nothing(temperature):
    scores = numbers(2, 3, 8, 8).requires_grad_()
    loss = taught(scores, (scores.detach() / temperature).softmax(1), temperature)
    loss.backward()
    assert abs(loss.item()) < 1e-6
    assert float(scores.grad.abs().max()) < 1e-8


def test_what_is_not_sure_pulls_nothing_and_still_counts_in_the_mean():
    scores, wanted = numbers(1, 3, 4, 4).requires_grad_(), numbers(1, 3, 4, 4, seed=1).softmax(1)
    sure = torch.zeros(1, 4, 4, dtype=torch.bool)
    sure[0, :2] = True
    taught(scores, wanted, 1.0, sure).backward()
    assert not scores.grad[:, :, 2:].any()
    assert scores.grad[:, :, :2].any()
    half = taught(scores[:, :, :2], wanted[:, :, :2])
    torch.testing.assert_close(taught(scores, wanted, 1.0, sure), half / 2)


def test_a_tutor_is_matched_by_the_names_of_bands_and_classes():
    theirs = network(1)
    plain = tutor("a", card(), theirs, card())
    turned = copy.deepcopy(theirs)
    with torch.no_grad():
        turned[0].weight.copy_(theirs[0].weight[:, [2, 1, 0]])
        turned[2].weight.copy_(theirs[2].weight[[1, 2, 0]])
        turned[2].bias.copy_(theirs[2].bias[[1, 2, 0]])
    names, bands = ("Road", "WATER", "land"), ("Blue", "green", "red")
    other = card(names, bands, mean=(30.0, 20.0, 10.0), std=(7.0, 6.0, 5.0))
    state = start(network(), Recipe(1, (Stage(0.0, 1, 16),)))
    one, two = (t.scores(pixels(), state) for t in (plain, tutor("b", other, turned, card())))
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_a_class_that_it_lacks_gets_no_pull():
    theirs = card(("road", "water"))
    classes = taught_classes({"a": theirs}, card())
    assert classes == (1, 2)
    teacher = Teacher([tutor("a", theirs, network(1, classes=2), card())], classes, 1.0, 1.0, 0.0)
    state = start(network(), Recipe(1, (Stage(0.0, 1, 16),)))
    scores = numbers(2, 3, 16, 16).requires_grad_()
    teacher(pixels(), scores, state).backward()
    assert not scores.grad[:, 0].any()
    assert scores.grad[:, 1:].any()


def test_several_teach_the_mean_of_their_probabilities():
    nets = [network(1), network(2)]
    teacher = Teacher([tutor("m", card(), copy.deepcopy(n), card()) for n in nets], (0, 1, 2), 0.5, 1.0, 0.0)
    state = start(network(), Recipe(1, (Stage(0.0, 1, 16),)))
    x = (pixels() - torch.tensor([10.0, 20, 30]).view(1, 3, 1, 1)) / torch.tensor([5.0, 6, 7]).view(1, 3, 1, 1)
    with torch.no_grad():
        wanted = sum(n(x).softmax(1) for n in nets) / 2
    scores = numbers(2, 3, 16, 16)
    torch.testing.assert_close(teacher(pixels(), scores, state), 0.5 * taught(scores, wanted), rtol=1e-4, atol=1e-5)


class Undrawn:
    """Batches without a label."""

    def batch(self, step, count, size):
        rng = np.random.default_rng(step)
        images = rng.uniform(0, 255, (count, 3, size, size)).astype(np.float32)
        return torch.from_numpy(images), torch.full((count, size, size), IGNORE)


def test_ground_that_nobody_labelled_is_learned_and_the_teacher_stays_as_it_was():
    theirs = network(1)
    before = copy.deepcopy(theirs.state_dict())
    recipe = Recipe(60, (Stage(0.0, 2, 16),), rate=2e-2)
    state, term = start(network(2), recipe), Teacher([tutor("m", card(), theirs, card())], (0, 1, 2), 1.0, 1.0, 0.0)
    losses = [
        p.loss for p in fit(state, recipe, Undrawn(), LOSS, scale=((10.0, 20, 30), (5.0, 6, 7)), terms=[term])
    ]
    assert np.mean(losses[-5:]) < 0.3 * np.mean(losses[:5])
    assert all(torch.equal(v, before[k]) for k, v in theirs.state_dict().items())


def test_the_runs_own_average_teaches_as_it_is_at_that_step():
    recipe = Recipe(3, (Stage(0.0, 2, 16),))
    state = start(network(), recipe)
    teacher = Teacher([own_average(card(), (0, 1, 2))], (0, 1, 2), 1.0, 1.0, 0.0)
    x = (pixels() - torch.tensor([10.0, 20, 30]).view(1, 3, 1, 1)) / torch.tensor([5.0, 6, 7]).view(1, 3, 1, 1)
    with torch.no_grad():
        assert abs(float(teacher(pixels(), state.average(x), state))) < 1e-6
        for p in state.average.parameters():
            p.mul_(0.5)
        assert float(teacher(pixels(), state.network(x), state)) > 1e-3


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (card(bands=("red", "green", "nir")), ("band nir", "which the run lacks")),
        (card(("land", "road", "crop")), ("class crop", "which the run lacks")),
        (card(("land",)), ("one class", "another model")),
        (card(data_type="uint16"), ("uint16", "the run has uint8")),
        (card(resolution_m=0.5), ("0.5 m a pixel", "data.resolution_m = 0.5")),
    ],
)
def test_a_model_that_cannot_teach_this_run_is_refused(theirs, words):
    with pytest.raises(UsageError) as caught:
        tutor("big", theirs, network(), card())
    assert all(w in str(caught.value) for w in ("teacher.from", "big", *words))


def test_teachers_of_other_classes_each_are_refused():
    with pytest.raises(UsageError, match=r"b has other classes than a"):
        taught_classes({"a": card(), "b": card(("land", "road"))}, card())


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_a_run_is_taught_by_a_model_and_a_share_of_zero_is_none(tmp_path):
    config = make_run(tmp_path)
    plain = train(config, tmp_path / "plain")
    text = config.read_text()
    for name, lines in (
        ("none", 'from = "plain/tiny.safetensors"\nshare = 0.0'),
        ("taught", 'from = ["plain/tiny.safetensors", "average"]\ntemperature = 2.0\ntrust = 0.3'),
    ):
        (tmp_path / f"{name}.toml").write_text(f"{text}\n[teacher]\n{lines}\n")
        train(tmp_path / f"{name}.toml", tmp_path / name)
    tensors = {n: read_tensors(open_model(tmp_path / n / "tiny.safetensors")) for n in ("none", "taught")}
    assert same(read_tensors(open_model(plain.model)), tensors["none"])
    assert not same(tensors["taught"], tensors["none"])
    made = open_model(tmp_path / "taught" / "tiny.safetensors").card
    assert "teacher (tiny.safetensors, average)" in made.description


def test_a_run_teaches_itself_on_ground_that_nobody_labelled(tmp_path):
    config = make_run(tmp_path)
    make_scene(tmp_path, "bare", 128, seed=5, transform=Affine(1, 0, 600_000, 0, -1, 2_600_000))
    text = config.read_text() + '\n[teacher]\nfrom = "average"\ntrust = 0.4\n'
    source = '[[data.sources]]\nimages = "bare.tif"\nuse = "unlabelled"\n'
    found = {}
    for name, more in (("without", ""), ("with", source), ("none", f"{source}[sampling]\nunlabelled = 0.0\n")):
        (tmp_path / f"{name}.toml").write_text(text + more)
        found[name] = read_tensors(open_model(train(tmp_path / f"{name}.toml", tmp_path / name).model))
    assert same(found["without"], found["none"])
    assert not same(found["without"], found["with"])


def test_the_key_of_a_run_without_a_teacher_is_what_it_was(tmp_path):
    config = parse_config(make_run(tmp_path).read_text())
    with_teacher = replace(config, teacher=replace(config.teacher, models=("a.safetensors",)))
    assert content_key(replace(with_teacher, teacher=replace(with_teacher.teacher, share=0.0))) == content_key(config)
    assert content_key(with_teacher) != content_key(config)
    assert parse_config(resolved(with_teacher)) == with_teacher


def test_a_teacher_that_is_not_there_is_named_before_a_pixel_is_read(tmp_path, mapgen):
    config = make_run(tmp_path)
    config.write_text(config.read_text() + '\n[teacher]\nfrom = "gone.safetensors"\n')
    done = mapgen("train", config, "-o", tmp_path / "run")
    assert done.code == 6, done
    assert "gone.safetensors" in done.err
    assert not (tmp_path / "run" / "tiny.safetensors").exists()
