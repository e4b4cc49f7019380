"""The configuration of a training run: what its TOML file may say. Standard library only, no files."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mapgen.dataset.config import DataConfig, _check_data
from mapgen.errors import InputError, UsageError, one_line
from mapgen.files.inputs import note_inputs
from mapgen.schema import key, read_table, table_of, to_toml

LOSSES = ("cross_entropy", "dice")
"""The losses that `loss.shares` may name."""

NO_MODELS = ("scratch", "imagenet", "average")
"""What stands for no model file where a configuration names one."""

STEPS = 2000
"""Steps of a run that says neither `steps` nor `epochs`."""

NEVER = 10**9
"""Steps between two looks at validation ground: one at the end, so that no average is picked by what judges it."""


def _losses(value: Mapping[str, float]) -> str | None:
    known = not set(value) - set(LOSSES) and sum(value.values()) > 0
    return None if known else f"shares above 0 of {' or '.join(LOSSES)}"


def _weights(value: str | Mapping[str, float]) -> str | None:
    if isinstance(value, str):
        return None if value in ("none", "auto") else '"none", "auto" or a table of class = weight'
    return None if all(w >= 0 for w in value.values()) and any(value.values()) else "weights of 0 or more, some above 0"


def _zoom(value: tuple[float, float]) -> str | None:
    return None if 0.1 <= value[0] <= 1 <= value[1] <= 10 else "two numbers around 1, such as [0.7, 1.5]"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The network, and where it starts."""

    architecture: str = key("A class of segmentation_models_pytorch.", "Unet")
    encoder: str = key("An encoder of segmentation_models_pytorch.", "resnet18")
    parameters: Mapping[str, Any] = key("Further arguments of the architecture.", {})
    start: str = key(
        "Where the weights come from: scratch, imagenet, or a mapgen model by name or file.", "scratch", name="from"
    )
    take: Literal["all", "encoder"] = key(
        "What of that model is taken: all that fits its bands and classes, or the encoder alone.", "all"
    )
    prune: float = key(
        "The share of the channels of that model that is taken out before the first step, those that its loss needs "
        "least; what is left learns on, best with the model as its teacher.", 0.0, low=0, high=0.9,
    )  # fmt: skip
    freeze: float = key(
        "The share of the run, from its beginning, in which the encoder stays as it is.", 0.0, low=0, high=1
    )
    encoder_rate: float = key(
        "The encoder's learning rate, as a share of `run.rate`: what is learnt already wants smaller steps.", 1.0,
        low=0, high=10,
    )  # fmt: skip
    freeze_epochs: float | None = key("The same in epochs.", None, low=0)
    window: int = key("Side of the windows of `segment`, for the card.", 1024, low=32, high=8192)
    halo: int = key("Their margin, for the card.", 64, low=0, high=2048)


@dataclass(frozen=True, slots=True)
class CardConfig:
    """What the model says of itself besides what is known from the run."""

    version: str = key("The version of the model.", "1")
    domain: str = key("One line: what imagery the model knows.", "")
    description: str = key("What it is for.", "")
    data: str = key("Where imagery and labels come from.", "")
    license: str = key("Of the weights.", "")
    limits: str = key("What it cannot do.", "")


@dataclass(frozen=True, slots=True)
class StageConfig:
    """Crops of a part of the run."""

    start: float = key("Where it begins, as a share of the run.", low=0, high=1)
    batch: int = key("Crops in a step.", low=1, high=4096)
    crop: int = key("Side of a crop in pixels.", low=32, high=4096)


@dataclass(frozen=True, slots=True)
class RunConfig:
    """How long and how fast."""

    steps: int | None = key(f"Steps of the optimizer; {STEPS} where neither steps nor epochs are given.", None, low=1)
    epochs: float | None = key(
        "The same in passes over the labelled ground: crops of as many pixels as it has.", None, above=0
    )
    batch: int = key("Crops in a step.", 16, low=1, high=4096)
    crop: int = key("Side of a crop in pixels.", 256, low=32, high=4096)
    stages: tuple[StageConfig, ...] = key("Other crops from a share of the run on; the first starts at 0.", ())
    rate: float = key("The highest learning rate.", 1e-3, above=0, high=1)
    warmup: float = key("The share of the run in which the rate rises.", 0.05, low=0, high=0.9)
    weight_decay: float = key("Decay of the weights (AdamW).", 0.01, low=0, high=1)
    ema_decay: float = key("Decay of the moving average that becomes the model.", 0.998, low=0, high=0.99999)
    clip: float = key("Gradients are scaled down to this norm.", 1.0, above=0)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = key(
        "Numbers of the forward pass; `auto` takes bf16 where it pays.", "auto"
    )
    check_every: int = key("Steps from one look at the validation ground to the next.", 200, low=1)
    save_every: int = key("Steps from one checkpoint to the next.", 50, low=1)
    patience: int = key("Looks without a better mIoU after which the run ends; 0 never ends it early.", 0, low=0)
    threads: int = key("Threads on the CPU; 0 lets torch choose.", 0, low=0, high=1024)
    workers: int = key(
        "Processes that make crops beside the run; with 0 a thread of its own does. The crops are the same.", 0,
        low=0, high=256,
    )  # fmt: skip
    device: Literal["auto", "cpu", "cuda", "mps"] = key("Where to run.", "auto")

    @property
    def shown(self) -> float:
        """Pixels that the crops of a step have, as the mean over the run."""
        stages = self.stages or (StageConfig(0.0, self.batch, self.crop),)
        ends = [*(s.start for s in stages[1:]), 1.0]
        return sum((end - s.start) * s.batch * s.crop**2 for s, end in zip(stages, ends, strict=True))


