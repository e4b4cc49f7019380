"""Datasets laid down: pixels and labels written as plain arrays, parted into training and validation, for `train`.

First all is laid down as it is, which says how much of each class lies in each block of ground; then the split is
decided, validation blocks are copied out, and what training must not see is taken out of its images.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.dataset.common_grid import Site, frames_of
from mapgen.dataset.config import DataConfig
from mapgen.dataset.cuts import SHOWN, Cut, Extent, joined, labelled, piece_record, rows_of, strips_of, unlisted_problem
from mapgen.dataset.dataset import EMPTY, IGNORE, Moments
from mapgen.dataset.imagery import Image, Imagery
from mapgen.dataset.notes import share_note, twins
from mapgen.dataset.pairs import Pair
from mapgen.dataset.split import GUARD, HELD, LEAST_GUARD, OUT, TRAIN, VALIDATE, Box, Split, choose
from mapgen.dataset.targets import Targets
from mapgen.errors import InputError, UsageError
from mapgen.files.commit import translated
from mapgen.files.gdal import cache_bytes, environment
from mapgen.grid import Window
from mapgen.raster.patch import filled
from mapgen.settings import parse_size

NEAR_M = 1000.0
"""Metres within which streets, roofs and light are those of one place."""

HALO = 64
"""Pixels around a validation block that are seen but not judged."""

MARGIN = 256
"""Pixels around the labelled ground of an image that stay for context."""


class Laying:
    """The arrays of a dataset, from the headers of its files to the last pixel."""

    def __init__(self, data: DataConfig, pairs: list[Pair], folder: Path) -> None:
        self.data, self.folder = data, folder
        self.targets = Targets(data)
        self.classes = len(data.classes)
        self.files: dict[str, int] = {}
        self.imagery = Imagery(data, pairs)
        self.images = self.imagery.images
        self.store = self._file("images", self.imagery.dtype, len(self.imagery.bands) * self.imagery.pixels)
        self.labels = self._file("labels", np.dtype(np.uint8), self.imagery.pixels)
        self.blocks: dict[int, NDArray[np.int64]] = {}
        self.split = self._frames()

    def _file(self, name: str, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        """A new file of the folder as an array, its space on the disk taken at once: a full disk under a mapped file
        would kill the process later."""
        path = self.folder / f"{name}.bin"
        size = max(1, count) * dtype.itemsize
        path.unlink(missing_ok=True)  # whoever has mapped the old file keeps it
        with translated(path), open(path, "wb") as stream:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, size)
            else:
                stream.truncate(size)
        self.files[path.name] = size
        return np.memmap(path, dtype, "r+", shape=(max(1, count),))

    def _frames(self) -> Split:
        sites = [Site(i.pair.name, i.grid, i.pair.source.use) for i in self.images]
        number = {s.name: n for n, s in enumerate(sites)}
        shifts = []
        for same in self.data.same_ground:
            for name in (same.a, same.b):
                if name not in number:
                    raise UsageError("data.same_ground", f"{name!r} is not an image of the sources", "correct the name")
                if sites[number[name]].kind != "pixels":
                    raise UsageError("data.same_ground", f"{name} has georeferencing", "leave it out")
            shifts.append((number[same.a], number[same.b], same.shift))
        size, guard = (self._length(key) for key in ("block", "guard"))
        guard = max(LEAST_GUARD, guard)
        if 2 * guard > size:
            problem = f"a guard of {guard} px leaves nothing of blocks of {size} px"
            raise UsageError("data.split.guard", problem, f"use {size // 4}px or a larger block")
        return Split(frames_of(sites, self.imagery.resolution_m, shifts, size), size, guard)

    def _length(self, key: str) -> int:
        size = parse_size(f"data.split.{key}", getattr(self.data.split, key))
        assert size is not None
        return round(size.value / (self.imagery.resolution_m if size.unit == "m" else 1))

    def record(self) -> dict[str, Any]:
        """Everything about the arrays, once they are written."""
        blocks = [self._laid_down(number) for number in range(len(self.images))]
        self._decide(blocks)
        self._check_labels()
        training, validation = Moments(self.classes), Moments(self.classes)
        cuts = [cut for number in range(len(self.images)) for cut in self._cuts(number)]
        judged = self._cut_out(cuts, validation)
        pieces: dict[str, list[dict[str, Any]]] = {"training": [], "validation": judged, "unlabelled": []}
        for number, image in enumerate(self.images):
            side = "validation" if number in self.split.validating else "unlabelled" if image.bare else "training"
            window = self._finished(number, validation if side == "validation" else training)
            if window.area:
                piece = piece_record(image.pair.name, "images", image.first, image.grid.window, window)
                pieces[side].append(piece | {"image": number, "weight": image.pair.source.weight})
        for array in (self.store, self.labels):
            array.flush()  # type: ignore[attr-defined]
        if not training.count:
            raise InputError(*self._nothing())
        return {
            "files": self.files, "dtype": self.imagery.dtype.name, "bands": list(self.imagery.bands),
            "resolution_m": self.imagery.resolution_m, **pieces,
            "measured": {"training": training.finish(), "validation": validation.finish()},
            "report": self._report(), "warnings": self._noted(training, validation),
        }  # fmt: skip

    def _pixels(self, number: int) -> NDArray[Any]:
        image, bands = self.images[number], len(self.imagery.bands)
        first, last = image.first * bands, (image.first + image.grid.window.area) * bands
        return self.store[first:last].reshape(bands, image.grid.height, image.grid.width)

    def _label(self, number: int) -> NDArray[np.uint8]:
        image = self.images[number]
        last = image.first + image.grid.window.area
        return self.labels[image.first : last].reshape(image.grid.height, image.grid.width)

    def _laid_down(self, number: int) -> dict[int, NDArray[np.int64]]:
        """Write the pixels and labels of an image as they are; its labelled pixels by block, where blocks count."""
        image = self.images[number]
        pixels, labels = self._pixels(number), self._label(number)
        blocks: dict[int, NDArray[np.int64]] = {}
        by_block = image.pair.source.use == "split" and self.data.split.method == "blocks"
        seen, digest = np.zeros(256, np.int64), hashlib.blake2b(digest_size=16)
        with self.imagery.scene(image.pair) as scene:
            rows = rows_of(image.grid, scene.dataset.block_shapes[0][0] if image.native else 1)
            with environment(cache_bytes(scene.grid.width, rows, len(scene.bands) * scene.dtype.itemsize + 2)):
                targets = [self.targets.open(p, s, image.grid, image.pair.name) for p, s in image.pair.labels]
                try:
                    for window in strips_of(image.grid.window, rows):
                        part = window.slices(image.grid.window)
                        pixels[:, *part], valid = self.imagery.read(image, scene, window)
                        labels[part] = np.where(valid, labelled(targets, window), EMPTY)
                        digest.update(np.ascontiguousarray(pixels[:, *part]).data)
                        seen += np.bincount(labels[part].ravel(), minlength=256)
                        if by_block:
                            for code, found in self.split.tally(number, window, labels[part], self.classes).items():
                                blocks[code] = blocks.get(code, 0) + found
                finally:
                    for target in targets:
                        target.close()
            if scene.damaged:
                self.imagery.warn(f"{len(scene.damaged)} damaged blocks were taken as nodata", image.pair.name)
        image.counts, image.digest = seen[: self.classes], digest.hexdigest()
        image.facts = {
            "name": image.pair.name, "group": image.pair.group, "use": image.pair.source.use,
            "height": image.grid.height, "width": image.grid.width,
            "resampled": not image.native, "georeferenced": image.grid.crs is not None,
            "labelled": image.counts.tolist(), "unlabelled": int(seen[IGNORE]), "nodata": int(seen[EMPTY]),
        }  # fmt: skip
        return blocks

    def _decide(self, blocks: list[dict[int, NDArray[np.int64]]]) -> None:
        """Which ground validates."""
        split = self.data.split
        uses = [i.pair.source.use for i in self.images]
        validating = {n for n, use in enumerate(uses) if use == "validation"}
        parted = [n for n, use in enumerate(uses) if use == "split"]
        if split.method == "groups":
            validating |= self._grouped(parted)
        elif parted and split.validation > 0:
            for number in parted:
                for code, found in blocks[number].items():
                    self.blocks[code] = self.blocks.get(code, 0) + found
            self._check_blocks(parted)
            self.split.held = choose(self.blocks, split.validation, split.seed)
        self.split.validating = frozenset(validating)

    def _grouped(self, parted: list[int]) -> set[int]:
        counts: dict[str, NDArray[np.int64]] = {}
        for n in parted:
            counts[self.images[n].pair.group] = counts.get(self.images[n].pair.group, 0) + self.images[n].counts
        split = self.data.split
        for name in (*split.groups, *chain(*split.folds)):
            if name not in counts:
                near = ", ".join(repr(g) for g in list(counts)[:SHOWN])
                key = "folds" if split.folds else "groups"
                raise UsageError(f"data.split.{key}", f"there is no group {name!r}", f"the groups are {near}")
        if split.folds:  # they are judged by runs of their own
            return set()
        taken = frozenset(split.groups) or choose(counts, split.validation, split.seed)
        if parted and split.validation > 0 and len(taken) in (0, len(counts)):
            problem = f"{len(counts)} groups, of which {len(taken)} validate, cannot be split"
            raise UsageError("data.split.groups", problem, "see data.split.group for what a group is")
        return {n for n in parted if self.images[n].pair.group in taken}

    def _check_blocks(self, parted: list[int]) -> None:
        size = self.split.size
        sites = self.split.frames.sites
        bare = [sites[n].grid for n in parted if sites[n].kind == "pixels"]
        chips = [grid for grid in bare if max(grid.height, grid.width) <= size]
        if len(chips) > 1 and len(chips) > len(parted) // 2:
            problem = (
                f"{len(chips)} images are no larger than a block of {size} px and name no place on the ground, so "
            )
            problem += "that nothing keeps neighbours apart"
            raise UsageError("data.split", problem, 'use method = "groups", or say what validates with use')
        if len(self.blocks) == 1:
            problem = f"all that is labelled lies in one block of {size} px"
            raise UsageError("data.split.block", problem, f"use smaller blocks, such as {max(64, size // 4)}px")

    def _check_labels(self) -> None:
        missed = [name for name, touched in self.targets.touched.items() if not touched]
        if missed and len(missed) == len(self.targets.touched):
            more = f", nor of the {len(missed) - 1} others" if len(missed) > 1 else ""
            raise InputError(missed[0], f"nothing of it lies on any image{more}", "check its coordinates and CRS")
        for name in missed:
            self.targets.warnings[f"{name}: nothing of it lies on its images; check its coordinates and CRS"] = None
        if not sum(int(i.counts.sum()) for i in self.images):
            problem = unlisted_problem(self._found_unlisted())
            raise InputError(*(problem or self._nothing()))

    def _nothing(self) -> tuple[str, str, str]:
        empty = sum(i.facts["nodata"] for i in self.images) / self.imagery.pixels
        what = f"no pixel that may train has a label ({len(self.images)} images, {empty:.0%} nodata)"
        return "training ground", what, "check labels, data.ignore and data.split"

    def _cuts(self, number: int) -> list[Cut]:
        """The validation blocks in an image that is not all of one side."""
        image = self.images[number]
        if not self.split.held or image.pair.source.use != "split":
            return []
        labels = self._label(number)
        boxes: dict[int, Box] = {}
        for window in strips_of(image.grid.window, rows_of(image.grid)):
            part = labels[window.slices(image.grid.window)]
            for code, found in self.split.boxes(number, window, part, self.classes).items():
                r0, r1, c0, c1 = boxes.get(code, found)
                boxes[code] = min(r0, found[0]), max(r1, found[1]), min(c0, found[2]), max(c1, found[3])
        return [
            Cut(number, code, Window(r0, c0, r1 - r0, c1 - c0).grown(HALO) & image.grid.window)
            for code, (r0, r1, c0, c1) in sorted(boxes.items())
        ]  # fmt: skip

    def _cut_out(self, cuts: list[Cut], moments: Moments) -> list[dict[str, Any]]:
        """Copy the validation blocks to arrays of their own, with HALO pixels around that do not count."""
        total, bands = sum(c.window.area for c in cuts), len(self.imagery.bands)
        if not total:
            return []
        pixels = self._file("blocks", self.imagery.dtype, bands * total)
        labels = self._file("block_labels", np.dtype(np.uint8), total)
        pieces, first = [], 0
        for cut in cuts:
            image, window = self.images[cut.image], cut.window
            part = window.slices(image.grid.window)
            raw = self._label(cut.image)[part]
            own = (self.split.codes(cut.image, window) == cut.code) & (raw < self.classes)
            values = self._pixels(cut.image)[:, *part]
            values = values if (raw != EMPTY).all() else filled(values, raw != EMPTY)
            label = np.where(own, raw, IGNORE).astype(np.uint8)
            pixels[first * bands : (first + window.area) * bands] = values.ravel()
            labels[first : first + window.area] = label.ravel()
            moments.add(values, label)
            name = f"{image.pair.name} row {window.row} col {window.col}"
            piece = piece_record(name, "blocks", first, window, Window(0, 0, window.height, window.width))
            pieces.append(piece | {"image": cut.image, "place": [window.row, window.col]})
            first += window.area
        return pieces

    def _finished(self, number: int, moments: Moments) -> Window:
        """Take from an image what is not its own to show, and from its labels what it is not to teach; the window that
        is left of it, empty where nothing is."""
        image = self.images[number]
        pixels, labels = self._pixels(number), self._label(number)
        role = VALIDATE if number in self.split.validating else TRAIN
        tally: Counter[int] = Counter()
        rows, cols = Extent(), Extent()
        for window in strips_of(image.grid.window, rows_of(image.grid)):
            part = window.slices(image.grid.window)
            raw, roles = labels[part], self.split.roles(number, window)
            shown = (raw != EMPTY) & ((roles == role) | (roles == GUARD))
            own = shown if image.bare else (roles == role) & (raw < self.classes)
            counted = raw != EMPTY if image.bare else raw < self.classes
            tally.update(dict(enumerate(np.bincount(roles[counted], minlength=5).tolist())))
            if not shown.all():
                pixels[:, *part] = filled(pixels[:, *part], shown) if shown.any() else 0
            labels[part] = np.where(own, raw, EMPTY if image.bare else IGNORE)
            if own.any():
                if not image.bare:
                    moments.add(pixels[:, *part], labels[part])
                rows.add(own.any(1), window.row)
                cols.add(own.any(0), window.col)
        image.facts |= {
            "training": tally[TRAIN], "validation": tally[VALIDATE], "guard": tally[GUARD],
            "left_out": tally[HELD] + tally[OUT],
        }  # fmt: skip
        if image.bare and tally[HELD]:
            self._check_bare(image, rows)
        if rows.last <= rows.first:
            return Window(0, 0, 0, 0)
        found = Window(rows.first, cols.first, rows.last - rows.first, cols.last - cols.first)
        return found.grown(MARGIN) & image.grid.window

    def _check_bare(self, image: Image, rows: Extent) -> None:
        """Raise `InputError` where nothing is left of an unlabelled image without the ground that validates."""
        if rows.last <= rows.first:
            remedy = "leave it out, or let other ground validate"
            raise InputError(image.pair.name, "is unlabelled, and all of it is validation ground", remedy)
        self.imagery.warn("shows validation ground, which is taken out of it", image.pair.name)

    # - what to say of it

    def _found_unlisted(self) -> dict[str, dict[str, int]]:
        return {name: dict(counts.most_common()) for name, counts in self.targets.meaning.unlisted.items()}

    def _report(self) -> dict[str, Any]:
        split = self.data.split
        blocks = {"blocks": len(self.blocks), "validation_blocks": len(self.split.held)}
        return {
            "images": [self._placed(n) for n in range(len(self.images))],
            "split": {"method": split.method, "block_px": self.split.size, "guard_px": self.split.guard} | blocks,
            "unlisted": self._found_unlisted(),
            "features": self.targets.counts,
            "overlaps": self._overlaps(),
        }  # fmt: skip

    def _placed(self, number: int) -> dict[str, Any]:
        """The facts of an image, with where it lies: by its grid, or by its frame and place in it."""
        image, seat = self.images[number], self.split.frames.seats[number]
        own = None if seat.placement is not None else [seat.frame, *seat.offset]
        return image.facts | {"crs": image.grid.crs, "transform": list(image.grid.transform)[:6], "seat": own}

    def _overlaps(self) -> list[dict[str, Any]]:
        """Pairs of images that show the same ground, and how much of it, the largest first."""
        found = []
        for one in range(len(self.images)):
            for other in self.split.frames.around(one):
                if other > one and (pixels := self.split.frames.shared(one, other)):
                    names = {"a": self.images[one].pair.name, "b": self.images[other].pair.name}
                    found.append(names | {"pixels": pixels, "area_m2": round(pixels * self.imagery.resolution_m**2, 1)})
        return sorted(found, key=lambda o: -o["pixels"])

    def _noted(self, training: Moments, validation: Moments) -> list[str]:
        """All warnings, those that many images share once."""
        names = self.data.legend.names
        notes = list(self.targets.warnings)
        for what, moments in (("training", training), ("validation", validation)):
            lacking = [n for n, c in zip(names, moments.classes.tolist(), strict=True) if not c]
            if moments.count and lacking:
                notes.append(f"no {what} pixel is {' or '.join(lacking)}")
        if not validation.count and not self.data.split.folds:
            notes.append("no ground validates: nothing says how good the model becomes")
        elif validation.count and self._near():
            notes.append(
                "validation ground lies within a kilometre of training ground: its scores say little of other places "
                "(see data.split.folds)"
            )
        if int((training.classes > 0).sum()) == 1:
            notes.append("all training pixels are of one class: there is nothing to tell apart")
        top = max(training.finish().get("high", [0.0]))
        if self.imagery.dtype.kind == "f" and top > 1.001:
            notes.append(f"values reach {top:g}; `segment` expects 0 … 1 of float32 and will say so")
        if self.split.held:
            share = validation.count / max(1, training.count + validation.count)
            notes += share_note(share, self.data.split.validation, self.split.size)
        bare = sum(i.grid.crs is None for i in self.images)
        if 0 < bare < len(self.images):
            notes.append(
                f"{bare} of {len(self.images)} images have no CRS: their ground is not compared with that of others"
            )
        return joined(list(self.imagery.warnings)) + notes + twins(self.images, self.split.frames.seats)

    def _near(self) -> bool:
        """Whether ground that validates lies within `NEAR_M` of ground that trains, as far as places are known."""
        validating, margin = self.split.validating, math.ceil(NEAR_M / self.imagery.resolution_m)
        around = {other for n in validating for other in self.split.frames.around(n, margin)}
        return bool(self.split.held) or not around <= validating
