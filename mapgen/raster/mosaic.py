"""Mosaics: several scenes of one CRS and lattice, read as one."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine

from mapgen.arrays import Array
from mapgen.errors import InputError, ResourceError
from mapgen.files.gdal import environment
from mapgen.files.limits import PIXELS
from mapgen.files.vet import is_url, public_name
from mapgen.grid import Grid, Window
from mapgen.plan import Step
from mapgen.raster.open import SIDE_LIMIT, open_scene
from mapgen.raster.patch import Patch
from mapgen.raster.scene import RasterScene, with_bands

TOLERANCE = 0.01
"""Pixels that a scene may lie off the lattice of the first."""

Look = Callable[[Grid, Patch], None]
"""Shown each patch that is read, and the grid that it lies on."""


@dataclass(slots=True)
class Mosaic(RasterScene):
    """One or more open scenes as one; its grid covers all of them, and is without data where there is none.

    Where they overlap, the first that has data there wins. A window is read across the joints as if they were not:
    what the mosaic of the parts of a scene gives is what the scene gives.
    """

    parts: tuple[tuple[Window, RasterScene], ...] = ()
    """The scenes, the first before the others, with their places on the grid."""
    look: Look | None = None

    def __post_init__(self) -> None:
        """The parts read what the mosaic reads."""
        self.parts = tuple(
            (place, with_bands(scene, self.bands, self.nodata, self.on_read_error)) for place, scene in self.parts
        )

    def __exit__(self, *exc: object) -> None:
        for _, scene in self.parts:
            scene.__exit__(*exc)

    def content(self) -> list[dict[str, Any]] | None:
        """That of all parts."""
        found = [scene.content() for _, scene in self.parts]
        return None if None in found else [one for part in found for one in part or ()]

    def check_unchanged(self) -> None:
        """As of each part."""
        for _, scene in self.parts:
            scene.check_unchanged()

    @property
    def patch_dtype(self) -> np.dtype[Any]:
        """As of a scene; float32 where the parts differ."""
        kinds = {scene.patch_dtype for _, scene in self.parts}
        return kinds.pop() if len(kinds) == 1 else np.dtype(np.float32)

    @property
    def has_validity(self) -> bool:
        """Whether anything says where there is no data: a part, or ground that none of them covers."""
        return any(scene.has_validity for _, scene in self.parts) or not _covered(
            self.grid, [place for place, _ in self.parts]
        )

    def read(self, window: Window) -> tuple[Array, Array]:
        """Pixels (C, H, W) of `patch_dtype`, 0 where no part has data, and validity (H, W); see `Scene.read`."""
        whole = [(place, scene) for place, scene in self.parts if place.contains(window)]
        if whole and len([1 for place, _ in self.parts if (place & window).area]) == 1:
            pixels, valid = self._part(*whole[0], window)  # most windows, without a copy
            return pixels.astype(self.patch_dtype, copy=False), valid
        pixels = np.zeros((len(self.bands), window.height, window.width), self.patch_dtype)
        valid = np.zeros((window.height, window.width), bool)
        for place, scene in self.parts:
            meeting = place & window
            if not meeting.area:
                continue
            rows, cols = meeting.slices(window)
            if valid[rows, cols].all():
                continue
            values, there = self._part(place, scene, meeting)
            there = there & ~valid[rows, cols]
            np.copyto(pixels[:, rows, cols], values, where=there, casting="unsafe")
            valid[rows, cols] |= there
        return pixels, valid

    def empty(self, window: Window) -> bool:
        """As of a scene: no part has data there, or there is none."""
        return all(
            scene.empty((place & window).shifted(-place.row, -place.col))
            for place, scene in self.parts if (place & window).area
        )  # fmt: skip

    def _part(self, place: Window, scene: RasterScene, window: Window) -> tuple[Array, Array]:
        """What one part has in a window of the mosaic's grid; its damage is noted where the mosaic has it."""
        result = scene.read(window.shifted(-place.row, -place.col))
        for row, col in scene.damaged:
            if (found := (row + place.row, col + place.col)) not in self.damaged:
                self.damaged.append(found)
        return result

    def patches(self, steps: Iterable[Step], grid: Grid) -> Iterator[Patch]:
        """As of a scene; each is shown to `look` as it passes."""
        for patch in RasterScene.patches(self, steps, grid):
            if self.look is not None:
                self.look(grid, patch)
            yield patch

    def show(self, steps: Iterable[Step], grid: Grid) -> None:
        """Show these patches to `look`."""
        if self.look is not None:
            for _ in self.patches(steps, grid):
                pass


