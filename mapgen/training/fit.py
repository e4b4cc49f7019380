"""The training loop: from samples to weights, killed and resumed at will."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from mapgen.errors import InputError, Interrupted, ModelError, UsageError
from mapgen.training.losses import Loss
from mapgen.training.pace import Pace, Recipe, plan_of, rate_at

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The type of the forward pass where torch's autocast deems it safe."""


STATE_KEY = "mapgen_run"
"""The key of what a checkpoint says beside its tensors, in the safetensors header's `__metadata__`."""

SAVE_SECONDS = 60.0
"""After so long without a checkpoint one is written, however few the steps were: that is the most that a kill costs."""


class Batches(Protocol):
    """Where samples come from."""

    def batch(self, step: int, count: int, size: int) -> tuple[Tensor, Tensor]:
        """Images (count, C, size, size) float32 and targets (count, size, size) int64: a pure function of `step`."""
        ...


class Term(Protocol):
    """A further part of the loss, one that does more than compare scores with labels."""

    def __call__(self, images: Tensor, scores: Tensor, state: State) -> Tensor:
        """The part for `images` (N, C, H, W), pixel values, and the network's float32 `scores` (N, K, H, W) of them."""
        ...


@dataclass(slots=True)
class State:
    """Everything that a run carries from step to step."""

    network: nn.Module
    average: nn.Module
    """The exponential moving average of the network, batch statistics included: the model that is kept."""
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    """Keeps the gradients of fp16 in its range; idle with other numbers."""
    pace: Pace
    step: int = 0
    best: float = -math.inf
    """The highest mIoU of any check."""
    stale: int = 0
    """Checks since then."""
    whole: bool = True
    """Whether the state is that of the end of a step, so that it may be saved; false while a step changes it."""

    def ended(self, recipe: Recipe) -> bool:
        """Whether no step is left: the pace is at its end, or patience is."""
        return self.step >= self.pace.end or 0 < recipe.patience <= self.stale


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
Keep = Callable[[nn.Module, dict[str, Any]], None]


def start(network: nn.Module, recipe: Recipe) -> State:
    """The state before the first step."""
    average = copy.deepcopy(network).eval().requires_grad_(False)
    groups = _groups(network, recipe)
    optimizer = torch.optim.AdamW(groups, lr=recipe.rate, weight_decay=recipe.weight_decay, fused=True)
    scaler = torch.amp.GradScaler(_device(network).type, enabled=recipe.precision == "fp16")
    return State(network, average, optimizer, scaler, Pace.even(recipe.steps))


