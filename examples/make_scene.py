"""Draw a small town in dry land at 1 m per pixel, with its exact class map.

The town is a plan of shapes in metres (u along the high street, v across it, both zero at the roundabout), bent and
turned a little so that nothing is square to the pixels, and painted from the ground up: sand, water, green, asphalt,
shadows, roofs, crowns, cars. Every brush that changes what is on the ground also writes the class, so the truth needs
no second opinion. Shadows change the light only. Nothing is copied from imagery, and no model is trained on the result.

    python examples/make_scene.py --out scene.tif --truth scene_truth.tif
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.features import rasterize
from rasterio.transform import Affine
from shapely.affinity import scale, translate
from shapely.geometry import LineString, Point, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import substring

BUILDING, LAND, ROAD, VEGETATION, WATER = 1, 2, 3, 4, 5
PALETTE = {
    BUILDING: (60, 16, 152),
    LAND: (132, 41, 246),
    ROAD: (110, 193, 228),
    VEGETATION: (254, 221, 58),
    WATER: (226, 169, 41),
}
EPSG = 32640
CORNER_EASTING, CORNER_NORTHING = 290_400.0, 2_631_800.0  # open desert in the south of the Emirates
OVERSAMPLE = 2  # brushes work on half-metre pixels, so that edges mix as they do in a sensor
SHADE = np.array([-0.42, -0.72])  # metres of shadow (right, down) per metre of height: sun in the south-east, 50° high
TURN = np.deg2rad(17.0)

Colour = tuple[float, float, float] | NDArray[np.floating]


# --- the canvas ------------------------------------------------------------------------------------------------------


@dataclass
class Canvas:
    """The picture and its classes on half-metre pixels; map metres are right and down from the middle."""

    height: int
    width: int
    seed: int
    rgb: NDArray[np.float32] = field(init=False)
    truth: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self.rgb = np.zeros((*self.shape, 3), np.float32)
        self.truth = np.full(self.shape, LAND, np.uint8)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the half-metre grid."""
        return self.height * OVERSAMPLE, self.width * OVERSAMPLE

    def rng(self, thing: str) -> np.random.Generator:
        """The random stream of one drawn thing, so that changing one thing leaves the others where they were."""
        return np.random.default_rng([self.seed, zlib.crc32(thing.encode())])

    def ids(self, shapes: Sequence[BaseGeometry]) -> NDArray[np.int32]:
        """1 + the index of the last shape over each pixel, 0 where there is none."""
        frame = shapely.box(-self.width / 2, -self.height / 2, self.width / 2, self.height / 2)
        seen = np.flatnonzero(shapely.intersects(frame, np.asarray(shapes, dtype=object)))
        numbered = [(shapes[index], index + 1) for index in seen]
        if not numbered:
            return np.zeros(self.shape, np.int32)
        step = 1 / OVERSAMPLE
        grid = Affine(step, 0, -self.width / 2, 0, step, -self.height / 2)
        return rasterize(numbered, out_shape=self.shape, transform=grid, dtype="int32")

    def paint(self, where: NDArray, colour: Colour, class_id: int | None = None, opacity: float = 1.0) -> None:
        """Lay a colour (one, or one per pixel) over the pixels where `where` holds, and write their class."""
        where = where.astype(bool)
        colour = np.broadcast_to(np.asarray(colour, np.float32), self.rgb.shape)
        self.rgb[where] += opacity * (colour[where] - self.rgb[where])
        if class_id is not None:
            self.truth[where] = class_id

    def shade(self, where: NDArray, light: float = 0.2) -> None:
        """Take the sun away: what is left is `light`, a little blue as the sky is."""
        self.rgb[where.astype(bool)] *= np.array([light * 0.97, light * 0.97, light * 1.05], np.float32)

    def fractal(self, thing: str, cells: Sequence[float], gain: float = 0.6) -> NDArray[np.float32]:
        """Smooth noise, mean 0 and deviation 1, of several cell sizes in metres, each `gain` times the one before."""
        rng, total = self.rng(thing), np.zeros((self.height, self.width), np.float32)
        for octave, cell in enumerate(cells):
            total += gain**octave * smooth_noise(rng, total.shape, cell)
        total = (total - total.mean()) / max(float(total.std()), 1e-6)
        return total.repeat(OVERSAMPLE, axis=0).repeat(OVERSAMPLE, axis=1)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> NDArray[np.float32]:
    """Random values on a lattice of `cell` pixels, joined by cubic B-splines (no lattice shows, unlike bilinear)."""
    rows, columns = (int(n / cell) + 5 for n in shape)
    lattice = rng.standard_normal((rows, columns)).astype(np.float32)
    return _spline(_spline(lattice, shape[0], cell).T, shape[1], cell).T


