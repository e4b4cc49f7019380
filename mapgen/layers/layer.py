"""A map layer before it is written: features with attributes, their rings referring to shared lines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Floats, Ints, Longs
from mapgen.legend import LayerClass
from mapgen.polygons.lines import Lines


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
    """Whether every feature is a multipolygon, also those of one polygon."""
    weights: Floats | None = None
    """How much each feature counts in a mean over several, where that is not its area."""

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def ids(self) -> Longs:
        """The class id of each feature."""
        table = np.array([c.id for c in self.classes] or [0], np.int64)
        return table[self.kinds]

    @property
    def any_multi(self) -> bool:
        """Whether there is a multipolygon among the features."""
        return self.multi or bool((np.diff(self.features) != 1).any())

    def taken(self, order: NDArray[np.intp]) -> Layer:
        """The layer with these of its features, in this order."""
        features, which = _gather(self.features, order)
        polygons, which = _gather(self.polygons, which)
        rings, which = _gather(self.rings, which)
        columns = {name: values[order] for name, values in self.columns.items()}
        return replace(
            self, features=features, polygons=polygons, rings=rings, darts=self.darts[which], kinds=self.kinds[order],
            columns=columns, weights=None if self.weights is None else self.weights[order],
        )  # fmt: skip

    def followed_by(self, other: Layer) -> Layer:
        """The features of this layer, then those of another with the same classes and columns; lines are not shared."""
        lines = Lines(
            _chained(self.lines.offsets, other.lines.offsets),
            np.concatenate((self.lines.x, other.lines.x)),
            np.concatenate((self.lines.y, other.lines.y)),
        )
        return replace(
            self, lines=lines, features=_chained(self.features, other.features),
            polygons=_chained(self.polygons, other.polygons), rings=_chained(self.rings, other.rings),
            darts=np.concatenate((self.darts, other.darts + np.int32(2 * len(self.lines)))),
            kinds=np.concatenate((self.kinds, other.kinds)),
            columns={name: np.concatenate((v, other.columns[name])) for name, v in self.columns.items()},
            weights=None if self.weights is None or other.weights is None
            else np.concatenate((self.weights, other.weights)),
        )  # fmt: skip


def dissolved(layer: Layer) -> Layer:
    """One multipolygon for each class, by increasing id.

    Attributes are summed, but `confidence` is averaged over `weights`, and `confidence_min` is the least.
    """
    ids = layer.ids
    order = np.argsort(ids, kind="stable")
    by_class = layer.taken(order)
    _, first = np.unique(ids[order], return_index=True)
    features = by_class.features[np.append(first, len(order))]
    columns = {name: _gathered(name, values, by_class, first) for name, values in by_class.columns.items()}
    return replace(by_class, features=features, kinds=by_class.kinds[first], columns=columns, multi=True, weights=None)


def _gathered(name: str, values: Floats, layer: Layer, first: NDArray[np.intp]) -> Floats:
    """One attribute for each run of features that begins at `first`."""
    if not len(first):
        return values
    if name == "confidence_min":
        return np.fmin.reduceat(values, first)
    if name != "confidence":
        return np.add.reduceat(values, first)
    weights = layer.columns["area_m2"] if layer.weights is None else layer.weights
    weights = np.where(np.isnan(values), 0.0, weights)
    with np.errstate(invalid="ignore"):
        return np.add.reduceat(np.nan_to_num(values) * weights, first) / np.add.reduceat(weights, first)


def _gather(offsets: Longs, order: NDArray[np.intp]) -> tuple[Longs, NDArray[np.intp]]:
    """New offsets, and the old places of all items, when groups are taken in another order."""
    counts = np.diff(offsets)[order]
    new = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    places = np.repeat(offsets[:-1][order] - new[:-1], counts) + np.arange(new[-1])
    return new, places


def _chained(one: Longs, other: Longs) -> Longs:
    return np.concatenate((one, other[1:] + one[-1]))
