"""The loop: repeatable, resumable, able to learn."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import mapgen
from mapgen.dataset.dataset import IGNORE
from mapgen.errors import InputError, Interrupted, ModelError, UsageError
from mapgen.model.network import build
from mapgen.parallel import ahead
from mapgen.training import fit as fitting
from mapgen.training.augment import Geometry
from mapgen.training.device import device_of, precision_of
from mapgen.training.fit import fit, hold, resume, start
from mapgen.training.losses import combined
from mapgen.training.measure import measure, scores
from mapgen.training.pace import Pace, Recipe, Stage, rate_at
from mapgen.training.samples import Piece, Sampler, Sampling, statistics

LOSS = combined({"cross_entropy": 1.0, "dice": 0.5}, 0.1)
torch.set_num_threads(1)  # of the processes that import this


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums of a loss depend on the number of threads, which other tests set for the whole process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


RECIPE = Recipe(12, (Stage(0.0, 2, 16), Stage(0.5, 1, 32)), rate=1e-2, save_every=4, check_every=5, seed=3)
SCALE = (torch.tensor([120.0, 120, 120]), torch.tensor([60.0, 60, 60]))


def piece(classes=3, size=64) -> Piece:
    rng = np.random.default_rng(0)
    label = rng.integers(0, classes, (size // 16, size // 16)).repeat(16, 0).repeat(16, 1).astype(np.uint8)
    image = label[None] * 70 + rng.integers(0, 40, (3, size, size))
    return Piece("a", image.astype(np.uint8), label)


def tiny(seed=0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 3, 1))


def sampler(seed=3) -> Sampler:
    return Sampler([piece()], 3, Sampling(geometry=Geometry(True, 10, (0.8, 1.25))), seed)


class Encoded(nn.Module):
    """A network with an encoder, norms and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout2d(0.3))
        self.head = nn.Conv2d(6, 3, 1)

    def forward(self, x):
        return self.head(self.encoder(x))


def encoded(seed=0) -> nn.Module:
    torch.manual_seed(seed)
    return Encoded()


def run(state, recipe=RECIPE, **extra):
    return [p.loss for p in fit(state, recipe, sampler(), LOSS, scale=SCALE, **extra)]


def weights(state):
    return torch.cat([v.double().ravel() for v in state.average.state_dict().values()])


def test_same_seed_same_weights():
    one, two = start(tiny(), RECIPE), start(tiny(), RECIPE)
    assert run(one) == run(two, ahead=ahead)
    assert torch.equal(weights(one), weights(two))
    assert run(start(tiny(1), RECIPE))[0] != run(start(tiny(), RECIPE))[0]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("network", [tiny, encoded])
