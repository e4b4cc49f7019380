"""Transfer: what is kept of another network, what is adapted, and what is refused."""

from types import SimpleNamespace

import factory
import numpy as np
import pytest
import torch
from runs import make_run

from mapgen.errors import UsageError
from mapgen.legend import Class, Legend
from mapgen.model.file import find_model, open_model, read_tensors
from mapgen.model.network import build
from mapgen.training.train import train
from mapgen.training.transfer import (
    RGB,
    Origin,
    adapted_head,
    adapted_stem,
    encoder_origin,
    imagenet_origin,
    model_origin,
    transplant,
)

PARAMETERS = {"encoder_depth": 2, "decoder_channels": [16, 8]}


def card(bands=RGB, classes=("field", "roof", "lake"), **changes):
    """A card of a small network with these bands and classes."""
    legend = Legend(tuple(Class(i + 1, name, "#102030") for i, name in enumerate(classes)))
    fields = {
        "encoder": "tu-resnet10t", "parameters": PARAMETERS, "bands": bands, "legend": legend,
        "mean": (0.0,) * len(bands), "std": (1.0,) * len(bands),
    }  # fmt: skip
    return factory.card(**(fields | changes))


def network(card, seed=0):
    torch.manual_seed(seed)
    return build(card.architecture, card.encoder, len(card.bands), len(card.legend), **card.parameters).eval()


def arrays(net):
    return {k: v.numpy().copy() for k, v in net.state_dict().items()}


def begun(new, old_card, seed=1, origin=model_origin):
    """A network with the card `new` that begins as one with `old_card`; both, and what is said."""
    old = network(old_card)
    net = network(new, seed)
    return net, old, transplant(net, new, origin("old", old_card, arrays(old), new))


def test_the_same_bands_and_classes_take_everything():
    net, old, notes = begun(card(), card())
    assert all(torch.equal(v, old.state_dict()[k]) for k, v in net.state_dict().items())
    assert notes == ["begins as old"]


def test_bands_in_another_order_give_the_same_scores():
    net, old, _ = begun(card(("blue", "Green", "red")), card())
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(net(x.flip(1)), old(x))


def test_classes_in_another_order_give_the_same_scores():
    net, old, notes = begun(card(classes=("Lake", "field", "roof")), card())
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(net(x), old(x)[:, [2, 0, 1]])
    assert notes == ["begins as old"]


def test_classes_of_the_same_name_keep_their_channels_and_new_ones_begin_anew():
    net, old, notes = begun(card(classes=("road", "roof", "shore", "field")), card())
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(net(x)[:, [1, 3]], old(x)[:, [1, 0]])
    fresh = network(card(classes=("road", "roof", "shore", "field")), 1).segmentation_head[0].weight
    assert torch.equal(net.segmentation_head[0].weight[[0, 2]], fresh[[0, 2]])
    assert notes == ["begins as old", "of the classes, roof, field begin as they were"]


def test_more_bands_answer_to_grey_ground_as_before():
    """The law of the adapted stem, through the whole network."""
    net, old, notes = begun(card((*RGB, "nir", "height")), card())
    grey = torch.randn(1, 1, 32, 32)
    torch.testing.assert_close(net(grey.expand(-1, 5, -1, -1)), old(grey.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)
    assert notes == ["begins as old", "the mean of red, green, blue stands in for nir, height"]


def test_a_stem_matches_bands_by_name_fills_in_the_mean_and_keeps_the_scale():
    weight = torch.arange(12.0).reshape(2, 3, 1, 2)
    got = adapted_stem(weight, RGB, ("nir", "Red"))
    expected = torch.stack([weight.mean(1), weight[:, 0]], 1) * 1.5
    assert torch.equal(got, expected)
    assert torch.equal(adapted_stem(weight, RGB, RGB), weight)


def test_a_head_matches_classes_by_name():
    rows, fresh = torch.tensor([1.0, 2.0]), torch.tensor([7.0, 8.0, 9.0])
    assert adapted_head(rows, ("a", "b"), ("B", "c", "a"), fresh).tolist() == [2.0, 8.0, 1.0]


def test_the_encoder_alone_may_come_from_another_architecture_and_other_classes():
    old = card(classes=("a", "b"), architecture="FPN", encoder="resnet18", parameters={})
    net, other, notes = begun(card(encoder="resnet18", parameters={}), old, origin=encoder_origin)
    theirs = other.state_dict()
    fresh = network(card(encoder="resnet18", parameters={}), 1).state_dict()
    for name, value in net.state_dict().items():
        assert torch.equal(value, theirs[name] if name.startswith("encoder.") else fresh[name]), name
    assert notes == ["begins as old, its encoder"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"architecture": "FPN"},
            r"old has the architecture 'FPN', .* says 'Unet'; set model\.architecture = 'FPN', or",
        ),
        ({"encoder": "resnet18"}, r"old has the encoder 'resnet18', .* says 'tu-resnet10t'; set model\.encoder"),
        ({"parameters": {}}, r"old has the parameters \{\}"),
    ],
)
def test_another_network_is_refused_with_what_to_set(changes, words):
    with pytest.raises(UsageError, match=words):
        model_origin("old", card(**changes), {}, card())


