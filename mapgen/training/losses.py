"""Losses between scores (N, K, H, W) and targets (N, H, W) of channel indices, where `IGNORE` marks pixels not drawn.

Every loss is a mean over the pixels that are drawn and depends on no other; without any it is 0 and keeps its graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mapgen.dataset.dataset import IGNORE

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(scores: Tensor, target: Tensor, smoothing: float = 0.0, weight: Tensor | None = None) -> Tensor:
    """The mean of -Σ_k q_k log p_k over drawn pixels, p = softmax(scores), q = (1 - s)·onehot + s/K.

    `smoothing` s is in 0…1 (Szegedy et al. 2016, Rethinking the Inception Architecture, section 7). With class weights
    (K,) each pixel counts by the weight of its class and the mean divides by their sum.
    """
    drawn = target != IGNORE
    index = torch.where(drawn, target, 0)
    log_p = F.log_softmax(scores, dim=1)
    picked = log_p.gather(1, index[:, None])[:, 0]
    per_pixel = -(1 - smoothing) * picked - smoothing * log_p.mean(1)
    share = drawn.to(scores.dtype) if weight is None else drawn * weight.to(scores)[index]
    return (per_pixel * share).sum() / share.sum().clamp_min(1e-6)


def dice(scores: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - the mean Dice coefficient (2·Σ p·y + smooth) / (Σ p + Σ y + smooth) over the classes drawn in the batch.

    Sums run over all drawn pixels of the batch (Milletari et al. 2016, V-Net, with p and y not squared). A class that
    the batch does not show is left out: its coefficient would reward the emptiness of the batch, not the network.
    """
    drawn = (target != IGNORE)[:, None].to(scores.dtype)
    index = torch.where(target != IGNORE, target, 0)[:, None]
    truth = torch.zeros_like(scores).scatter_(1, index, drawn)  # a fifth of the time of one_hot, which counts in int64
    p = scores.softmax(1)
    axes = (0, 2, 3)
    count = truth.sum(axes)
    coefficient = (2 * (p * truth).sum(axes) + smooth) / ((p * drawn).sum(axes) + count + smooth)
    shown = (count > 0).to(scores.dtype)
    return (shown * (1 - coefficient)).sum() / shown.sum().clamp_min(1)


def class_weights(pixels: Sequence[float]) -> tuple[float, ...]:
    """A weight for each class by how many pixels it has: 1 / ln(1.02 + p), p its share, over that of a share of 1.

    Rare classes weigh more, but none more than 36 times what the only class would (Paszke et al. 2016, ENet,
    section 5.2). All weigh alike where there are no pixels.
    """
    total = sum(pixels)
    shares = [n / total if total else 1.0 for n in pixels]
    return tuple(math.log(2.02) / math.log(1.02 + p) for p in shares)


Part = Callable[[Tensor, Tensor, float, Tensor | None], Tensor]

LOSSES: Mapping[str, Part] = {
    "cross_entropy": cross_entropy,
    "dice": lambda scores, target, smoothing, weight: dice(scores, target),
}
"""Every loss by its name, from scores, target, label smoothing and class weights. Here is the place for further ones;
`mapgen.training.config.LOSSES` names them too."""


def combined(
    shares: Mapping[str, float], smoothing: float = 0.0, weight: Sequence[float] | Tensor | None = None
) -> Loss:
    """The loss Σ share·loss over the names in `shares`, which are of `LOSSES`."""
    unknown = set(shares) - set(LOSSES)
    if unknown:
        raise ValueError(f"unknown loss {sorted(unknown)[0]!r}, expected one of {', '.join(LOSSES)}")
    weights = None if weight is None else torch.as_tensor(weight)
    parts = [(share, LOSSES[name]) for name, share in shares.items() if share]
    return lambda scores, target: sum(
        (share * part(scores, target, smoothing, weights) for share, part in parts), start=scores.new_zeros(())
    )
