"""Right angles within a coverage: laws on every kind of mask, figures on drawn towns."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
import shapely.affinity
from hypothesis import given, settings
from hypothesis import strategies as st
from patterns import Array, masks
from towns import BUILDING, LAND, agreement, right_angles, town, without_straight

from mapgen.polygons.coverage import Coverage, Generalization, class_drift, count_squares, coverage_of
from mapgen.polygons.regions import find_regions, row_strips


def squared(mask: Array, size: float = 2.0, directions: int = 4, **how: object) -> Coverage:
    regions = find_regions(row_strips(mask), mask.shape[1])
    wanted = np.ones(len(regions) + 1, bool)
    wanted[0] = False
    square = {} if size == 0 else {int(v): (size, directions) for v in np.unique(mask) if v == BUILDING}
    return coverage_of(regions, wanted, Generalization(1.0, square=square, **how))  # type: ignore[arg-type]


def shapes_of(coverage: Coverage) -> tuple[Array, Array]:
    """The polygons, and the value of each."""
    lines, rings, out = coverage.lines, coverage.rings, []
    for p in range(len(rings.regions)):
        parts = []
        for k in range(rings.parts[p], rings.parts[p + 1]):
            points = []
            for dart in rings.darts[rings.offsets[k] : rings.offsets[k + 1]].tolist():
                part = slice(lines.offsets[dart >> 1], lines.offsets[(dart >> 1) + 1])
                piece = np.stack((lines.x[part], lines.y[part]), axis=1)
                points.append((piece[::-1] if dart & 1 else piece)[:-1])
            parts.append(np.concatenate(points))
        out.append(shapely.Polygon(parts[0], parts[1:]))
    return np.array(out), coverage.regions.values[rings.regions]


def buildings(coverage: Coverage) -> Array:
    shapes, values = shapes_of(coverage)
    return shapes[values == BUILDING]


def turned_box(angle: float, wide: float = 30, deep: float = 18, side: int = 70) -> Array:
    y, x = np.mgrid[:side, :side] + 0.5 - side / 2
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return np.where((np.abs(u) <= wide / 2) & (np.abs(v) <= deep / 2), BUILDING, LAND).astype(np.uint8)


@settings(max_examples=80, deadline=None)
@given(masks(60), st.sampled_from([1.0, 2.0, 4.0]), st.sampled_from([4, 8]), st.integers(1, 4), st.booleans())
def test_the_polygons_are_valid_and_still_cover_the_map_without_overlap(
    mask: Array, size: float, directions: int, grain: int, smooth: bool
) -> None:
    mask = np.kron(mask, np.ones((grain, grain), np.uint8)) % 4
    shapes, _ = shapes_of(squared(mask, size, directions, smooth=int(smooth)))
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(shapes)
    assert shapely.area(shapes).sum() == pytest.approx(mask.size)


@pytest.mark.parametrize("degrees", [0, 7, 23, 45, 61, 88])
def test_a_turned_box_has_four_right_angles_and_its_size(degrees: int) -> None:
    coverage = squared(turned_box(np.radians(degrees)))
    (box,) = buildings(coverage)
    assert right_angles(box) == (4, 4)
    assert count_squares(coverage) == {BUILDING: (1, 1)}
    sides = np.sort(np.hypot(*np.diff(shapely.get_coordinates(box), axis=0).T))
    assert sides == pytest.approx([18, 18, 30, 30], abs=0.7)
    assert abs(class_drift(coverage)[BUILDING]) < 12


@pytest.mark.parametrize("degrees", [0.8, 1.5, 2.5, 4])
def test_a_box_that_is_almost_level_and_has_few_steps_is_square(degrees: float) -> None:
    (box,) = buildings(squared(turned_box(np.radians(degrees)), 1.5))
    assert right_angles(box) == (4, 4)


def test_a_round_building_stays_round() -> None:
    y, x = np.mgrid[:50, :50] + 0.5 - 25
    coverage = squared(np.where(np.hypot(x, y) <= 14, BUILDING, LAND).astype(np.uint8))
    assert count_squares(coverage) == {BUILDING: (0, 1)}


def test_a_square_ring_is_itself() -> None:
    mask = np.full((40, 50), LAND, np.uint8)
    mask[10:22, 8:30] = BUILDING
    (box,) = buildings(squared(mask))
    assert shapely.equals_exact(shapely.normalize(box), shapely.normalize(shapely.box(8, 10, 30, 22)), 1e-9)


def test_turning_the_map_by_a_quarter_turns_the_buildings() -> None:
    mask = turned_box(0.4)
    (one,), (other,) = buildings(squared(mask)), buildings(squared(np.ascontiguousarray(np.rot90(mask))))
    turned = shapely.affinity.translate(shapely.affinity.rotate(one, -90, origin=(0, 0)), 0, mask.shape[1])
    both = shapely.area(shapely.intersection(turned, other))
    assert both == pytest.approx(shapely.area(one), rel=0.01)


def test_angles_are_right_on_the_ground_where_pixels_are_not_square() -> None:
    y, x = np.mgrid[:60, :120] + 0.5
    u, v = (x - 60) * 0.8 + (y - 30) * 2 * 0.6, (y - 30) * 2 * 0.8 - (x - 60) * 0.6
    mask = np.where((np.abs(u) <= 25) & (np.abs(v) <= 14), BUILDING, LAND).astype(np.uint8)
    (box,) = buildings(squared(mask, ground=2.0))
    assert right_angles(shapely.transform(box, lambda xy: xy * (1, 2))) == (4, 4)


def test_an_octagon_is_square_with_eight_directions_only() -> None:
    y, x = np.mgrid[:60, :60] + 0.5 - 30
    mask = np.where(np.maximum(np.maximum(abs(x), abs(y)), (abs(x) + abs(y)) / 2**0.5) <= 20, BUILDING, LAND)
    four, eight = (buildings(squared(mask.astype(np.uint8), directions=n))[0] for n in (4, 8))
    ring = shapely.get_coordinates(eight)[:-1]
    ahead = np.roll(ring, -1, 0) - ring
    turns = np.degrees(np.arctan2(ahead[:, 1], ahead[:, 0]))
    assert len(ring) == 8
    assert np.abs((np.diff(turns) + 720) % 45).min() == pytest.approx(0, abs=1e-6)
    assert right_angles(four)[1] != 8 or right_angles(four)[0] < 8


def test_borders_that_end_at_a_building_follow_it_and_what_cannot_be_square_stays() -> None:
    mask = turned_box(0.5)
    mask[:, 35:][mask[:, 35:] == LAND] = 3  # two neighbours, whose border ends at the building twice
    shapes, values = shapes_of(squared(mask))
    (box,) = shapes[values == BUILDING]
    assert right_angles(without_straight(box)) == (4, 4)
    assert shapely.coverage_is_valid(shapes)
    cut = turned_box(0.5)[20:]  # by the frame
    assert count_squares(squared(np.ascontiguousarray(cut))) == {BUILDING: (0, 1)}


def figures(seed: int, jitter: float, crowded: bool, size: float) -> tuple[float, float, float]:
    """C-IoU, vertices by those of the truth, and the share of right angles of the buildings of a drawn town."""
    made = town(seed, jitter, crowded=crowded)
    coverage = squared(made.classes, size)
    shapes, _ = shapes_of(coverage)
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(shapes)
    found = buildings(coverage)
    tree, scores, right, corners = shapely.STRtree(found), [], 0, 0
    for true in made.outlines:
        near = tree.query(true, predicate="intersects")
        best = without_straight(max(found[near], key=lambda s: shapely.area(shapely.intersection(s, true))))
        scores.append(agreement(best, true))
        angles = right_angles(best)
        right, corners = right + angles[0], corners + angles[1]
    iou, ratio = np.mean(scores, axis=0)
    return float(iou), float(ratio), right / corners


@pytest.mark.parametrize(("jitter", "size", "least"), [(0.0, 1.5, 0.95), (1.0, 2.5, 0.8), (1.0, 0.0, 0.0)])
def test_towns_with_uneven_borders_get_few_corners_most_right(jitter: float, size: float, least: float) -> None:
    iou, ratio, right = figures(11, jitter, False, size)
    if size == 0:
        assert iou < 0.6  # what simplification alone gives
        return
    assert iou > least
    assert ratio < 1.1
    assert right > (0.9 if jitter else 0.99)
