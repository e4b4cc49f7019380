"""The options of `sample`: how many points, and how they are spread over the classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, Unpack

from mapgen.errors import UsageError, option
from mapgen.settings import Options, whole

By = Literal["class", "pixel"]


def parse_expected(key: str, value: Any) -> dict[str, float]:
    """`road=0.6`, several of them with commas, or a mapping. Raises `UsageError`."""
    if isinstance(value, Mapping):
        value = [f"{name}={share}" for name, share in value.items()]
    found = {}
    for text in value.split(",") if isinstance(value, str) else value:
        name, _, share = str(text).partition("=")
        try:
            found[name.strip()] = float(share)
        except ValueError:
            found[name.strip()] = -1.0
        if not name.strip() or not 0 < found[name.strip()] < 1:
            problem = f"{text!r} is not CLASS=SHARE with a share between 0 and 1"
            raise UsageError(option(key), problem, f"such as {option(key, 'road=0.6')}")
    return found


class SampleKeys(TypedDict, total=False):
    """What the options of `sample` may be given as."""

    count: int
    by: By
    least: int
    expected: str | Mapping[str, float] | None
    seed: int
    overwrite: bool


@dataclass(frozen=True, slots=True)
class SampleOptions(Options):
    """What `sample` may be told."""

    if TYPE_CHECKING:

        def __init__(self, **given: Unpack[SampleKeys]) -> None: ...

    count: Annotated[int, whole(2, 1_000_000, 400)] = 400
    """How many points."""
    by: By = "class"
    """`class`: each class of the map gets its share of them and no fewer than `least`; `pixel`: any pixel is as likely
    as another."""
    least: Annotated[int, whole(2, 1_000_000, 50)] = 50
    """The fewest points of a class, where there are enough for all."""
    expected: Annotated[dict[str, float], parse_expected] | None = None
    """How much of a class is thought to be right, 0.8 where nothing is said: the less sure, the more points."""
    seed: Annotated[int, whole(0, 2**64 - 1, 1)] = 0
    """Another one gives other points."""
    overwrite: bool = False
    """Replace a file that exists."""
