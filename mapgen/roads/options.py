"""The options of `roads` and `route`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, Unpack

from mapgen.errors import UsageError, option
from mapgen.settings import Area, Classes, NamesLike, Options, PathLike, Size, SizeLike, Threads, Tolerance

NetworkFormat = Literal["gpkg", "geojson", "geojsonl", "fgb", "osm", "osm.pbf", "graphml"]


def parse_threshold(key: str, value: Any) -> tuple[float, float]:
    """`0.4`, `0.3,0.6` or a pair as (low, high). Raises `UsageError`."""
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    try:
        low, high = float(parts[0]), float(parts[-1])
    except (TypeError, ValueError, IndexError):
        low, high = 1.0, 0.0
    if len(parts) > 2 or not 0 <= low <= high <= 1:
        problem = f"{value!r} is not LOW,HIGH between 0 and 1"
        raise UsageError(option(key), problem, f"such as {option(key, '0.3,0.6')}")
    return low, high


class RoadsKeys(TypedDict, total=False):
    """What the options of `roads` may be given as."""

    format: NetworkFormat | None
    classes: NamesLike | None
    probabilities_raster: PathLike | None
    threshold: str | float | tuple[float, float] | None
    sieve: SizeLike
    min_hole: SizeLike
    max_width: SizeLike
    spur: SizeLike
    bridge: SizeLike
    min_length: SizeLike
    simplify: SizeLike
    clip: PathLike | None
    crs: str | None
    assume_crs: str | None
    layer_name: str | None
    overwrite: bool
    threads: int | None


@dataclass(frozen=True, slots=True)
class RoadsOptions(Options):
    """What `roads` may be told. Lengths are `px` or `m`, areas `px` or `m2`."""

    if TYPE_CHECKING:

        def __init__(self, **given: Unpack[RoadsKeys]) -> None: ...

    format: NetworkFormat | None = None
    """Instead of what the suffix of the output says."""
    classes: Classes | None = None
    """Names or ids of the classes that are roads; those that are called so where None."""
    probabilities_raster: Path | None = None
    """Probabilities of the same run: they guide bridges over gaps."""
    threshold: Annotated[tuple[float, float], parse_threshold] | None = None
    """(low, high): what is likelier than low is road, where it hangs together with something likelier than high."""
    sieve: Area = Size(60.0, "m2")
    """Neighbours absorb specks below this size."""
    min_hole: Area = Size(60.0, "m2")
    """Holes below this size are filled."""
    max_width: Tolerance = Size(60.0, "m")
    """Wider roads are areas, and get a line around them."""
    spur: Tolerance = Size(10.0, "m")
    """Dead ends that stick out less are left out."""
    bridge: Tolerance = Size(40.0, "m")
    """Gaps that cost up to this are bridged."""
    min_length: Tolerance = Size(30.0, "m")
    """Parts that are shorter, and do not reach the frame, are left out."""
    simplify: Tolerance = Size(1.0, "px")
    """Tolerance by which lines are simplified."""
    clip: Path | None = None
    """Only pixels inside the polygons of this vector file."""
    crs: str | None = None
    """CRS of gpkg and fgb; the class map's where None."""
    assume_crs: str | None = None
    """The CRS of class maps that do not name theirs."""
    layer_name: str | None = None
    """What the network is called; as the output where None."""
    overwrite: bool = False
    """Replace an output that exists."""
    threads: Threads | None = None
    """Threads to work in; one a core, up to 8, where None."""

    def check(self) -> None:
        """Raise `UsageError` for options that contradict each other."""
        if self.threshold is not None and self.probabilities_raster is None:
            remedy = f"add {option('probabilities_raster', 'FILE')}"
            raise UsageError(option("threshold"), "there are no probabilities to compare with", remedy)


@dataclass(frozen=True, slots=True)
class RouteOptions(Options):
    """What `route` may be told."""

    min_width: float | None = None
    """Metres that every edge must be wide."""
    no_bridges: bool = False
    """Do without edges on which a gap was bridged."""
    layer: str | None = None
    """The layer of the lines, where there are several."""
    assume_crs: str | None = None
    """The CRS of a network that does not name its own."""