@dataclass(frozen=True, slots=True)
class LossConfig:
    """What is made small."""

    shares: Mapping[str, float] = key(
        f"The share of each loss: {', '.join(LOSSES)}.", {"cross_entropy": 1.0, "dice": 0.7}, low=0, check=_losses
    )
    smoothing: float = key("Label smoothing of the cross entropy.", 0.1, low=0, high=0.9)
    class_weights: str | Mapping[str, float] = key(
        "`none`, `auto` (rarer classes weigh more), or class = weight.", "none", check=_weights
    )


@dataclass(frozen=True, slots=True)
class TeacherConfig:
    """Models whose answers are learned beside the labels, also where there are none."""

    models: tuple[str, ...] = key(
        "Mapgen models by name or file, several by their mean; `average` is the run's own average.", (), name="from"
    )
    share: float = key("What their part of the loss is multiplied by; 0 leaves it out.", 1.0, low=0)
    temperature: float = key(
        "Answers are softened by it: above 1 the less likely classes are learned too.", 1.0, low=0.1, high=20
    )
    trust: float = key(
        "Pixels whose most likely class they give less than this probability teach nothing.", 0.0, low=0, high=1
    )


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """Where crops are taken."""

    balance: float = key(
        "The share of crops placed on a class picked evenly; the others fall evenly on the labelled ground.",
        0.5,
        low=0,
        high=1,
    )
    unlabelled: float = key("The share of crops of unlabelled ground, where there is any.", 0.5, low=0, high=0.95)


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How crops differ from the ground: geometry, then light. Zero leaves out a change of light."""

    flips: bool = key("Mirror crops and turn them by multiples of 90°.", True)
    angle_deg: float = key("Free rotation of up to ± this.", 20.0, low=0, high=180)
    zoom: tuple[float, float] = key("Range of ground pixels per crop pixel.", (0.7, 1.5), check=_zoom)
    zoom_spread: float = key("Standard deviation of log zoom.", 0.22, low=0, high=2)
    brightness: float = key("Shift of up to ± this share of the range.", 0.1, low=0, high=1)
    contrast: float = key("Change of log contrast of up to ± this.", 0.3, low=0, high=2)
    gamma: float = key("Change of log gamma of up to ± this.", 0.3, low=0, high=2)
    balance: float = key("Gain of each band on its own, ± this.", 0.08, low=0, high=1)
    saturation: float = key("Change of saturation of up to ± this.", 0.4, low=0, high=1)
    haze: float = key("Veil of up to this share, on half of the crops.", 0.25, low=0, high=1)
    noise: float = key("Grain of up to this standard deviation.", 0.03, low=0, high=1)
    softness: float = key("Chance of blur; half of it for a coarser resolution.", 0.25, low=0, high=1)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """All that a training run is told."""

    name: str = key(
        "The name of the model.",
        check=lambda v: None if re.fullmatch(r"[\w][\w.+-]{0,99}", v) else "letters, digits and . _ + -",
    )
    data: DataConfig = key("Imagery and labels.")
    seed: int = key("The seed of weights and crops.", 0, low=0, high=2**32 - 1)
    model: ModelConfig = key("The network.", ModelConfig())
    run: RunConfig = key("The run.", RunConfig())
    loss: LossConfig = key("The loss.", LossConfig())
    teacher: TeacherConfig = key("The teacher.", TeacherConfig())
    sampling: SamplingConfig = key("The sampling.", SamplingConfig())
    augment: AugmentConfig = key("The augmentation.", AugmentConfig())
    card: CardConfig = key("The card.", CardConfig())


def parse_config(text: str, source: str = "the configuration") -> TrainConfig:
    """The configuration that a TOML text says; `source` is what errors call it.

    Raises `UsageError` for what is no TOML, unknown keys (with the nearest known one), wrong types, values out of
    range, and what does not go together.
    """
    return config_of(table_in(text, source), source)


def table_in(text: str, source: str) -> dict[str, Any]:
    """The table that a TOML text says. Raises `UsageError` for what is no TOML; `source` is what it calls it."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise UsageError(source, f"is not TOML ({exc})", "correct that place") from exc


