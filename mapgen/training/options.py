"""The options of `compress`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, Unpack

from mapgen.errors import UsageError, option
from mapgen.settings import Bands, Classes, NamesLike, Options, PathLike, Scale, ScaleLike, named, parse_scale, whole

Compressed = Literal["int8"]


def parse_pairs(key: str, value: Any) -> tuple[tuple[str, str], ...]:
    """Pairs of a scene and its truth, paths or URLs. Raises `UsageError`."""
    pairs = []
    for entry in value if isinstance(value, Sequence) else [value]:
        if isinstance(entry, str) or not isinstance(entry, Sequence) or len(entry) != 2:
            raise UsageError(option(key), f"{entry!r} is not a scene and its truth", "give pairs of both")
        pairs.append((named(key, entry[0]), named(key, entry[1])))
    return tuple(pairs)


class CompressKeys(TypedDict, total=False):
    """What the options of `compress` may be given as."""

    to: Compressed
    windows: int
    evaluate: Sequence[tuple[PathLike, PathLike]]
    ignore: NamesLike
    bands: NamesLike | None
    nodata: float | None
    scale: ScaleLike
    overwrite: bool


@dataclass(frozen=True, slots=True)
class CompressOptions(Options):
    """What `compress` may be told. Bands, nodata and scale are those of all scenes, as `segment` takes them."""

    if TYPE_CHECKING:

        def __init__(self, **given: Unpack[CompressKeys]) -> None: ...

    to: Compressed = "int8"
    """What the arithmetic is to be in."""
    windows: Annotated[int, whole(1, 10_000, 64)] = 64
    """How many windows of imagery the ranges are taken from."""
    evaluate: Annotated[tuple[tuple[str, str], ...], parse_pairs] = ()
    """Scenes and their truth, on which mIoU is measured before and after."""
    ignore: Classes = ()
    """Classes of the truth that do not count."""
    bands: Bands | None = None
    """Band numbers from 1, or names, one for each band of the model."""
    nodata: float | None = None
    """The value that means no data."""
    scale: Annotated[Scale, parse_scale] = Scale()
    """How values are brought into the model's range."""
    overwrite: bool = False
    """Replace a model that exists."""
