"""Networks by name: any architecture and encoder of segmentation_models_pytorch, without downloaded weights."""

from __future__ import annotations

from typing import Any

import segmentation_models_pytorch as smp
from torch import nn

from mapgen.errors import ModelError


def build(architecture: str, encoder: str, in_channels: int, classes: int, **parameters: Any) -> nn.Module:
    """The network that maps (N, in_channels, H, W) scaled pixels to (N, classes, H, W) scores, freshly initialised.

    `architecture` is the name of a model class of segmentation_models_pytorch (any case) and `parameters` are further
    arguments of that class. Nothing is downloaded. Raises `ModelError` where the library knows no such network.
    """
    kinds = {c.__name__.lower(): c for c in vars(smp).values() if isinstance(c, type) and issubclass(c, nn.Module)}
    kind = kinds.get(architecture.lower())
    if kind is None:
        raise ModelError(architecture, "not an architecture of segmentation_models_pytorch", f"one of {_names(kinds)}")
    if encoder not in smp.encoders.get_encoder_names() and not encoder.startswith("tu-"):
        raise ModelError(encoder, "not an encoder of segmentation_models_pytorch", "name one such as resnet18")
    arguments = {**parameters, "encoder_weights": None, "in_channels": in_channels, "classes": classes}
    try:
        network: nn.Module = kind(encoder, **arguments)
    except (TypeError, ValueError, KeyError) as exc:  # what its constructors raise for an argument that does not fit
        raise ModelError(f"{architecture} of {encoder}", f"cannot be built ({exc})", "correct its parameters") from exc
    return network


def _names(kinds: dict[str, type]) -> str:
    return ", ".join(sorted(c.__name__ for c in kinds.values()))
