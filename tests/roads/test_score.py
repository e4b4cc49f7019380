"""Scores of networks: cases worked out by hand, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from city import city

from mapgen.roads.score import apls, connectivity, score, topo
from mapgen.roads.ways import Ways, distances, ways_of

SQUARE = [(0, 0), (100, 0), (100, 100), (0, 100)]
SIDES = [np.array((a, b), float) for a, b in zip(SQUARE, SQUARE[1:] + SQUARE[:1], strict=True)]


def nodes_only(truth: Ways, found: Ways, snap: float = 4.0) -> float:
    return apls(truth, found, snap, spacing=np.inf)


def test_a_square_without_a_side() -> None:
    assert nodes_only(ways_of(SIDES), ways_of(SIDES[:3])) == pytest.approx(2 / (1 / 0.83333333 + 1 / 0.88888889))


def test_two_edges_without_one() -> None:
    assert nodes_only(ways_of(SIDES[:2]), ways_of(SIDES[:1])) == pytest.approx(0.5)


@pytest.mark.parametrize(("snap", "wanted"), [(4.0, 0.15), (8.0, 0.9583333)])
def test_a_square_moved_along_a_side(snap: float, wanted: float) -> None:
    assert nodes_only(ways_of(SIDES), ways_of([side + (5, 0) for side in SIDES]), snap) == pytest.approx(wanted)


def test_a_network_scores_one_against_itself() -> None:
    ways = ways_of(city(3, 512, stubs=4).lines)
    found = score(ways, ways)
    assert found.apls == pytest.approx(1, abs=1e-6)
    assert (found.topo.f1, found.completeness, found.correctness) == pytest.approx((1, 1, 1), abs=1e-6)
    assert found.length_error == 0
    assert found.ways.good == 1


def test_taking_edges_away_never_raises_recall() -> None:
    lines = city(4, 512, stubs=4).lines
    truth = ways_of(lines)
    recalls = [topo(truth, ways_of(lines[: len(lines) * k // 4])).recall for k in (4, 3, 2, 1)]
    assert recalls == sorted(recalls, reverse=True)
    assert topo(truth, ways_of([])).recall == 0


def test_connectivity_of_a_square_and_a_stub() -> None:
    found = connectivity(ways_of([*SIDES, np.array(((300.0, 0.0), (400.0, 0.0)))]))
    assert (found.parts, found.loops, found.length_m) == (2, 1, 500.0)
    assert found.reach == pytest.approx(0.8**2 + 0.2**2)
    assert found.dead_ends_per_km == pytest.approx(4.0)


def test_distances_are_symmetric_and_keep_the_triangle_inequality() -> None:
    ways = ways_of(city(5, 512).lines)
    far = distances(ways, np.arange(ways.count))
    assert np.allclose(far, far.T)
    for middle in range(0, ways.count, 7):
        through = far[:, [middle]] + far[[middle]]
        finite = np.isfinite(through)
        assert (far[finite] <= through[finite] + 1e-9).all()
