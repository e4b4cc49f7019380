"""What option classes are made of: kinds of values that people give, and how each is read or refused.

Standard library only: `--help` costs nothing. The classes themselves are in the rooms of what they are for, as
`options.py`.
"""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from math import inf, isfinite, nan
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin

from mapgen.errors import UsageError, option

EngineName = Literal["auto", "torch", "openvino"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]

DEFAULT_MODEL = "drycity-rgb-1m"
"""The built-in model of `mapgen segment` without `--model`."""

F = TypeVar("F", bound=Callable[..., Any])

Reader = Callable[[str, Any], Any]
"""The value of an option from its key and what somebody gave. Raises `UsageError` naming the key."""


# What people may give, for annotations of the public functions ------------------------------------------------------

PathLike: TypeAlias = str | os.PathLike[str]
NamesLike: TypeAlias = str | int | Sequence[str | int]


class Options:
    """An option class: a frozen dataclass whose fields are read from what was given, by their annotations.

    Text becomes a path, a size or a list where these are wanted; what makes no sense is refused as a `UsageError` that
    carries the key. `check` compares options with each other.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        kind: Any = type(self)
        for key, hint in hints_of(kind).items():
            object.__setattr__(self, key, read(hint, key, getattr(self, key)))
        self.check()

    def check(self) -> None:
        """Raise `UsageError` for options that contradict each other."""


@cache
def hints_of(kind: Any) -> Mapping[str, Any]:
    """The annotations of the fields of an option class, by key."""
    return typing.get_type_hints(kind, include_extras=True)


def read(hint: Any, key: str, value: Any) -> Any:
    """The value as its annotation wants it. Raises `UsageError`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = (one for one in arguments if one is not type(None))
        return None if value is None else read(inner, key, value)
    if origin is Annotated:
        return hint.__metadata__[0](key, value)
    if origin is Literal:
        return choice(key, value, arguments)
    return _PLAIN[hint](key, value)


def choice(key: str, value: Any, choices: tuple[str, ...]) -> str:
    """The value if it is one of `choices`. Raises `UsageError` with the nearest one."""
    if isinstance(value, str) and value in choices:
        return value
    from difflib import get_close_matches

    near = get_close_matches(str(value), choices, 1)
    hint = f"did you mean {near[0]}?" if near else ""
    raise UsageError(option(key), f"{value!r} is not one of {', '.join(choices)}", hint)