def open_mosaic(names: Sequence[str], look: Look | None = None) -> Mosaic:
    """The scenes as one, opened and vetted as `open_scene` does; one alone is a mosaic too.

    Raises `InputError` where they are of several CRSs, resolutions, types or numbers of bands, or lie more than a
    hundredth of a pixel off one lattice, with the command that warps them; `ResourceError` where they lie too far
    apart.
    """
    with ExitStack() as stack:
        scenes: list[RasterScene] = []
        for name in names:
            with environment(remote=is_url(name)):
                scenes.append(stack.enter_context(open_scene(name)))
        first = scenes[0]
        offsets = [_offset(scene, first, name) for scene, name in zip(scenes, names, strict=True)]
        top, left = (min(offset[axis] for offset in offsets) for axis in (0, 1))
        places = [
            Window(row - top, col - left, scene.grid.height, scene.grid.width)
            for (row, col), scene in zip(offsets, scenes, strict=True)
        ]
        whole = Window(top, left, max(p.bottom for p in places), max(p.right for p in places))  # on the first's lattice
        _check_extent(whole, scenes)
        grid = first.grid.crop(whole)
        # Of several numbers of bands (some with alpha) the least, so that no band is chosen which another lacks.
        head = min(scenes, key=lambda scene: scene.dataset.count)
        mosaic = Mosaic(
            name=first.name if len(scenes) == 1 else f"{first.name} and {len(scenes) - 1} more",
            dataset=head.dataset, grid=grid, bands=first.bands, alpha=head.alpha, lock=first.lock,
            warnings=_warnings(scenes), parts=tuple(zip(places, scenes, strict=True)), look=look,
        )  # fmt: skip
        stack.pop_all()
        return mosaic


def _warnings(scenes: Sequence[RasterScene]) -> list[str]:
    if len(scenes) == 1:
        return list(scenes[0].warnings)
    return [f"{scene.name}: {text}" for scene in scenes for text in scene.warnings]


def _check_extent(whole: Window, scenes: Sequence[RasterScene]) -> None:
    if len(scenes) > 1 and (max(whole.height, whole.width) > SIDE_LIMIT or whole.area > PIXELS.get()):
        problem = f"the mosaic would have {whole.width} × {whole.height} pixels"
        raise ResourceError(scenes[0].name, problem, "map scenes that lie so far apart one by one")


