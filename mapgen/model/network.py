"""Networks by name: any architecture and encoder of segmentation_models_pytorch."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from mapgen.errors import ModelError, NetworkError, UsageError
from mapgen.model.file import read_encoder

_COARSEST = 256
"""The largest stride that is looked for."""

_REFUSED = ("activation", "aux_params", "encoder_weights")
"""Arguments of the library that would make something else than scores, or fetch something."""


def build(architecture: str, encoder: str, in_channels: int, classes: int, **parameters: Any) -> nn.Module:
    """The network that maps (N, in_channels, H, W) scaled pixels to (N, classes, H, W) scores, freshly initialised.

    `architecture` is the name of a model class of segmentation_models_pytorch (any case) and `parameters` are further
    arguments of that class. Nothing is downloaded. Raises `ModelError` where the library knows no such network, with
    the nearest name.
    """
    return _build(architecture, encoder, {**parameters, "in_channels": in_channels, "classes": classes}, None)


def imagenet(architecture: str, encoder: str, **parameters: Any) -> dict[str, Tensor]:
    """The tensors of the encoder of such a network as trained on ImageNet, whose bands are red, green and blue.

    They come with mapgen for the encoders that ship with it; else from the library's cache, or through it from the
    network. Raises `NetworkError` where they cannot be had, `UsageError` where nobody has made any for this encoder.
    """
    if (shipped := read_encoder(encoder)) is not None:
        return {name: torch.from_numpy(value) for name, value in shipped.items()}
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    from huggingface_hub.utils.logging import set_verbosity_error
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    set_verbosity_error()  # type: ignore[no-untyped-call]  # it would tell of each try
    known = smp.encoders.encoders.get(encoder, {}).get("pretrained_settings", {})
    if not encoder.startswith("tu-") and encoder in smp.encoders.encoders and "imagenet" not in known:
        raise UsageError(encoder, "there are no imagenet weights of this encoder", "take another, or start from none")
    try:
        network = _build(architecture, encoder, {**parameters, "in_channels": 3, "classes": 1}, "imagenet")
    except (LocalEntryNotFoundError, HfHubHTTPError, ConnectionError, TimeoutError) as exc:
        raise NetworkError(
            f"imagenet weights of {encoder}", "are not in the cache and cannot be downloaded",
            "go online once (they are kept), or start from a mapgen model, or from none",
        ) from exc  # fmt: skip
    return {name: value for name, value in network.state_dict().items() if name.startswith("encoder.")}


def stride_of(network: nn.Module, in_channels: int) -> int:
    """The pixels of which the sides of windows and crops must be multiples: what the network scales down by.

    It is at least what its encoder says, and so large that windows one by three such sides pass: pyramids of some
    architectures need more than their encoder. Raises `ModelError` where no window passes.
    """
    least = int(getattr(getattr(network, "encoder", None), "output_stride", 1))
    for stride in (s for s in _powers() if s >= least):
        if agrees(network, in_channels, stride):
            return stride
    raise ModelError(
        type(network).__name__, f"takes no windows of any stride up to {_COARSEST} (a network for images of one size?)",
        "take another encoder or architecture",
    )  # fmt: skip


def check_crops(network: nn.Module, in_channels: int, stride: int, crops: Sequence[tuple[int, int]]) -> None:
    """Raise `UsageError` unless the network can learn from batches of `crops`, each (count, side)."""
    for count, size in crops:
        if size % stride:
            near = max(stride, round(size / stride) * stride)
            raise UsageError("run.crop", f"{size} is not a multiple of the network's stride {stride}", f"use {near}")
        if count == 1:  # norms over a batch need two values
            try:
                with torch.no_grad():
                    copy.deepcopy(network).train()(torch.zeros(1, in_channels, size, size))
            except ValueError as exc:
                problem = f"1 crop at a time is too little for the norms of {type(network).__name__} ({_reason(exc)})"
                raise UsageError("run.batch", problem, "use 2 or more, or larger crops") from exc


def channels_last(network: nn.Module) -> nn.Module:
    """The network with its weights in the order of memory that convolutions are fastest in."""
    return network.to(memory_format=torch.channels_last)


def narrow(network: nn.Module, shapes: Mapping[str, Sequence[int]]) -> bool:
    """Give the layers of `network` the widths of tensors of these shapes, by name; whether any is narrower now.

    That is how a pruned network is built again: its widths are those of its tensors. The new weights are not set.
    What is lacking, wider, of another kernel, or in a layer of another kind than convolutions, batch norms and linear
    layers stays as it is, and then does not take the tensors. Whether the widths of neighbours agree is for `agrees`.
    """
    changed = False
    for name, layer in network.named_modules():
        own = [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
        new = {key: tuple(shapes.get(f"{name}.{key}" if name else key, old.shape)) for key, old in own}
        if isinstance(layer, _WIDE) and any(_narrower(new[key], tuple(old.shape)) for key, old in own):
            for key, old in own:
                value = torch.zeros(new[key], dtype=old.dtype, device=old.device)
                setattr(layer, key, nn.Parameter(value, old.requires_grad) if isinstance(old, nn.Parameter) else value)
            _fit_to_weights(layer)
            changed = True
    return changed


_WIDE = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.Linear)


def _narrower(new: tuple[int, ...], old: tuple[int, ...]) -> bool:
    """Whether the channels, the first two dimensions, are fewer and the kernel, the rest, is the same."""
    same_kind = len(new) == len(old) and new[2:] == old[2:]
    return same_kind and new != old and all(0 < a <= b for a, b in zip(new[:2], old[:2], strict=True))


def _fit_to_weights(layer: nn.Module) -> None:
    """Let a layer know the widths of its tensors."""
    if isinstance(layer, nn.BatchNorm2d):
        layer.num_features = len(layer.running_mean if layer.running_mean is not None else layer.weight)
        return
    assert isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    first, second = layer.weight.shape[:2]
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = first, second
        return
    if layer.groups > 1 and second == 1:  # depthwise: as many groups as channels
        layer.groups = first
    inner, outer = (first, second * layer.groups) if layer.transposed else (second * layer.groups, first)
    layer.in_channels, layer.out_channels = inner, outer


def rounded(network: nn.Module) -> tuple[nn.Module, bool]:
    """A copy of the network whose weights are rounded to float16, and True; itself and False where they overflow."""
    values = {k: v.half().to(v) if v.is_floating_point() else v for k, v in network.state_dict().items()}
    if not all(v.isfinite().all() for v in values.values()):
        return network, False
    other = copy.deepcopy(network)
    other.load_state_dict(values)
    return other, True


def _powers() -> Iterable[int]:
    stride = 1
    while stride <= _COARSEST:
        yield stride
        stride *= 2


def agrees(network: nn.Module, in_channels: int, stride: int) -> bool:
    """Whether a window of one by three strides passes through the network: whether that is its stride, and the widths
    of its layers agree with one another."""
    x = torch.zeros(1, in_channels, stride, 3 * stride, device=next(network.parameters()).device)
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            scores: Tensor = network(x)
    except (RuntimeError, ValueError, AssertionError, TypeError):  # what layers raise for a size they cannot take
        return False
    finally:
        network.train(training)
    return scores.shape[-2:] == x.shape[-2:]


def _build(architecture: str, encoder: str, arguments: dict[str, Any], weights: str | None) -> nn.Module:
    kinds = {c.__name__.lower(): c for c in vars(smp).values() if isinstance(c, type) and issubclass(c, nn.Module)}
    kind = kinds.get(architecture.lower())
    if kind is None:
        names = [c.__name__ for c in kinds.values()]
        raise ModelError(
            architecture, "not an architecture of segmentation_models_pytorch", _nearest(architecture, names)
        )
    known = smp.encoders.get_encoder_names()
    if encoder not in known and not encoder.startswith("tu-"):
        raise ModelError(encoder, "not an encoder of segmentation_models_pytorch", _nearest(encoder, known))
    refused = [name for name in _REFUSED if name in arguments]
    if refused:
        raise ModelError(architecture, f"the argument {refused[0]} is not for maps", "leave it out")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library's advice on the names of its encoders
            network: nn.Module = kind(encoder, **arguments, encoder_weights=weights)
    except _MISFITS as exc:
        if isinstance(exc, OSError):
            raise
        raise ModelError(
            f"{architecture} of {encoder}", f"cannot be built ({_reason(exc)})", "correct its parameters"
        ) from exc
    return network


_MISFITS = (TypeError, ValueError, KeyError, RuntimeError, AttributeError, IndexError, AssertionError)
"""What constructors raise for an argument that does not fit."""


def _reason(exc: BaseException) -> str:
    return str(exc).split("\n")[0][:200] or type(exc).__name__


def _nearest(name: str, known: list[str]) -> str:
    lower = {k.lower(): k for k in known}
    near = get_close_matches(name.lower(), lower, 1, 0.5)
    return f"did you mean {lower[near[0]]}?" if near else f"one of {', '.join(sorted(known))[:300]}"
