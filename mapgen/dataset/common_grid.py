"""Common grids: where on the ground the pixels of images lie, so that ground is told apart by place, not by file.

Images that picture the same ground, from whatever file and in whatever CRS, lie in one frame of ground pixels. Images
that name no place have a frame of their own each, unless they are said to be shifted against one another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from mapgen.arrays import Longs
from mapgen.dataset.config import Use
from mapgen.errors import CrsError, InputError, one_line
from mapgen.grid import Grid, Window, transformer
from mapgen.raster.placement import Placement, same_crs

_PIECE = 1 << 20  # pixels that are placed at once
LOST = -(1 << 40)
"""The row and column of pixels that have no place."""


@dataclass(frozen=True, slots=True)
class Site:
    """An image: its name, its grid at the resolution of training, and what it is for."""

    name: str
    grid: Grid
    use: Use = "split"

    @property
    def kind(self) -> str:
        """Where its place is known: on the `ground`, in a `plane` of unknown CRS, or in its own `pixels`."""
        if self.grid.crs is not None:
            return "ground"
        return "pixels" if self.grid.transform.is_identity else "plane"


@dataclass(frozen=True, slots=True)
class Seat:
    """The place of a site in a frame: by a placement, or by an offset of its own pixels."""

    frame: int
    placement: Placement | None
    offset: tuple[int, int]
    outline: Window
    """A box of frame pixels around the site."""


@dataclass(slots=True)
class CommonGrids:
    """Frames of ground pixels and the seats of all sites in them."""

    sites: Sequence[Site]
    seats: list[Seat]
    _placements: dict[tuple[int, int, int], Placement] = field(default_factory=dict)
    _boxes: Longs | None = None

    def places(self, site: int, window: Window) -> tuple[Longs, Longs]:
        """Row and column (H, W) in its frame of each pixel of a window of a site; far away where it has no place."""
        seat = self.seats[site]
        if seat.placement is not None:
            rows, cols = seat.placement.positions(window)
            return np.where(rows < 0, LOST, rows), np.where(rows < 0, LOST, cols)
        shape = (window.height, window.width)
        rows = np.arange(window.row, window.bottom, dtype=np.int64)[:, None] + seat.offset[0]
        cols = np.arange(window.col, window.right, dtype=np.int64)[None] + seat.offset[1]
        return np.broadcast_to(rows, shape), np.broadcast_to(cols, shape)

    def around(self, site: int, margin: int = 0) -> list[int]:
        """The other sites whose boxes come within `margin` pixels of that of a site."""
        if self._boxes is None:
            boxes = [(s.frame, s.outline.row, s.outline.col, s.outline.bottom, s.outline.right) for s in self.seats]
            self._boxes = np.array(boxes, np.int64).reshape(-1, 5)
        frame, top, left, bottom, right = self._boxes.T
        own = self._boxes[site]
        meet = (frame == own[0]) & (top < own[3] + margin) & (bottom > own[1] - margin)
        meet &= (left < own[4] + margin) & (right > own[2] - margin)
        return [n for n in np.flatnonzero(meet).tolist() if n != site]

    def shared(self, one: int, other: int) -> int:
        """How many pixels of site `one` lie on site `other`."""
        a, b = self.seats[one], self.seats[other]
        if a.placement is None:
            return (a.outline & b.outline).area if a.frame == b.frame else 0
        within = Placement(self.sites[one].grid, self.sites[other].grid).extent()
        rows = max(1, _PIECE // max(1, within.width))
        strips = (
            Window(r, within.col, min(rows, within.bottom - r), within.width)
            for r in range(within.row, within.bottom, rows)
        )
        return sum(int(self.on(one, other, strip).sum()) for strip in strips)

    def on(self, one: int, other: int, window: Window, margin: int = 0) -> NDArray[np.bool_]:
        """Which pixels (H, W) of a window of site `one` lie on site `other`, or within `margin` pixels of it."""
        a, b = self.seats[one], self.seats[other]
        if a.frame != b.frame:
            return np.zeros((window.height, window.width), bool)
        if a.placement is None:
            rows, cols = self.places(one, window)
            box = b.outline.grown(margin)
            return (rows >= box.row) & (rows < box.bottom) & (cols >= box.col) & (cols < box.right)
        found = self._placements.get((one, other, margin))
        if found is None:
            found = Placement(
                self.sites[one].grid, self.sites[other].grid.crop(self.sites[other].grid.window.grown(margin))
            )
            self._placements[one, other, margin] = found
        return found.positions(window)[0] >= 0


def frames_of(
    sites: Sequence[Site],
    resolution_m: float,
    shifts: Iterable[tuple[int, int, tuple[int, int]]] = (),
    lattice: int = 1,
) -> CommonGrids:
    """The frames of the sites. `shifts` (a, b, (rows, cols)) say of sites in pixels that pixel (r, c) of a pictures the
    ground of pixel (r + rows, c + cols) of b; those that contradict each other raise `InputError`.

    Law: unlabelled sites do not move a lattice of `lattice` pixels over the others.
    """
    offsets = _offsets(sites, list(shifts))
    seats: list[Seat] = []
    ground = _ground(sites, resolution_m, lattice)
    for number, site in enumerate(sites):
        if site.kind in ground:
            frame, grid = ground[site.kind]
            seats.append(Seat(frame, Placement(site.grid, grid), (0, 0), _outline(site.grid, grid)))
            continue
        root, (row, col) = offsets[number]
        seats.append(Seat(root + 2, None, (row, col), Window(row, col, site.grid.height, site.grid.width)))
    return CommonGrids(sites, seats)


def _offsets(
    sites: Sequence[Site], shifts: list[tuple[int, int, tuple[int, int]]]
) -> list[tuple[int, tuple[int, int]]]:
    """For each site the first site it hangs together with, and its offset in the pixels of that one."""
    found: list[tuple[int, tuple[int, int]] | None] = [None] * len(sites)
    links: dict[int, list[tuple[int, int, int]]] = {}
    for a, b, (rows, cols) in shifts:
        links.setdefault(a, []).append((b, -rows, -cols))
        links.setdefault(b, []).append((a, rows, cols))
    for root in range(len(sites)):
        if found[root] is not None:
            continue
        found[root] = (root, (0, 0))
        waiting = [root]
        while waiting:
            at = waiting.pop()
            place = found[at]
            assert place is not None
            for other, rows, cols in links.get(at, []):
                wanted = (root, (place[1][0] + rows, place[1][1] + cols))
                if found[other] is None:
                    found[other] = wanted
                    waiting.append(other)
                elif found[other] != wanted:
                    problem = f"is shifted against {sites[at].name} in two ways that differ"
                    raise InputError(sites[other].name, problem, "correct data.same_ground")
    return [f for f in found if f is not None]


def _ground(sites: Sequence[Site], resolution_m: float, lattice: int) -> dict[str, tuple[int, Grid]]:
    """The frames, by number and grid, of the sites whose place is known."""
    found = {}
    for frame, kind in enumerate(("ground", "plane")):
        grids = [s.grid for s in sites if s.kind == kind]
        if not grids:
            continue
        judging = [s.grid for s in sites if s.kind == kind and s.use != "unlabelled"] or grids
        try:
            crs, pixel = _common(judging, resolution_m)
            whole = _around(judging, crs, pixel)
            if len(judging) < len(grids):
                whole = _widened(whole, _around(grids, crs, pixel), lattice)
            found[kind] = (frame, whole)
        except (CrsError, pyproj.exceptions.ProjError) as exc:  # also where a local CRS has no place on Earth
            problem = f"the CRSs of these {len(grids)} images cannot be brought together ({one_line(exc)[:100]})"
            raise InputError("images", problem, "warp them to one CRS with gdalwarp") from exc
    return found


def _common(grids: list[Grid], resolution_m: float) -> tuple[str | None, float]:
    """The CRS that frames all grids, and the side of a pixel in it: their own where they share a projected one."""
    first = grids[0]
    flat = first.crs is None or not pyproj.CRS(first.crs).is_geographic
    if flat and all(same_crs(first.crs, g.crs) for g in grids):
        return first.crs, math.sqrt(abs(first.transform.determinant))
    total = np.zeros(3)
    for grid in grids:
        to = transformer(grid.crs, "OGC:CRS84")
        lon, lat = np.radians(to.transform(*(grid.transform @ (grid.width / 2, grid.height / 2))))
        total += (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
    lon, lat = math.degrees(math.atan2(total[1], total[0])), math.degrees(math.atan2(total[2], math.hypot(*total[:2])))
    return pyproj.CRS(f"+proj=laea +lat_0={lat:.6f} +lon_0={lon:.6f} +datum=WGS84 +units=m").to_wkt(), resolution_m


def _around(grids: list[Grid], crs: str | None, pixel: float) -> Grid:
    """A north-up grid of the CRS that holds all grids, with a margin."""
    edges = [_edge(grid, crs) for grid in grids]
    points = np.concatenate(edges, axis=1)
    margin = 64 * pixel + 0.01 * float(np.ptp(points, axis=1).max())
    (left, bottom), (right, top) = points.min(1) - margin, points.max(1) + margin
    height, width = math.ceil((top - bottom) / pixel), math.ceil((right - left) / pixel)
    return Grid(crs, Affine(pixel, 0, float(left), 0, -pixel, float(top)), height, width)


def _widened(grid: Grid, other: Grid, lattice: int) -> Grid:
    """The grid, wide enough to hold another of its CRS and pixels too, above and to the left by whole lattices."""
    pixel = grid.transform.a
    left, top = grid.transform.c, grid.transform.f
    cols, rows = (
        max(0, math.ceil(gap / pixel / lattice)) * lattice
        for gap in (left - other.transform.c, other.transform.f - top)
    )
    right = max(left + grid.width * pixel, other.transform.c + other.width * pixel)
    bottom = min(top - grid.height * pixel, other.transform.f - other.height * pixel)
    left, top = left - cols * pixel, top + rows * pixel
    height, width = math.ceil((top - bottom) / pixel), math.ceil((right - left) / pixel)
    return Grid(grid.crs, Affine(pixel, 0, left, 0, -pixel, top), height, width)


def _edge(grid: Grid, crs: str | None) -> NDArray[np.float64]:
    """x and y (2, N) of points along the border of a grid, in the CRS; those that have no place there left out."""
    x, y = grid.points(*grid.border(32))
    if not same_crs(grid.crs, crs):
        x, y = transformer(grid.crs, crs).transform(x, y)
    points = np.stack((x, y))
    return points[:, np.isfinite(points).all(0)]


def _outline(grid: Grid, frame: Grid) -> Window:
    points = _edge(grid, frame.crs)
    if not points.size:
        return Window(0, 0, 0, 0)
    x0, y1 = frame.transform.c, frame.transform.f
    pixel = frame.transform.a
    cols, rows = (points[0] - x0) / pixel, (y1 - points[1]) / pixel
    bulge = 2 + 0.01 * max(np.ptp(rows), np.ptp(cols))
    row, col = math.floor(rows.min() - bulge), math.floor(cols.min() - bulge)
    return Window(row, col, math.ceil(rows.max() + bulge) - row, math.ceil(cols.max() + bulge) - col)