def _flag(key: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise UsageError(option(key), f"{value!r} is neither True nor False", "give one of them")


def _text(key: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise UsageError(option(key), f"{value!r} is not a text", "give it in quotes")


def _number(key: str, value: Any) -> float:
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise UsageError(option(key), f"{value!r} is not a number", f"such as {option(key, 3)}")


def _path(key: str, value: Any) -> Path:
    if isinstance(value, str | os.PathLike) and os.fspath(value):
        return Path(value)
    raise UsageError(option(key), f"{value!r} is not a path", "name a file")


def named(key: str, value: Any) -> str:
    """A name or a path, as text."""
    return _text(key, os.fspath(value) if isinstance(value, os.PathLike) else value)


def whole(low: int, high: int, example: int | None = None) -> Reader:
    """Whole numbers of a range."""
    meant = example if example is not None else max(low, 1)

    def reader(key: str, value: Any) -> int:
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise UsageError(option(key), f"{value!r} is not a whole number", f"such as {option(key, meant)}")
        if not low <= int(value) <= high:
            raise UsageError(option(key), f"{value} is not between {low} and {high}", f"such as {option(key, meant)}")
        return int(value)

    return reader


def number(low: float, high: float, example: float, what: str = "") -> Reader:
    """Numbers of a range; `what` says what they are where the range has no meaning of its own."""

    def reader(key: str, value: Any) -> float:
        found = _number(key, value)
        if not low <= found <= high:
            expected = what or f"between {low:g} and {high:g}"
            raise UsageError(option(key), f"{found:g} is not {expected}", f"such as {option(key, example)}")
        return found

    return reader


def listed(*example: str | int) -> Reader:
    """Names or numbers: a list of them, or text with commas between them."""

    def reader(key: str, value: Any) -> tuple[str, ...]:
        entries = [value] if isinstance(value, int) else value.split(",") if isinstance(value, str) else value
        if isinstance(entries, Sequence) and not isinstance(entries, str | bytes):
            parts = tuple(str(e).strip() for e in entries if isinstance(e, str | Integral) and not isinstance(e, bool))
            if len(parts) == len(entries) and all(parts):
                return parts
        shown = value if isinstance(value, str) else ",".join(map(str, value)) if isinstance(value, list) else value
        problem = f"{shown!r} is not a list of names or numbers"
        raise UsageError(option(key), problem, f"such as {option(key, list(example))}")

    return reader


Classes = Annotated[tuple[str, ...], listed("road", "water")]
Bands = Annotated[tuple[str, ...], listed(4, 3, 2)]
Threads = Annotated[int, whole(1, 1024, 4)]
NameOrFile = Annotated[str, named]


def taking(kind: type[Options], keys: Any) -> Callable[[F], F]:
    """Gives a public function the signature that its `**options` stand for, for `help()` and editors.

    `keys` is the TypedDict of what the options of `kind` may be given as.
    """

    def told(function: F) -> F:
        import inspect

        own = inspect.signature(function)
        given = {name: getattr(hint, "__forward_arg__", hint) for name, hint in keys.__annotations__.items()}
        more = [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=given[field.name]
            )
            for field in fields(kind)  # type: ignore[arg-type]
        ]
        plain = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        function.__signature__ = own.replace(parameters=[*plain, *more])  # type: ignore[attr-defined]
        return function

    return told


# Sizes --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Size:
    """A length or an area as it was given: in pixels (`px`), metres (`m`) or square metres (`m2`)."""

    value: float
    unit: Literal["px", "m", "m2"] = "px"

    def __str__(self) -> str:
        return f"{self.value:g}{self.unit}"


_UNITS: dict[str, tuple[Literal["px", "m", "m2"], float]] = {
    "km2": ("m2", 1e6), "km²": ("m2", 1e6), "m2": ("m2", 1.0), "m²": ("m2", 1.0), "ha": ("m2", 1e4), "px": ("px", 1.0),
    "m": ("m", 1.0), "": ("px", 1.0),
}  # fmt: skip
"""What people write behind a number: the unit that is kept, and how many of it that is. The longer come first."""


def parse_size(key: str, value: str | float | Size) -> Size:
    """`8`, `8px`, `1.5m`, `20m2` or `0.5ha` as a size; a bare number is in pixels. Raises `UsageError`."""
    if isinstance(value, Size):
        return value
    if isinstance(value, Real) and not isinstance(value, bool):
        return Size(float(value))
    if isinstance(value, str):
        text = value.strip()
        written = next(u for u in _UNITS if text.endswith(u))
        unit, count = _UNITS[written]
        try:
            return Size(float(text.removesuffix(written)) * count, unit)
        except ValueError:
            pass
    raise UsageError(option(key), f"{value!r} is not a size", f"such as {option(key, '8px')}")


def sized(*units: str, most: float = inf) -> Reader:
    """Sizes of 0 or more in one of these units."""

    def reader(key: str, value: Any) -> Size:
        size = parse_size(key, value)
        if size.unit not in units or not 0 <= size.value < inf or size.value > most:
            span = "of 0 or more" if most == inf else f"of 0 to {most:g}"
            problem = f"{size} is not a size {span} in {' or '.join(units)}"
            raise UsageError(option(key), problem, f"such as {option(key, f'{min(8, most):g}{units[0]}')}")
        return size

    return reader


SizeLike: TypeAlias = str | float | Size
Area = Annotated[Size, sized("px", "m2")]
Tolerance = Annotated[Size, sized("px", "m")]


def parse_bytes(key: str, value: str | int) -> int:
    """`800MB`, `1.5GB` or `2GiB`, or a number, as bytes. Raises `UsageError`."""
    units = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
    size = 0.0
    if isinstance(value, Integral) and not isinstance(value, bool):
        size = float(value)
    elif isinstance(value, str):
        text = value.strip().lower()
        unit = next((u for u in units if text.endswith(u)), "")
        try:
            size = float(text.removesuffix(unit)) * units[unit]
        except (KeyError, ValueError):
            size = 0.0
    if not 1 <= size < inf:
        example = f"such as {option(key, '800MB')} or {option(key, '2GB')}"
        raise UsageError(option(key), f"{value!r} is not an amount of memory", example)
    return int(size)


Bytes = Annotated[int, parse_bytes]


# Values of pixels ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scale:
    """How pixel values are brought into the model's range before the network sees them.

    `none`: as they are. `dtype`: the range of the scene's integer type to that of the model's. `range`: `low…high` to
    the model's range. `percentile`: the same with the values at two percentiles of the whole scene.
    """

    kind: Literal["none", "dtype", "range", "percentile"] = "none"
    low: float = 0.0
    high: float = 0.0

    def __str__(self) -> str:
        mark = "p" if self.kind == "percentile" else ""
        return self.kind if self.kind in ("none", "dtype") else f"{mark}{self.low:g},{mark}{self.high:g}"


ScaleLike: TypeAlias = str | tuple[float, float] | Scale


def parse_scale(key: str, value: str | Sequence[float] | Scale) -> Scale:
    """The scale that `none`, `dtype`, `LO,HI`, `pLO,pHI` or a pair of numbers stands for. Raises `UsageError`."""
    if isinstance(value, Scale):
        return value
    text = value if isinstance(value, str) else ",".join(map(str, value)) if isinstance(value, Sequence) else ""
    if text in ("none", "dtype"):
        return Scale("none" if text == "none" else "dtype")
    parts = [p.strip() for p in text.split(",")]
    percent = all(p.startswith("p") for p in parts)
    try:
        low, high = (float(p.removeprefix("p") if percent else p) for p in parts)
    except ValueError:
        low = high = nan
    if low < high and isfinite(low) and isfinite(high) and (not percent or 0 <= low < high <= 100):
        return Scale("percentile" if percent else "range", low, high)
    example = f"such as {option(key, '0,3000')} or {option(key, 'p2,p98')}"
    raise UsageError(option(key), f"{value!r} is not none, dtype, LO,HI or pLO,pHI", example)


# Zooms of tiles -----------------------------------------------------------------------------------------------------

LAST_ZOOM = 26

ZoomRange = tuple[int | None, int | None]
"""(lowest, highest) zoom, None where it follows from the source."""

ZoomLike: TypeAlias = str | int | ZoomRange


def parse_zoom(key: str, value: str | int | ZoomRange) -> ZoomRange:
    """`auto`, `14`, `10-14`, `10-auto` or `auto-14`, or a pair. Raises `UsageError`."""
    if isinstance(value, str | int):
        low, dash, high = (part.strip() for part in str(value).partition("-"))
        ends: Sequence[Any] = [low, high] if dash else [low, low]
    else:
        ends = ["auto" if end is None else str(end) for end in value] if isinstance(value, Sequence) else []
    if len(ends) == 2 and all(end == "auto" or (end.isdecimal() and int(end) <= LAST_ZOOM) for end in ends):
        first, last = (None if end == "auto" else int(end) for end in ends)
        if first is None or last is None or first <= last:
            return first, last
    problem = f"{value!r} is not MIN-MAX of 0 to {LAST_ZOOM}"
    raise UsageError(option(key), problem, f"such as {option(key, '10-16')}, or auto")


Zoom = Annotated[ZoomRange, parse_zoom]

_PLAIN: dict[Any, Reader] = {bool: _flag, str: _text, float: _number, Path: _path}
