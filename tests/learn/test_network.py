"""Networks by name."""

import pytest
import torch

from mapgen.errors import ModelError
from mapgen.learn.network import build


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
        ("Umet", "resnet18", {}, "Umet: not an architecture"),
        ("Unet", "resnet19", {}, "resnet19: not an encoder"),
        ("Unet", "resnet18", {"depth": 3}, "cannot be built"),
        ("Unet", "resnet18", {"decoder_channels": [8, 4]}, "cannot be built"),
    ],
)
def test_unknown_networks_are_named(architecture, encoder, parameters, message):
    with pytest.raises(ModelError, match=message):
        build(architecture, encoder, 3, 5, **parameters)
