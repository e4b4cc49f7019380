"""What a dataset holds, whether training and validation keep apart, and what is wrong with it: `train --check`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine

from mapgen.dataset.common_grid import Site, frames_of
from mapgen.dataset.dataset import IGNORE, Dataset, Piece
from mapgen.errors import one_line
from mapgen.grid import Grid, Window
from mapgen.raster.placement import Placement

_ROWS = 512
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found in a dataset. `failed` says what keeps it from being trained with."""

    record: dict[str, Any]
    failed: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return self.record | {"failed": list(self.failed)}

    def text(self) -> str:
        """The survey as people read it."""
        return "\n".join(map(one_line, _lines(self.record, self.failed))) + "\n"


def check_dataset(dataset: Dataset, *, unlisted: str = "error") -> Survey:
    """What a dataset holds: images, labelled pixels and shares of the classes on both sides, bands, labels that were
    repaired, left out or not listed, images that overlap, and the ground that training and validation share.

    That ground is measured anew from the labels as they will be used, not taken from the split: any is a failure.
    """
    report = dataset.report
    shared = list(_shared(dataset))
    sides = {side: _side(dataset, side) for side in ("training", "validation")}
    record = {
        "images": len(report["images"]),
        "pixels": sum(i["height"] * i["width"] for i in report["images"]),
        "unlabelled": sum(i["unlabelled"] for i in report["images"]),
        "nodata": sum(i["nodata"] for i in report["images"]),
        "for_teachers": {
            "pieces": len(dataset.unlabelled),
            "pixels": sum(i["training"] for i in report["images"] if i.get("use") == "unlabelled"),
        },
        "guard": sum(i["guard"] for i in report["images"]),
        "left_out": sum(i["left_out"] for i in report["images"]),
        "resampled": sum(i["resampled"] for i in report["images"]),
        "resolution_m": dataset.resolution_m,
        "data_type": dataset.data_type,
        "bands": list(dataset.bands),
        "classes": list(dataset.legend.names),
        "split": report["split"],
        "sides": sides,
        "features": report["features"],
        "unlisted": report["unlisted"],
        "overlaps": report["overlaps"],
        "shared": shared,
        "warnings": list(dataset.warnings),
    }
    return Survey(record, tuple(_failures(record, unlisted)))


def _side(dataset: Dataset, side: str) -> dict[str, Any]:
    counts = dataset.pixels[side]
    total = sum(counts)
    measured = dataset.report["measured"][side]
    return {
        "pieces": len(getattr(dataset, side)),
        "labelled": total,
        "area_km2": total * dataset.resolution_m**2 / 1e6,
        "shares": [c / total if total else 0.0 for c in counts],
        "bands": {k: measured[k] for k in ("mean", "std", "low", "high") if k in measured},
    }


def _failures(record: dict[str, Any], unlisted: str) -> Iterator[str]:
    for name, counts in record["unlisted"].items() if unlisted == "error" else ():
        yield f"{name} holds labels that no class lists: {_counted(counts)}"
    for one in record["shared"]:
        yield f"{one['training']} and {one['validation']} share {one['pixels']} pixels of ground"


def _counted(counts: dict[str, int]) -> str:
    shown = ", ".join(f"{value} ({n})" for value, n in list(counts.items())[:_SHOWN])
    return shown + (f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else "")


# --- ground on both sides --------------------------------------------------------------------------------------------


