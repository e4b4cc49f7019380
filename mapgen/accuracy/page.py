"""An evaluation as one page that needs no network: tables, the confusion as a picture, curves, areas with bars.

All that comes from files (names of classes, paths) is escaped. There are no scripts; colours follow the system's.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import isnan
from typing import Any

import numpy as np

from mapgen.accuracy.reliability import Reliability, rows_of
from mapgen.accuracy.report import Report
from mapgen.arrays import Bytes, Longs
from mapgen.files.encoders import encoded

Section = tuple[str, str]
"""A heading and what stands under it, as HTML."""

_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2024;--faint:#6a7078;--line:#d8dce2;--mark:38,92,168}
@media (prefers-color-scheme:dark){
:root{--paper:#15181c;--ink:#e4e7eb;--faint:#98a0aa;--line:#343a42;--mark:110,160,235}}
body{margin:2rem auto;max-width:62rem;padding:0 1rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}h1{font-size:1.4rem}h2{font-size:1.05rem;margin:2rem 0 .5rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}.wide{overflow-x:auto}
th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left}th{font-weight:600;color:var(--faint)}
i{display:inline-block;width:.8em;height:.8em;margin-right:.4em;border:1px solid var(--line)}
img{max-width:100%;border:1px solid var(--line)}svg{max-width:100%;height:auto}
svg text{fill:var(--ink);font-size:12px}.axis{stroke:var(--line)}.ideal{stroke:var(--faint);stroke-dasharray:4 4}
.bar{fill:rgba(var(--mark),.55)}.error{stroke:var(--ink);stroke-width:1.5}.faint,p.note{color:var(--faint)}
svg .faint{fill:var(--faint)}
"""

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """A line of bars: a value with half its interval (NaN without one), beside what the map shows."""

    name: str
    color: str
    value: float
    half: float
    shown: float


def page(title: str, notes: Iterable[str], sections: Iterable[Section]) -> str:
    """The whole page."""
    parts = [_HEAD.format(title=escape(title), style=_STYLE)]
    parts += [f'<p class="note">{escape(note)}</p>\n' for note in notes]
    parts += [f"<h2>{escape(heading)}</h2>\n{content}\n" for heading, content in sections]
    return "".join(parts) + "</body>\n</html>\n"


def evaluation_page(
    source: str, truth: str, report: Report, sure: Reliability | None, picture: Bytes | None, notes: Iterable[str]
) -> str:
    """The page of a map measured against truth everywhere."""

    def sections() -> Iterator[Section]:
        yield "Overall", table(_overall(report))
        yield "Classes", table(_classes(report), [one.color for one in report.classes])
        yield "Confusion: what became of each class of the truth (rows), in % of it", matrix(
            [one.name for one in report.classes], report.counts
        )
        yield "Ground by class, share of the pixels that count: truth (bar) and map (line)", bars(list(_shares(report)))
        if sure is not None:
            text = f"Confidence against what is right: ECE {sure.ece:.3f}, surer by {sure.overconfidence:+.3f}"
            yield text, curve(sure) + table(rows_of(sure))
        if picture is not None:
            yield "The worst places", image(picture, "map, truth, and what is wrong")

    return page(f"{source} against {truth}", notes, sections())


def _overall(report: Report) -> Iterator[list[str]]:
    yield ["figure", "value", "95 %"]
    for name, label in (("miou", "mIoU"), ("accuracy", "accuracy"), ("kappa", "kappa"), ("boundary", "boundary F1")):
        if name != "boundary" or report.boundary is not None:
            yield [label, number(report.figure(name)), _between(report.intervals.get(name))]


_LABELS = {"f1": "F1", "boundary": "boundary F1", "objects": "objects F1"}


def _classes(report: Report) -> Iterator[list[str]]:
    names = ["f1", "precision", "recall"]
    names += [name for name in ("boundary", "objects") if getattr(report, name) is not None]
    yield ["class", "pixels of the truth", "IoU", "95 %", *(_LABELS.get(name, name) for name in names)]
    for code, one in enumerate(report.classes):
        interval = report.intervals["iou"][code] if "iou" in report.intervals else None
        figures = [
            number(report.figure(name, code)) if name != "objects" or code in report.object_classes else "–"
            for name in names
        ]
        iou = number(report.figure("iou", code))
        yield [one.name, str(int(report.tally.truth[code])), iou, _between(interval), *figures]


def _shares(report: Report) -> Iterator[Bar]:
    total = max(1, report.pixels)
    for code, one in enumerate(report.classes):
        true, mapped = (float(sums[code]) / total for sums in (report.counts.sum(1), report.counts.sum(0)))
        yield Bar(one.name, one.color, true, float("nan"), mapped)


def number(value: float) -> str:
    """A figure to the thousandth."""
    return "–" if isnan(value) else f"{value:.3f}"


def _between(interval: Any) -> str:
    return "–" if interval is None or isnan(interval[0]) else f"{interval[0]:.3f}–{interval[1]:.3f}"