def _offset(scene: RasterScene, first: RasterScene, name: str) -> tuple[int, int]:
    """(row, column) of the upper left pixel of a scene on the lattice of the first. Raises `InputError`."""
    if scene is first:
        return 0, 0
    if scene.bands != first.bands or scene.dtype != first.dtype:
        has, wanted = (f"{len(s.bands)} bands of {s.dtype}" for s in (scene, first))
        raise InputError(scene.name, f"has {has}, {first.name} {wanted}", "map scenes of each kind apart")
    if first.dataset.transform.is_identity or scene.dataset.transform.is_identity:
        bare = first.name if first.dataset.transform.is_identity else scene.name
        raise InputError(bare, "has no georeferencing, so its place beside the others is unknown", "map it alone")
    if (first.grid.crs is None) != (scene.grid.crs is None):
        bare = first.name if first.grid.crs is None else scene.name
        raise InputError(bare, "has no CRS, unlike the others", "name it with gdal_edit.py -a_srs")
    if first.dataset.crs != scene.dataset.crs:
        problem = f"its CRS is {_called(scene)}, that of {first.name} is {_called(first)}"
        raise InputError(scene.name, problem, _warp_command(scene, first, name))
    origin, far = (
        ~first.grid.transform @ (scene.grid.transform @ corner)
        for corner in ((0, 0), (scene.grid.width, scene.grid.height))
    )
    size = far[0] - origin[0], far[1] - origin[1]
    across = ~first.grid.transform @ (scene.grid.transform @ (scene.grid.width, 0))
    skew = max(abs(across[1] - origin[1]), abs(across[0] - far[0]))
    if max(abs(size[0] - scene.grid.width), abs(size[1] - scene.grid.height), skew) > TOLERANCE:
        one, other = (_pixel(s.grid.transform) for s in (scene, first))
        problem = (
            f"its pixels are {one} units of its CRS, those of {first.name} {other}"
            if one != other else f"its rows or columns run another way than those of {first.name}"
        )  # fmt: skip
        raise InputError(scene.name, problem, _warp_command(scene, first, name))
    col, row = round(origin[0]), round(origin[1])
    off = max(abs(origin[0] - col), abs(origin[1] - row))
    if off > TOLERANCE:
        problem = f"its pixels lie {off:.2f} px off those of {first.name}"
        raise InputError(scene.name, problem, _warp_command(scene, first, name))
    return row, col


def _pixel(transform: Affine) -> str:
    """The sides of a pixel in units of the CRS."""
    return f"{math.hypot(transform.a, transform.d):.6g} × {math.hypot(transform.b, transform.e):.6g}"


def _called(scene: RasterScene) -> str:
    crs = scene.dataset.crs
    code = crs.to_authority()
    return ":".join(code) if code else str(crs.to_dict().get("proj", "")) or "a CRS of its own"


def _warp_command(scene: RasterScene, first: RasterScene, name: str) -> str:
    """What brings a scene onto the lattice of the first."""
    transform = first.grid.transform
    if transform.b or transform.d or transform.a < 0 or transform.e > 0 or first.grid.crs is None or is_url(name):
        return "map it apart"  # gdalwarp writes north up only
    from rasterio.warp import transform_bounds

    box = transform_bounds(scene.dataset.crs, first.dataset.crs, *scene.dataset.bounds)
    if not all(map(math.isfinite, box)):
        return "map it apart"
    (left, top), (right, bottom) = (~transform @ corner for corner in ((box[0], box[3]), (box[2], box[1])))
    near = 1e-6
    x0, y1 = transform @ (math.floor(left + near), math.floor(top + near))
    x1, y0 = transform @ (math.ceil(right - near), math.ceil(bottom - near))
    code = first.dataset.crs.to_authority()
    target = ":".join(code) if code else public_name(first.name)
    numbers = " ".join(repr(float(v)) for v in (x0, y0, x1, y1))
    size = f"-tr {float(transform.a)!r} {float(-transform.e)!r}"
    collar = "" if scene.has_validity else " -dstalpha"
    stem = name.rsplit(".", 1)[0]
    files = f"{shlex.quote(name)} {shlex.quote(f'{stem}.warped.tif')}"
    return f"warp it: gdalwarp -t_srs {shlex.quote(target)} -te {numbers} {size} -r cubic{collar} {files}"


def _covered(grid: Grid, places: Sequence[Window]) -> bool:
    """Whether the windows cover all of the grid."""
    if any(place.contains(grid.window) for place in places):
        return True
    rows = np.unique([edge for p in places for edge in (p.row, p.bottom)])
    cols = np.unique([edge for p in places for edge in (p.col, p.right)])
    seen = np.zeros((len(rows) - 1, len(cols) - 1), bool)
    for p in places:
        top, bottom = np.searchsorted(rows, (p.row, p.bottom))
        left, right = np.searchsorted(cols, (p.col, p.right))
        seen[top:bottom, left:right] = True
    return bool(seen.all())
