"""Pruning: what is taken out, what is left as it was, and that what is left opens, maps and learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from runs import make_run
from torch import nn

from mapgen.errors import Interrupted, ModelError, UsageError
from mapgen.model.engine import Network
from mapgen.model.file import open_model, read_tensors
from mapgen.model.network import build, narrow
from mapgen.model.torch import load_network
from mapgen.training.config import content_key, parse_config, read_config
from mapgen.training.losses import combined
from mapgen.training.prune import pruned
from mapgen.training.train import run, train

LOSS = combined({"cross_entropy": 1.0})
SCALE = ((120.0,) * 3, (60.0,) * 3)
SMALL = {"encoder_depth": 2, "decoder_channels": [16, 8]}


def small() -> nn.Module:
    torch.manual_seed(0)
    return build("Unet", "tu-resnet10t", 3, 3, **SMALL)


def batches(count=2):
    rng = np.random.default_rng(0)
    for _ in range(count):
        images = rng.uniform(0, 255, (2, 3, 32, 32)).astype(np.float32)
        yield torch.from_numpy(images), torch.from_numpy(rng.integers(0, 3, (2, 32, 32)))


def cut(network, ratio=0.5):
    return pruned(network, batches(), LOSS, SCALE, ratio, small(), 4)


def shapes(network):
    return {k: tuple(v.shape) for k, v in network.state_dict().items()}


@pytest.fixture(scope="module")
def half():
    pytest.importorskip("torch_pruning")
    network = small()
    return network, cut(network)


def test_half_of_the_channels_are_far_more_than_half_of_the_weights(half):
    network, gone = half
    assert 0.6 < gone < 0.85
    first, now = (dict(n.named_parameters()) for n in (small(), network))
    assert sum(v.numel() for v in now.values()) == pytest.approx((1 - gone) * sum(v.numel() for v in first.values()))
    assert network.segmentation_head[0].out_channels == 3


def test_a_network_built_anew_takes_the_widths_of_the_tensors_and_answers_the_same(half):
    network = half[0].eval()
    other = small()
    assert narrow(other, shapes(network))
    other.load_state_dict(network.state_dict())
    x = torch.randn(1, 3, 64, 32)
    torch.testing.assert_close(network(x), other.eval()(x))


def test_the_shapes_of_a_whole_network_change_nothing():
    network = small()
    first = shapes(network)
    assert not narrow(network, first)
    assert shapes(network) == first


def test_what_is_left_over_is_what_the_loss_needs_most():
    """A layer of 16 channels of which the loss sees 8: these stay."""
    pytest.importorskip("torch_pruning")

    def made():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 16, 1, bias=False), nn.ReLU(), nn.Conv2d(16, 3, 1, bias=False))

    network, needed = made(), [1, 2, 4, 7, 8, 11, 13, 14]
    with torch.no_grad():
        network[2].weight[:, [c for c in range(16) if c not in needed]] = 0
    wanted = network[0].weight[needed].clone()
    pruned(network, batches(), LOSS, SCALE, 0.5, made(), 1)
    torch.testing.assert_close(network[0].weight, wanted)


def test_a_ratio_that_takes_out_nothing_is_refused():
    pytest.importorskip("torch_pruning")
    with pytest.raises(UsageError, match=r"model\.prune: 0\.01 takes out nothing.*raise it"):
        cut(small(), 0.01)


def test_a_network_that_cannot_be_followed_is_named():
    pytest.importorskip("torch_pruning")
    network, fresh = (build("Unet", "mit_b0", 3, 3) for _ in range(2))
    several = ((torch.zeros(1, 3, 64, 64), torch.zeros(1, 64, 64, dtype=torch.long)) for _ in range(1))
    with pytest.raises(UsageError, match=r"model\.prune: Unet .*another architecture"):
        pruned(network, several, LOSS, SCALE, 0.5, fresh, 32)


def test_without_the_library_the_line_to_type_is_said(monkeypatch):
    monkeypatch.setattr("mapgen.errors.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'mapgen\[prune\]'"):
        cut(small())


@pytest.mark.parametrize(
    ("name", "shape"),
    [("encoder.model.conv1.0.weight", (0, 3, 3, 3)), ("encoder.model.conv1.0.weight", (24, 3, 5, 5)),
     ("encoder.model.conv1.0.weight", (99, 3, 3, 3)), ("decoder.blocks.0.conv1.0.weight", (8, 3))],
)  # fmt: skip
def test_widths_that_make_no_sense_change_nothing(name, shape):
    network = small()
    first = shapes(network)
    narrow(network, first | {name: shape})
    assert shapes(network) == first


def test_a_file_whose_widths_do_not_go_together_is_refused(half, tmp_path):
    card = replace(open_model_card(tmp_path), parameters=SMALL)
    tensors = {k: v.numpy() for k, v in half[0].state_dict().items()}
    name = "decoder.blocks.1.conv1.0.weight"
    tensors[name] = tensors[name][:, :-1]
    with pytest.raises(ModelError, match=r"m: its tensors have widths that do not go together"):
        load_network(Network(card, "k", lambda: tensors, "m"))


def open_model_card(folder):
    train(make_run(folder), folder / "run", steps=1)
    return open_model(folder / "run" / "tiny.safetensors").card


def stop_at_five(report):
    if report.step == 5:
        raise Interrupted("mapgen", "stopped", "run it again")


def test_a_pruned_run_maps_resumes_and_is_pruned_again(tmp_path, mapgen, monkeypatch):
    monkeypatch.setattr("mapgen.training.prune.BATCHES", 2)
    pytest.importorskip("torch_pruning")
    parent = train(make_run(tmp_path), tmp_path / "parent").model
    text = make_run(tmp_path).read_text()
    lines = text.replace("[model]", '[model]\nfrom = "parent/tiny.safetensors"\nprune = 0.5')
    config = tmp_path / "pruned.toml"
    config.write_text(lines + '\n[teacher]\nfrom = "parent/tiny.safetensors"\n')
    whole = train(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(read_config(config), tmp_path / "parts", progress=stop_at_five)
    again = train(config, tmp_path / "parts")
    assert again.begun == 5
    one, parts = (read_tensors(open_model(t.model)) for t in (whole, again))
    assert one.keys() == parts.keys()
    assert all(np.array_equal(one[k], parts[k]) for k in one)
    assert open_model(whole.model).parameters < 0.4 * open_model(parent).parameters
    engines = []
    for engine in ("torch", "openvino"):
        out = tmp_path / f"{engine}.tif"
        done = mapgen("segment", tmp_path / "scene.tif", "--model", whole.model, "-o", out, "--engine", engine)
        assert done.code == 0, done
        engines.append(out)
    import rasterio

    maps = [rasterio.open(p).read(1) for p in engines]
    assert (maps[0] == maps[1]).mean() > 0.999
    more = tmp_path / "more.toml"
    more.write_text(text.replace("[model]", '[model]\nfrom = "whole/tiny.safetensors"'))
    assert train(more, tmp_path / "more").steps == 12


def test_pruning_wants_a_model_and_none_is_the_key_of_old(tmp_path):
    text = make_run(tmp_path).read_text()
    with pytest.raises(UsageError, match=r"model\.prune is for a model that is there"):
        parse_config(text.replace("[model]", "[model]\nprune = 0.5"))
    assert content_key(parse_config(text.replace("[model]", "[model]\nprune = 0.0"))) == content_key(parse_config(text))
