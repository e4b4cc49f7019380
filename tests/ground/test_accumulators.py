"""One contract for all that is summed up while a raster passes: it does not depend on how the raster was cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from factory import CRS, north_up
from numpy.testing import assert_allclose

from mapgen.accuracy.bootstrap import BlockCounter, Lattice
from mapgen.accuracy.boundary import BoundaryMatcher
from mapgen.accuracy.objects import ObjectMatcher
from mapgen.accuracy.reliability import ReliabilityCounter
from mapgen.dataset.dataset import IGNORE, Moments
from mapgen.grid import Grid, Window
from mapgen.layers.class_areas import ClassAreas
from mapgen.plan import Step
from mapgen.polygons.regions import RegionFinder, Zones, find_regions
from mapgen.raster.patch import Accumulator, Patch
from mapgen.results.preview import Preview
from mapgen.tiling.region_ids import RegionIds

HEIGHT, WIDTH = 90, 70
GRID = Grid(CRS, north_up(1.0), HEIGHT, WIDTH)


@dataclass(frozen=True)
class Case:
    """An accumulator, how a strip of rows first…last-1 is given to it, and what of it must not depend on the cuts."""

    make: Callable[[], Accumulator]
    give: Callable[[Any, int, int], None]
    found: Callable[[Any, list[tuple[int, int]]], Any] = lambda one, cuts: one.finish()


def blobs(seed: int) -> np.ndarray:
    """Codebook -1…2 (H, W) in blobs."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(-1, 3, (HEIGHT // 6 + 1, WIDTH // 6 + 1))
    return np.kron(coarse, np.ones((6, 6), int))[:HEIGHT, :WIDTH].astype(np.int16)


MAPPED, TRUTH = blobs(1), blobs(2)
VALUES = np.random.default_rng(3).integers(0, 200, (3, HEIGHT, WIDTH)).astype(np.uint8)
VALID = MAPPED >= 0
LABELS = np.where(MAPPED < 0, IGNORE, MAPPED).astype(np.uint8)
REGIONS = find_regions([MAPPED.astype(np.int64)], WIDTH)


def strip_of(first: int, last: int) -> Patch:
    step = Step(*[Window(first, 0, last - first, WIDTH)] * 2)
    return Patch(step, VALUES[:, first:last], VALID[first:last])


def whole_ids(wholes: RegionIds, cuts: list[tuple[int, int]]) -> np.ndarray:
    """Ids (H, W) in the order in which they are met: those of the strips are not without gaps."""
    wholes.finish()
    parts = [find_regions([MAPPED[a:b].astype(np.int64)], WIDTH) for a, b in cuts]
    ids = np.concatenate([wholes.ids(i, part)[part.raster()] for i, part in enumerate(parts)])
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].reshape(ids.shape)


CASES = {
    "ClassAreas": Case(ClassAreas, lambda one, a, b: one.add(a, LABELS[a:b])),
    "Moments": Case(lambda: Moments(3), lambda one, a, b: one.add(VALUES[:, a:b], LABELS[a:b])),
    "Moments of floats": Case(
        lambda: Moments(3), lambda one, a, b: one.add(VALUES[:, a:b].astype(np.float32) / 7, LABELS[a:b])
    ),
    "Zones": Case(lambda: Zones(REGIONS), lambda one, a, b: one.add(a, VALUES[0, a:b] / 7, VALID[a:b])),
    "BlockCounter": Case(
        lambda: BlockCounter(Lattice(HEIGHT, WIDTH, 16, 20), seed=4, worst=3),
        lambda one, a, b: one.add(a, 0, MAPPED[a:b], TRUTH[a:b]),
        lambda one, cuts: (one.finish(), [vars_of(block) for block in one.worst()], one.intervals()),
    ),
    "BoundaryMatcher": Case(
        lambda: BoundaryMatcher(2.5, 1.0, 1.0, WIDTH, 3), lambda one, a, b: one.add(MAPPED[a:b], TRUTH[a:b])
    ),
    "ObjectMatcher": Case(
        lambda: ObjectMatcher((0, 1, 2), WIDTH, 3), lambda one, a, b: one.add(MAPPED[a:b], TRUTH[a:b])
    ),
    "ReliabilityCounter": Case(
        ReliabilityCounter, lambda one, a, b: one.add(VALUES[0, a:b] / 200, MAPPED[a:b] == TRUTH[a:b], VALID[a:b])
    ),
    "RegionIds": Case(
        RegionIds, lambda one, a, b: one.add(find_regions([MAPPED[a:b].astype(np.int64)], WIDTH)), whole_ids
    ),
    "RegionFinder": Case(
        lambda: RegionFinder(WIDTH), lambda one, a, b: one.add(LABELS[a:b]),
        lambda one, cuts: [*vars_of(one.finish()).values()],
    ),
    "Preview": Case(
        lambda: Preview((0, 1, 2), side=20), lambda one, a, b: one.add(GRID, strip_of(a, b))
    ),
}  # fmt: skip


def vars_of(value: Any) -> Any:
    """The fields of a dataclass or named tuple by name, all else as it is."""
    names = getattr(value, "__dataclass_fields__", None) or getattr(value, "_fields", None)
    return value if names is None else {name: getattr(value, name) for name in names}


def cuts(seed: int | None) -> list[tuple[int, int]]:
    """The rows of strips: all at once for None, else cut at places drawn by the seed."""
    inner = [] if seed is None else np.random.default_rng(seed).choice(np.arange(1, HEIGHT), 7 * seed, replace=False)
    marks = [0, *sorted(map(int, inner)), HEIGHT]
    return list(pairwise(marks))


def summed(case: Case, rows: list[tuple[int, int]]) -> Any:
    one = case.make()
    for first, last in rows:
        case.give(one, first, last)
    return case.found(one, rows)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    value = vars_of(value)
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from leaves(part, f"{path}[{i}]")
    else:
        yield path, value


@pytest.mark.parametrize("seed", [1, 2, 12])
@pytest.mark.parametrize("name", CASES)
def test_what_is_found_does_not_depend_on_how_the_raster_was_cut(name, seed):
    whole, parts = (dict(leaves(summed(CASES[name], cuts(of)))) for of in (None, seed))
    assert whole.keys() == parts.keys()
    assert whole
    for path, value in whole.items():
        assert_allclose(parts[path], value, rtol=1e-6, err_msg=f"{name}{path}")


@pytest.mark.parametrize("name", CASES)
def test_nothing_of_a_strip_is_kept_as_a_view(name):
    """Whoever reads strips may use one array for all of them."""
    case, rows = CASES[name], cuts(2)
    expected = dict(leaves(summed(case, rows)))
    own = {key: array.copy() for key, array in globals().items() if key in ("MAPPED", "TRUTH", "LABELS", "VALUES")}
    one = case.make()
    for first, last in rows:
        case.give(one, first, last)
        for key, array in own.items():
            globals()[key][..., first:last, :] = np.roll(array, 1)[..., first:last, :]  # what comes next, or noise
        for key, array in own.items():
            globals()[key][..., last:, :] = array[..., last:, :]
    for key, array in own.items():
        globals()[key][...] = array
    for path, value in leaves(case.found(one, rows)):
        assert_allclose(value, expected[path], rtol=1e-6, err_msg=f"{name}{path}")