def _spline(values: NDArray[np.float32], size: int, cell: float) -> NDArray[np.float32]:
    """The rows of `values` drawn out to `size` rows, `cell` rows per lattice step."""
    at, rest = np.divmod(np.arange(size, dtype=np.float32) / cell, 1)
    first, t = at.astype(int), rest[:, None]
    weights = (1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3
    return sum(w * values[first + k] for k, w in enumerate(weights)) / np.float32(6)


# --- the plan --------------------------------------------------------------------------------------------------------


@dataclass
class Block:
    """One box of a building: its footprint in map metres, the height of its roof, the roof's colour."""

    shape: BaseGeometry
    height: float
    colour: Colour


@dataclass
class Town:
    """All shapes of the town, in map metres; car parks in plan metres, for the bays to be laid out in them."""

    water: BaseGeometry
    parks: list[BaseGeometry] = field(default_factory=list)
    fields: list[BaseGeometry] = field(default_factory=list)
    lawns: list[BaseGeometry] = field(default_factory=list)
    yards: list[BaseGeometry] = field(default_factory=list)
    streets: list[BaseGeometry] = field(default_factory=list)
    carparks: list[BaseGeometry] = field(default_factory=list)
    annexes: list[Block] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    upper: list[Block] = field(default_factory=list)
    crowns: list[tuple[float, float, float]] = field(default_factory=list)


HIGHWAY = LineString([(-1500, -300), (1500, -300)])
BOULEVARDS = [LineString([(-1500, 0), (1500, 0)]), LineString([(0, -300), (0, 1500)])]
LAGOON = [(-1000, 560, 280), (-700, 490, 255), (-470, 365, 192), (-300, 245, 104), (-180, 156, 60), (-80, 86, 40)]
LAKE = [(120, 235, 16), (200, 265, 30), (300, 300, 24), (400, 345, 36), (470, 360, 20)]
PARKS = [
    [(-30, 45), (-120, 190), (-240, 300), (-330, 440), (-250, 560), (-25, 540)],
    [(355, -262), (520, -262), (520, -25), (400, -25), (355, -90)],
    [(-330, 25), (-140, 20), (-90, 60), (-190, 120), (-330, 190), (-420, 110)],
]
VILLAS = [(-640, -262, -24, -24), (24, 24, 536, 620), (-640, 24, -330, 160)]
WORKS = (30, -255, 345, -30)
SHOPS = (-640, -47, -34, -29)
SHEDS = (-260, -452, 60, -362)
FARMS = (575, -240, 860, 330)


def bend(shape: BaseGeometry) -> BaseGeometry:
    """A shape of the plan in map metres: curved a little, then turned clockwise."""
    return shapely.transform(shapely.segmentize(shape, 12.0), to_map)


def to_map(points: NDArray[np.floating]) -> NDArray[np.floating]:
    """Plan points (u, v) in map metres (right, down)."""
    u, v = points[:, 0] + 22 * np.sin(points[:, 1] / 210), points[:, 1] + 28 * np.sin(points[:, 0] / 270)
    return np.stack([u * np.cos(TURN) - v * np.sin(TURN), u * np.sin(TURN) + v * np.cos(TURN)], axis=1)


def roughen(shape: BaseGeometry, rng: np.random.Generator, sizes: Sequence[tuple[float, float]]) -> BaseGeometry:
    """A shape whose outline wanders, by `amplitude` metres over `cell` metres for each (amplitude, cell)."""

    def wander(points: NDArray[np.floating]) -> NDArray[np.floating]:
        moved = points.copy()
        for amplitude, cell in sizes:
            phases = rng.uniform(0, 2 * np.pi, (2, 3))
            for axis in (0, 1):
                other = points[:, 1 - axis] + 0.7 * points[:, axis]
                waves = np.sin(np.outer((1, 1.7, 2.9), other / cell) + phases[axis][:, None])
                moved[:, axis] += amplitude * waves.sum(axis=0) / 2
        return moved

    return shapely.transform(shapely.segmentize(shape, 4.0), wander).buffer(0)


def ribbon(beads: Sequence[tuple[float, float, float]]) -> BaseGeometry:
    """The outline of a string of discs (u, v, radius), each joined to the next."""
    discs = [Point(u, v).buffer(radius) for u, v, radius in beads]
    return shapely.union_all([shapely.union_all(pair).convex_hull for pair in pairwise(discs)])


def plan_town(canvas: Canvas) -> Town:
    """The whole town: the water first, then what keeps clear of it."""
    rng = canvas.rng("plan")
    wander = [(9.0, 45.0), (2.5, 9.0)]
    lagoon, lake = roughen(bend(ribbon(LAGOON)), rng, wander), roughen(bend(ribbon(LAKE)), rng, [(3.0, 30.0)])
    town = Town(water=shapely.union_all([lagoon, lake]))
    roads = shapely.union_all([bend(HIGHWAY).buffer(34), *(bend(line).buffer(17) for line in BOULEVARDS)])
    roads = shapely.union_all([roads, Point(0, 0).buffer(42)])
    clear = shapely.union_all([town.water.buffer(11), roads])
    town.parks = [roughen(bend(Polygon(ring)), rng, [(5.0, 25.0)]).difference(clear) for ring in PARKS]
    taken = shapely.union_all([clear, *town.parks])
    for quarter in VILLAS:
        plan_villas(town, quarter, taken, rng)
    plan_shops(town, rng)
    plan_works(town, rng)
    plan_farms(town, rng)
    return town


def plan_villas(town: Town, quarter: tuple[float, ...], taken: BaseGeometry, rng: np.random.Generator) -> None:
    """Rows of walled plots on both sides of residential streets, six to a row between cross streets."""
    left, top, right, bottom = quarter
    shapely.prepare(taken)
    for v in np.arange(top + 35, bottom - 30, 72.0):
        town.streets.append(bend(LineString([(left - 8, v), (right + 8, v)])))
        for u in np.arange(left, right - 20, 26.0):
            u += 14 * ((u - left) // 156)
            for near, far in ((v - 7, v - 34), (v + 7, v + 34)):
                plot = shapely.box(u + 0.5, min(near, far), u + 25.5, max(near, far))
                if u < right - 20 and not taken.intersects(bend(plot)):
                    plan_plot(town, plot, near < far, rng)
    for u in np.arange(left + 163, right, 170.0):
        town.streets.append(bend(LineString([(u, top - 25), (u, bottom)])))


def plan_plot(town: Town, plot: BaseGeometry, gate_first: bool, rng: np.random.Generator) -> None:
    """One plot: a wall, perhaps a lawn, a villa of several boxes, an annex at the gate, and some trees."""
    if rng.random() < 0.08:
        return
    left, top, right, bottom = plot.bounds
    town.yards.append(bend(plot))
    width, depth = rng.uniform(18, 22.5), rng.uniform(16, 20.5)
    u = rng.uniform(left + 1.2, right - width - 1.2)
    v = rng.uniform(top + 4, top + 6) if gate_first else rng.uniform(bottom - 6, bottom - 4) - depth
    plan_villa(town, shapely.box(u, v, u + width, v + depth), rng)
    gate = top + 1 if gate_first else bottom - 6
    side = left + 1 if rng.random() < 0.5 else right - 9
    for corner, far in ((gate, False), (bottom - 6 if gate_first else top + 1, True)):
        if rng.random() < 0.6:
            long = rng.uniform(5, 14 if far else 8)
            at = side if not far else rng.uniform(left + 1, right - 1 - long)
            annex = shapely.box(at, corner, at + long, corner + rng.uniform(3.5, 5))
            town.annexes.append(Block(bend(annex), 3.5, roof_colour(rng)))
    if rng.random() < 0.4:
        town.lawns.append(bend(shapely.box(left + 1, top + 1, right - 1, bottom - 1)))
    spots = rng.uniform((left + 1, top + 1), (right - 1, bottom - 1), (rng.integers(3, 12), 2))
    town.crowns += [(x, y, rng.uniform(1.2, 2.7)) for x, y in to_map(spots)]


def plan_villa(town: Town, house: BaseGeometry, rng: np.random.Generator) -> None:
    """A house with bays to the front and the back, and rooms, tanks and coolers on its roof."""
    left, top, right, bottom = house.bounds
    colour = roof_colour(rng)
    town.blocks.append(Block(bend(house), 8.0, colour))
    for _ in range(rng.integers(1, 4)):
        u, width = rng.uniform(left - 1, right - 6), rng.uniform(5, 9)
        bay = shapely.box(u, top - rng.uniform(0, 3), min(u + width, right + 1), bottom + rng.uniform(0, 3))
        town.blocks.append(Block(bend(bay), 8.0, np.clip(colour + rng.normal(0, 9), 30, 250)))
    for _ in range(rng.integers(3, 7)):
        u, v = rng.uniform(left + 1, right - 5), rng.uniform(top + 1, bottom - 5)
        room = shapely.box(u, v, u + rng.uniform(1.5, 6), v + rng.uniform(1.5, 6))
        town.upper.append(Block(bend(room), rng.uniform(1.2, 3), np.clip(colour + rng.normal(-8, 26), 30, 252)))


def roof_colour(rng: np.random.Generator) -> NDArray[np.floating]:
    """Mostly white and cream, as roofs are where the sun is strong; some grey, a few tiled or tinted."""
    roofs = [(236, 234, 234), (219, 212, 204), (192, 189, 189), (146, 145, 149), (146, 104, 84), (146, 148, 168)]
    pick = roofs[rng.choice(len(roofs), p=[0.34, 0.22, 0.20, 0.17, 0.03, 0.04])]
    return np.clip(np.array(pick) + rng.normal(0, 8) + rng.normal(0, 2, 3), 30, 252)


def plan_shops(town: Town, rng: np.random.Generator) -> None:
    """Rows of shops with flats above them along the high street."""
    left, top, right, bottom = SHOPS
    streets = shapely.union_all(town.streets).buffer(7)
    u = left
    while u < right - 14:
        end = min(u + rng.uniform(14, 34), right)
        house = shapely.box(u, top + rng.uniform(0, 3), end, bottom - rng.uniform(0, 2))
        if not streets.intersects(bend(house)):
            town.blocks.append(Block(bend(house), rng.choice([9.0, 12.0]), roof_colour(rng)))
            plan_rooms(town, house, 1 + int((end - u) / 5), rng)
        u = end + rng.choice([0.6, 4.0, 11.0])


def plan_works(town: Town, rng: np.random.Generator) -> None:
    """Halls and offices with their car parks along two streets, and sheds beyond the highway."""
    left, top, right, bottom = WORKS
    middle = (top + bottom) / 2
    town.streets.append(bend(LineString([(0, middle), (right + 10, middle)])))
    town.streets.append(bend(LineString([(right + 5, -300), (right + 5, 0)])))
    plan_halls(town, (left, top, right, middle - 8), rng)
    plan_halls(town, (left, middle + 8, right, bottom), rng)
    left, top, right, bottom = SHEDS
    town.streets.append(bend(LineString([(left - 8, bottom + 8), (right + 8, bottom + 8)])))
    town.streets.append(bend(LineString([(right + 8, bottom + 12), (right + 8, -300)])))
    plan_halls(town, SHEDS, rng)


def plan_halls(town: Town, row: tuple[float, ...], rng: np.random.Generator) -> None:
    """A row of large buildings, each on a paved plot with parking in front."""
    left, top, right, bottom = row
    u = left
    while u < right - 35:
        end = min(u + rng.uniform(34, 62), right - 4)
        yard = shapely.box(u, top, end, bottom)
        hall = shapely.box(u + 1, top + rng.uniform(0, 8), end - 1, bottom - rng.uniform(22, 32))
        town.yards.append(bend(yard))
        town.carparks.append(shapely.box(u + 2, hall.bounds[3] + 5, end - 2, bottom - 1))
        town.blocks.append(Block(bend(hall), rng.choice([9.0, 11.0, 17.0]), roof_colour(rng)))
        plan_roof_plant(town, hall, rng)
        u = end + rng.uniform(7, 12)


def plan_roof_plant(town: Town, hall: BaseGeometry, rng: np.random.Generator) -> None:
    """Stair heads and plant rooms on a large roof; on some, rows of skylights beneath them."""
    left, top, right, bottom = hall.bounds
    if rng.random() < 0.45:
        colour, pitch = roof_colour(rng), rng.uniform(5, 11)
        starts = np.arange(left + 3, right - pitch, pitch)
        rows = [shapely.box(u, top + 3, u + pitch * 0.45, bottom - 3) for u in starts]
        town.upper += [Block(bend(row), 0.9, colour) for row in rows]
    plan_rooms(town, hall, rng.integers(6, 16), rng)


def plan_rooms(town: Town, house: BaseGeometry, count: int, rng: np.random.Generator) -> None:
    """Boxes of two to nine metres on a flat roof."""
    left, top, right, bottom = house.bounds
    for _ in range(count):
        u, v = rng.uniform(left + 1, right - 9), rng.uniform(top + 1, bottom - 8)
        room = shapely.box(u, v, u + rng.uniform(2, 8), v + rng.uniform(2, 7))
        town.upper.append(Block(bend(room), rng.uniform(1.5, 4), roof_colour(rng)))


def plan_farms(town: Town, rng: np.random.Generator) -> None:
    """Irrigated plots with sandy tracks between them; some lie fallow, some are palm groves."""
    left, top, right, bottom = FARMS
    for u in np.arange(left, right - 60, 92.0):
        for v in np.arange(top, bottom - 60, 86.0):
            plot, use = shapely.box(u, v, u + 84, v + 78), rng.random()
            if use < 0.85:
                town.fields.append(bend(plot))
            if use < 0.35:
                rows = np.stack(np.meshgrid(np.arange(u + 4, u + 82, 7.5), np.arange(v + 4, v + 76, 7.5)), -1)
                town.crowns += [(x, y, rng.uniform(2.2, 3.4)) for x, y in to_map(rows.reshape(-1, 2))]


# --- the ground ------------------------------------------------------------------------------------------------------


def draw_sand(canvas: Canvas) -> None:
    """Sand: relief lit from the side, pale crusts and dark gravel flats, and ripples where the wind piles it."""
    relief = canvas.fractal("relief", (180, 90, 45, 22, 10, 5), 0.55)
    lit = -np.gradient(relief, axis=1) * 0.5 - np.gradient(relief, axis=0) * 0.86
    tone = 190 + 10 * canvas.fractal("tone", (420, 160, 70, 30)) + 9 * lit / max(float(lit.std()), 1e-6)
    crust = canvas.fractal("crust", (200, 80, 34, 14, 6, 3), 0.7)
    gravel = canvas.fractal("gravel", (260, 120, 50, 22, 9, 4))
    tone += 110 * np.clip(crust - 1.0, 0, 0.4) - 110 * np.clip(gravel - 0.9, 0, 0.6)
    rows, columns = np.indices(canvas.shape, np.float32) / OVERSAMPLE
    phase = (0.45 * columns + 0.9 * rows) / 1.6 + 2.5 * canvas.fractal("phase", (120, 50))
    tone += 6 * np.sin(phase) * np.clip(canvas.fractal("ripple", (150, 60)), 0, 1)
    tone += 5 * canvas.fractal("grain", (2.6, 1.5), 0.8)
    warm = 3 * canvas.fractal("warm", (300, 90, 40))
    canvas.rgb[:] = np.stack([tone - 2 + warm, tone - 1, tone + 5 - 1.5 * warm], axis=2)


def draw_tracks(canvas: Canvas) -> None:
    """Pairs of wheel ruts wandering over the open sand."""
    rng, ruts = canvas.rng("tracks"), []
    for _ in range(55):
        start, heading = rng.uniform(-700, 700, 2), rng.uniform(0, 2 * np.pi)
        turns = heading + np.cumsum(rng.normal(0, 0.12, 40))
        path = LineString(start + np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 1) * 14, axis=0))
        ruts += [path.offset_curve(0.9).buffer(0.45), path.offset_curve(-0.9).buffer(0.45)]
    ids = canvas.ids(ruts)
    canvas.paint(ids % 4 > 1, (132, 130, 134), opacity=0.35)
    canvas.paint((ids > 0) & (ids % 4 < 2), (222, 222, 226), opacity=0.35)