@pytest.mark.parametrize("killed_at", [5, 8, 11])
def test_a_resumed_run_gives_the_same_curve(tmp_path, network, precision, killed_at):
    recipe = replace(RECIPE, precision=precision, frozen=0.3)
    whole = start(network(), recipe)
    curve = run(whole, recipe)
    path = tmp_path / "checkpoint.safetensors"
    broken = fit(start(network(), recipe), recipe, sampler(), LOSS, scale=SCALE, checkpoint=path)
    for _ in range(killed_at):
        next(broken)
    again = start(network(9), recipe)
    resume(again, recipe, path)
    begun = again.step
    assert begun == (killed_at - 1) // 4 * 4
    assert run(again, recipe, checkpoint=path) == curve[begun:]
    assert torch.equal(weights(again), weights(whole))
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_killed_while_saving_the_previous_checkpoint_survives(tmp_path):
    script = f"""
import os, signal, sys
sys.path[:0] = [{os.path.dirname(__file__)!r}, {os.path.dirname(os.path.dirname(mapgen.__file__))!r}]
import test_fit as t
from pathlib import Path
real, saves = os.fsync, []
def fsync(fd):
    saves.append(fd)
    if len(saves) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    real(fd)
os.fsync = fsync
for p in t.fit(t.start(t.tiny(), t.RECIPE), t.RECIPE, t.sampler(), t.LOSS, scale=t.SCALE, checkpoint=Path("c.pt")):
    print(p.loss, flush=True)
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ended.returncode == -9, ended.stderr
    assert (tmp_path / "c.pt.part").exists()
    again = start(tiny(), RECIPE)
    resume(again, RECIPE, tmp_path / "c.pt")
    assert again.step == 4
    curve = run(start(tiny(), RECIPE))
    assert [float(line) for line in ended.stdout.split()] == curve[:8]
    assert run(again, checkpoint=tmp_path / "c.pt") == curve[4:]


def test_a_step_that_is_stopped_leaves_the_state_as_it_was(tmp_path):
    """Stopped within a step, saved and resumed: the curve, the weights and the statistics of norms are the same."""
    whole = start(encoded(), RECIPE)
    curve = run(whole, RECIPE)
    state = start(encoded(), RECIPE)

    def loss(scores, target):
        if state.step == 5:
            raise Interrupted("SIGINT", "stopped")
        return LOSS(scores, target)

    with pytest.raises(Interrupted):
        list(fit(state, RECIPE, sampler(), loss, scale=SCALE))
    assert (state.whole, state.step) == (True, 5)
    fitting.save(state, RECIPE, tmp_path / "c")
    again = start(encoded(9), RECIPE)
    resume(again, RECIPE, tmp_path / "c")
    assert run(again, RECIPE) == curve[5:]
    assert torch.equal(weights(again), weights(whole))
    for one, other in zip(again.network.buffers(), whole.network.buffers(), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_of_another_recipe_or_network_is_refused(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    run(start(tiny(), RECIPE), checkpoint=path)
    with pytest.raises(UsageError, match="made with another rate"):
        resume(start(tiny(), RECIPE), replace(RECIPE, rate=0.5), path)
    with pytest.raises(InputError, match="holds another network"):
        resume(start(nn.Conv2d(3, 3, 1), RECIPE), RECIPE, path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="is not a checkpoint"):
        resume(start(tiny(), RECIPE), RECIPE, path)


def test_a_checkpoint_is_never_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    torch.save({"recipe": Trap()}, tmp_path / "c.pt")
    with pytest.raises(InputError, match="is not a checkpoint"):
        resume(start(tiny(), RECIPE), RECIPE, tmp_path / "c.pt")
    assert not (tmp_path / "sprung").exists()


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path):
    state = start(tiny(), RECIPE)

    def bad(scores, target):
        return LOSS(scores, target) * (float("nan") if state.step == 6 else 1.0)

    with pytest.raises(ModelError, match="the loss is nan at step 6"):
        list(fit(state, RECIPE, sampler(), bad, scale=SCALE, checkpoint=tmp_path / "c.pt"))
    again = start(tiny(), RECIPE)
    resume(again, RECIPE, tmp_path / "c.pt")
    assert again.step == 4


def test_a_gradient_that_is_not_finite_stops_the_run_before_it_spoils_the_weights():
    state = start(tiny(), RECIPE)

    def steep(scores, target):
        extra = (scores.sum() * 0).sqrt() if state.step == 6 else 0  # 0, with an infinite slope
        return LOSS(scores, target) + extra

    with pytest.raises(ModelError, match=r"the gradient's norm is nan at step 6; lower run\.rate"):
        list(fit(state, RECIPE, sampler(), steep, scale=SCALE))
    assert all(v.isfinite().all() for v in state.network.state_dict().values())


def test_fp16_leaves_out_a_step_whose_gradient_overflows():
    recipe = replace(RECIPE, precision="fp16")
    state = start(tiny(), recipe)
    before = state.scaler.get_scale()

    def steep(scores, target):
        return LOSS(scores, target) + ((scores.sum() * 0).sqrt() if state.step == 6 else 0)

    assert len(list(fit(state, recipe, sampler(), steep, scale=SCALE))) == 12
    assert state.scaler.get_scale() == before / 2
    assert weights(state).isfinite().all()


def test_a_full_disk_is_the_systems_error_and_the_checkpoint_before_survives(tmp_path):
    path = tmp_path / "c.pt"
    state = start(tiny(), RECIPE)
    fitting.save(state, RECIPE, path)
    before = path.read_bytes()
    (tmp_path / "c.pt.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        fitting.save(state, RECIPE, path)
    assert path.read_bytes() == before


def test_a_frozen_encoder_keeps_its_weights_and_statistics_until_it_is_let_go():
    recipe = replace(RECIPE, frozen=0.5)
    state = start(encoded(), recipe)
    first = {k: v.clone() for k, v in state.network.state_dict().items()}
    for p in fit(state, recipe, sampler(), LOSS, scale=SCALE):
        same = {k: torch.equal(v, first[k]) for k, v in state.network.state_dict().items()}
        assert all(v for k, v in same.items() if k.startswith("encoder.")) == (p.step < 6)
        assert not any(v for k, v in same.items() if k.startswith("head.")) or p.step == 0  # whose rate is 0
        averaged = state.average.state_dict()
        assert all(torch.equal(averaged[k], first[k]) for k in first if k.startswith("encoder.")) == (p.step < 6)


def test_the_encoder_learns_at_its_share_of_the_rate_and_a_share_of_one_changes_nothing():
    """AdamW moves each weight by the rate at its first step, whatever the gradient: so a move tells the rate."""

    def moves(share):
        state = start(encoded(), replace(RECIPE, encoder_rate=share, warmup=0.0, weight_decay=0.0))
        before = {k: v.clone() for k, v in state.network.named_parameters()}
        next(fit(state, replace(RECIPE, encoder_rate=share, warmup=0.0), sampler(), LOSS, scale=SCALE))
        return {k: v.detach() - before[k] for k, v in state.network.named_parameters()}

    plain, slow = moves(1.0), moves(0.3)
    for name in ("encoder.0.weight", "head.weight"):
        share = 0.3 if name.startswith("encoder.") else 1.0
        torch.testing.assert_close(slow[name], share * plain[name], rtol=1e-3, atol=1e-7)
    still = moves(0.0)
    assert not any(v.any() for k, v in still.items() if k.startswith("encoder."))


def test_a_network_without_an_encoder_has_nothing_to_hold():
    network = tiny().eval()
    hold(network, True)
    assert network.training
    assert all(p.requires_grad for p in network.parameters())


def patient(figures, recipe, state=None, **extra):
    """Steps taken and what was kept when checks find these figures one after the other."""
    state = state or start(tiny(), recipe)
    found, kept = iter(figures), []
    extra |= {"check": lambda network: {"miou": next(found)}, "keep": lambda network, f: kept.append(f["miou"])}
    return len(list(fit(state, recipe, sampler(), LOSS, scale=SCALE, **extra))), kept


def test_the_best_average_is_kept():
    recipe = replace(RECIPE, check_every=2)
    assert patient([0.1, 0.3, 0.2, 0.3, 0.4, 0.1], recipe) == (12, [0.1, 0.3, 0.4])


def test_patience_ends_a_run_that_no_longer_improves(tmp_path):
    recipe = replace(RECIPE, check_every=2, patience=2)
    path = tmp_path / "c.pt"
    assert patient([0.1, 0.3, 0.2, 0.3], recipe, checkpoint=path) == (8, [0.1, 0.3])
    state = start(tiny(), recipe)
    resume(state, recipe, path)
    assert (state.step, state.best, state.stale) == (8, 0.3, 2)
    assert patient([], recipe, state) == (0, [])


def test_without_a_figure_the_last_average_is_kept():
    recipe = replace(RECIPE, check_every=5, patience=1)
    assert patient([float("nan")] * 3, recipe)[0] == 12
    kept = []
    state = start(tiny(), RECIPE)
    list(fit(state, RECIPE, sampler(), LOSS, scale=SCALE, keep=lambda network, f: kept.append(weights(state))))
    assert torch.equal(kept[-1], weights(state))


def test_devices_and_precisions_that_are_named_are_honoured(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    cpu = device_of("auto")
    assert cpu.type == "cpu"
    with pytest.raises(UsageError, match=r"run\.device: torch finds no cuda device here; use cpu"):
        device_of("cuda")
    assert [precision_of(p, cpu) for p in ("fp32", "bf16", "fp16")] == ["fp32", "bf16", "fp16"]
    for native in (True, False):
        monkeypatch.setattr("mapgen.training.device.cpu_has_bf16", lambda native=native: native)
        assert precision_of("auto", cpu) == ("bf16" if native else "fp32")
        monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation, native=native: native)
        assert precision_of("auto", torch.device("cuda")) == ("bf16" if native else "fp16")


def test_checks_see_the_average_and_come_when_due():
    state = start(tiny(), RECIPE)
    checked = []

    def check(network):
        checked.append(network)
        return {"miou": 1.0}

    progress = list(fit(state, RECIPE, sampler(), LOSS, scale=SCALE, check=check))
    assert [p.step for p in progress if p.check] == [4, 9, 11]
    assert all(n is state.average for n in checked)


def test_the_average_is_the_recurrence():
    state = start(tiny(), RECIPE)
    expected = weights(state)
    for p in fit(state, RECIPE, sampler(), LOSS, scale=SCALE):
        new = torch.cat([v.double().ravel() for v in state.network.state_dict().values()])
        decay = min(RECIPE.ema_decay, (1 + p.step) / (10 + p.step))
        expected = decay * expected + (1 - decay) * new
    counted = torch.cat([
        torch.full((v.numel(),), v.is_floating_point()) for v in state.average.state_dict().values()
    ])  # fmt: skip
    torch.testing.assert_close(weights(state)[counted], expected[counted], rtol=1e-4, atol=1e-5)


def test_stages_change_the_size_of_batches():
    sizes = []

    class Watched:
        def batch(self, step, count, size):
            sizes.append((count, size))
            return sampler().batch(step, count, size)

    list(fit(start(tiny(), RECIPE), RECIPE, Watched(), LOSS, scale=SCALE))
    assert sizes == [(2, 16)] * 6 + [(1, 32)] * 6


def test_the_rate_rises_then_falls_to_zero():
    rates = [rate_at(p, 0.1, 0.2) for p in np.linspace(0, 1, 101)]
    assert rates[0] == 0
    assert max(rates) == rates[20] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0)
    assert np.all(np.diff(rates[:21]) > 0)
    assert np.all(np.diff(rates[20:]) < 0)


def test_a_pace_that_is_changed_keeps_its_past_and_ends_at_one():
    pace = Pace.even(100).until(40, 60)
    assert [pace.at(s) for s in (0, 20, 40, 50, 60)] == pytest.approx([0, 0.2, 0.4, 0.7, 1.0])
    assert pace.until(50, 150).at(100) == pytest.approx(0.85)
    assert pace.end == 60
    with pytest.raises(UsageError, match="is not after step 50"):
        pace.until(50, 50)
    with pytest.raises(UsageError, match="is finished after 60 steps"):
        pace.until(60, 100)


def test_a_changed_pace_is_resumed_as_it_was(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    first = fit(start(tiny(), RECIPE), RECIPE, sampler(), LOSS, scale=SCALE, checkpoint=path)
    for _ in range(5):
        next(first)
    state = start(tiny(), RECIPE)
    resume(state, RECIPE, path)
    state.pace = state.pace.until(4, 9)
    curve = run(state)
    fitting.save(state, RECIPE, path)
    ended = start(tiny(), RECIPE)
    resume(ended, RECIPE, path)
    assert len(curve) == 5
    assert ended.step == ended.pace.end == 9
    assert run(ended) == []


def test_ignored_pixels_never_reach_the_weights():
    clean, spoiled = piece(), piece()
    for p in (clean, spoiled):
        p.label[:, 32:] = IGNORE
    spoiled.image[:, :, 40:] = 255  # beyond the reach of any drawn pixel's neighbourhood
    ends = []
    for p in (clean, spoiled):
        torch.manual_seed(0)
        state = start(nn.Conv2d(3, 3, 3, padding=1), RECIPE)
        source = Sampler([p], 3, Sampling(geometry=Geometry(True)), 3)
        list(fit(state, RECIPE, source, LOSS, scale=SCALE))
        ends.append(weights(state))
    assert torch.equal(*ends)


def test_a_tiny_set_is_learnt_by_heart():
    torch.manual_seed(0)
    p = piece(classes=5, size=96)
    mean, std = (torch.tensor(v) for v in statistics([p]))
    recipe = Recipe(80, (Stage(0.0, 4, 64),), rate=6e-3, ema_decay=0.9, warmup=0.1)
    network = build("Unet", "resnet18", 3, 5, encoder_depth=3, decoder_channels=[32, 16, 8])
    state = start(network, recipe)
    loss = combined({"cross_entropy": 1.0, "dice": 1.0})
    list(fit(state, recipe, Sampler([p], 5, Sampling(geometry=Geometry(True))), loss, scale=(mean, std)))
    counts = measure(state.average, [p], 5, mean, std)["a"]
    assert scores(counts)["miou"] > 0.95, json.dumps(scores(counts))
