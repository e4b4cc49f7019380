"""Networks by name."""

import pytest
import torch
from torch import nn

from mapgen.errors import ModelError, NetworkError, UsageError
from mapgen.model.file import ENCODER_FOLDER
from mapgen.model.network import build, imagenet, stride_of


@pytest.mark.parametrize("architecture", ["Unet", "linknet", "FPN"])
def test_a_network_maps_bands_to_class_scores(architecture):
    network = build(architecture, "resnet18", 4, 3).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 4, 64, 96)).shape == (1, 3, 64, 96)


def test_parameters_reach_the_architecture():
    narrow = build("Unet", "resnet18", 3, 5, encoder_depth=3, decoder_channels=[16, 8, 4])
    assert sum(p.numel() for p in narrow.parameters()) < sum(
        p.numel() for p in build("Unet", "resnet18", 3, 5).parameters()
    )


@pytest.mark.parametrize(
    ("architecture", "encoder", "parameters", "message"),
    [
        ("Umet", "resnet18", {}, "Umet: not an architecture .*; did you mean Unet?"),
        ("Unet", "resnet19", {}, "resnet19: not an encoder .*; did you mean resnet18?"),
        ("Unet", "tu-nothing", {}, "cannot be built .*nothing"),
        ("Unet", "resnet18", {"activation": "softmax"}, "activation is not for maps; leave it out"),
        ("Unet", "resnet18", {"aux_params": {"classes": 2}}, "aux_params is not for maps"),
        ("Unet", "resnet18", {"depth": 3}, "cannot be built"),
        ("Unet", "resnet18", {"decoder_channels": [8, 4]}, "cannot be built"),
    ],
)
def test_unknown_networks_are_named(architecture, encoder, parameters, message):
    with pytest.raises(ModelError, match=message):
        build(architecture, encoder, 3, 5, **parameters)


@pytest.mark.parametrize(
    ("architecture", "parameters", "stride"),
    [
        ("Linknet", {}, 32),
        ("Unet", {"encoder_depth": 3, "decoder_channels": [8, 8, 4]}, 8),  # takes any size, but scales down by 8
        ("DeepLabV3Plus", {}, 16),
        ("PSPNet", {}, 8),
        ("PAN", {}, 128),  # its encoder says 16, its pyramid pools three times more
    ],
)
def test_the_stride_is_what_windows_must_be_multiples_of(architecture, parameters, stride):
    network = build(architecture, "resnet18", 3, 2, **parameters).train()
    assert stride_of(network, 3) == stride
    assert network.training
    with torch.inference_mode():
        assert network.eval()(torch.zeros(1, 3, stride, 2 * stride)).shape == (1, 2, stride, 2 * stride)


def test_a_network_for_images_of_one_size_is_refused():
    class Fixed(nn.Conv2d):
        def forward(self, x):
            assert x.shape[-2:] == (224, 224)
            return super().forward(x)

    with pytest.raises(ModelError, match="Fixed: takes no windows of any stride"):
        stride_of(Fixed(3, 2, 1), 3)


def test_without_a_network_the_weights_of_imagenet_are_an_error_with_a_remedy(monkeypatch):
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(*args, **kwargs):
        raise LocalEntryNotFoundError("no route")

    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", offline)
    with pytest.raises(NetworkError, match=r"imagenet weights of resnet18: are not in the cache .*; go online once"):
        imagenet("Unet", "resnet18")


def test_the_shipped_encoder_needs_no_network(monkeypatch):
    """It fits every architecture that takes it, is all of the encoder, and sees: what it says depends on its input."""

    def offline(*args, **kwargs):
        raise AssertionError("asked for a download")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    monkeypatch.setattr("timm.models._hub.download_cached_file", offline)
    tensors = imagenet("Linknet", "tu-tf_efficientnet_lite0")
    for architecture in ("Unet", "Linknet"):
        network = build(architecture, "tu-tf_efficientnet_lite0", 3, 2)
        own = {k: v for k, v in network.state_dict().items() if k.startswith("encoder.")}
        assert {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in tensors.items()}
        network.load_state_dict({**network.state_dict(), **tensors})
        network.eval()
        with torch.inference_mode():
            ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
            one, other = network.encoder(ramp)[-1], network.encoder(ramp.flip(-1))[-1]
        assert torch.isfinite(one).all()
        assert not torch.allclose(one, other)


def test_the_shipped_encoder_says_where_it_is_from():
    from safetensors import safe_open

    with safe_open(ENCODER_FOLDER / "tu-tf_efficientnet_lite0.safetensors", "np") as file:
        said = file.metadata()
    assert said["license"] == "Apache-2.0"
    assert len(said["source_sha256"]) == 64
    assert "Apache License" in (ENCODER_FOLDER / "tu-tf_efficientnet_lite0.LICENSE.txt").read_text()


def test_encoders_without_weights_of_imagenet_are_named():
    with pytest.raises(UsageError, match="dpn68b: there are no imagenet weights of this encoder; take another"):
        imagenet("Unet", "dpn68b")