def draw_water(canvas: Canvas, town: Town) -> None:
    """Still, dark water: a pale beach, a wet rim, ragged greenish shallows, and the deep with faint wind on it."""
    rng, grain = canvas.rng("water"), canvas.fractal("water", (60, 20, 6, 1.5), 0.7)[..., None]
    canvas.paint(canvas.ids([town.water.buffer(7)]), np.array((172, 168, 168)) + 10 * grain, LAND, 0.7)
    canvas.paint(canvas.ids([town.water.buffer(1.5)]), (110, 107, 104), LAND, 0.8)
    canvas.paint(canvas.ids([town.water]), np.array((44, 55, 43)) + 3 * grain, WATER)
    for inset in (1.5, 3.0, 5.0, 8.0, 12.0, 17.0, 24.0, 33.0):
        deeper = roughen(town.water.buffer(-inset), rng, [(inset * 0.3, 30.0), (1.0, 7.0)]).intersection(town.water)
        canvas.paint(canvas.ids([deeper]), np.array((8, 17, 12)) + 1.5 * grain, WATER, 0.28)


def draw_mangroves(canvas: Canvas, town: Town) -> None:
    """Thickets at the water's edge, feet in the mud, on the far shores only."""
    rng = canvas.rng("mangroves")
    left, top, right, bottom = town.water.bounds
    spots = rng.uniform((left, top), (right, bottom + 40), (26_000, 2))
    wild = (spots[:, 0] < -190) & (np.sin(spots[:, 0] / 41) + np.sin(spots[:, 1] / 37) > 0.1)
    shore = shapely.difference(town.water.buffer(20), town.water.buffer(-1))
    shapely.prepare(shore)
    inside = wild & shapely.contains_xy(shore, *spots.T)
    town.crowns += [(x, y, rng.uniform(1.5, 3.8)) for x, y in spots[inside]]


