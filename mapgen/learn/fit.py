"""The training loop: from samples to weights, killed and resumed at will."""

from __future__ import annotations

import copy
import math
import os
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mapgen.errors import InputError, ModelError, UsageError
from mapgen.learn.losses import Loss


class Batches(Protocol):
    """Where samples come from."""

    def batch(self, step: int, count: int, size: int) -> tuple[Tensor, Tensor]:
        """Images (count, C, size, size) float32 and targets (count, size, size) int64: a pure function of `step`."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """From `start`, a fraction 0…1 of the run, batches have `count` crops of `size`×`size` pixels."""

    start: float
    count: int
    size: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the loop does. Two runs of one recipe on one machine and thread count end in the same weights."""

    steps: int
    stages: tuple[Stage, ...]
    rate: float = 1e-3
    """The highest learning rate."""
    warmup: float = 0.05
    """The fraction of the run in which the rate rises; it falls as a cosine to 0 after that (Smith & Topin 2018)."""
    weight_decay: float = 0.01
    ema_decay: float = 0.998
    clip: float = 1.0
    """Gradients are scaled down to this Euclidean norm."""
    half: bool = False
    """bfloat16 where torch's autocast deems it safe."""
    save_every: int = 50
    check_every: int = 200
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """How far a run is, as a pure function of the step: straight lines between knots (step, progress) from 0 to 1.

    A run that has to end sooner or later than planned gets a further knot, which its checkpoint records.
    """

    knots: tuple[tuple[int, float], ...]

    @classmethod
    def even(cls, steps: int) -> Pace:
        """Progress in equal steps."""
        return cls(((0, 0.0), (steps, 1.0)))

    @property
    def end(self) -> int:
        """The number of steps in all."""
        return self.knots[-1][0]

    def at(self, step: int) -> float:
        """Progress 0…1 before `step`."""
        i = min(bisect_right([s for s, _ in self.knots], step), len(self.knots) - 1)
        (s0, p0), (s1, p1) = self.knots[i - 1], self.knots[i]
        return min(1.0, p0 + (p1 - p0) * (step - s0) / (s1 - s0))

    def until(self, step: int, end: int) -> Pace:
        """The same pace up to `step`, then evenly to `end`."""
        if not step < end:
            raise UsageError("steps", f"{end} is not after step {step}, where the run is", "name a later end")
        past = tuple(k for k in self.knots if k[0] < step)
        return Pace((*past, (step, self.at(step)), (end, 1.0)))


def rate_at(progress: float, highest: float, warmup: float) -> float:
    """The learning rate: a line from 0 to `highest` over `warmup`, then half a cosine down to 0."""
    if progress < warmup:
        return highest * progress / warmup
    return highest * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


@dataclass(slots=True)
class State:
    """Everything that a run carries from step to step."""

    network: nn.Module
    average: nn.Module
    """The exponential moving average of the network, batch statistics included: the model that is kept."""
    optimizer: torch.optim.Optimizer
    pace: Pace
    step: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """What a step reports."""

    step: int
    end: int
    loss: float
    rate: float
    seconds: float
    check: dict[str, Any] | None
    """What `check` found, on the steps that it ran."""


Check = Callable[[nn.Module], dict[str, Any]]


def start(network: nn.Module, recipe: Recipe) -> State:
    """The state before the first step."""
    average = copy.deepcopy(network).eval().requires_grad_(False)
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]  # biases and norms: decay would only shift them
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.rate, weight_decay=recipe.weight_decay, fused=True)
    return State(network, average, optimizer, Pace.even(recipe.steps))


def fit(
    state: State,
    recipe: Recipe,
    batches: Batches,
    loss_of: Loss,
    *,
    scale: tuple[Tensor, Tensor],
    checkpoint: Path | None = None,
    check: Check | None = None,
    ahead: Callable[[Iterator[Any]], Iterator[Any]] = lambda items: items,
) -> Iterator[Progress]:
    """Run the state to the end of its pace, one `Progress` a step; `state.average` is the result once all are taken.

    `scale` is (mean, std), each (C,), of the pixel values. A checkpoint is written every `save_every` steps and at the
    end. Raises `ModelError` at the first loss that is not finite, so that the last good checkpoint stays.
    """
    device = next(state.network.parameters()).device
    mean, std = (s.to(device).view(1, -1, 1, 1) for s in scale)
    plan = (_stage(recipe, state.pace, step) for step in range(state.step, state.pace.end))
    made = ahead(batches.batch(step, stage.count, stage.size) for step, stage in plan)
    state.network.train()
    for images, target in made:
        began, step = time.perf_counter(), state.step
        rate = rate_at(state.pace.at(step), recipe.rate, recipe.warmup)
        x = ((images.to(device) - mean) / std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.half):
            scores = state.network(x)
        loss = loss_of(scores.float(), target.to(device))
        if not torch.isfinite(loss):
            raise ModelError("training", f"the loss is {loss.item()} at step {step}", "lower the rate, check the data")
        descend(state, loss, rate, recipe)
        state.step += 1
        last = state.step == state.pace.end
        found = check(state.average) if check and (last or state.step % recipe.check_every == 0) else None
        yield Progress(step, state.pace.end, loss.item(), rate, time.perf_counter() - began, found)
        if checkpoint and (last or state.step % recipe.save_every == 0):
            save(state, recipe, checkpoint)  # after the report, so that no step before a checkpoint lacks its own


def descend(state: State, loss: Tensor, rate: float, recipe: Recipe) -> None:
    """One step of the optimizer down the gradient of `loss`, and one of the average towards the network."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.network.parameters(), recipe.clip)
    state.optimizer.step()
    decay = min(recipe.ema_decay, (1 + state.step) / (10 + state.step))  # short memory at first, when weights move fast
    with torch.no_grad():
        for kept, new in zip(state.average.state_dict().values(), state.network.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)


def _stage(recipe: Recipe, pace: Pace, step: int) -> tuple[int, Stage]:
    due = [s for s in recipe.stages if s.start <= pace.at(step)]
    return step, due[-1]


def save(state: State, recipe: Recipe, path: Path) -> None:
    """Write the state to `path`: whole and on the disk, or not at all; the checkpoint before survives until then."""
    values = {
        "recipe": asdict(recipe),
        "knots": [list(k) for k in state.pace.knots],
        "step": state.step,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict()["state"],
    }
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        torch.save(values, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def resume(state: State, recipe: Recipe, path: Path) -> None:
    """Bring `state` to where the checkpoint at `path` was; the recipe must be the one that it was made with.

    Raises `InputError` where the file is no checkpoint of this network, `UsageError` where the recipe differs. Nothing
    in the file is executed.
    """
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        theirs, mine = values["recipe"], asdict(recipe)
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, ValueError, UnpicklingError) as exc:
        raise InputError(path, f"is not a checkpoint ({exc})", "delete it to start anew") from exc
    changed = [k for k in mine if k not in theirs or _plain(theirs[k]) != _plain(mine[k])]
    if changed:
        raise UsageError(path, f"was made with another {changed[0]}", "restore the recipe, or delete it to start anew")
    try:
        state.network.load_state_dict(values["network"])
        state.average.load_state_dict(values["average"])
        moments, groups = values["optimizer"], state.optimizer.state_dict()["param_groups"]
        state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    except (RuntimeError, ValueError, KeyError) as exc:
        raise InputError(path, f"holds another network ({exc})", "delete it to start anew") from exc
    state.pace, state.step = Pace(tuple((int(s), float(p)) for s, p in values["knots"])), int(values["step"])


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
