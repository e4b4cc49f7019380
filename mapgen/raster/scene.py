"""Scenes: imagery read window by window as patches, for `segment` and all that looks at pictures."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeVar

import numpy as np

from mapgen.arrays import Array
from mapgen.errors import InputError, MapgenError, NetworkError, one_line, option
from mapgen.files.fingerprint import fingerprint
from mapgen.files.gdal import MEBIBYTE, gdal_errors, gdal_messages
from mapgen.files.remote import Remote
from mapgen.grid import Grid, Window
from mapgen.plan import Step
from mapgen.raster.blocks import absent, lacks_blocks, stored_pixels
from mapgen.raster.patch import Patch, filled
from mapgen.raster.resample import apply_cols, apply_rows, taps

_CHUNK = 32 * MEBIBYTE

Some = TypeVar("Some", bound="Scene")

PATCH_TYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))
"""Types of pixels of patches: whatever a scene stores is read as one of these."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Pixels from a lattice of small windows over a scene: `values` (C, N), `valid` (N,)."""

    values: Array
    valid: Array


class Scene(Protocol):
    """Imagery on a grid, whatever holds it: a raster file (`RasterScene`), several of them, or an array.

    A scene says what it is and gives pixels by `read`; all else follows from these. `bands` are the bands that are
    read, from 1; `nodata` overrides what the scene says of itself. `damaged` lists the (row, column) of blocks that
    could not be read and were taken as nodata, which only `on_read_error="nodata"` allows. Scenes are dataclasses, so
    that `with_bands` can make another one of one.
    """

    name: str
    grid: Grid
    bands: tuple[int, ...]
    nodata: float | None
    on_read_error: Literal["fail", "nodata"]
    alpha: int | None
    warnings: list[str]
    damaged: list[tuple[int, int]]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Let go of what is open."""
        return

    def content(self) -> list[dict[str, Any]] | None:
        """What tells the content of all files that the scene is read from; None where it cannot be told."""
        return None

    def check_unchanged(self) -> None:
        """Raise `NetworkError` where what is read is no longer what was opened."""
        return

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels as stored."""
        ...

    @property
    def patch_dtype(self) -> np.dtype[Any]:
        """The type of the pixels in native patches, one of `PATCH_TYPES`: integers as they are, all else float32."""
        return self.dtype if self.dtype in PATCH_TYPES else np.dtype(np.float32)

    @property
    def band_names(self) -> list[str]:
        """A name for each band there is, lower case."""
        ...

    @property
    def has_validity(self) -> bool:
        """Whether anything says where there is no data."""
        ...

    def read(self, window: Window) -> tuple[Array, Array]:
        """Pixels (C, H, W) of `patch_dtype` of the `bands`, and validity (H, W), of a window of the scene's own grid.

        Pixels of floats that are not finite are not valid.
        """
        ...

    def empty(self, window: Window) -> bool:
        """Whether a window is known to have no data without reading it."""
        return False

    def _under(self, grid: Grid, window: Window) -> Window:
        """What `read_on` reads."""
        down = taps(window.row, window.bottom, self.grid.height, grid.height)
        across = taps(window.col, window.right, self.grid.width, grid.width)
        return Window(down.first, across.first, down.length, across.length)

    def read_on(self, grid: Grid, window: Window) -> tuple[Array, Array]:
        """Pixels float32 (C, h, w) and validity (h, w) of a window of `grid`, another grid over the same ground.

        Averaged where `grid` is coarser, interpolated where it is finer; invalid pixels have no part in it, and a pixel
        is valid where any under it is. Rows are read in chunks, so a scene much finer than `grid` does not need the
        memory of its own pixels.
        """
        down = taps(window.row, window.bottom, self.grid.height, grid.height)
        across = taps(window.col, window.right, self.grid.width, grid.width)
        share = np.zeros((down.length, window.width), np.float32)
        total = np.zeros((len(self.bands), down.length, window.width), np.float32)
        chunk = max(1, _CHUNK // (across.length * len(self.bands) * 4))
        for top in range(0, down.length, chunk):
            rows = min(chunk, down.length - top)
            pixels, valid = self.read(Window(down.first + top, across.first, rows, across.length))
            share[top : top + rows] = apply_cols(valid.astype(np.float32), across)
            total[:, top : top + rows] = apply_cols(np.where(valid, pixels, 0), across)
        share, total = apply_rows(share, down), apply_rows(total, down)
        return total / np.maximum(share, 1e-6), share > 1e-6

    def sample(self, lattice: int = 8, size: int = 64) -> Sample:
        """Pixels from `lattice`² windows of `size`² spread evenly over the scene, corners included.

        It costs the same for any size of scene, where a decimated read would touch every block of one without
        overviews.
        """
        height, width = min(size, self.grid.height), min(size, self.grid.width)
        tops = np.unique(np.linspace(0, self.grid.height - height, lattice).astype(int))
        lefts = np.unique(np.linspace(0, self.grid.width - width, lattice).astype(int))
        parts = [self.read(Window(int(r), int(c), height, width)) for r in tops for c in lefts]
        values = np.concatenate([p.reshape(len(self.bands), -1) for p, _ in parts], axis=1)
        return Sample(values, np.concatenate([v.ravel() for _, v in parts]))

    def patches(self, steps: Iterable[Step], grid: Grid) -> Iterator[Patch]:
        """A patch for each step on `grid` (the scene's own, or one over the same ground).

        Invalid pixels are filled with a mirror image of the valid ones, so that nothing of them reaches their
        neighbours through the network. A patch without a valid pixel in its read comes without values, and not at all
        where nothing is stored there.
        """
        native = (grid.height, grid.width) == (self.grid.height, self.grid.width)
        for step in steps:
            if self.empty(step.read if native else self._under(grid, step.read)):
                continue
            pixels, valid = self.read(step.read) if native else self.read_on(grid, step.read)
            if not valid.any():
                # One element seen as many: thousands of empty windows of a sparse scene may be under way at once.
                yield Patch(step, None, np.broadcast_to(np.False_, valid.shape))
                continue
            if not valid.all():
                pixels = filled(pixels, valid)
            yield Patch(step, pixels, valid)

    def show(self, steps: Iterable[Step], grid: Grid) -> None:
        """Let whoever looks on see patches that a run need not read again; nobody looks on a single scene."""
        return


@dataclass(slots=True)
class RasterScene(Scene):
    """An open raster file. `with open_scene(path) as scene: …` closes it."""

    name: str
    dataset: Any
    grid: Grid
    bands: tuple[int, ...] = ()
    nodata: float | None = None
    on_read_error: Literal["fail", "nodata"] = "fail"
    alpha: int | None = None
    warnings: list[str] = field(default_factory=list)
    damaged: list[tuple[int, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while GDAL works on the file: one thread may read ahead of another that looks at validity."""
    remote: Remote | None = None
    """Where it comes from over the network, as it was when it was opened."""
    sparse: bool = False
    """Whether the file lacks blocks, and says nothing of where it has no data but by that."""

    def __exit__(self, *exc: object) -> None:
        with self.lock:
            self.dataset.close()

    def content(self) -> list[dict[str, Any]] | None:
        """What tells the content of all files that the scene is read from, side-cars and sources of a VRT among them.

        None where it cannot be told: a server that names no version.
        """
        if self.remote is not None:
            return [asdict(self.remote)] if self.remote.version.known else None
        return [fingerprint(Path(name)) for name in self.dataset.files]

    def check_unchanged(self) -> None:
        """Raise `NetworkError` where a server now has another file than the one that was opened."""
        if self.remote is not None:
            self.remote.check_unchanged()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels as stored."""
        return np.dtype(self.dataset.dtypes[0])

    @property
    def patch_dtype(self) -> np.dtype[Any]:
        """The type of the pixels in native patches, one of `PATCH_TYPES`: integers as they are, all else float32."""
        plain = self.dtype in PATCH_TYPES and not self._scaled
        return self.dtype if plain else np.dtype(np.float32)

    @property
    def _scaled(self) -> bool:
        return any(self.dataset.scales[b - 1] not in (0, 1) or self.dataset.offsets[b - 1] != 0 for b in self.bands)

    @property
    def band_names(self) -> list[str]:
        """A name for each band of the file: its description, else its colour interpretation, lower case."""
        pairs = zip(self.dataset.descriptions, self.dataset.colorinterp, strict=True)
        return [(text or interpretation.name).strip().casefold() for text, interpretation in pairs]

    @property
    def has_validity(self) -> bool:
        """Whether anything in the file says where it has no data."""
        return (
            self.nodata is not None
            or self.alpha is not None
            or self._mask_band
            or any(v is not None for v in self.dataset.nodatavals)
            or self.sparse
        )

    def look_for_blocks(self) -> None:
        """Find out whether the file is `sparse`: what it does not store is no data where nothing else says what is."""
        self.sparse = not self.has_validity and lacks_blocks(self.dataset)
        with suppress(*gdal_errors()):
            _ = self.dataset.colorinterp  # raises what the look was told of damaged keys, as the next question would

    @property
    def _mask_band(self) -> bool:
        from rasterio.enums import MaskFlags

        flags = self.dataset.mask_flag_enums[0]
        return MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags

    def read(self, window: Window) -> tuple[Array, Array]:
        """Pixels (C, H, W) of `patch_dtype` and validity (H, W) of a window of the scene's own grid.

        A pixel is valid unless every band holds the nodata value, the mask or alpha band is 0 there, any band is not
        finite, or the file is sparse and has no block there. Raises `InputError` with row and column where the file is
        damaged.
        """
        with self.lock:
            if self.dataset.closed:  # a thread that still reads ahead of a run that failed
                raise RuntimeError("the scene is closed")
            raw, mask = self._raw(window)
            if self.sparse and self.nodata is None:
                mask = stored_pixels(self.dataset, window)
        valid = np.ones(raw.shape[1:], bool) if mask is None else mask > 0
        empty = self._is_nodata(raw)
        if empty is not None:
            valid &= ~empty
        if self._scaled:
            index = [b - 1 for b in self.bands]
            scale = np.array(self.dataset.scales)[index, None, None]
            raw = raw * scale + np.array(self.dataset.offsets)[index, None, None]
        with np.errstate(over="ignore"):
            pixels = raw.astype(self.patch_dtype, copy=False)
        if pixels.dtype.kind == "f":  # looked at last, since a float64 may be beyond what float32 holds
            valid &= np.isfinite(pixels).all(axis=0)
        return pixels, valid

    def empty(self, window: Window) -> bool:
        """Whether a window is known to have no data since the file stores no block of it; nothing is read for it."""
        if self.alpha is not None and self.dataset.nodatavals[self.alpha - 1] in (None, 0):
            stored: tuple[int, ...] = (self.alpha,)  # where a block is absent, it is 0
        elif self._absent_is_nodata or (self.sparse and self.nodata is None):
            stored = self.bands
        else:
            return False
        with self.lock:
            return not self.dataset.closed and absent(self.dataset, window, stored)

    @property
    def _absent_is_nodata(self) -> bool:
        """Whether what GDAL gives for an absent block is nodata: the file's own nodata value, else 0."""
        for own in (self.dataset.nodatavals[band - 1] for band in self.bands):
            given = own if self.nodata is None else self.nodata
            absent_value = 0 if own is None else own
            if given is None or not (given == absent_value or (math.isnan(given) and math.isnan(absent_value))):
                return False
        return True

    def _is_nodata(self, raw: Array) -> Array | None:
        """Where every band holds its nodata value; None where there is none that the type can hold."""
        given = [self.nodata if self.nodata is not None else self.dataset.nodatavals[b - 1] for b in self.bands]
        if any(value is None for value in given):
            return None
        empty = np.ones(raw.shape[1:], bool)
        for band, value in zip(raw, given, strict=True):
            if math.isnan(value):
                empty &= np.isnan(band)
            else:
                # float32 holds -3.4e38 or 0.1 only rounded, and so does the file.
                empty &= band == (np.float32(value) if raw.dtype == np.float32 else value)
        return empty

    def _raw(self, window: Window) -> tuple[Array, Array | None]:
        with gdal_messages() as messages:
            try:
                result = self._fetch(window)
            except gdal_errors() as exc:
                return self._salvaged(window, exc)
        if any("jpeg" in line.lower() or "corrupt" in line.lower() for line in messages):
            return self._salvaged(window, InputError(self.name, messages[0]))
        return result

    def _fetch(self, window: Window) -> tuple[Array, Array | None]:
        place = ((window.row, window.bottom), (window.col, window.right))
        pixels = self.dataset.read(self.bands, window=place)
        if self.alpha is not None:
            return pixels, self.dataset.read(self.alpha, window=place)
        return pixels, self.dataset.read_masks(1, window=place) if self._mask_band else None

    def _salvaged(self, window: Window, cause: Exception) -> tuple[Array, Array | None]:
        """The window block by block, the damaged ones as nodata; raises unless that was asked for."""
        height, width = self.dataset.block_shapes[0]
        pixels = np.zeros((len(self.bands), window.height, window.width), self.dtype)
        mask = np.zeros((window.height, window.width), np.uint8)
        found = False
        for row in range(window.row // height * height, window.bottom, height):
            for col in range(window.col // width * width, window.right, width):
                block = Window(row, col, height, width) & window
                rows, cols = block.slices(window)
                with gdal_messages() as messages:
                    try:
                        part, part_mask = self._fetch(block)
                        bad = any("jpeg" in line.lower() or "corrupt" in line.lower() for line in messages)
                    except gdal_errors():
                        bad = True
                if not bad:
                    pixels[:, rows, cols] = part
                    mask[rows, cols] = 255 if part_mask is None else part_mask
                    continue
                found = True
                self._note_damage(row, col, cause)
        if not found:  # some decoders (JPEG, PNG) complain once only and deliver grey ever after
            self._note_damage(window.row, window.col, cause)
            mask[:] = 0
        return pixels, mask

    def _note_damage(self, row: int, col: int, cause: Exception) -> None:
        if self.on_read_error == "fail":
            raise self._read_error(row, col, cause) from cause
        if (row, col) not in self.damaged:
            self.damaged.append((row, col))

    def _read_error(self, row: int, col: int, cause: Exception) -> MapgenError:
        if self.remote is not None:
            problem = f"could not be read at row {row}, column {col}: the network broke off, or what lies there is cut"
            return NetworkError(self.name, problem, "run the same command again")
        return InputError(
            self.name,
            f"is damaged in the block at row {row}, column {col} ({one_line(cause)[:120]})",
            f"get the file again, or use {option('on_read_error', 'nodata')}",
        )


def with_bands(
    scene: Some, bands: tuple[int, ...], nodata: float | None, on_read_error: Literal["fail", "nodata"] = "fail"
) -> Some:
    """The same open scene, reading these bands with this nodata value."""
    return replace(scene, bands=bands, nodata=nodata, on_read_error=on_read_error)  # type: ignore[type-var]
