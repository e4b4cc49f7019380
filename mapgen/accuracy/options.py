"""The options of `evaluate`: how truth is read and what is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, Unpack

from mapgen.errors import UsageError, option
from mapgen.settings import Classes, NamesLike, Options, PathLike, number, whole

Match = Literal["id", "name"]

FIGURES = ("miou", "accuracy", "kappa", "boundary")
"""Figures of a whole map that `--fail-under` takes."""

LINE_FIGURES = ("apls", "topo", "completeness", "correctness")
"""Figures of a network of lines that `--fail-under` takes."""

CLASS_FIGURES = ("iou", "f1", "precision", "recall", "boundary", "objects")
"""Figures of one class that `--fail-under` takes, as FIGURE.CLASS."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The least that a figure may be: `of` is the name or id of a class, None for a figure of the whole map."""

    figure: str
    of: str | None
    least: float

    def __str__(self) -> str:
        return f"{self.figure}.{self.of}" if self.of is not None else self.figure


def parse_floors(key: str, value: Any) -> tuple[Floor, ...]:
    """`miou=0.6`, several of them, or a mapping of figures to numbers. Raises `UsageError`."""
    if isinstance(value, Mapping):
        value = [f"{name}={least}" for name, least in value.items()]
    return tuple(
        one if isinstance(one, Floor) else parse_floor(key, one)
        for one in ([value] if isinstance(value, str) else value)
    )


def parse_floor(key: str, text: str) -> Floor:
    """`miou=0.6` or `iou.road=0.4`. Raises `UsageError`, with the nearest figure where the name is none."""
    name, sign, number = text.partition("=")
    figure, dot, of = name.strip().partition(".")
    figures = CLASS_FIGURES if dot else (*FIGURES, *LINE_FIGURES)
    if figure.lower() not in figures or (dot and not of.strip()):
        raise UsageError(option(key), f"{name.strip()!r} is not a figure", _figure_hint(figure, figures))
    try:
        least = float(number)
    except ValueError:
        least = nan
    if not sign or not -1 <= least <= 1:
        example = f"such as {option(key, f'{name or FIGURES[0]}=0.6')}"
        raise UsageError(option(key), f"{text!r} does not name a number from 0 to 1", example)
    return Floor(figure.lower(), of.strip() if dot else None, least)


def _figure_hint(figure: str, figures: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(figure.lower(), figures, 1)
    if not near and figure.lower() in CLASS_FIGURES:
        return f"name a class too, such as {figure}.road=0.4"
    if near:
        return f"did you mean {near[0]}?"
    return f"use {', '.join(FIGURES)}, or {', '.join(CLASS_FIGURES)} with a class: iou.road"


Metres = Annotated[float, number(1e-9, 1e9, 3, "a length in metres")]


class EvaluateKeys(TypedDict, total=False):
    """What the options of `evaluate` may be given as."""

    attribute: str | None
    feature_class: str | None
    outside: str | None
    priority: NamesLike
    layer: str | None
    match: Match
    ignore: NamesLike
    assume_crs: str | None
    boundary: float | None
    objects: NamesLike
    confidence_raster: PathLike | None
    block: float | None
    seed: int
    worst: PathLike | None
    worst_count: int
    html: PathLike | None
    fail_under: str | Mapping[str, float] | Sequence[str | Floor]
    overwrite: bool


@dataclass(frozen=True, slots=True)
class EvaluateOptions(Options):
    """What `evaluate` may be told. Classes are names or ids of the map's legend, or names in the truth."""

    if TYPE_CHECKING:

        def __init__(self, **given: Unpack[EvaluateKeys]) -> None: ...

    attribute: str | None = None
    """Of a vector truth: the attribute that holds the class; by default class_id, class_name or class."""
    feature_class: str | None = None
    """Of a vector truth: the class of all features."""
    outside: str | None = None
    """Of a vector truth: the class of the ground outside all features, which does not count where None."""
    priority: Classes = ()
    """Of a vector truth: classes that win where features overlap, the first most; else later features win."""
    layer: str | None = None
    """Of a vector truth: the layer to read, where there are several."""
    match: Match = "id"
    """How the values of a raster truth are the map's: by number, or by the names that both files give them."""
    ignore: Classes = ()
    """Classes of the truth that do not count."""
    assume_crs: str | None = None
    """The CRS of a truth that does not name its own."""
    boundary: Metres | None = None
    """Tolerance of the boundary figures in metres; they are not computed where None."""
    objects: Classes = ()
    """Classes whose connected regions are compared one by one."""
    confidence_raster: Path | None = None
    """The confidence of the map, on its grid: how often it is right at each step of it is measured."""
    block: Metres | None = None
    """Side of the blocks of the bootstrap in metres; 256 pixels where None."""
    seed: Annotated[int, whole(0, 2**64 - 1, 1)] = 0
    """Seed of the bootstrap."""
    worst: Path | None = None
    """A picture (PNG) of the worst blocks is written there."""
    worst_count: Annotated[int, whole(1, 100, 6)] = 6
    """How many blocks it shows."""
    html: Path | None = None
    """All of it as one page, worst places included, is written there."""
    fail_under: Annotated[tuple[Floor, ...], parse_floors] = ()
    """The least that figures may be, such as `miou=0.6` or `iou.road=0.4`."""
    overwrite: bool = False
    """Replace a picture or page that exists."""

    def check(self) -> None:
        """Raise `UsageError` for options that contradict each other."""
        if self.attribute is not None and self.feature_class is not None:
            problem = f"{option('attribute')} says the class of each feature already"
            raise UsageError(option("feature_class"), problem, "use one of the two")
        for floor in self.fail_under:
            if floor.figure == "boundary" and self.boundary is None:
                raise UsageError(
                    option("fail_under"), f"{floor} needs a tolerance", f"add {option('boundary', 'METRES')}"
                )
