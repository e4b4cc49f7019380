"""`compare`: which of several recipes or models is better, and whether that is sure."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mapgen.accuracy.bootstrap import DRAWS
from mapgen.accuracy.evaluate import run as evaluated
from mapgen.accuracy.options import EvaluateOptions
from mapgen.accuracy.paired import Judged, Rating
from mapgen.accuracy.report import Report as MapReport
from mapgen.arrays import Longs
from mapgen.dataset.config import DataConfig
from mapgen.errors import InputError, Interrupted, MapgenError, OutputError, UsageError
from mapgen.files.commit import Output, check_output, write_whole
from mapgen.files.inputs import note_inputs, one_run
from mapgen.files.pictures import write_picture
from mapgen.files.vet import public_name
from mapgen.inference.bench import machine
from mapgen.inference.options import SegmentOptions
from mapgen.inference.segment import Segmenter
from mapgen.model.file import Model, find_model, open_model
from mapgen.schema import table_of, to_toml
from mapgen.training.compared import Compared, Row, lines
from mapgen.training.comparison import Comparison, Variant, read_comparison
from mapgen.training.config import TrainConfig
from mapgen.training.outcome import Report
from mapgen.training.pareto import draw_pareto
from mapgen.training.runs import Run, holds, make_folder, open_comparison, read_judged, seconds_of, write_judged
from mapgen.training.train import check_network, run

FILES = ("compare.md", "compare.json", "compare.png")
"""What a comparison leaves in its folder, besides its runs."""

Say = Callable[[str], None]


@one_run()
def compare_runs(
    path: Path,
    folder: Path | None = None,
    *,
    seed: int = 0,
    speed: bool = True,
    overwrite: bool = False,
    progress: Callable[[str, Report], None] = lambda label, report: None,
    say: Say = lambda text: None,
    warn: Say = lambda text: None,
) -> Compared:
    """Train what the TOML file at `path` asks for and compare it, in `folder`, by default `runs/compare-NAME`.

    Each variant has a run for each seed, an ordinary one in a folder of its own, that is gone on with where it was
    stopped and not done again. With `overwrite` those that were made otherwise are started over. `seed` is that of the
    bootstrap; without `speed` no rates are measured. Raises what `train` raises.
    """
    comparison = read_comparison(path)
    for variant in comparison.variants:
        with _named(variant.name):
            check_network(variant.config)
    with open_comparison(folder, comparison.name, to_toml(comparison.said)) as place:
        runs = _Runs(comparison, place, overwrite, progress, say, warn)
        for number in comparison.seeds:  # one of each variant first: a comparison that is stopped is a fair one
            for variant in comparison.variants:
                runs.train(variant, number)
        counts = {v.name: [runs.counts(v, number) for number in comparison.seeds] for v in comparison.variants}
        _check_paired(counts)
        say("measuring")
        return written(runs.compared(counts, seed, speed), place, overwrite=True)


class _Runs:
    """The runs of a comparison in their folders."""

    def __init__(
        self,
        comparison: Comparison,
        folder: Path,
        overwrite: bool,
        progress: Callable[[str, Report], None],
        say: Say,
        warn: Say,
    ) -> None:
        self.comparison, self.folder, self.overwrite = comparison, folder, overwrite
        self.progress, self.say, self.warn = progress, say, warn
        self.warned: set[str] = set()

    def place(self, variant: Variant, seed: int) -> Run:
        """The folder of a run."""
        return Run(self.folder / variant.name / f"seed-{seed}", variant.name)

    def ground(self, data: DataConfig) -> Path:
        """Where the ground lies that runs of the same data share."""
        text = json.dumps(table_of(data), sort_keys=True)
        return self.folder / "ground" / hashlib.sha256(text.encode()).hexdigest()[:12]

    def train(self, variant: Variant, seed: int) -> None:
        """Do what is left of a run."""
        label, place, config = f"{variant.name}, seed {seed}", self.place(variant, seed), variant.seeded(seed)
        place.path.parent.mkdir(exist_ok=True)
        self.say(label)
        with _named(label):
            run(
                config, place.path, overwrite=self.overwrite and not holds(place.path, config),
                progress=lambda report: self.progress(label, report), warn=self._warn_once, grounds=self.ground,
            )  # fmt: skip

    def _warn_once(self, text: str) -> None:
        if text not in self.warned:
            self.warned.add(text)
            self.warn(text)

    def counts(self, variant: Variant, seed: int) -> Longs:
        """Confusion counts (B, K, K) of a run's model by block, from ground that it did not learn."""
        from mapgen.dataset.read import read_dataset
        from mapgen.training.folds import folds_of, judged

        place, config = self.place(variant, seed), variant.seeded(seed)
        parts: list[tuple[TrainConfig, Path]] = [(config, place.model)]
        if config.data.split.folds:
            folds = list(folds_of(config, place))
            parts = [(fold.config, Run(fold.folder, config.name).model) for fold in folds]
        grounds = [read_dataset(own.data, self.ground(own.data)) for own, _ in parts]
        mark = " ".join([*(open_model(model).sha256 for _, model in parts), *(g.key for g in grounds)])
        if (known := read_judged(place, mark)) is not None:
            return np.array(known, np.int64)
        self.say(f"judging {variant.name}, seed {seed}")
        found = np.concatenate([judged(model, ground) for (_, model), ground in zip(parts, grounds, strict=True)])
        if not len(found):
            raise InputError(variant.name, "no ground validates", "correct data.split")
        write_judged(place, mark, found.tolist())
        return found

    def compared(self, counts: Mapping[str, Sequence[Longs]], seed: int, speed: bool) -> Compared:
        """All that there is to be said of them."""
        comparison = self.comparison
        places = {v.name: [self.place(v, n) for n in comparison.seeds] for v in comparison.variants}
        models = {name: open_model(own[0].model) for name, own in places.items()}
        ratings = {name: Rating([Judged.of(c, seed) for c in own], seed) for name, own in counts.items()}
        seconds = {name: tuple(seconds_of(place) for place in own) for name, own in places.items()}
        first = comparison.variants[0]
        pixels = int(counts[first.name][0].sum())
        how = "places left out of the runs that are judged there" if first.config.data.split.folds else "validation"
        return Compared(
            f"Comparison of {comparison.name}", first.config.data.legend.names,
            tuple(_rows(models, ratings, seconds, speed)), comparison.seeds,
            f"{pixels / 1e6:.3g} Mpx of {how} ground, which no run has seen or was picked by", machine(),
        )  # fmt: skip