def _shared(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Pairs of a training and a validation piece whose labels lie on the same ground, and how many pixels do."""
    entries = [(side, n) for side in ("training", "validation") for n in range(len(getattr(dataset, side)))]
    sites, seats = [], []
    for side, number in entries:
        fact, grid = _place(dataset, side, number)
        sites.append(Site(fact["name"], grid))
        seats.append(fact["seat"])
    placed = frames_of(sites, dataset.resolution_m)
    frames: dict[int, list[int]] = {}
    for number, seat in enumerate(seats):
        if seat is not None:
            frames.setdefault(seat[0], []).append(number)
    for one, (side, number) in enumerate(entries):
        if side == "validation":
            continue
        seat = seats[one]
        near = placed.around(one, 2) if seat is None else frames[seat[0]]
        for other in near:
            if entries[other][0] == "validation" and (seats[other] is None) == (seat is None):
                mine, judged = dataset.training[number], dataset.validation[entries[other][1]]
                pixels = _met(mine, judged, sites[one].grid, sites[other].grid, seats[one], seats[other])
                if pixels:
                    yield {"training": mine.name, "validation": judged.name, "pixels": pixels}


def _place(dataset: Dataset, side: str, number: int) -> tuple[dict[str, Any], Grid]:
    """The facts of the image that a piece is from, and the piece's own grid."""
    entry, piece = dataset.report["pieces"][side][number], getattr(dataset, side)[number]
    fact = dataset.report["images"][entry["image"]]
    whole = Grid(fact["crs"], Affine(*fact["transform"]), fact["height"], fact["width"])
    seat = fact["seat"]
    at = None if seat is None else (seat[0], seat[1] + entry["place"][0], seat[2] + entry["place"][1])
    return {"name": piece.name, "seat": at}, whole.crop(Window(*entry["place"], *piece.label.shape))


def _met(mine: Piece, judged: Piece, grid: Grid, other: Grid, seat: Any, other_seat: Any) -> int:
    """Labelled pixels of `mine` on labelled pixels of `judged`."""
    total = 0
    height, width = mine.label.shape
    placement = Placement(grid, other) if seat is None else None
    extent = placement.extent() if placement is not None else _overlap(mine, judged, seat, other_seat)
    for row in range(extent.row, extent.bottom, _ROWS):
        window = Window(row, extent.col, min(_ROWS, extent.bottom - row), extent.width)
        label = mine.label[window.slices(Window(0, 0, height, width))]
        if placement is not None:
            rows, cols = placement.positions(window)
            there = np.where(rows >= 0, judged.label[rows, cols], IGNORE)
        else:
            there = judged.label[
                window.shifted(seat[1] - other_seat[1], seat[2] - other_seat[2]).slices(Window(0, 0, 0, 0))
            ]
        total += int(((label != IGNORE) & (there != IGNORE)).sum())
    return total


def _overlap(mine: Piece, judged: Piece, seat: Any, other_seat: Any) -> Window:
    """The window of `mine` that lies on `judged`, both in pixels of one frame."""
    own = Window(0, 0, *mine.label.shape)
    return own & Window(other_seat[1] - seat[1], other_seat[2] - seat[2], *judged.label.shape)


# --- as text ---------------------------------------------------------------------------------------------------------


def _lines(record: dict[str, Any], failed: Sequence[str]) -> Iterator[str]:
    million = record["pixels"] / 1e6
    what = f"{', '.join(record['bands'])} as {record['data_type']}"
    yield f"{record['images']} images, {million:.2f} Mpx at {record['resolution_m']:g} m; {what}"
    parts = {k: record[k] / max(1, record["pixels"]) for k in ("unlabelled", "nodata", "guard", "left_out")}
    names = {
        "unlabelled": "not labelled",
        "nodata": "without data",
        "guard": "in the guard",
        "left_out": "left out for validation",
    }
    said = [f"{share:.1%} {names[k]}" for k, share in parts.items() if share]
    if said:
        yield "of the pixels " + ", ".join(said)
    if record["resampled"]:
        yield f"{record['resampled']} images were resampled"
    bare = record["for_teachers"]
    if bare["pieces"]:
        yield f"{bare['pixels'] / 1e6:.2f} Mpx of unlabelled images are for teachers alone"
    split = record["split"]
    if split["blocks"]:
        share = f"{split['validation_blocks']} of {split['blocks']} blocks of {split['block_px']} px"
        yield f"{share} validate, with a guard of {split['guard_px']} px"
    yield ""
    yield from _classes(record)
    yield ""
    yield from _bands(record)
    for name, counts in record["features"].items():
        said = [f"{counts[k]} {k.replace('_', ' ')}" for k in ("repaired", "no_geometry", "no_class") if counts.get(k)]
        yield f"{name}: {counts['features']} features" + "".join(f", {text}" for text in said)
    for name, counts in record["unlisted"].items():
        yield f"{name}: not listed by any class: {_counted(counts)}"
    for one in record["overlaps"][:_SHOWN]:
        yield f"{one['a']} and {one['b']} overlap on {one['area_m2'] / 1e6:.4g} km²"
    if len(record["overlaps"]) > _SHOWN:
        yield f"and {len(record['overlaps']) - _SHOWN} more pairs overlap"
    if record["sides"]["validation"]["labelled"]:
        apart = "training and validation share no ground"
        yield (
            apart if not record["shared"] else f"training and validation share ground in {len(record['shared'])} places"
        )
    yield from (f"warning: {text}" for text in record["warnings"])
    yield from (f"failed: {text}" for text in failed)


def _classes(record: dict[str, Any]) -> Iterator[str]:
    width = max(10, *(len(n) for n in record["classes"]))
    yield f"{'':{width}}  training  validation"
    sides = [record["sides"][s] for s in ("training", "validation")]
    yield f"{'pieces':{width}}  {sides[0]['pieces']:8d}  {sides[1]['pieces']:10d}"
    yield f"{'Mpx':{width}}  {sides[0]['labelled'] / 1e6:8.3f}  {sides[1]['labelled'] / 1e6:10.3f}"
    for k, name in enumerate(record["classes"]):
        yield f"{name:{width}}  {sides[0]['shares'][k]:8.1%}  {sides[1]['shares'][k]:10.1%}"


def _bands(record: dict[str, Any]) -> Iterator[str]:
    width = max(10, *(len(n) for n in record["bands"]))
    yield f"{'band':{width}}  {'mean':>9}  {'std':>9}  {'low':>9}  {'high':>9}   validation mean"
    train, judge = (record["sides"][s]["bands"] for s in ("training", "validation"))
    for b, name in enumerate(record["bands"]):
        cells = "  ".join(f"{train[k][b]:9.4g}" for k in ("mean", "std", "low", "high")) if train else ""
        yield f"{name:{width}}  {cells}" + (f"   {judge['mean'][b]:9.4g}" if judge else "")