def config_of(table: Mapping[str, Any], source: str = "the configuration") -> TrainConfig:
    """The configuration of a table already parsed; see `parse_config`."""
    config = read_table(TrainConfig, table, source)
    _check_data(config.data, source)
    _check_run(config, source)
    if config.run.steps is None and config.run.epochs is None:
        config = replace(config, run=replace(config.run, steps=STEPS))
    return config


def resolved(config: TrainConfig) -> str:
    """The configuration as TOML with every default filled in: `parse_config(resolved(c)) == c`."""
    return to_toml(config)


_LATER = (
    ("model", "encoder_rate", 1.0), ("model", "prune", 0.0), ("data", "scale", "measured"),
    ("sampling", "unlabelled", 0.5),
)  # fmt: skip
"""Keys that are younger than `content_key`: at their defaults a run is what it was before there were any."""


def content_key(config: TrainConfig) -> str:
    """A key of all that decides what a run becomes: two runs with one key may go on from one another's checkpoints.

    Left out is what changes no weight, or only as rounding does: where the data folder is, checkpoints, threads and
    processes.
    """
    table = table_of(config)
    del table["data"]["folder"]
    for name in ("save_every", "threads", "workers"):
        del table["run"][name]
    for part, name, default in _LATER:
        if table[part][name] == default:
            del table[part][name]
    if not config.data.split.folds:
        del table["data"]["split"]["folds"]
    if not (config.teacher.models and config.teacher.share):  # a table that is younger than the key, as above
        del table["teacher"]
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def _check_run(config: TrainConfig, source: str) -> None:
    run, model = config.run, config.model
    if run.steps is not None and run.epochs is not None:
        raise UsageError(source, "run has steps and epochs", "use one of the two")
    if model.freeze and model.freeze_epochs is not None:
        raise UsageError(source, "model has freeze and freeze_epochs", "use one of the two")
    if model.prune and (model.start in NO_MODELS or model.take != "all"):
        raise UsageError(source, "model.prune is for a model that is there, whole", "name it by model.from")
    bare = [number for number, s in enumerate(config.data.sources, 1) if s.use == "unlabelled"]
    if bare and not (config.teacher.models and config.teacher.share):
        problem = f"data.sources[{bare[0]}] is unlabelled, and nothing teaches there"
        raise UsageError(source, problem, 'add [teacher] with from = "average", or a model')
    starts = [s.start for s in run.stages]
    if starts and (starts[0] != 0 or sorted(set(starts)) != starts):
        raise UsageError(source, f"run.stages start at {starts}", "let them start at 0 and rise")
    weights = config.loss.class_weights
    unknown = [] if isinstance(weights, str) else [k for k in weights if k not in config.data.legend.names]
    if unknown:
        names = ", ".join(config.data.legend.names)
        raise UsageError(source, f"loss.class_weights names {unknown[0]!r}, which is not a class", f"use {names}")


def read_config(path: Path) -> TrainConfig:
    """The configuration in the TOML file at `path`, its data folder made absolute.

    Models to start or learn from are looked for beside the file too. Raises `InputError` where the file cannot be read,
    `UsageError` for what it says.
    """
    return placed(parse_config(toml_text(path, "a training run"), one_line(path)), path.absolute().parent)


def toml_text(path: Path, purpose: str) -> str:
    """The text of the TOML file of `purpose`. Raises `InputError`, or `UsageError` for what is no text."""
    subject, remedy = one_line(path), f"name the TOML file of {purpose}"
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "is not a regular file" if path.exists() else "no such file"
        raise InputError(subject, problem, remedy)
    try:
        text = path.read_text(encoding="utf-8-sig")
        note_inputs(path)
    except OSError as exc:
        raise InputError(subject, f"cannot be read ({exc.strerror})", "check its permissions") from exc
    except UnicodeDecodeError as exc:
        raise UsageError(subject, f"is not UTF-8 text ({exc.reason})", remedy) from exc
    return text


def placed(config: TrainConfig, here: Path) -> TrainConfig:
    """The configuration with the names in it as they are seen from the folder `here`, where its file lies."""
    return replace(
        config,
        data=replace(config.data, folder=str(here / config.data.folder)),
        model=replace(config.model, start=_beside(here, config.model.start)),
        teacher=replace(config.teacher, models=tuple(_beside(here, name) for name in config.teacher.models)),
    )


def _beside(here: Path, model: str) -> str:
    """A model's name or file; that in the folder of the configuration, if it is there and not in the current one."""
    if model in NO_MODELS or Path(model).is_file() or not (here / model).is_file():
        return model
    return str(here / model)