def _groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The parameters by what decay and rate they get; `share` is that of the highest rate."""
    slow = {id(p) for p in _encoder(network).parameters()} if recipe.encoder_rate != 1 else set()
    groups: list[dict[str, Any]] = []
    for share in (1.0, recipe.encoder_rate) if slow else (1.0,):
        mine = [p for p in network.parameters() if (id(p) in slow) == (share != 1)]
        groups.append({"params": [p for p in mine if p.ndim > 1], "share": share})
        # biases and norms: decay would only shift them
        groups.append({"params": [p for p in mine if p.ndim <= 1], "share": share, "weight_decay": 0.0})
    return groups


def _encoder(network: nn.Module) -> nn.Module:
    encoder = getattr(network, "encoder", None)
    return encoder if isinstance(encoder, nn.Module) else nn.Module()


def fit(
    state: State,
    recipe: Recipe,
    batches: Batches,
    loss_of: Loss,
    *,
    scale: tuple[Sequence[float] | Tensor, Sequence[float] | Tensor],
    terms: Sequence[Term] = (),
    checkpoint: Path | None = None,
    check: Check = lambda average: {},
    keep: Keep = lambda average, found: None,
    ahead: Callable[[Iterator[Any]], Iterator[Any]] = lambda items: items,
) -> Generator[Progress]:
    """Run the state to its end, one `Progress` a step.

    `scale` is (mean, std), each (C,), of the pixel values; `terms` are added to the loss. Every `check_every` steps and
    at the end `check` looks at the average; where its `miou` is the best so far, or it has none, `keep` gets the
    average: what it kept last is the result. A checkpoint is written every `save_every` steps, every minute and at the
    end. Raises `ModelError` at the first loss or gradient that is not finite, so that the last good checkpoint stays.
    """
    device = _device(state.network)
    mean, std = (torch.as_tensor(s, dtype=torch.float32, device=device).view(1, -1, 1, 1) for s in scale)
    made = ahead(batches.batch(*place) for place in plan_of(recipe, state.pace, state.step))
    saved = time.perf_counter()
    for images, target in () if state.ended(recipe) else made:
        began, step = time.perf_counter(), state.step
        torch.manual_seed(recipe.seed << 32 | step)  # for dropout, which a resumed run is to repeat
        hold(state.network, state.pace.at(step) < recipe.frozen)
        images = images.to(device)
        x = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
        with _undone(state.network):
            with torch.autocast(device.type, HALF.get(recipe.precision), enabled=recipe.precision in HALF):
                scores = state.network(x).float()
                parts = [term(images, scores, state) for term in terms]
            loss = sum(parts, start=loss_of(scores, target.to(device)))
            climb(state, loss, recipe)
        rate = rate_at(state.pace.at(step), recipe.rate, recipe.warmup)
        state.whole = False
        descend(state, rate, recipe)
        state.step += 1
        last = state.step == state.pace.end
        found = judge(state, check, keep) if last or state.step % recipe.check_every == 0 else None
        state.whole = True
        yield Progress(step, state.pace.end, loss.item(), rate, time.perf_counter() - began, found)
        due = state.step % recipe.save_every == 0 or time.perf_counter() - saved > SAVE_SECONDS
        if checkpoint and (state.ended(recipe) or due):
            save(state, recipe, checkpoint)  # after the report, so that no step before a checkpoint lacks its own
            saved = time.perf_counter()
        if state.ended(recipe):
            return


@contextmanager
def _undone(network: nn.Module) -> Iterator[None]:
    """Give the network its statistics back where a step is stopped before it is made: the pass has changed them."""
    buffers = list(network.buffers())
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        for buffer, old in zip(buffers, before, strict=True):
            buffer.copy_(old)
        raise


def hold(network: nn.Module, frozen: bool) -> None:
    """Make the network learn; a frozen encoder keeps its weights and the statistics of its norms."""
    network.train()
    encoder = _encoder(network)
    encoder.requires_grad_(not frozen)
    encoder.train(not frozen)


def judge(state: State, check: Check, keep: Keep) -> dict[str, Any]:
    """What `check` finds of the average, which is kept unless an earlier one was as good."""
    found = check(state.average)
    miou = found.get("miou", math.nan)
    state.stale += 1
    if not miou <= state.best:  # also where there is no figure to compare
        state.best, state.stale = miou, 0
        keep(state.average, found)
    return found


def climb(state: State, loss: Tensor, recipe: Recipe) -> None:
    """The gradient of `loss`, clipped, in the network's weights."""
    _check_finite("loss", loss, state)
    state.optimizer.zero_grad(set_to_none=True)
    state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    state.scaler.unscale_(state.optimizer)
    norm = nn.utils.clip_grad_norm_(state.network.parameters(), recipe.clip)
    if not state.scaler.is_enabled():  # the scaler leaves out such a step by itself, and tries a smaller scale
        _check_finite("gradient's norm", norm, state)