def draw_lawn(canvas: Canvas, shapes: Sequence[BaseGeometry], thing: str, colour: Colour) -> None:
    """Watered grass: patchy, browner where it dries."""
    where = canvas.ids(shapes)
    patchy = canvas.fractal(thing, (50, 22, 9, 4, 1.5), 0.7)[..., None]
    dry = np.clip(canvas.fractal(f"{thing} dry", (60, 25, 10)) - 0.8, 0, 1)[..., None]
    canvas.paint(where, np.asarray(colour) + 12 * patchy + dry * np.array((34, 29, 26)), VEGETATION)


def draw_parks(canvas: Canvas, town: Town) -> None:
    """Lawns with pale winding paths and groves of trees."""
    rng = canvas.rng("parks")
    draw_lawn(canvas, town.parks, "park", (86, 92, 76))
    for park in town.parks:
        left, top, right, bottom = park.bounds
        for _ in range(3):
            ends = rng.uniform((left, top), (right, bottom), (4, 2))
            path = shapely.segmentize(LineString(ends), 5)
            path = roughen(path.buffer(1.6), rng, [(6.0, 22.0)]).intersection(park.buffer(-1))
            canvas.paint(canvas.ids([path]), (158, 152, 152), LAND)
        spots = rng.uniform((left, top), (right, bottom), (int((right - left) * (bottom - top) / 55), 2))
        spots = spots[shapely.contains_xy(park, *spots.T)]
        grove = np.sin(spots[:, 0] / 19) + np.sin(spots[:, 1] / 23) + rng.normal(0, 0.5, len(spots))
        town.crowns += [(x, y, rng.uniform(1.8, 4.2)) for x, y in spots[grove > 0.2]]
        town.crowns += [(x, y, rng.uniform(0.7, 1.3)) for x, y in spots[grove < -0.9]]


