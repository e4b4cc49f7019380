"""Rows of tiles and regions across them: the same as of the whole raster at once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tilegrounds import NODATA, grounds

from mapgen.polygons.regions import find_regions
from mapgen.tiling.quadtree import TileRange
from mapgen.tiling.region_ids import RegionIds, labels_at
from mapgen.tiling.rows import tile_rows

SIDE, MARGIN = 8, 3


def halved(pixels: np.ndarray) -> np.ndarray:
    """The least of each four, so that nodata, the highest, loses; any function of four pixels will do."""
    return np.minimum.reduce([pixels[::2, ::2], pixels[1::2, ::2], pixels[::2, 1::2], pixels[1::2, 1::2]])


@given(
    data=st.data(), z=st.integers(2, 4), left=st.integers(-8, 8), top=st.integers(0, 2), low=st.integers(0, 4),
    empty=st.booleans(),
)  # fmt: skip
def test_rows_are_those_of_the_whole_pyramid(data, z, left, top, low, empty):
    """Also where the first tile is odd, rows are without data, or the map goes across the antimeridian."""
    world = 1 << z
    left = left % world - (world if data.draw(st.booleans()) else 0)
    right = min(left + data.draw(st.integers(1, world)), world)
    tiles = TileRange(z, left, top, right, top + data.draw(st.integers(1, world - top)))
    low = min(low, z)
    ids = data.draw(grounds((tiles.bottom - top) * SIDE, (right - left) * SIDE))
    if empty:
        ids[:SIDE] = NODATA
    strips = [ids[i : i + SIDE] for i in range(0, len(ids), SIDE)]
    # The whole world at each zoom, the map laid around it.
    whole = np.full((world * SIDE, world * SIDE), NODATA, np.uint8)
    columns = np.arange(left * SIDE, right * SIDE) % (world * SIDE)
    whole[top * SIDE : tiles.bottom * SIDE, columns] = ids
    levels = {z: whole}
    for zoom in range(z - 1, -1, -1):
        levels[zoom] = halved(levels[zoom + 1])
    around = right - left == world
    found = {zoom: np.full_like(levels[zoom], NODATA) for zoom in range(low, z + 1)}
    given_strips = [None if (s == NODATA).all() else s for s in strips]
    for row in tile_rows(given_strips, tiles, low, SIDE, MARGIN, NODATA, halved):
        size = SIDE << row.z
        padded = np.pad(levels[row.z], ((MARGIN, MARGIN), (0, 0)), constant_values=NODATA)
        for x, patch in row:
            place = np.arange(x * SIDE - MARGIN, (x + 1) * SIDE + MARGIN)
            wanted = padded[row.y * SIDE : (row.y + 1) * SIDE + 2 * MARGIN][:, place % size]
            if not around and row.z == z:  # beyond the map there is nothing, also around the earth
                wanted = np.where((place < left * SIDE) | (place >= right * SIDE), NODATA, wanted)
            core = slice(MARGIN, -MARGIN)
            np.testing.assert_array_equal(patch[core, core], wanted[core, core])
            if row.z == z:
                np.testing.assert_array_equal(patch, wanted)
            at = np.arange(x * SIDE, (x + 1) * SIDE) % size
            found[row.z][row.y * SIDE : (row.y + 1) * SIDE, at] = patch[core, core]
    for zoom, pixels in found.items():
        np.testing.assert_array_equal(pixels, levels[zoom])


@given(data=st.data(), height=st.integers(1, 40), width=st.integers(1, 40))
def test_ids_and_means_are_those_of_whole_regions(data, height, width):
    ids = data.draw(grounds(height, width))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    values = rng.random(ids.shape)
    values[rng.random(ids.shape) < 0.1] = np.nan
    step = data.draw(st.integers(1, height))
    wholes, strips = RegionIds(), []
    for row in range(0, height, step):
        strips.append(find_regions([ids[row : row + step]], width))
        wholes.add(strips[-1], values[row : row + step])
    wholes.finish()
    whole = find_regions([ids], width)
    labels = whole.raster()
    named = np.concatenate([wholes.ids(i, s)[s.raster()] for i, s in enumerate(strips)])
    pairs = np.unique(np.stack((named.ravel(), labels.ravel())), axis=1)
    assert len(pairs[0]) == len(set(pairs[0].tolist())) == len(set(pairs[1].tolist())) == len(whole)
    assert pairs[0].min() >= 1
    parts = [wholes.means(i, s, values[i * step : (i + 1) * step])[s.raster()] for i, s in enumerate(strips)]
    known, size = np.isfinite(values), len(whole) + 1
    with np.errstate(invalid="ignore"):
        wanted = np.bincount(labels[known], values[known], size) / np.bincount(labels[known], minlength=size)
    np.testing.assert_allclose(np.concatenate(parts), wanted[labels])
    rows, columns = np.indices(ids.shape).reshape(2, -1)
    np.testing.assert_array_equal(labels_at(whole, rows, columns), labels.ravel())


def test_strips_that_do_not_meet_share_no_region():
    one = np.ones((4, 5), np.uint8)
    wholes, regions = RegionIds(), find_regions([one], 5)
    wholes.add(regions)
    wholes.add(regions, joined=False)
    wholes.finish()
    assert wholes.ids(0, regions)[1] != wholes.ids(1, regions)[1]