def descend(state: State, rate: float, recipe: Recipe) -> None:
    """One step of the optimizer down the gradient, and one of the average towards the network."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate * group["share"]
    state.scaler.step(state.optimizer)
    state.scaler.update()
    decay = min(recipe.ema_decay, (1 + state.step) / (10 + state.step))  # short memory at first, when weights move fast
    with torch.no_grad():
        for kept, new in zip(state.average.state_dict().values(), state.network.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)


def _check_finite(what: str, value: Tensor, state: State) -> None:
    if not torch.isfinite(value):
        raise ModelError(
            "training", f"the {what} is {value.item()} at step {state.step}", "lower run.rate, check the data"
        )


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def save(state: State, recipe: Recipe, path: Path) -> None:
    """Write the state to `path`: whole and on the disk, or not at all; the checkpoint before survives until then.

    A safetensors file: weights, their average and the optimizer's moments as tensors, all else as JSON in its header.
    Raises `OSError`.
    """
    from safetensors.numpy import save as packed

    facts = {
        "recipe": asdict(recipe), "knots": [list(k) for k in state.pace.knots], "step": state.step, "best": state.best,
        "stale": state.stale, "scaler": state.scaler.state_dict(),
    }  # fmt: skip
    moments = state.optimizer.state_dict()["state"]
    tensors = {f"network.{k}": v for k, v in state.network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in state.average.state_dict().items()}
    tensors |= {f"optimizer.{i}.{k}": v for i, own in moments.items() for k, v in own.items()}
    plain = {name: np.array(value.detach().cpu().numpy(), order="C") for name, value in tensors.items()}
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(packed(plain, {STATE_KEY: json.dumps(facts)}))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the network's tensors in a checkpoint, by name; none of what is no checkpoint."""
    try:
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if name.startswith("network.")]  # noqa: SIM118
            return {name.removeprefix("network."): tuple(file.get_slice(name).get_shape()) for name in names}
    except SafetensorError:  # `resume` says it
        return {}


def resume(state: State, recipe: Recipe, path: Path) -> None:
    """Bring `state` to where the checkpoint at `path` was; the recipe must be the one that it was made with.

    Raises `InputError` where the file is no checkpoint of this network, `UsageError` where the recipe differs. Nothing
    in the file is executed.
    """
    try:
        facts, tensors = _read_checkpoint(path)
        theirs, mine = dict(facts["recipe"]), asdict(recipe)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as exc:
        reason = str(exc).split("\n")[0][:200]
        raise InputError(path, f"is not a checkpoint ({reason})", "delete it to start over") from exc
    mine.pop("save_every")  # decides nothing that is learnt
    changed = [k for k in mine if k not in theirs or _plain(theirs[k]) != _plain(mine[k])]
    if changed:
        raise UsageError(path, f"was made with another {changed[0]}", "restore the recipe, or delete it to start over")
    try:
        state.network.load_state_dict(_named(tensors, "network."))
        state.average.load_state_dict(_named(tensors, "average."))
        state.optimizer.load_state_dict(_moments(state, _named(tensors, "optimizer.")))
        state.scaler.load_state_dict(facts["scaler"])
        state.best, state.stale = float(facts["best"]), int(facts["stale"])
        state.pace, state.step = Pace(tuple((int(s), float(p)) for s, p in facts["knots"])), int(facts["step"])
    except (RuntimeError, ValueError, KeyError, TypeError, IndexError) as exc:
        reason = str(exc).split("\n")[0][:200]
        raise InputError(path, f"holds another network ({reason})", "delete it to start over") from exc


def _read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a checkpoint says, and its tensors."""
    with safe_open(path, "numpy") as file:
        tensors = {name: torch.from_numpy(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - no mapping
        return json.loads(file.metadata()[STATE_KEY]), tensors


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _moments(state: State, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The optimizer's state from its tensors, each in the order of memory of its weight, as fused steps want it."""
    groups = state.optimizer.state_dict()["param_groups"]
    weights = [p for group in state.optimizer.param_groups for p in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, kind = name.partition(".")
        weight = weights[int(number)]
        same = value.shape == weight.shape
        own = torch.empty_like(weight, dtype=value.dtype, requires_grad=False).copy_(value) if same else value
        moments.setdefault(int(number), {})[kind] = own
    return {"state": moments, "param_groups": groups}


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
