"""`train`: a model from imagery and labels, as one configuration says."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapgen.dataset.check import check_dataset
from mapgen.dataset.config import DataConfig
from mapgen.dataset.contact_sheet import draw_contact
from mapgen.dataset.dataset import Dataset
from mapgen.errors import Interrupted, ModelError, UsageError, require
from mapgen.files.commit import Output
from mapgen.files.inputs import one_run
from mapgen.files.pictures import write_picture
from mapgen.model.card import ModelCard
from mapgen.model.file import find_model, open_model, read_tensors
from mapgen.model.write import save_model
from mapgen.parallel import ahead
from mapgen.training.config import TrainConfig, read_config
from mapgen.training.curves import Curves, draw_curves
from mapgen.training.outcome import Checked, Report, Trained
from mapgen.training.pace import plan_of
from mapgen.training.parts import (
    BLOCK,
    card_of,
    card_scores,
    loaded,
    loss_of,
    recipe_of,
    sampling_of,
    stages_of,
    trained_how,
    window_of,
)
from mapgen.training.runs import Log, Run, begin, open_run

if TYPE_CHECKING:
    from mapgen.training.fit import Progress, State, Term

Grounds = Callable[[DataConfig], Path]
"""Where pixels and labels are laid down."""

AFTER = 1 << 32
"""A step that no run comes to: samples from there on are none that it sees."""


@one_run()
def train(
    config: str | Path, output: str | Path | None = None, *, steps: int | None = None, overwrite: bool = False
) -> Trained:
    """Train the model of the TOML file `config` in the folder `output`, by default `runs/NAME` in the current one.

    A run that was stopped goes on from its checkpoint; `steps` lets it end sooner or later than the file says. Raises
    `UsageError`, `InputError`, `OutputError`, `ModelError`, `NetworkError` or `ResourceError`.
    """
    folder = None if output is None else Path(output)
    return run(read_config(Path(config)), folder, steps=steps, overwrite=overwrite)


@one_run()
def run(
    config: TrainConfig,
    folder: Path | None = None,
    *,
    steps: int | None = None,
    overwrite: bool = False,
    progress: Callable[[Report], None] = lambda report: None,
    say: Callable[[str], None] = lambda text: None,
    warn: Callable[[str], None] = lambda text: None,
    grounds: Grounds | None = None,
) -> Trained:
    """The run of a configuration; `progress` hears of every step, `say` of what was chosen, `warn` of what may spoil
    the result. Runs of one ground may share what is laid down of it, in the folders that `grounds` names."""
    from mapgen.dataset.read import read_dataset

    check_network(config)
    with open_run(folder, config, overwrite=overwrite) as place:
        dataset = read_dataset(config.data, grounds(config.data) if grounds else place.ground)
        for warning in dataset.warnings:
            warn(warning)
        training = _Training(config, dataset, place, progress, say)
        if config.data.split.folds:
            training.scores = _scores_of_folds(config, place, dataset, steps, overwrite, progress, say, grounds)
        begin(place, config, overwrite=overwrite)  # only now, when nothing but training is left to fail
        return training.trained(steps)


def _scores_of_folds(
    config: TrainConfig,
    place: Run,
    data: Dataset,
    steps: int | None,
    overwrite: bool,
    progress: Callable[[Report], None],
    say: Callable[[str], None],
    grounds: Grounds | None,
) -> dict[str, Any]:
    """Run each fold, or go on with it, and judge it; what the card of the model says of them together."""
    from mapgen.dataset.read import read_dataset
    from mapgen.training.folds import folds_of, judged, pooled

    found = []
    for number, fold in enumerate(folds_of(config, place), 1):
        say(f"fold {number} of {len(config.data.split.folds)}: without {fold.label}")
        fold.folder.parent.mkdir(exist_ok=True)
        with open_run(fold.folder, fold.config, overwrite=overwrite) as own:
            ground = read_dataset(fold.config.data, grounds(fold.config.data) if grounds else own.ground)
            training = _Training(fold.config, ground, own, progress, say)
            begin(own, fold.config, overwrite=overwrite)
            found.append((fold, judged(training.trained(steps).model, ground)))
    return pooled(found, data)


@one_run()
def check(config: TrainConfig, folder: Path | None = None, *, overwrite: bool = False) -> Checked:
    """What a survey says of the ground that a configuration names; its contact sheet is put into the folder of the run.

    Pixels and labels stay laid down there for the training that follows. Raises as `run` does.
    """
    from mapgen.dataset.read import read_dataset

    check_network(config)
    with open_run(folder, config, overwrite=overwrite) as place:
        dataset = read_dataset(config.data, place.ground, lenient=True)
        survey = check_dataset(dataset, unlisted=config.data.unlisted)
        write_picture(Output(place.contact, overwrite=True), draw_contact(dataset))
        return Checked(survey, place.contact)


def check_network(config: TrainConfig) -> None:
    """Raise `UsageError` for a network that cannot be built, or not for these crops, before any pixel is read."""
    require("torch", "train", "training")
    from mapgen.model.network import build, check_crops, stride_of

    if len(config.data.classes) < 2:
        raise UsageError(
            "data.classes", "has one class, which would be everything", "add a class for the rest, and `outside`"
        )
    model, bands = config.model, len(config.data.bands) or 3
    try:
        network = build(model.architecture, model.encoder, bands, len(config.data.classes), **model.parameters)
        stride = stride_of(network, bands)
    except ModelError as exc:  # here it is the configuration that names it
        raise UsageError(f"model: {exc.subject}", exc.problem, exc.remedy) from exc
    window_of(config, stride)
    check_crops(network, bands, stride, [(s.count, s.size) for s in stages_of(config)])
    for name in {model.start} - {"scratch", "imagenet"} | set(config.teacher.models) - {"average"}:
        find_model(name)


class _Training:
    """One run: its parts made from the configuration, then the loop."""

    def __init__(
        self,
        config: TrainConfig,
        dataset: Dataset,
        place: Run,
        progress: Callable[[Report], None],
        say: Callable[[str], None],
    ) -> None:
        from mapgen.training.device import device_of, precision_of, seeded, use_threads
        from mapgen.training.fit import start

        self.config, self.dataset, self.place, self.progress, self.say = config, dataset, place, progress, say
        use_threads(config.run.threads)
        device = device_of(config.run.device)
        self.recipe = recipe_of(config, dataset, precision_of(config.run.precision, device))
        seeded(config.seed)
        self.network, self.card = self._network()
        self.scores: dict[str, Any] = {}
        """What the card says where this run has no validation ground."""
        self.state: State = start(self.network.to(device), self.recipe)
        self.terms = self._terms(device)
        names = [f"iou {c.name}" for c in dataset.legend]
        self.log = Log(place.log, ("step", "loss", "rate", "seconds", "miou", "accuracy", *names))
        say(f"{config.model.architecture} {config.model.encoder} on {device}, {self.recipe.precision}")

    def _network(self) -> tuple[Any, ModelCard]:
        """The network before its first step, and the card of what it is to be."""
        from mapgen.model.network import build, channels_last, stride_of
        from mapgen.training.transfer import encoder_origin, imagenet_origin, model_origin, transplant

        model, data = self.config.model, self.dataset
        network = build(model.architecture, model.encoder, len(data.bands), len(data.legend), **model.parameters)
        card = card_of(self.config, data, stride_of(network, len(data.bands)))
        if model.start == "imagenet":
            notes = transplant(network, card, imagenet_origin(card))
        elif model.start != "scratch":
            found = find_model(model.start)
            if found.card.compression is not None:
                raise UsageError("model.from", f"{model.start} is compressed", "name the model it was made from")
            origin = model_origin if model.take == "all" else encoder_origin
            notes = transplant(network, card, origin(found.card.name, found.card, read_tensors(found), card))
        else:
            notes = []
        for note in notes:
            self.say(note)
        return channels_last(network), card

    def _terms(self, device: Any) -> list[Term]:
        """What the loss has beside the labels."""
        from mapgen.training.teacher import Teacher, on_device, own_average, taught_classes, tutor

        wanted = self.config.teacher
        if not (wanted.models and wanted.share):
            return []
        others = {name: find_model(name) for name in wanted.models if name != "average"}
        classes = taught_classes({name: found.card for name, found in others.items()}, self.card)
        tutors = [
            tutor(name, others[name].card, loaded(others[name]), self.card)
            if name in others else own_average(self.card, classes) for name in wanted.models
        ]  # fmt: skip
        self.say(f"taught by {', '.join(Path(name).name for name in wanted.models)}")
        return [
            Teacher([on_device(t, device) for t in tutors], classes, wanted.share, wanted.temperature, wanted.trust)
        ]

    def trained(self, steps: int | None) -> Trained:
        """Run the loop to its end, from the checkpoint if there is one."""
        from mapgen.training.fit import resume

        began = time.perf_counter()
        if self.config.model.prune:
            self._prune()
        if self.place.checkpoint.exists():
            resume(self.state, self.recipe, self.place.checkpoint)
            self.say(f"goes on from step {self.state.step} of {self.state.pace.end}")
        first = self.state.step
        if not self.place.model.exists():
            self.state.best = -math.inf  # nothing is kept: the next check must
        self.log.resume(first)
        if steps is not None and steps != self.state.pace.end:
            self.state.pace = self.state.pace.until(first, steps)
        try:
            self._loop()
        except Interrupted as exc:
            self._save()
            raise Interrupted(
                exc.subject, f"stopped at step {self.state.step}", self._remedy(), exit_code=exc.exit_code
            ) from exc
        if not self.place.model.exists():  # of a run that was done already
            self._keep(self.state.average, self._check(self.state.average))
        seconds = round(time.perf_counter() - began, 3)
        card = open_model(self.place.model).card
        state = self.state
        return Trained(
            self.place, self.place.model, state.step, state.pace.end, first, card, seconds, self.dataset.warnings
        )

    def _prune(self) -> None:
        """Take channels out of the network, as many as the configuration says, or those of the checkpoint."""
        from mapgen.model.network import build, narrow
        from mapgen.training.fit import shapes_in, start
        from mapgen.training.prune import BATCHES, pruned
        from mapgen.training.samples import Sampler

        model, data, stage = self.config.model, self.dataset, self.recipe.stages[0]
        if self.place.checkpoint.exists():
            narrow(self.network, shapes_in(self.place.checkpoint))
        else:
            sampling = replace(sampling_of(self.config, data), balance=1.0)  # rare classes have their say
            sampler = Sampler(data.training, len(data.legend), sampling, self.config.seed)
            batches = (sampler.batch(AFTER + i, stage.count, stage.size) for i in range(BATCHES))
            fresh = build(model.architecture, model.encoder, len(data.bands), len(data.legend), **model.parameters)
            gone = pruned(
                self.network, batches, loss_of(self.config, data), (data.mean, data.std), model.prune, fresh,
                self.card.stride,
            )  # fmt: skip
            self.say(f"pruned: {gone:.0%} of the weights are gone")
        self.state = start(self.network, self.recipe)

    def _save(self) -> None:
        """Write a checkpoint of a run that is stopped, if a step is done and all of it is in the log."""
        from mapgen.training.fit import save

        if self.state.whole and len(self.log.rows) == self.state.step > 0:
            with suppress(OSError):  # the run is stopped, with the checkpoint before or without one
                save(self.state, self.recipe, self.place.checkpoint)

    def _remedy(self) -> str:
        kept = self.place.checkpoint.exists()
        return "run the same command again to go on from the last checkpoint" if kept else "run the same command again"

    def _loop(self) -> None:
        from mapgen.training.device import memory_errors
        from mapgen.training.fit import fit
        from mapgen.training.samples import Sampler
        from mapgen.training.workers import crops_of

        config, data = self.config, self.dataset
        sampling = sampling_of(config, data)
        sampler = Sampler(data.training, len(data.legend), sampling, config.seed, data.unlabelled)
        plan = plan_of(self.recipe, self.state.pace, self.state.step)
        with ExitStack() as stack:
            stack.enter_context(memory_errors("run.batch", "use a smaller run.batch or run.crop"))
            batches = stack.enter_context(crops_of(sampler, plan, config.run.workers))
            steps = fit(
                self.state, self.recipe, batches, loss_of(config, data), scale=(data.mean, data.std),
                terms=self.terms, checkpoint=self.place.checkpoint, check=self._check, keep=self._keep,
                ahead=partial(ahead, depth=2),
            )  # fmt: skip
            stack.enter_context(closing(steps))
            miou, first = math.nan, self.state.step
            for step in steps:
                miou = step.check.get("miou", math.nan) if step.check is not None else miou
                self._record(step)
                self.progress(Report(step.step + 1, step.end, first, step.loss, step.rate, miou))

    def _record(self, step: Progress) -> None:
        row: dict[str, Any] = {
            "step": step.step, "loss": f"{step.loss:.6g}", "rate": f"{step.rate:.4e}",
            "seconds": f"{step.seconds:.3f}",
        }  # fmt: skip
        found = step.check
        if found:
            row |= {"miou": _digits(found["miou"]), "accuracy": _digits(found["accuracy"])}
            row |= {f"iou {c.name}": _digits(v) for c, v in zip(self.dataset.legend, found["iou"], strict=True)}
        self.log.add(row)
        if found is not None:
            self._draw(step.end)

    def _draw(self, end: int) -> None:
        legend = self.dataset.legend
        curves = Curves(
            end, self.log.points("loss"), self.log.points("rate"), self.log.points("miou"),
            {c.name: self.log.points(f"iou {c.name}") for c in legend}, {c.name: c.rgb for c in legend},
        )  # fmt: skip
        write_picture(Output(self.place.curves, overwrite=True), draw_curves(curves))

    def _check(self, average: Any) -> dict[str, Any]:
        """Scores of the average on validation ground, its weights rounded as the model file will hold them."""
        from mapgen.training.measure import blocks_of, scores

        if not self.dataset.validation:
            return {}
        blocks = blocks_of(_stored(average)[0], self.dataset, self.card, BLOCK)
        if not len(blocks):
            return {}
        return scores(blocks.sum(0)) | {"blocks": blocks}

    def _keep(self, average: Any, found: dict[str, Any]) -> None:
        """Write the model as it is now, with its scores on its card."""
        step, end = self.state.step, self.state.pace.end
        network, half = _stored(average)
        text = trained_how(self.config, self.recipe, step, end)
        card = replace(
            self.card, description=" ".join(filter(None, (self.card.description, text))),
            scores=card_scores(found, self.dataset) if found else self.scores,
        )  # fmt: skip
        try:
            save_model(network, card, self.place.model, half=half, overwrite=True)
        except ModelError as exc:  # of a network that OpenVINO does not take: torch still runs it
            self.say(f"{exc.problem}; the model is written without its graph")
            save_model(network, card, self.place.model, half=half, overwrite=True, graph=False)


def _stored(average: Any) -> tuple[Any, bool]:
    from mapgen.model.network import rounded

    return rounded(average)


def _digits(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"