def draw_fields(canvas: Canvas, town: Town) -> None:
    """Farm plots in rows of crop, each at its own stage of growth."""
    rng = canvas.rng("fields")
    ids = canvas.ids(town.fields)
    stages = (np.array((80, 86, 73)) + rng.normal(0, 13, (len(town.fields) + 1, 1))).astype(np.float32)
    rows, columns = np.indices(canvas.shape, np.float32) / OVERSAMPLE
    furrow = np.sin((columns * np.cos(TURN) + rows * np.sin(TURN)) * 2 * np.pi / 4.5)
    texture = 8 * furrow + 10 * canvas.fractal("crop", (40, 15, 6, 2), 0.8)
    canvas.paint(ids, stages[ids] + texture[..., None], VEGETATION)
    for plot in town.fields:
        edge = shapely.segmentize(plot.exterior, 6.0)
        town.crowns += [(x, y, rng.uniform(1.5, 3.2)) for x, y in edge.coords if rng.random() < 0.6]


# --- roads -----------------------------------------------------------------------------------------------------------


def draw_asphalt(canvas: Canvas, shapes: Sequence[BaseGeometry], tone: float, kerb: float = 1.5) -> None:
    """Worn asphalt, a little brown, between pale kerbs and a strip of trodden ground."""
    whole = shapely.union_all(list(shapes))
    canvas.paint(canvas.ids([whole.buffer(kerb + 2)]), (150, 147, 148), None, 0.45)
    canvas.paint(canvas.ids([whole.buffer(kerb * 0.5)]), (176, 172, 172), None, 0.5)
    worn = 4 * canvas.fractal(f"asphalt {tone}", (70, 25, 8, 2, 1), 0.75)[..., None]
    canvas.paint(canvas.ids([whole]), np.array((tone + 6, tone - 2, tone - 1)) + worn, ROAD)


