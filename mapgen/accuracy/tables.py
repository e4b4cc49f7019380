"""An evaluation as tables of text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from mapgen.accuracy.confusion import Matches
from mapgen.accuracy.evaluate import Evaluation
from mapgen.accuracy.reliability import rows_of
from mapgen.accuracy.report import Report
from mapgen.errors import aligned

_WIDE = 16  # classes beyond which the confusion matrix is in --json only


def lines(evaluation: Evaluation) -> Iterator[str]:
    """The evaluation as a text of tables."""
    report = evaluation.report
    yield f"{evaluation.source} against {evaluation.truth}: {report.pixels} pixels in {report.blocks} blocks"
    yield ""
    yield from _overall(report)
    yield ""
    yield from aligned(list(_class_rows(report)))
    if report.objects is not None:
        yield from ("", "objects with a partner at IoU 0.5:")
        yield from aligned(list(_object_rows(report, report.objects)))
    if len(report.classes) <= _WIDE:
        yield from ("", "confusion, % of the truth's class (rows) by the map's (columns):")
        yield from aligned(list(_confusion_rows(report)))
    if (sure := evaluation.reliability) is not None:
        yield from ("", f"confidence against what is right: ECE {sure.ece:.3f}, surer by {sure.overconfidence:+.3f}:")
        yield from aligned(list(rows_of(sure)))
    if report.worst:
        yield from ("", "worst places:")
        yield from aligned(list(_worst_rows(report)))


def _overall(report: Report) -> Iterator[str]:
    names = ("miou", "accuracy", "kappa", *(() if report.boundary is None else ("boundary",)))
    for name in names:
        interval = report.intervals.get(name)
        text = f"  95 %: {interval[0]:.3f}–{interval[1]:.3f}" if interval else ""
        yield f"{'mIoU' if name == 'miou' else name:<10}{_number(report.figure(name))}{text}"


def _class_rows(report: Report) -> Iterator[list[str]]:
    extra = ["boundary"] if report.boundary is not None else []
    wide = "iou" in report.intervals
    yield ["class", "IoU", *(["95 %"] if wide else []), "F1", "precision", "recall", "support", *extra]
    for code, one in enumerate(report.classes):
        between = [_between(report.intervals["iou"][code])] if wide else []
        figures = [_number(report.figure(name, code)) for name in ("f1", "precision", "recall")]
        support = str(int(report.tally.truth[code]))
        rest = [_number(report.figure(name, code)) for name in extra]
        yield [one.name, _number(report.figure("iou", code)), *between, *figures, support, *rest]


def _object_rows(report: Report, found: Matches) -> Iterator[list[str]]:
    yield ["class", "F1", "precision", "recall", "on the map", "in the truth", "matched"]
    for code in report.object_classes:
        figures = [_number(float(values[code])) for values in (found.f1, found.precision, found.recall)]
        numbers = [str(int(v[code])) for v in (found.mapped, found.truth, found.truth_matched)]
        yield [report.classes[code].name, *figures, *numbers]


def _confusion_rows(report: Report) -> Iterator[list[str]]:
    yield ["", *(one.name for one in report.classes)]
    for one, row in zip(report.classes, report.counts, strict=True):
        total = int(row.sum())
        yield [one.name, *(f"{100 * int(n) / total:.1f}" if total else "–" for n in row)]


def _worst_rows(report: Report) -> Iterator[list[str]]:
    yield ["", "row", "column", "height", "width", "wrong", "of", "share"]
    for number, b in enumerate(report.worst, 1):
        places = [str(v) for v in (number, b.row, b.col, b.height, b.width, b.wrong, b.pixels)]
        yield [*places, f"{b.wrong / b.pixels:.0%}"]


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _between(interval: Any) -> str:
    return "–" if math.isnan(interval[0]) else f"{interval[0]:.3f}–{interval[1]:.3f}"