def _rows(
    models: Mapping[str, Model],
    ratings: Mapping[str, Rating],
    seconds: Mapping[str, tuple[float, ...]],
    speed: bool,
) -> Iterator[Row]:
    from mapgen.training.rates import rates

    measured = rates(models) if speed else {}
    for name, model in models.items():
        yield Row(
            name, ratings[name], model.parameters, _cost(model), model.path.stat().st_size / 1e6,
            seconds.get(name, ()), measured.get(name, {}),
        )  # fmt: skip


def _cost(model: Model) -> float | None:
    """Multiply-adds for a pixel, where there is what counts them."""
    if find_spec("torch") is None or find_spec("segmentation_models_pytorch") is None:
        return None
    from mapgen.training.cost import multiplications

    return multiplications(model)


def _check_paired(counts: Mapping[str, Sequence[Longs]]) -> None:
    """Raise `InputError` unless all were judged on the same labels, block by block."""
    (first, runs), *_ = counts.items()
    truth = runs[0].sum(2)
    for name, own in counts.items():
        if not all(np.array_equal(one.sum(2), truth) for one in own):
            problem = f"was judged on other ground than {first}"
            raise InputError(name, problem, "let sources, resolution and split of all variants be the same")


@contextmanager
def _named(label: str) -> Iterator[None]:
    """Let errors say which run they are of."""
    try:
        yield
    except Interrupted:
        raise
    except MapgenError as exc:
        raise type(exc)(f"{label}: {exc.subject}", exc.problem, exc.remedy) from exc


# Models that are there -----------------------------------------------------------------------------------------------