def test_tensors_that_do_not_fit_are_named():
    tensors = {k: torch.from_numpy(v) for k, v in arrays(network(card())).items()}
    name = "decoder.blocks.0.conv1.0.weight"
    tensors[name] = tensors[name].repeat(2, 1, 1, 1)
    with pytest.raises(UsageError, match=rf"old does not fit: {name} is \[32, .* for \[16, "):
        transplant(network(card()), card(), Origin("old", RGB, card().legend.names, tensors))


def test_a_model_whose_widths_do_not_go_together_is_refused():
    tensors = {k: torch.from_numpy(v) for k, v in arrays(network(card())).items()}
    name = "decoder.blocks.0.conv1.0.weight"
    tensors[name] = tensors[name][:5]
    with pytest.raises(UsageError, match=r"model\.from: old has widths that do not go together"):
        transplant(network(card()), card(), Origin("old", RGB, card().legend.names, tensors))


def test_imagenet_gives_the_encoder_its_weights_and_fits_the_bands(monkeypatch):
    """With a download that is none: the library's own way from a file of weights to an encoder."""
    wanted = card(("nir", *RGB), encoder="resnet18", parameters={})
    theirs = network(card(encoder="resnet18", parameters={}), 5)
    asked = []
    monkeypatch.setattr(
        "segmentation_models_pytorch.encoders.hf_hub_download",
        lambda repo, filename, revision: asked.append((repo, filename)) or filename,
    )
    monkeypatch.setattr(
        "segmentation_models_pytorch.encoders.load_file", lambda path, device: theirs.encoder.state_dict()
    )
    net = network(wanted, 1)
    notes = transplant(net, wanted, imagenet_origin(wanted))
    assert ("smp-hub/resnet18.imagenet", "model.safetensors") in asked
    assert notes == ["begins as imagenet, its encoder", "the mean of red, green, blue stands in for nir"]
    old = theirs.encoder.state_dict()
    for name, value in net.encoder.state_dict().items():
        expected = adapted_stem(old[name], RGB, wanted.bands) if name == "conv1.weight" else old[name]
        assert torch.equal(value, expected), name


def test_the_built_in_model_lends_its_weights_to_other_classes_and_bands():
    model = find_model("drycity-rgb-1m")
    wanted = card(
        (*RGB, "nir"), ("road", "tree"), architecture=model.card.architecture, encoder=model.card.encoder, parameters={}
    )
    net = network(wanted)
    transplant(net, wanted, model_origin("drycity", model.card, read_tensors(model), wanted))
    old = read_tensors(model)
    row = model.card.legend.names.index("road")
    head = next(k for k, v in net.state_dict().items() if k.endswith("weight") and v.shape[0] == 2)
    np.testing.assert_array_equal(net.state_dict()[head][0], old[head][row].astype(np.float32))


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """The folder of a run, whose model others begin as."""
    folder = tmp_path_factory.mktemp("parent")
    train(make_run(folder, run={"steps": 4}), folder / "run")
    return SimpleNamespace(folder=folder, model=folder / "run" / "tiny.safetensors")


def test_a_run_with_a_frozen_encoder_keeps_the_encoder_of_the_model_it_began_as(parent, tmp_path, mapgen):
    others = ((2, "field"), (3, "shrub"), (7, "roof"), (9, "lake"))
    config = make_run(
        tmp_path, model={"from": str(parent.model), "take": "encoder", "freeze": 1.0}, classes={"all": others},
        data={"ignore": []},
    )  # fmt: skip
    done = mapgen("train", config, "-o", tmp_path / "run")
    assert done.code == 0, done
    assert "begins as tiny, its encoder" in done.err
    old = read_tensors(open_model(parent.model))
    new = read_tensors(open_model(tmp_path / "run" / "tiny.safetensors"))
    assert all(np.array_equal(new[k], old[k]) for k in old if k.startswith("encoder."))
    assert any(not np.array_equal(new[k], old[k]) for k in old if k.startswith("decoder."))
    assert "from tiny.safetensors" in open_model(tmp_path / "run" / "tiny.safetensors").card.description


def test_a_model_beside_the_configuration_is_found(parent, tmp_path, mapgen):
    config = make_run(parent.folder, "next.toml", model={"from": "run/tiny.safetensors"}, run={"steps": 1})
    done = mapgen("train", config, "-o", tmp_path / "run")
    assert (done.code, "begins as tiny\n" in done.err) == (0, True)