def draw_streets(canvas: Canvas, town: Town) -> None:
    """Residential streets, seven metres wide, and the car parks with their bays."""
    kept_free = shapely.union_all([town.water.buffer(14), *town.parks])
    lines = shapely.union_all(town.streets).difference(kept_free)
    draw_asphalt(canvas, [lines.buffer(3.6, cap_style="flat")], 92, 1.0)
    draw_asphalt(canvas, [bend(carpark) for carpark in town.carparks], 84, 0.8)
    town.streets = [line for line in shapely.get_parts(lines) if line.length > 8]


def draw_boulevards(canvas: Canvas, town: Town) -> None:
    """Dual carriageways meeting at a roundabout, with palms along stretches of their medians and verges."""
    lines = [bend(line) for line in BOULEVARDS]
    ring = Point(0, 0)
    draw_asphalt(canvas, [*(line.buffer(12) for line in lines), ring.buffer(34)], 80)
    medians = [line.buffer(2.6).difference(ring.buffer(40)) for line in lines]
    canvas.paint(canvas.ids(medians), (146, 144, 145), LAND)
    canvas.paint(canvas.ids([ring.buffer(21)]), (176, 172, 172), LAND)
    draw_lawn(canvas, [ring.buffer(19)], "island", (86, 92, 76))
    rng = canvas.rng("boulevards")
    for line in lines:
        draw_paint(canvas, line, (3.2, 11.4), (7.3,))
        for row in (line, line.offset_curve(14.5), line.offset_curve(-14.5)):
            starts = np.arange(0, row.length, 13.0)
            starts = starts[np.sin(starts / 90 + rng.uniform(0, 6)) > -0.4] + rng.normal(0, 1.2)
            spots = [row.interpolate(at) for at in starts]
            town.crowns += [(spot.x, spot.y, rng.uniform(1.2, 2.1)) for spot in spots if spot.distance(ring) > 44]


def draw_highway(canvas: Canvas) -> None:
    """Two carriageways of four lanes with a sandy median, and a service road."""
    line = bend(HIGHWAY)
    sides = [line.offset_curve(side * 13) for side in (-1, 1)]
    draw_asphalt(canvas, [side.buffer(8.5) for side in sides], 66, 2.0)
    for side in sides:
        for offset in (-7.8, 7.8):
            canvas.paint(canvas.ids([side.offset_curve(offset).buffer(0.25)]), (190, 186, 182), opacity=0.7)
        for lane in (side.offset_curve(-3.8), side, side.offset_curve(3.8)):
            canvas.paint(canvas.ids(dashes(lane)), (180, 176, 174), opacity=0.5)
    draw_asphalt(canvas, [line.offset_curve(29).buffer(3.5)], 88, 1.0)


def draw_paint(canvas: Canvas, line: BaseGeometry, edges: Sequence[float], lanes: Sequence[float]) -> None:
    """Edge lines and dashed lane lines at distances from a centre line, on both sides."""
    for side in (-1, 1):
        for offset in edges:
            stripe = line.offset_curve(side * offset).buffer(0.25).difference(Point(0, 0).buffer(40))
            canvas.paint(canvas.ids([stripe]), (180, 176, 172), opacity=0.6)
        for offset in lanes:
            parts = [dash for dash in dashes(line.offset_curve(side * offset)) if dash.distance(Point(0, 0)) > 40]
            canvas.paint(canvas.ids(parts), (180, 176, 172), opacity=0.6)


def dashes(line: BaseGeometry, dash: float = 4.0, gap: float = 8.0) -> list[BaseGeometry]:
    """The painted pieces of a dashed line, a quarter metre to each side."""
    starts = np.arange(0, line.length, dash + gap)
    return [substring(line, at, at + dash).buffer(0.25) for at in starts]


# --- what stands on the ground ---------------------------------------------------------------------------------------


def draw_yards(canvas: Canvas, town: Town) -> None:
    """The ground inside the walls: paved, trodden or planted; then the walls and the dark line they cast."""
    rng = canvas.rng("yards")
    ids = canvas.ids(town.yards)
    tones = np.concatenate([[0], rng.normal(124, 17, len(town.yards))]).astype(np.float32)
    clutter = 12 * canvas.fractal("yard", (8, 3.5, 1.6), 0.9)
    canvas.paint(ids, (tones[ids] + clutter)[..., None] + np.array((1, -1, 2)))
    draw_lawn(canvas, town.lawns, "lawn", (82, 86, 75))
    walls = [plot.exterior.buffer(0.4) for plot in town.yards]
    canvas.shade(canvas.ids([translate(wall, *(1.8 * SHADE)) for wall in walls]), 0.55)
    canvas.paint(canvas.ids(walls), (172, 167, 165), LAND)


def cast(block: Block) -> BaseGeometry:
    """The ground a block keeps from the sun, its own footprint included."""
    return shapely.union_all([block.shape, translate(block.shape, *(block.height * SHADE))]).convex_hull