@one_run()
def compare_models(
    names: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    options: EvaluateOptions,
    folder: Path | None = None,
    *,
    speed: bool = True,
    overwrite: bool = False,
    say: Say = lambda text: None,
    warn: Say = lambda text: None,
) -> Compared:
    """Compare models, by name or file, on scenes with their truth; each maps as `segment` would.

    The report is put into `folder` where one is given. Raises what `segment` and `evaluate` raise.
    """
    models = _labelled(names)
    note_inputs(*(part for pair in pairs for part in pair))
    if folder is not None:
        _check_folder(folder, overwrite)
    found: dict[str, list[MapReport]] = {label: [] for label in models}
    with tempfile.TemporaryDirectory(prefix="mapgen-compare-") as scratch:
        for (label, model), own in zip(models.items(), found.values(), strict=True):
            mapper = Segmenter(SegmentOptions(model=str(model.path)), [s for s, _ in pairs])
            for number, (scene, truth) in enumerate(pairs):
                say(f"{label}: {public_name(scene)}")
                output = Path(scratch) / f"{number}.tif"
                mapper(scene, output)
                one = evaluated(str(output), truth, replace(options, seed=(options.seed + number) % 2**64))
                for text in one.warnings:
                    warn(text)
                own.append(one.report)
                output.unlink()
    classes, judged = _pooled(found)
    ratings = {label: Rating([one], options.seed) for label, one in judged.items()}
    shown = ", ".join(public_name(scene) for scene, _ in pairs)
    result = Compared(
        f"Comparison of {', '.join(models)}", classes, tuple(_rows(models, ratings, {}, speed)), (), shown, machine()
    )
    if folder is None:
        return result
    make_folder(folder)
    return written(result, folder, overwrite=overwrite)


def _check_folder(folder: Path, overwrite: bool) -> None:
    """Raise `OutputError` where the report cannot be put into a folder, which is made if it is not there."""
    if folder.is_dir():
        for name in FILES:
            check_output(Output(folder / name, overwrite))
    elif os.path.lexists(folder):
        raise OutputError(folder, "is a file", "name a folder with -o")
    elif not folder.parent.is_dir():
        raise OutputError(folder, f"the folder {folder.parent} does not exist", "create it first")


def _labelled(names: Sequence[str]) -> dict[str, Model]:
    """The models by what they are called in the table. Raises `UsageError` where their classes differ."""
    models = [find_model(name) for name in names]
    first = models[0].card.legend.names
    for name, model in zip(names, models, strict=True):
        if model.card.legend.names != first:
            raise UsageError(name, f"has other classes than {names[0]}", "compare models of the same classes, in order")
    short = [Path(name).name.removesuffix(".safetensors") for name in names]
    labels = short if len(set(short)) == len(short) else list(names)
    return {
        label if labels.count(label) == 1 else f"{label} ({labels[: i + 1].count(label)})": model
        for i, (label, model) in enumerate(zip(labels, models, strict=True))
    }


def _pooled(found: Mapping[str, Sequence[MapReport]]) -> tuple[tuple[str, ...], dict[str, Judged]]:
    """The classes of all reports, and what each model's come to together, in their order."""
    keys = list(dict.fromkeys((c.id, c.name) for own in found.values() for report in own for c in report.classes))
    judged = {}
    for label, own in found.items():
        tallies, resampled = np.zeros((3, len(keys)), np.int64), np.zeros((DRAWS, 3, len(keys)))
        for report in own:
            places = [keys.index((c.id, c.name)) for c in report.classes]
            tally = report.tally
            tallies[:, places] += np.stack((tally.hit, tally.truth, tally.mapped))
            assert report.resampled is not None
            resampled[:, :, places] += report.resampled
        judged[label] = Judged(tallies, resampled, sum(report.blocks for report in own))
    return tuple(name for _, name in keys), judged


# The report ----------------------------------------------------------------------------------------------------------


def written(found: Compared, folder: Path, *, overwrite: bool) -> Compared:
    """Write table, JSON and picture of a comparison into a folder."""
    table, record, picture = (folder / name for name in FILES)
    found = replace(found, files=(table, record, picture))
    texts = {
        table: "\n".join(lines(found)) + "\n",
        record: json.dumps(found.to_json(), indent=1, ensure_ascii=False) + "\n",
    }
    for path, text in texts.items():
        write_whole(Output(path, overwrite), text)
    write_picture(Output(picture, overwrite), draw_pareto(found))
    return found
