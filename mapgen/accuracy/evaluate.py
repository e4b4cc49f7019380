"""`evaluate`: how good a class map is, measured against truth."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from mapgen.accuracy.bootstrap import FEWEST, BlockCounter, Lattice
from mapgen.accuracy.boundary import BoundaryMatcher
from mapgen.accuracy.confusion import Matches
from mapgen.accuracy.objects import ObjectMatcher
from mapgen.accuracy.options import EvaluateKeys, EvaluateOptions, Floor
from mapgen.accuracy.page import evaluation_page
from mapgen.accuracy.reliability import Reliability, reliability
from mapgen.accuracy.report import Rated, Report
from mapgen.accuracy.truth import Truth, open_truth
from mapgen.accuracy.worst import Place, draw_worst
from mapgen.errors import InputError, UsageError, option
from mapgen.files.commit import Output, check_output, write_whole
from mapgen.files.gdal import MEBIBYTE, cache_bytes, environment
from mapgen.files.inputs import note_inputs, one_run
from mapgen.files.pictures import write_picture
from mapgen.grid import Window
from mapgen.legend import color_of
from mapgen.parallel import Progress
from mapgen.raster.class_raster import class_key, read_values
from mapgen.raster.codebook import LIMIT, NONE, CodeArray, Codebook
from mapgen.raster.masks import Mask, open_mask
from mapgen.settings import PathLike, taking

BLOCK_PIXELS = 256
"""Side of the blocks of the bootstrap where it is not given in metres."""

_STRIP = 4 * MEBIBYTE  # pixels
_NAMED = 64  # classes of a legend that are reported though nothing has them


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation:
    """A report with what it is about. `failed` says which of the figures asked for fall short, and of what."""

    source: str
    truth: str
    report: Report
    seconds: float
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    unmapped: int = 0
    """Pixels of the truth where the map has no data."""
    ignored: int = 0
    """Pixels of the truth whose class was not to count."""
    labels: dict[str, int] | None = None
    """What became of the features of a vector truth."""
    picture: Path | None = None
    reliability: Reliability | None = None

    def __repr__(self) -> str:
        failed = f", failed: {'; '.join(self.failed)}" if self.failed else ""
        return f"<evaluation of {self.source}: mIoU {self.report.tally.miou:.3f}{failed}>"

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        record: dict[str, Any] = {"source": self.source, "truth": self.truth} | self.report.to_json()
        record |= {"unmapped": self.unmapped, "ignored": self.ignored}
        if self.labels is not None:
            record["labels"] = self.labels
        if self.reliability is not None:
            record["reliability"] = self.reliability.to_json()
        if self.picture is not None:
            record["picture"] = str(self.picture)
        rest = {"warnings": list(self.warnings), "failed": list(self.failed), "seconds": self.seconds}
        return record | rest | {"exit_code": 9 if self.failed else 0}


@taking(EvaluateOptions, EvaluateKeys)
def evaluate(source: PathLike, truth: PathLike, **options: Unpack[EvaluateKeys]) -> Evaluation:
    """How well the class map `source` agrees with `truth`, a class raster or a vector file on any grid.

    `options` are the fields of `EvaluateOptions`. Raises `InputError`, `OutputError` or `UsageError`; a figure that
    falls short is in `failed`.
    """
    return run(str(source), str(truth), EvaluateOptions(**options))


@one_run()
def run(source: str, truth: str, options: EvaluateOptions, progress: Progress | None = None) -> Evaluation:
    """The evaluation of one map; writes the picture of the worst places and the page where they are asked for."""
    start = time.perf_counter()
    note_inputs(source, truth, options.confidence_raster)
    outputs = [Output(path, options.overwrite) for path in (options.worst, options.html) if path is not None]
    for one in outputs:
        check_output(one)
    with environment(), open_mask(source) as mask:
        itemsize = np.dtype(mask.dataset.dtypes[0]).itemsize
        rows = max(int(mask.dataset.block_shapes[0][0]), _rows(mask.grid.width))
        with environment(cache_bytes(mask.grid.width, rows, 2 * itemsize)):
            job = _Job(mask, truth, options)
            try:
                found = job.evaluation(source, truth, progress)
                picture = job.picture(found.report) if outputs else None
                if options.worst is not None and picture is not None:
                    write_picture(Output(options.worst, options.overwrite), picture)
                if options.html is not None:
                    told = (*found.warnings, *found.notes)
                    text = evaluation_page(found.source, found.truth, found.report, found.reliability, picture, told)
                    write_whole(Output(options.html, options.overwrite), text)
            finally:
                job.truth.close()
    return replace(found, seconds=round(time.perf_counter() - start, 3))


def _rows(width: int) -> int:
    return max(1, min(1024, _STRIP // max(1, width)))


class _Job:
    """One map and its truth, on their way to a report."""

    def __init__(self, mask: Mask, truth: str, options: EvaluateOptions) -> None:
        self.mask, self.options = mask, options
        self.codes = Codebook()
        self.truth: Truth = open_truth(truth, mask, self.codes, options)
        try:
            self.ignore = [self._code(text, "ignore", known=False) for text in options.ignore]
            wanted = [*options.objects, *(f.of for f in options.fail_under if f.figure == "objects" and f.of)]
            self.objects = tuple(dict.fromkeys(self._code(text, "objects") for text in wanted))
            self.floors = [(f, None if f.of is None else self._code(f.of, "fail_under")) for f in options.fail_under]
            across, down = mask.grid.resolution_m
            self.boundary = self._boundary(across, down)
        except BaseException:
            self.truth.close()
            raise
        self.visible: CodeArray = np.append(np.arange(LIMIT, dtype=np.int16), np.int16(NONE))
        self.visible[self.ignore] = NONE
        self.blocks = BlockCounter(
            self._lattice(across, down), options.seed, options.worst_count if options.worst or options.html else 0
        )
        self.matcher = ObjectMatcher(self.objects, self.truth.extent.width, LIMIT) if self.objects else None
        self.seen = np.zeros(LIMIT + 1, np.int64)
        self.unmapped = 0

    def _code(self, text: str, asked: str, known: bool = True) -> int:
        """The code of a class by its name or id. Raises `UsageError` for a name that nothing has but must have."""
        key = class_key(self.mask.names, text)
        if isinstance(key, str):
            key = next((k for k, name in self.truth.names.items() if name.casefold() == key), key)
        if known and isinstance(key, str) and key not in self.truth.names:
            names = [c.name for c in self.mask.names.classes.values()] or ["its numbers"]
            raise UsageError(
                option(asked),
                f"no class is called {text!r} in {self.mask.name}",
                f"use one of {', '.join(names)[:300]}",
            )
        return self.codes.code(key, self.truth.name)

    def _boundary(self, across: float, down: float) -> BoundaryMatcher | None:
        if self.options.boundary is None:
            return None
        return BoundaryMatcher(self.options.boundary, across, down, self.truth.extent.width, LIMIT)

    def _lattice(self, across: float, down: float) -> Lattice:
        grid, side = self.mask.grid, self.options.block
        rows, cols = (BLOCK_PIXELS if side is None else max(1, round(side / size)) for size in (down, across))
        return Lattice(grid.height, grid.width, rows, cols)

    def evaluation(self, source: str, truth: str, progress: Progress | None) -> Evaluation:
        """The evaluation, its seconds and picture still to come."""
        for window, mapped, true in self._strips(progress):
            self.blocks.add(window.row, window.col, mapped, true)
            if self.boundary is not None:
                self.boundary.add(mapped, true)
            if self.matcher is not None:
                self.matcher.add(mapped, true)
        self.blocks.finish()
        ignored = int(self.seen[self.ignore].sum())
        if not self.blocks.counts.any():
            raise InputError(
                self.truth.name, self._nothing(ignored), f"check its coordinates, nodata value and {option('ignore')}"
            )
        report = self._report()
        return Evaluation(
            self.mask.name, self.truth.name, report, 0.0,
            warnings=(*self.truth.warnings, *self._warnings(report)), notes=tuple(self._notes(report)),
            failed=tuple(self._failed(report)), unmapped=self.unmapped, ignored=ignored,
            labels=self.truth.counts or None, picture=self.options.worst, reliability=self._reliability(),
        )  # fmt: skip

    def _nothing(self, ignored: int) -> str:
        if not self.seen[:-1].any():
            return "none of its pixels with data lies on the map"
        if ignored == self.seen[:-1].sum():
            return "all of it is ignored"
        return "the map has no data where it has"

    def _strips(self, progress: Progress | None) -> Iterator[tuple[Window, CodeArray, CodeArray]]:
        """Codes of the map and of the truth, from the top; NONE where they do not count."""
        extent = self.truth.extent
        rows = _rows(extent.width)
        block = int(self.mask.dataset.block_shapes[0][0])
        step = rows // block * block or rows
        row = extent.row
        while row < extent.bottom:
            end = min(extent.bottom, (row // step + 1) * step)
            window = Window(row, extent.col, end - row, extent.width)
            mapped, true = self.read(window)
            yield window, mapped, true
            if progress:
                progress(end - extent.row, extent.height)
            row = end

    def read(self, window: Window) -> tuple[CodeArray, CodeArray]:
        """Codes of the map and of the truth in a window; what of the truth does not count is counted apart."""
        mapped = self.codes.encode(*read_values(self.mask, window), self.mask.name)
        true = self.truth.read(window)
        self.seen += np.bincount(true.ravel() % (LIMIT + 1), minlength=LIMIT + 1)
        true = self.visible[true]
        self.unmapped += int(np.count_nonzero((true >= 0) & (mapped < 0)))
        return mapped, true

    def _report(self) -> Report:
        for value, one in self.mask.names.classes.items():
            if one.name != str(value) and len(self.mask.names.classes) <= _NAMED:
                self.codes.code(value, self.mask.name)
        self.blocks.grow(len(self.codes))
        counts = self.blocks.counts
        present = (counts.sum(0) + counts.sum(1)) > 0
        rated = {
            code: self._rated(code, counts) for code in range(len(self.codes)) if present[code] or self._named(code)
        }
        order = sorted(rated, key=lambda code: (rated[code].id is None, rated[code].id, rated[code].name))
        self.place = {code: place for place, code in enumerate(order)}
        intervals = {
            name: (v[order] if v.ndim == 2 else v).tolist() for name, v in self.blocks.intervals().items()
        }  # fmt: skip
        return Report(
            tuple(rated[code] for code in order), counts[np.ix_(order, order)], intervals, self.blocks.blocks,
            None if self.boundary is None else _taken(self.boundary.finish(), order),
            None if self.matcher is None else _taken(self.matcher.finish(), order),
            tuple(self.place[code] for code in self.objects if code in self.place), self.blocks.worst(),
            self.blocks.resamples.sums[:, :, order],
        )  # fmt: skip

    def _named(self, code: int) -> bool:
        """Whether a class is in the legend of the map under a name and not only a number."""
        key = self.codes.keys[code]
        one = self.mask.names.classes.get(key) if isinstance(key, int) else None
        return one is not None and one.name != str(key) and len(self.mask.names.classes) <= _NAMED

    def _rated(self, code: int, counts: NDArray[np.int64]) -> Rated:
        key = self.codes.keys[code]
        known = self._named(code) or bool(counts[:, code].any())
        if isinstance(key, str):
            return Rated(None, self.truth.names.get(key, key), color_of(code), known)
        (one,) = self.mask.names.of([key])
        name = self.truth.names.get(key, one.name) if one.name == str(key) else one.name
        return Rated(key, name, one.color, known)

    def _warnings(self, report: Report) -> Iterator[str]:
        strange = [
            f"{one.name} ({int(n)} pixels)"
            for one, n in zip(report.classes, report.tally.truth, strict=True) if not one.known and n
        ]  # fmt: skip
        if strange:
            unknown = f"classes that the map does not know, counted as errors: {', '.join(strange)}"
            yield f"{unknown}; leave them out by {option('ignore')}"
        for text, code in zip(self.options.ignore, self.ignore, strict=True):
            if not self.seen[code]:
                yield f"{option('ignore', text)}: no pixel of the truth has this class"
        for code in self.objects:
            if code not in self.place:
                yield f"{option('objects', self.codes.keys[code])}: no pixel has this class"

    def _notes(self, report: Report) -> Iterator[str]:
        if report.blocks < FEWEST:
            yield f"only {report.blocks} blocks, too few for intervals: use a smaller {option('block', 'METRES')}"
        if self.unmapped:
            yield f"the map has no data at {self.unmapped} pixels of the truth; they do not count"

    def _failed(self, report: Report) -> Iterator[str]:
        for floor, code in self.floors:
            if code is not None and code not in self.place:
                value = float("nan")
            else:
                value = report.figure(floor.figure, None if code is None else self.place[code])
            if not value >= floor.least:  # also where there is nothing to measure
                yield _shortfall(floor, value)

    def _again(self, window: Window) -> tuple[CodeArray, CodeArray]:
        """What `read` gives of a window that was counted before."""
        seen, unmapped = self.seen.copy(), self.unmapped
        found = self.read(window)
        self.seen, self.unmapped = seen, unmapped
        return found

    def _reliability(self) -> Reliability | None:
        name, grid = self.options.confidence_raster, self.mask.grid
        return None if name is None else reliability(name, grid, self.truth.extent, _rows(grid.width), self._again)

    def picture(self, report: Report) -> NDArray[np.uint8]:
        """The worst places, read once more."""
        places = []
        for block in report.worst:
            window = Window(block.row, block.col, block.height, block.width) & self.truth.extent
            places.append(Place(block, *self._again(window)))
        ranks = np.array([self.place.get(code, NONE) for code in range(len(self.codes))] + [NONE], np.int16)
        places = [Place(p.block, ranks[p.mapped], ranks[p.truth]) for p in places]
        colors = [tuple(int(one.color[i : i + 2], 16) for i in (1, 3, 5)) for one in report.classes]
        return draw_worst(places, [one.name for one in report.classes], colors)  # type: ignore[arg-type]


def _taken(matches: Matches, order: list[int]) -> Matches:
    return Matches(
        matches.mapped[order], matches.mapped_matched[order], matches.truth[order], matches.truth_matched[order]
    )


def _shortfall(floor: Floor, value: float) -> str:
    if math.isnan(value):
        return f"{floor} is unknown (nothing to measure), {floor.least:g} was asked for"
    return f"{floor} is {value:.4f}, below {floor.least:g}"