def draw_buildings(canvas: Canvas, town: Town) -> None:
    """Annexes, houses, rooms on their roofs: each level first takes the light from what lies beneath it."""
    for thing, level in (("annexes", town.annexes), ("houses", town.blocks), ("rooms", town.upper)):
        canvas.shade(canvas.ids([cast(block) for block in level]), 0.2)
        draw_roofs(canvas, level, thing)


def draw_roofs(canvas: Canvas, blocks: Sequence[Block], thing: str) -> None:
    """Flat roofs with a bright parapet on the sunny side, stains, and the specks of tanks and coolers."""
    ids = canvas.ids([block.shape for block in blocks])
    colours = np.array([(0, 0, 0), *(block.colour for block in blocks)], np.float32)
    stains = 11 * canvas.fractal(f"{thing} stain", (9, 4, 2), 0.8)
    specks = -80 * (canvas.fractal(f"{thing} specks", (2.4, 1.4), 0.8) > 1.75)
    canvas.paint(ids, colours[ids] + (stains + specks)[..., None], BUILDING)
    rims = [block.shape.exterior.buffer(0.45).intersection(block.shape) for block in blocks]
    rim = canvas.ids(rims)
    canvas.paint(rim, np.clip(colours[rim] * 1.08 + 6, 0, 255), BUILDING)
    inner = [translate(shape, *(0.9 * SHADE)) for shape in rims]
    canvas.shade((canvas.ids(inner) > 0) & (ids > 0) & (rim == 0), 0.72)


def draw_crowns(canvas: Canvas, town: Town, thing: str = "crowns") -> None:
    """Trees: a shadow, a dark crown, its sunny side. None stands in water, on a roof, or in a lane."""
    crowns = np.array(town.crowns)
    shapes = shapely.buffer(shapely.points(crowns[:, :2]), crowns[:, 2], quad_segs=3)
    rows = ((crowns[:, 1] + canvas.height / 2) * OVERSAMPLE).astype(int)
    columns = ((crowns[:, 0] + canvas.width / 2) * OVERSAMPLE).astype(int)
    seen = (rows >= 0) & (rows < canvas.shape[0]) & (columns >= 0) & (columns < canvas.shape[1])
    seen[seen] = np.isin(canvas.truth[rows[seen], columns[seen]], (LAND, VEGETATION))
    shapes, radii = shapes[seen], crowns[seen, 2]
    shift = [translate(shape, *(1.6 * radius * SHADE)) for shape, radius in zip(shapes, radii, strict=True)]
    ground = canvas.truth != BUILDING
    canvas.shade((canvas.ids(shift) > 0) & ground, 0.45)
    rng = canvas.rng(thing)
    greens = (np.array((46, 49, 43)) + rng.normal(0, 7, (len(shapes) + 1, 1))).astype(np.float32)
    leaves = 9 * canvas.fractal(f"{thing} leaves", (2, 1), 0.8)[..., None]
    ids = canvas.ids(shapes) * ground
    canvas.paint(ids, greens[ids] + leaves, VEGETATION)
    sides = zip(shapes, radii, strict=True)
    sunny = [translate(scale(crown, 0.55, 0.55), *(-0.3 * radius * SHADE)) for crown, radius in sides]
    sun = canvas.ids(sunny) * ground
    canvas.paint(sun, greens[sun] * 1.4 + leaves, VEGETATION)


def draw_shrubs(canvas: Canvas, town: Town) -> None:
    """Scattered desert shrubs, denser in hollows."""
    rng = canvas.rng("shrubs")
    spots = rng.uniform(-750, 750, (2600, 2))
    dense = np.sin(spots[:, 0] / 70) + np.sin(spots[:, 1] / 55 + spots[:, 0] / 140) > 0.5
    town.crowns += [(x, y, rng.uniform(0.8, 2.0)) for x, y in spots[dense]]


def draw_cars(canvas: Canvas, town: Town) -> None:
    """Cars, white more often than not, and the shade beside them; the class stays that of the road."""
    rng = canvas.rng("cars")
    cars = moving_cars(town, rng) + parked_cars(town, rng)
    road = canvas.truth == ROAD
    canvas.shade((canvas.ids([translate(car, *(1.2 * SHADE)) for car in cars]) > 0) & road, 0.4)
    paints, shares = [248, 235, 200, 120, 40, 25], [0.4, 0.2, 0.12, 0.1, 0.1, 0.08]
    tones = np.concatenate([[0], rng.choice(paints, len(cars), p=shares)])
    ids = canvas.ids(cars) * road
    canvas.paint(ids, tones[ids][..., None])


def moving_cars(town: Town, rng: np.random.Generator) -> list[BaseGeometry]:
    """Cars in the lanes of the highway, the boulevards and the streets."""
    cars, lanes = [], [(bend(HIGHWAY), (6.5, 10.5, 15, 19), 60.0)]
    lanes += [(bend(line), (5, 9), 50.0) for line in BOULEVARDS] + [(street, (2.6,), 24.0) for street in town.streets]
    for line, offsets, spacing in lanes:
        for offset in (*offsets, *(-offset for offset in offsets)):
            lane = line.offset_curve(offset)
            starts = np.arange(0, max(lane.length - 5, 0), spacing)
            starts = starts[rng.random(len(starts)) < 0.6]
            starts += rng.uniform(0, spacing * 0.8, len(starts))
            cars += [substring(lane, at, at + 4.5).buffer(0.95, cap_style="flat") for at in starts]
    return cars


