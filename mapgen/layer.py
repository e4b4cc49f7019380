"""A map layer before it is written: features with attributes, their rings referring to shared lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mapgen.lines import Floats, Lines
from mapgen.regions import Ints, Longs


@dataclass(frozen=True, slots=True)
class LayerClass:
    """One class of a layer: any integer as id, a name, a colour `#rrggbb`."""

    id: int
    name: str
    color: str


@dataclass(frozen=True, slots=True)
class Layer:
    """Features in their order, and the lines that their rings are made of.

    Feature i has the polygons `features[i]:features[i + 1]`, polygon p the rings `polygons[p]:polygons[p + 1]`
    (exterior first), ring k the darts `darts[rings[k]:rings[k + 1]]`: dart 2·j is line j as it runs, 2·j + 1 reversed.
    Exteriors run counter-clockwise on the ground, holes clockwise. `kinds[i]` is an index into `classes`; `columns`
    holds further attributes, one number for each feature, NaN where unknown. `crs` is WKT, None for longitude and
    latitude on WGS 84.
    """

    name: str
    crs: str | None
    classes: tuple[LayerClass, ...]
    lines: Lines
    features: Longs
    polygons: Longs
    rings: Longs
    darts: Ints
    kinds: Ints
    columns: dict[str, Floats]
    multi: bool = False

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def ids(self) -> Longs:
        """The class id of each feature."""
        table = np.array([c.id for c in self.classes] or [0], np.int64)
        return table[self.kinds]
