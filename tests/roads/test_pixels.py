"""Laws of the way from a road raster to a graph: thinning, tracing, pruning, bridging, contracting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patterns import label, masks, spiral

from mapgen.roads.bridges import bridged
from mapgen.roads.centre import centre_lines, crossing
from mapgen.roads.depth import depths
from mapgen.roads.gaps import find_candidates
from mapgen.roads.graph import Graph
from mapgen.roads.junctions import contracted
from mapgen.roads.skeleton import skeleton_of, trace
from mapgen.roads.spurs import pruned
from mapgen.roads.thinning import rounds_for, support, thin, thinned

Array = np.ndarray[Any, np.dtype[Any]]

roads = masks(48).map(lambda mask: mask % 2 == 1)


def parts_and_holes(mask: Array) -> tuple[int, int]:
    """8-connected parts and 4-connected holes."""
    return label(mask, corners=True)[1], label(np.pad(~mask, 1, constant_values=True))[1] - 1


def graph_of(mask: Array) -> Graph:
    lines = thin(mask, 1000)
    rows, cols = np.nonzero(lines)
    r = np.ones(mask.shape, np.float32)
    r[rows, cols] = depths(np.pad(mask, 1), rows + 1, (cols + 1).astype(np.int32), 100.0)
    return trace(skeleton_of(lines, r))


def count_parts(graph: Graph) -> int:
    return len(np.unique(graph.parts()))


def plain_cost(shape: tuple[int, ...]) -> Any:
    ones = np.ones(shape, np.float32)
    return lambda first, last: ones[first:last]


@settings(max_examples=60, deadline=None)
@given(roads)
def test_thinning_keeps_parts_and_holes_and_has_nothing_left_to_do(mask: Array) -> None:
    lines = thin(mask, 1000)
    assert not (lines & ~mask).any()
    assert parts_and_holes(lines) == parts_and_holes(mask)
    assert (thin(lines, 1000) == lines).all()


@settings(max_examples=30, deadline=None)
@given(roads, st.integers(1, 6), st.integers(1, 20))
def test_thinning_in_strips_gives_the_same_pixels_for_any_height_and_cap(mask: Array, rounds: int, rows: int) -> None:
    halo, whole = support(rounds), thinned(mask, rounds)
    for first in range(0, len(mask), rows):
        low = max(0, first - halo)
        part = thinned(mask[low : first + rows + halo], rounds)[first - low :][:rows]
        assert (part == whole[first : first + rows]).all()


@settings(max_examples=60, deadline=None)
@given(roads)
def test_depths_are_euclidean_distances_to_the_nearest_pixel_that_is_not_set(mask: Array) -> None:
    rows, cols = np.nonzero(mask)
    empty = np.argwhere(~mask)
    found = depths(mask, rows, cols.astype(np.int32), 9.0, 2.0)
    for row, col, depth in zip(rows[:40], cols[:40], found, strict=False):
        away = np.hypot((empty[:, 0] - row) * 2.0, empty[:, 1] - col)
        assert depth == pytest.approx(min(9.0, away.min() if len(away) else 9.0), abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(roads, st.booleans())
def test_the_graph_has_the_parts_and_loops_of_its_pixels(mask: Array, thick: bool) -> None:
    lines = mask if thick else thin(mask, 1000)
    graph = trace(skeleton_of(lines))
    numbers, count = label(lines, corners=True)
    single = int((np.bincount(numbers.ravel(), minlength=count + 1)[1:] == 1).sum())
    assert count_parts(graph) == count - single
    assert graph.loops() == parts_and_holes(lines)[1]
    assert graph.degrees().sum() == 2 * len(graph)
    assert (graph.path[graph.offsets[:-1]] == graph.nodes[graph.u]).all()
    assert (graph.path[graph.offsets[1:] - 1] == graph.nodes[graph.v]).all()
    assert not (graph.degrees() == 2)[np.setdiff1d(np.arange(len(graph.nodes)), graph.u[graph.u == graph.v])].any()


@settings(max_examples=60, deadline=None)
@given(roads, st.floats(0, 30))
def test_pruning_keeps_parts_and_loops_and_has_nothing_left_to_do(mask: Array, spur: float) -> None:
    graph = graph_of(mask)
    less = pruned(graph, spur)
    assert (count_parts(less), less.loops()) == (count_parts(graph), graph.loops())
    assert len(pruned(less, spur)) == len(less)


def test_ends_at_the_frame_are_not_pruned() -> None:
    mask = np.zeros((30, 60), bool)
    mask[14] = True
    mask[14:, 30] = True
    frame = np.zeros(mask.shape, bool)
    frame[[0, -1]], frame[:, [0, -1]] = True, True
    assert len(pruned(trace(skeleton_of(mask)), 50.0)) == 1
    assert len(pruned(trace(skeleton_of(mask, frame=frame)), 50.0)) == 3


@settings(max_examples=60, deadline=None)
@given(roads, st.booleans())
def test_contracting_keeps_parts_and_loops(mask: Array, clean: bool) -> None:
    graph = graph_of(mask)
    graph = pruned(graph, 5.0) if clean else graph
    less = contracted(graph, len(mask))
    assert (count_parts(less), less.loops()) == (count_parts(graph), graph.loops())
    assert len(less) <= len(graph)


def test_two_junctions_in_one_crossing_are_one_though_they_lie_outside_its_middle() -> None:
    rows, cols = np.mgrid[:90, :120]
    level = (abs(rows - 45) <= 8) & (rows > 0)  # a wide road, and arms to both sides that do not face each other
    arms = ((abs(cols - 52) <= 4) & (rows < 45)) | ((abs(cols - 66) <= 4) & (rows > 45))
    graph = pruned(graph_of(level | arms), 10.0)
    middle = (graph.degrees() >= 3) & (abs(graph.x[graph.nodes] - 59) < 20)
    assert middle.sum() == 2
    assert (contracted(graph, 90).degrees() == 4).sum() == 1


@settings(max_examples=40, deadline=None)
@given(roads, st.floats(2, 40), st.floats(0, 1), st.integers(3, 60))
def test_bridges_are_those_of_a_larger_budget_that_cost_no_more(
    mask: Array, budget: float, share: float, rows: int
) -> None:
    graph, (height, width) = pruned(graph_of(mask), 3.0), mask.shape
    cost = plain_cost(mask.shape)
    more, many = bridged(graph, cost, height, width, budget, 20.0)
    less, few = bridged(graph, cost, height, width, share * budget, 20.0)
    assert few <= many
    assert less.bridge.sum() <= more.bridge.sum()
    assert count_parts(more) <= count_parts(less) <= count_parts(graph)
    assert more.loops() - graph.loops() == many - (count_parts(graph) - count_parts(more))
    old = {(int(graph.y[p]), int(graph.x[p])) for p in graph.path}
    places = [{(int(g.y[p]), int(g.x[p])) for p in g.path} - old for g in (less, more)]
    assert places[0] <= places[1]
    again, same = bridged(graph, cost, height, width, budget, 20.0, rows=rows, threads=2)
    assert same == many
    assert (again.path == more.path).all()


def test_a_gap_in_a_road_is_bridged_and_one_beside_it_is_not() -> None:
    mask = np.zeros((60, 80), bool)
    mask[30] = True
    mask[30, 35:45] = False
    mask[:20, 40] = True
    graph, count = bridged(graph_of(mask), plain_cost(mask.shape), 60, 80, 14.0, 40.0)
    assert count == 2  # the gap in the row, and the column onto it or one of its ends
    assert count_parts(graph) == 1
    alone, count = bridged(graph_of(mask), plain_cost(mask.shape), 60, 80, 8.0, 40.0)
    assert (count, len(alone)) == (0, 3)


def test_candidates_leave_within_seventy_degrees_of_where_the_end_points() -> None:
    mask = np.zeros((60, 60), bool)
    mask[30, :30] = True
    mask[:, 10] = False
    mask[20, 15:] = True  # beside the end, ten pixels away, mostly behind it
    mask[20, 32:] = False
    graph = graph_of(mask)
    found = find_candidates(graph, plain_cost(mask.shape), 60, 60, 30.0, 10.0, aspect=1.0, rows=60, threads=1)
    for tip, place in zip(found.tips, found.places, strict=True):
        ahead = graph.x[graph.nodes[tip]] - 25.0
        assert ahead * (graph.x[graph.path[place]] - graph.x[graph.nodes[tip]]) >= 0 or ahead < 0


@settings(max_examples=60, deadline=None)
@given(roads, st.sampled_from([0.0, 1.0, 3.0]))
def test_lines_meet_at_their_nodes_only_there_bit_for_bit(mask: Array, tolerance: float) -> None:
    height, width = mask.shape
    graph, _ = bridged(pruned(graph_of(mask), 5.0), plain_cost(mask.shape), height, width, 12.0, 20.0)
    graph = contracted(graph, height)
    lines = centre_lines(graph, height, width, tolerance)
    assert not crossing(lines, graph.u, graph.v).any()
    ends: dict[int, set[tuple[float, float]]] = {}
    for node, place in zip(graph.u, lines.offsets[:-1], strict=True):
        ends.setdefault(int(node), set()).add((lines.x[place], lines.y[place]))
    for node, place in zip(graph.v, lines.offsets[1:] - 1, strict=True):
        ends.setdefault(int(node), set()).add((lines.x[place], lines.y[place]))
    assert all(len(points) == 1 for points in ends.values())


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_turned_and_mirrored_pixels_give_the_same_parts_and_loops(turn: int, mirror: bool) -> None:
    rng = np.random.default_rng(7)
    mask = rng.random((20, 23)).repeat(3, 0).repeat(3, 1) > 0.45
    turned = np.rot90(mask[:, ::-1] if mirror else mask, turn)
    one, other = graph_of(mask), graph_of(np.ascontiguousarray(turned))
    assert (count_parts(one), one.loops()) == (count_parts(other), other.loops())


def test_a_spiral_of_a_million_pixels_is_one_edge() -> None:
    graph = trace(skeleton_of(thinned(spiral(1400, 1400).astype(bool), rounds_for(60))))
    assert count_parts(graph) == 1
    assert len(graph) == 1


def test_an_area_wider_than_the_rounds_becomes_a_line_around_it() -> None:
    mask = np.zeros((200, 200), bool)
    mask[20:180, 20:180] = True
    mask[98:103, :] = True
    graph = pruned(trace(skeleton_of(thinned(mask, 10))), 5.0)
    assert graph.loops() == 1
    assert count_parts(graph) == 1
