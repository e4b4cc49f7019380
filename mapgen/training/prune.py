"""Pruning: a network with fewer channels, those taken out that its loss needs least.

Channels that meet in a sum or a concatenation go together, along a graph of what depends on what (Fang et al. 2023,
DepGraph, by the library torch-pruning); how much the loss needs a group is the first term of its Taylor series
(Molchanov et al. 2019, Importance Estimation for Neural Network Pruning).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mapgen.errors import UsageError, one_line, require
from mapgen.model.network import agrees, channels_last, narrow
from mapgen.training.losses import Loss

BATCHES = 32
"""Batches of training ground that importance is summed over."""

ROUND = 8
"""Channels stay multiples of it, as the registers of processors are."""


def pruned(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    loss_of: Loss,
    scale: tuple[Sequence[float], Sequence[float]],
    ratio: float,
    fresh: nn.Module,
    stride: int,
) -> float:
    """Take a share `ratio` (0…1) of the channels out of every layer of `network` but its last; the share of its weights
    that went.

    `batches` are images (N, C, H, W) of pixel values and targets (N, H, W), `scale` their (mean, std), each (C,); norms
    keep their statistics meanwhile. `fresh`, a network of the same kind that is not pruned, is narrowed, to see that a
    model file can be opened again. Raises `UsageError` where the network is of a kind that cannot be followed, or
    nothing would be taken out.
    """
    require("prune", "model.prune", "pruning")
    import torch_pruning as tp

    before, device = _weights(network), next(network.parameters()).device
    mean, std = (torch.tensor(s, dtype=torch.float32, device=device).view(1, -1, 1, 1) for s in scale)
    network.eval().requires_grad_(True).to(memory_format=torch.contiguous_format)
    network.zero_grad(set_to_none=True)
    for images, target in batches:
        loss_of(network((images.to(device) - mean) / std).float(), target.to(device)).backward()  # type: ignore[no-untyped-call]
    try:
        pruner = tp.pruner.BasePruner(
            network, torch.zeros(1, mean.shape[1], stride, 3 * stride, device=device),
            importance=tp.importance.GroupTaylorImportance(), pruning_ratio=0.0,
            pruning_ratio_dict=_ratios(network, ratio), ignored_layers=[_head(network)],
        )  # fmt: skip
        pruner.step()
    except _LOST as exc:
        raise _refusal(network, f"cannot be followed by pruning ({one_line(exc)[:120]})") from exc
    network.zero_grad(set_to_none=True)
    left = _shapes(network)
    narrow(fresh, left)
    if not (_shapes(fresh) == left and agrees(network, mean.shape[1], stride)):
        raise _refusal(network, "has layers that pruning cannot narrow")
    if not (gone := before - _weights(network)):
        raise UsageError("model.prune", f"{ratio:g} takes out nothing: layers keep multiples of {ROUND}", "raise it")
    channels_last(network)
    return gone / before


_LOST = (RuntimeError, ValueError, AttributeError, IndexError, KeyError, TypeError, AssertionError)
"""What the library raises for a network whose channels it loses track of."""


def _ratios(network: nn.Module, ratio: float) -> dict[nn.Module, float]:
    """The share that each layer loses so that the nearest multiple of `ROUND` is left, at least one.

    The library itself rounds down: of 16 channels it would leave 8 at any ratio. It cuts channels · (1 - share) to a
    whole number, hence the half.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    dense = [m for m in network.modules() if isinstance(m, nn.Linear)]
    widths: dict[nn.Module, int] = {m: m.out_channels for m in layers} | {m: m.out_features for m in dense}
    left = {m: min(n, max(ROUND, round(n * (1 - ratio) / ROUND) * ROUND)) for m, n in widths.items()}
    return {m: 1 - (left[m] + 0.5) / n for m, n in widths.items() if left[m] < n}


def _head(network: nn.Module) -> Any:
    """The layers that make the scores: their channels are the classes."""
    head = getattr(network, "segmentation_head", None)
    return head if isinstance(head, nn.Module) else [*network.modules()][-1]


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def _weights(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def _refusal(network: nn.Module, problem: str) -> UsageError:
    remedy = "take another architecture or encoder, or leave out model.prune"
    return UsageError("model.prune", f"{type(network).__name__} {problem}", remedy)
