"""What is to be compared: variants of one training run, each with several seeds. No files but the two that say it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mapgen.errors import UsageError, one_line
from mapgen.schema import key, read_table
from mapgen.training.config import NEVER, TrainConfig, config_of, placed, table_in, toml_text

_NAME = re.compile(r"\w[\w.+-]{0,99}")


@dataclass(frozen=True, slots=True)
class ComparisonConfig:
    """What the TOML file of a comparison may say."""

    base: str = key("The configuration of a training run that the variants change, from this file on.")
    variants: tuple[Mapping[str, Any], ...] = key(
        "Keys of that configuration with other values, and the `name` of what they make; the first is what the others "
        "are compared with."
    )
    seeds: tuple[int, ...] = key("Each variant is trained once with each.", (0, 1, 2), low=0, high=2**32 - 1)
    budget: Literal["steps", "pixels"] = key(
        "What is equal: `steps` leaves them as the variants say, `pixels` gives each as many steps as show it as many "
        "pixels as the first.", "steps",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant: its name, and its configuration with the first seed."""

    name: str
    config: TrainConfig

    def seeded(self, seed: int) -> TrainConfig:
        """Its configuration with another seed."""
        return replace(self.config, seed=seed)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a file says is to be compared."""

    name: str
    """Of the file, without its suffix."""
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    said: ComparisonConfig
    """As it was read."""


def read_comparison(path: Path) -> Comparison:
    """The comparison that the TOML file at `path` asks for.

    Every run ends with its last average, and is not looked at before: none is picked by the ground that judges it.
    Raises `InputError` for files that cannot be read, `UsageError` for what they say.
    """
    source = one_line(path)
    said = read_table(ComparisonConfig, table_in(toml_text(path, "a comparison"), source), source)
    base = path.absolute().parent / said.base
    table = table_in(toml_text(base, "a training run"), one_line(base))
    config_of(table, one_line(base))  # first of all, so that its own faults are not laid on a variant
    variants = [_variant(table, dict(one), f"{source}: variants[{n}]") for n, one in enumerate(said.variants, 1)]
    variants = [replace(v, config=_located(v.config, base, path)) for v in variants]
    _check(variants, said.seeds, source)
    if said.budget == "pixels":
        variants = [replace(v, config=_as_many_pixels(v.config, variants[0].config)) for v in variants]
    return Comparison(path.stem, tuple(variants), said.seeds, said)


def _located(config: TrainConfig, base: Path, path: Path) -> TrainConfig:
    return placed(placed(config, base.parent), path.absolute().parent)


def _variant(base: Mapping[str, Any], changes: dict[str, Any], source: str) -> Variant:
    """The variant of a base configuration; `source` is what errors call it."""
    name = changes.pop("name", None)
    if "seed" in changes:
        raise UsageError(source, "has a seed", "leave it out: `seeds` says them for all variants")
    if name is None:
        parts = [re.sub(r"[^\w.+]+", "-", str(v)).strip("-") for v in _leaves(changes)]
        name = "-".join(filter(None, parts))[:100] or str(base.get("name"))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(source, f"name is {name!r}, expected letters, digits and . _ + -", "correct it")
    config = config_of(_merged(base, changes) | {"name": name}, source)
    return Variant(name, replace(config, run=replace(config.run, check_every=NEVER, patience=0)))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    else:
        yield value


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of `base` with the values of `changes`; lists are replaced whole."""
    result = dict(base)
    for name, value in changes.items():
        old = result.get(name)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        result[name] = _merged(old, value) if both else value  # type: ignore[arg-type]
    for one, other in (("steps", "epochs"), ("epochs", "steps")):  # a variant of one leaves no room for the other
        if one in changes and other in base and other not in changes:
            result.pop(other, None)
    return result


def _check(variants: list[Variant], seeds: tuple[int, ...], source: str) -> None:
    """Raise `UsageError` for what cannot be compared."""
    names = [v.name.casefold() for v in variants]
    twice = [v.name for v in variants if names.count(v.name.casefold()) > 1]
    if twice:
        raise UsageError(source, f"two variants are called {twice[0]}", "give each a name of its own")
    if len(variants) < 2:
        raise UsageError(source, "has fewer than two variants", "add another [[variants]]")
    if not seeds or len(set(seeds)) < len(seeds):
        raise UsageError(source, f"seeds are {list(seeds)}", "name one or more, each once")
    first = variants[0]
    for other in variants[1:]:
        if other.config.data.legend.names != first.config.data.legend.names:
            problem = f"{other.name} has other classes than {first.name}"
            raise UsageError(source, problem, "let all variants have the same: their figures are compared")
        if other.config.data.split != first.config.data.split:
            problem = f"{other.name} has another data.split than {first.name}"
            raise UsageError(source, problem, "let all be judged on the same ground")
    _check_ground(first.config, source)


def _check_ground(config: TrainConfig, source: str) -> None:
    """Raise `UsageError` where it is plain that no ground is left to judge on."""
    split = config.data.split
    parted = any(s.use == "split" for s in config.data.sources) and (split.validation > 0 or split.groups)
    if not (parted or split.folds or any(s.use == "validation" for s in config.data.sources)):
        raise UsageError(source, "no ground judges: the base has data.split.validation = 0", "set it, or name folds")


def _as_many_pixels(config: TrainConfig, first: TrainConfig) -> TrainConfig:
    """The configuration with as many steps as show as many pixels as those of `first`."""
    if first.run.steps is None:  # epochs are pixels already
        return replace(config, run=replace(config.run, steps=None, epochs=first.run.epochs))
    steps = max(1, round(first.run.steps * first.run.shown / config.run.shown))
    return replace(config, run=replace(config.run, steps=steps, epochs=None))
