"""From the configuration to the parts of a run: recipe, sampling, loss, and the card of the model to be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapgen import __version__
from mapgen.dataset.dataset import Dataset
from mapgen.errors import speaking
from mapgen.model.card import ModelCard
from mapgen.model.file import Model, network_of
from mapgen.plan import check_window
from mapgen.schema import in_toml
from mapgen.training.config import TrainConfig

if TYPE_CHECKING:
    from mapgen.training.pace import Recipe

BLOCK = 256
"""Side of the bootstrap's blocks in pixels: several houses and streets."""

FEWEST = 10
"""Blocks below which no interval is given, as in `evaluate`."""


def loaded(model: Model) -> Any:
    """A model's network with its weights."""
    from mapgen.model.torch import load_network

    return load_network(network_of(model, "fp32"))


def stages_of(config: TrainConfig) -> Iterator[Any]:
    """What crops each part of the run has."""
    from mapgen.training.pace import Stage

    if not config.run.stages:
        yield Stage(0.0, config.run.batch, config.run.crop)
    for stage in config.run.stages:
        yield Stage(stage.start, stage.batch, stage.crop)


def recipe_of(config: TrainConfig, data: Dataset, precision: Any) -> Recipe:
    """What the loop does."""
    from mapgen.training.pace import Recipe

    run, stages = config.run, tuple(stages_of(config))
    per_step = run.shown / max(1, sum(data.pixels["training"]))
    steps = run.steps if run.steps is not None else max(1, math.ceil((run.epochs or 1) / per_step))
    frozen = config.model.freeze
    if config.model.freeze_epochs is not None:
        frozen = min(1.0, config.model.freeze_epochs / (steps * per_step))
    return Recipe(
        steps, stages, rate=run.rate, warmup=run.warmup, weight_decay=run.weight_decay, ema_decay=run.ema_decay,
        clip=run.clip, precision=precision, encoder_rate=config.model.encoder_rate, frozen=frozen,
        save_every=run.save_every, check_every=run.check_every, patience=run.patience, seed=config.seed,
    )  # fmt: skip


def sampling_of(config: TrainConfig, data: Dataset) -> Any:
    """How crops are drawn."""
    from mapgen.training.augment import Geometry, Light
    from mapgen.training.samples import Sampling

    a = config.augment
    geometry = Geometry(a.flips, a.angle_deg, a.zoom, a.zoom_spread)
    light = Light(a.brightness, a.contrast, a.gamma, a.balance, a.saturation, a.haze, a.noise, a.softness)
    return Sampling(config.sampling.balance, geometry, light, data.high, config.sampling.unlabelled)


def loss_of(config: TrainConfig, data: Dataset) -> Any:
    """The loss of the labels."""
    from mapgen.training.losses import class_weights, combined

    wanted = config.loss.class_weights
    if wanted == "none":
        weights = None
    elif isinstance(wanted, str):
        weights = class_weights(data.pixels["training"])
    else:
        weights = tuple(wanted.get(name, 1.0) for name in data.legend.names)
    return combined(config.loss.shares, config.loss.smoothing, weights)


def card_of(config: TrainConfig, data: Dataset, stride: int) -> ModelCard:
    """The card of the model to be, its scores and steps still open."""
    model, card = config.model, config.card
    window, halo = window_of(config, stride)
    ground = {name: sum(counts) / 1e6 for name, counts in data.pixels.items()}
    amount = f"{ground['training']:.3g} Mpx of labelled ground, validated on {ground['validation']:.3g} Mpx of other"
    return ModelCard(
        name=config.name, architecture=model.architecture, encoder=model.encoder, parameters=dict(model.parameters),
        bands=data.bands, mean=data.mean, std=data.std, legend=data.legend, resolution_m=data.resolution_m,
        data_type=data.data_type, window=window, halo=halo, stride=stride, version=card.version, domain=card.domain,
        description=card.description, data=card.data or f"{amount}.", license=card.license, limits=card.limits,
    )  # fmt: skip


def window_of(config: TrainConfig, stride: int) -> tuple[int, int]:
    """Window and halo of the card: those of the configuration, up to the next multiples of the stride."""
    window, halo = (math.ceil(n / stride) * stride for n in (config.model.window, config.model.halo))
    with speaking(in_toml("model")):
        check_window(window, halo, stride)
    return window, halo


def trained_how(config: TrainConfig, recipe: Recipe, step: int, end: int) -> str:
    """One sentence: what made these weights."""
    shares = " + ".join(f"{share:g} {name}" for name, share in config.loss.shares.items() if share)
    crops = ", ".join(f"{s.count} crops of {s.size} px" for s in recipe.stages)
    start = "random weights" if config.model.start == "scratch" else Path(config.model.start).name
    teachers = ", ".join(Path(name).name for name in config.teacher.models) if config.teacher.share else ""
    taught = f" + {config.teacher.share:g} teacher ({teachers})" if teachers else ""
    return (
        f"Trained by mapgen {__version__}: the average after step {step} of {end}, AdamW at {recipe.rate:g}, {crops} a "
        f"step, loss {shares}{taught}, from {start}, seed {config.seed}."
    )


def card_scores(found: dict[str, Any], data: Dataset) -> dict[str, Any]:
    """What the card says of validation ground: mIoU, accuracy and each class that is there, with intervals."""
    from mapgen.training.measure import intervals

    blocks = found["blocks"]
    spread = intervals(blocks) if len(blocks) >= FEWEST else {}
    pixels = int(blocks.sum())
    ground = f"{pixels / 1e6:.3g} Mpx of validation ground in {len(blocks)} blocks of at most {BLOCK} px"
    result: dict[str, Any] = {"ground": ground + ("; intervals of 95 % by their bootstrap" if spread else "")}
    for name in ("miou", "accuracy"):
        result[name] = round(found[name], 4)
        if spread:
            result[f"{name}_interval"] = _rounded(spread[name])
    classes = {
        one.name: {"iou": round(found["iou"][i], 4), "f1": round(found["f1"][i], 4)}
        | ({"iou_interval": _rounded(spread["iou"][i])} if spread and all(map(math.isfinite, spread["iou"][i])) else {})
        for i, one in enumerate(data.legend) if not math.isnan(found["iou"][i])
    }  # fmt: skip
    return result | {"classes": classes}


def _rounded(values: Any) -> list[float]:
    return [round(float(v), 4) for v in values]