def parked_cars(town: Town, rng: np.random.Generator) -> list[BaseGeometry]:
    """Cars in rows of bays, about half of them taken."""
    cars = []
    for carpark in town.carparks:
        left, top, right, bottom = carpark.bounds
        for v in np.arange(top + 1, bottom - 5, 8.0):
            taken = [u for u in np.arange(left + 2, right - 4, 2.7) if rng.random() < 0.55]
            cars += [bend(shapely.box(u, v, u + 1.8, v + 4.4)) for u in taken]
    return cars


# --- the sensor ------------------------------------------------------------------------------------------------------


def develop(canvas: Canvas) -> NDArray[np.uint8]:
    """The picture as it is delivered: half-metre light gathered to metres, grainy, then sharpened hard."""
    blocks = canvas.rgb.reshape(canvas.height, OVERSAMPLE, canvas.width, OVERSAMPLE, 3)
    picture = soften(np.clip(blocks, 0, 255).mean(axis=(1, 3)), 0.12)
    rng = canvas.rng("sensor")
    grain = rng.normal(0, 0.16, picture.shape[:2])[..., None] + rng.normal(0, 0.07, picture.shape)
    picture += grain * np.sqrt(picture + 40)  # light comes in grains: the brighter, the noisier
    picture += 1.3 * (picture - soften(soften(picture, 0.22), 0.22))
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def soften(picture: NDArray[np.floating], side: float) -> NDArray[np.floating]:
    """A three-tap blur along both axes, with weight `side` on each neighbour."""
    for axis in (0, 1):
        pad = [(1, 1) if axis == k else (0, 0) for k in range(picture.ndim)]
        padded = np.moveaxis(np.pad(picture, pad, mode="edge"), axis, 0)
        picture = np.moveaxis(side * (padded[:-2] + padded[2:]) + (1 - 2 * side) * padded[1:-1], 0, axis)
    return picture


def classes(canvas: Canvas) -> NDArray[np.uint8]:
    """The class that covers most of each metre pixel; the lower id where two cover the same."""
    blocks = canvas.truth.reshape(canvas.height, OVERSAMPLE, canvas.width, OVERSAMPLE)
    shares = np.stack([(blocks == class_id).sum(axis=(1, 3), dtype=np.uint8) for class_id in PALETTE])
    return (shares.argmax(axis=0) + 1).astype(np.uint8)


def draw_scene(height: int, width: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The picture (height, width, 3) and its classes (height, width), ids 1 to 5; equal for equal arguments."""
    canvas = Canvas(height, width, seed)
    town = plan_town(canvas)
    draw_sand(canvas)
    draw_tracks(canvas)
    draw_water(canvas, town)
    draw_mangroves(canvas, town)
    draw_parks(canvas, town)
    draw_fields(canvas, town)
    draw_shrubs(canvas, town)
    draw_yards(canvas, town)
    draw_streets(canvas, town)
    draw_boulevards(canvas, town)
    draw_highway(canvas)
    draw_buildings(canvas, town)
    draw_crowns(canvas, town)
    draw_cars(canvas, town)
    return develop(canvas), classes(canvas)


# --- files -----------------------------------------------------------------------------------------------------------


def write_scene(path: Path, picture: NDArray[np.uint8]) -> None:
    """A tiled RGB GeoTIFF, JPEG inside as such imagery is delivered."""
    jpeg = {"compress": "jpeg", "photometric": "ycbcr", "jpeg_quality": 90}
    with rasterio.open(path, "w", **_profile(picture.shape, 3), **jpeg) as out:
        out.write(np.moveaxis(picture, 2, 0))


def write_truth(path: Path, truth: NDArray[np.uint8]) -> None:
    """A palette GeoTIFF of class ids on the scene's grid."""
    with rasterio.open(path, "w", **_profile(truth.shape, 1), compress="deflate", zlevel=9) as out:
        out.write(truth, 1)
        out.write_colormap(1, PALETTE)
        out.colorinterp = (ColorInterp.palette,)


def _profile(shape: tuple[int, ...], count: int) -> dict[str, object]:
    """The grid that the scene and its truth share."""
    grid = Affine(1.0, 0, CORNER_EASTING, 0, -1.0, CORNER_NORTHING)
    size = {"height": shape[0], "width": shape[1], "count": count, "dtype": "uint8"}
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    return {"driver": "GTiff", "crs": f"EPSG:{EPSG}", "transform": grid, **size, **tiles}


def main() -> None:
    """Draw the scene and write both files."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description="Draw a small desert town at 1 m, with its exact class map.")
    parser.add_argument("--out", type=Path, default=here / "scene.tif", help="the picture")
    parser.add_argument("--truth", type=Path, default=here / "scene_truth.tif", help="its classes")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--height", type=int, default=1000)
    parser.add_argument("--width", type=int, default=1200)
    options = parser.parse_args()
    picture, truth = draw_scene(options.height, options.width, options.seed)
    write_scene(options.out, picture)
    write_truth(options.truth, truth)


if __name__ == "__main__":
    main()