def table(rows: Iterable[Sequence[str]], colors: Sequence[str] = ()) -> str:
    """A table, the first row its head; rows may have a swatch of colour."""
    head, *body = rows
    out = ['<div class="wide"><table><tr>', *(f"<th>{escape(cell)}</th>" for cell in head), "</tr>"]
    for place, row in enumerate(body):
        swatch = f'<i style="background:{escape(colors[place])}"></i>' if colors else ""
        cells = "".join(f"<td>{swatch if i == 0 else ''}{escape(cell)}</td>" for i, cell in enumerate(row))
        out.append(f"<tr>{cells}</tr>")
    return "".join(out) + "</table></div>"


def matrix(names: Sequence[str], counts: Longs) -> str:
    """A confusion matrix (K, K), each row in percent of itself, the more the darker."""
    out = ['<div class="wide"><table><tr><th></th>', *(f"<th>{escape(name)}</th>" for name in names), "</tr>"]
    for name, row in zip(names, counts, strict=True):
        total = int(row.sum())
        shares = [float(n) / total if total else float("nan") for n in row]
        cells = "".join(
            "<td>–</td>" if isnan(s) else f'<td style="background:rgba(var(--mark),{0.75 * s:.3f})">{100 * s:.1f}</td>'
            for s in shares
        )
        out.append(f"<tr><td>{escape(name)}</td>{cells}</tr>")
    return "".join(out) + "</table></div>"


def curve(found: Reliability) -> str:
    """Reliability as bars over confidence: how much is right; on the broken line as much as the map says."""
    side, edge = 260, 40
    out = [f'<svg viewBox="0 0 {side + 2 * edge} {side + 2 * edge}" width="{side + 2 * edge}" role="img">']
    step = side / len(found.pixels)
    for i, right in enumerate(found.accuracy):
        if found.pixels[i]:
            top = edge + side * (1 - float(right))
            told = f"{int(found.pixels[i])} pixels, {right:.3f} right"
            out.append(
                f'<rect class="bar" x="{edge + i * step + 1:.1f}" y="{top:.1f}" width="{step - 2:.1f}" '
                f'height="{side * float(right):.1f}"><title>{told}</title></rect>'
            )
    low, high = edge + side, edge
    out.append(f'<line class="ideal" x1="{edge}" y1="{low}" x2="{edge + side}" y2="{high}"/>')
    out.append(f'<path class="axis" fill="none" d="M{edge} {high}V{low}H{edge + side}"/>')
    for share in (0, 0.5, 1):
        out.append(f'<text x="{edge + side * share:.0f}" y="{low + 16}" text-anchor="middle">{share:g}</text>')
        out.append(f'<text x="{edge - 6}" y="{low - side * share + 4:.0f}" text-anchor="end">{share:g}</text>')
    out.append(f'<text class="faint" x="{edge + side / 2}" y="{low + 32}" text-anchor="middle">confidence</text>')
    out.append(f'<text class="faint" x="{edge - 6}" y="{high - 12}">share that is right</text></svg>')
    return "".join(out)


def bars(rows: Sequence[Bar], unit: str = "%", factor: float = 100.0) -> str:
    """Horizontal bars with their intervals; a line where the map's own value is."""
    left, width, line = 150, 420, 26
    ends = [max(r.shown, r.value + (0 if isnan(r.half) else r.half)) for r in rows]
    scale = width / max([*ends, 1e-12])
    out = [f'<svg viewBox="0 0 {left + width + 170} {line * len(rows) + 4}" width="{left + width + 170}" role="img">']
    for place, row in enumerate(rows):
        y = place * line + 4
        out.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(row.name[:22])}</text>')
        out.append(
            f'<rect x="{left}" y="{y}" width="{row.value * scale:.1f}" height="18" fill="{escape(row.color)}" '
            'fill-opacity=".75" stroke="currentColor" stroke-opacity=".3"/>'
        )
        at = left + row.shown * scale
        out.append(f'<path class="error" d="M{at:.1f} {y - 3}V{y + 21}" stroke-dasharray="3 2"/>')
        text = f"{row.value * factor:.1f}"
        if not isnan(row.half):
            low, high = (left + max(0.0, row.value + sign * row.half) * scale for sign in (-1, 1))
            ends_of = f"M{low:.1f} {y + 5}v8M{high:.1f} {y + 5}v8"
            out.append(f'<path class="error" d="M{low:.1f} {y + 9}H{high:.1f}{ends_of}"/>')
            text += f" ± {row.half * factor:.1f}"
        out.append(f'<text x="{left + width + 10}" y="{y + 14}">{text} {unit}, map {row.shown * factor:.1f}</text>')
    return "".join(out) + "</svg>"


def image(picture: Bytes, what: str) -> str:
    """A picture (H, W, 3) within the page."""
    opaque = np.full((1, *picture.shape[:2]), 255, np.uint8)
    data = base64.b64encode(encoded(np.concatenate([picture.transpose(2, 0, 1), opaque]), "png")).decode()
    return f'<img alt="{escape(what)}" src="data:image/png;base64,{data}">'
