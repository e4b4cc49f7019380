"""Methods that ask the network itself: how the score changes with the pixels, or with what the encoder makes of them.

Attributions are in units of the score, as those of `mapgen.explain.trying`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mapgen.arrays import Array, Floats
from mapgen.errors import UsageError, option
from mapgen.explain.probe import Question

STEPS = 32
"""Pictures on the way from the base: with 8 the parts miss the whole by a quarter, with 32 by less than a hundredth."""


class Differentiable:
    """The score as a function of pixels that has derivatives."""

    def __init__(self, net: Any, question: Question, device: str = "cpu") -> None:
        """`net` has a method `scores` as `mapgen.model.torch.Raw` has."""
        self.net, self.question = net.to(device).eval().requires_grad_(False), question
        self.device = device
        self._places = torch.from_numpy(question.places).to(device)
        self._region = torch.from_numpy(question.region).to(device)

    def tensor(self, pictures: Array) -> torch.Tensor:
        """Pictures (N, C, H, W) where the network is."""
        return torch.from_numpy(np.ascontiguousarray(pictures, np.float32)).to(self.device)

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        """Scores (N,) of pictures (N, C, H, W)."""
        height, width = self.question.region.shape
        seen = pictures.flatten(2)[:, :, self._places]  # (N, C, H', W')
        inside = self.net.scores(seen)[:, :, :height, :width][:, :, self._region]
        return (inside[:, self.question.channel] - inside.mean(1)).mean(-1)


def gradient(score: Differentiable, picture: Array, base: Array) -> Floats:
    """Gradient times input, (C, H, W): what each value would add if the score were linear (Shrikumar et al. 2017)."""
    slope, _ = _slopes(score, picture[None])
    return np.asarray(slope[0] * (picture - base))


def integrated(score: Differentiable, picture: Array, base: Array, steps: int = STEPS) -> tuple[Floats, float]:
    """Integrated gradients (C, H, W) by midpoints, and by what share their sum misses f(picture) - f(base).

    Sundararajan et al. (2017). Law: without error of the sum they add up to it, whatever the network.
    """
    total = np.zeros(picture.shape)
    for step in range(steps):
        there = base + (picture - base) * ((step + 0.5) / steps)
        total += _slopes(score, there[None])[0][0]
    parts = total / steps * (picture - base)
    with torch.no_grad():
        ends = score(score.tensor(np.stack([picture, base]))).double().cpu().numpy()
    whole = float(ends[0] - ends[1])
    return parts, abs(float(parts.sum()) - whole) / max(abs(whole), 1e-6)


def _slopes(score: Differentiable, pictures: Array) -> tuple[Floats, Floats]:
    """Derivatives (N, C, H, W) of the score of each picture by its values, and the scores (N,)."""
    x = score.tensor(pictures).requires_grad_()
    values = score(x)
    (slope,) = torch.autograd.grad(values.sum(), x)
    return slope.double().cpu().numpy(), values.detach().double().cpu().numpy()


def cam(score: Differentiable, picture: Array, stage: int | None = None) -> Floats:
    """Grad-CAM (H, W), not negative: where the features are that speak for the score (Selvaraju et al. 2017).

    Each feature of a stage of the encoder weighs as much as its mean derivative. Coarse: a stage has one value for
    2^stage pixels.
    """
    kept: list[torch.Tensor] = []
    handle = score.net.net.encoder.register_forward_hook(lambda module, given, out: kept.extend(out))
    try:
        # The picture itself wants a derivative, else nothing would have a history to go back by.
        value = score(score.tensor(picture[None]).requires_grad_()).sum()
    finally:
        handle.remove()
    feature = kept[_stage(kept, stage)]
    (slope,) = torch.autograd.grad(value, feature, allow_unused=True)
    if slope is None:
        raise UsageError(option("stage"), f"the network makes no use of stage {stage}", "leave it out for the last")
    coarse = (slope.mean((2, 3), keepdim=True) * feature).sum(1, keepdim=True).relu().detach()
    fine = functional.interpolate(coarse, score.question.places.shape, mode="bilinear", align_corners=False)
    height, width = picture.shape[1:]
    return np.asarray(fine[0, 0, :height, :width].double().cpu().numpy())


def _stage(features: list[torch.Tensor], stage: int | None) -> int:
    """The number of a stage that has features. Raises `UsageError`."""
    there = [i for i, one in enumerate(features) if one.shape[1] and i]  # 0 is the picture itself
    if stage is None:
        return there[-1]
    if stage not in there:
        known = f"{there[0]} to {there[-1]}"
        raise UsageError(option("stage"), f"the encoder has no stage {stage}", f"use one of {known}")
    return stage
