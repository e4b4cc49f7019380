"""Islands in a road become part of it, specks that a bridge reaches do not, and crossings in two are made one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pixels import Array, count_parts, graph_of, plain_cost, roads

from mapgen.roads.bridges import bridged
from mapgen.roads.centre import centre_lines, crossing
from mapgen.roads.islands import without_islands
from mapgen.roads.spurs import pruned


def road_with(hole: float) -> Array:
    """A road 18 wide with a round hole in its middle."""
    y, x = np.mgrid[:60, :120]
    return (np.abs(y - 30) < 9) & (np.hypot(y - 30, x - 60) >= hole)


def test_a_tree_in_a_road_leaves_one_edge_through_its_middle() -> None:
    graph = pruned(graph_of(road_with(6.0)), 10.0)
    assert graph.loops() == 1
    assert without_islands(graph, 20.0).loops() == 1
    less = without_islands(graph, 300.0)
    assert (len(less), less.loops(), count_parts(less)) == (1, 0, 1)
    lines = centre_lines(less, 60, 120, 1.0)
    middle = np.abs(lines.x - 60) < 12
    assert np.abs(lines.y[middle] - 30.5).max() < 2 if middle.any() else len(lines.x) == 2


def test_a_roundabout_keeps_its_ring() -> None:
    y, x = np.mgrid[:90, :90] - 45
    away = np.hypot(x, y)
    mask = (np.abs(away - 9) < 4) | ((np.minimum(np.abs(x), np.abs(y)) < 4) & (away > 8))
    graph = pruned(graph_of(mask), 5.0)
    assert graph.loops() == 1
    assert without_islands(graph, 1000.0).loops() == 1


@settings(max_examples=40, deadline=None)
@given(roads, st.floats(0, 400))
def test_islands_that_go_keep_parts_and_cross_nothing(mask: Array, most: float) -> None:
    graph = pruned(graph_of(mask), 5.0)
    less = without_islands(graph, most)
    assert count_parts(less) == count_parts(graph)
    assert less.loops() <= graph.loops()
    assert (less.path[less.offsets[:-1]] == less.nodes[less.u]).all()
    lines = centre_lines(less, *mask.shape, 1.0)
    assert not crossing(lines, less.u, less.v).any()


def test_a_speck_that_a_bridge_reaches_is_no_road() -> None:
    mask = np.zeros((60, 100), bool)
    mask[45:51] = True
    mask[20:29, 50:56] = True
    graph, count = bridged(graph_of(mask), plain_cost(mask.shape), 60, 100, 30.0, 40.0)
    assert count == 1
    assert len(pruned(graph, 10.0)) == 1
