"""The keys by which QGIS's Deepness and GeoDeep describe a network in an ONNX file: read, and written.

Each is a text that holds JSON. Both take pixels divided by 255; resolutions are in centimetres, overlaps in percent.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from mapgen.errors import ModelError, one_line
from mapgen.model.card import ModelCard

CARD = "mapgen_card"
"""The key of the whole card in a file that mapgen wrote."""

SEGMENTOR = "segmentor"

_NAMES_LIMIT = 65_536
"""Characters of class names, at most."""

_BACKGROUND = re.compile(r"^_?(background|other|no(t|n)?[_ -].*)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Said:
    """What the keys say, in mapgen's units; None where they say nothing."""

    kind: str | None = None
    """`segmentor`, `detector`, … in small letters."""
    classes: tuple[tuple[str, ...], ...] = ()
    """The names of the classes of each output that has some."""
    resolution_m: float | None = None
    mean: tuple[float, ...] | None = None
    """Of pixels from 0 to 1."""
    std: tuple[float, ...] | None = None
    overlap: float | None = None
    """Share of the side of a window."""
    threshold: float | None = None
    card: str | None = None


def said(keys: Mapping[str, str], subject: str) -> Said:
    """What the keys of a file say. Raises `ModelError` for values that mean nothing."""

    def value(name: str) -> Any:
        text = keys[name]
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text

    def number(name: str, low: float, high: float) -> float | None:
        if name not in keys:
            return None
        try:
            found = float(value(name))
        except (TypeError, ValueError):
            found = float("nan")
        if not low <= found <= high:
            raise ModelError(subject, f"its key {name} is {one_line(keys[name])[:40]!r}", "correct it, or leave it out")
        return found

    kind = value("model_type") if "model_type" in keys else None
    resolution, overlap = number("resolution", 0, 1e7), number("tiles_overlap", 0, 99)
    return Said(
        kind=str(kind).strip().lower() if kind is not None else None,
        classes=_classes(keys, subject),
        resolution_m=resolution / 100 if resolution else None,
        mean=_row(keys, value, "standardization_mean", subject), std=_row(keys, value, "standardization_std", subject),
        overlap=None if overlap is None else overlap / 100, threshold=number("seg_thresh", 0, 1), card=keys.get(CARD),
    )  # fmt: skip


def is_background(name: str) -> bool:
    """Whether the first class of a network is called as if it were none."""
    return _BACKGROUND.match(name) is not None


def written(card: ModelCard, side: int) -> dict[str, str]:
    """The keys of a card for a file whose network takes windows of `side` pixels and normalizes them itself."""
    return {
        "model_type": json.dumps("Segmentor"),
        "class_names": json.dumps({str(i): c.name for i, c in enumerate(card.legend)}, ensure_ascii=False),
        "resolution": json.dumps(round(100 * card.resolution_m, 2)),
        "tile_size": json.dumps(side), "tiles_size": json.dumps(side), "tiles_overlap": json.dumps(12),
        "seg_thresh": json.dumps(0.0), "seg_small_segment": json.dumps(0),
        CARD: card.to_json(),
    }  # fmt: skip


def _row(keys: Mapping[str, str], value: Any, name: str, subject: str) -> tuple[float, ...] | None:
    """One number or a list of them."""
    if name not in keys:
        return None
    found = value(name)
    found = found if isinstance(found, list) else [found]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and isfinite(v) for v in found):
        raise ModelError(subject, f"its key {name} is {one_line(keys[name])[:40]!r}", "correct it, or leave it out")
    return tuple(float(v) for v in found)


def _classes(keys: Mapping[str, str], subject: str) -> tuple[tuple[str, ...], ...]:
    """The class names: a dictionary of ids, or a list of such, one for each output; `names` holds Python literals."""
    for name, read in (("class_names", json.loads), ("names", ast.literal_eval)):
        text = keys.get(name)
        if text is None:
            continue
        try:
            found = read(text) if len(text) <= _NAMES_LIMIT else None
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            found = None
        groups = [found]
        if isinstance(found, list) and found and all(isinstance(g, dict | list) for g in found):
            groups = found
        rows = [_names(group) for group in groups]
        if None in rows:
            problem = f"its key {name} is {one_line(text)[:60]!r}, not the names of the classes 0, 1, …"
            raise ModelError(subject, problem, "correct it, or leave it out")
        return tuple(row for row in rows if row is not None)
    return ()


def _names(group: Any) -> tuple[str, ...] | None:
    """The names of the ids 0, 1, …; None where they are no such thing."""
    if isinstance(group, list):
        group = dict(enumerate(group))
    if not isinstance(group, dict) or not 0 < len(group) <= 255:
        return None
    try:
        by_id = {int(key): value for key, value in group.items()}
    except (TypeError, ValueError):
        return None
    if sorted(by_id) != list(range(len(group))) or not all(isinstance(v, str) and v.strip() for v in by_id.values()):
        return None
    return tuple(by_id[i] for i in range(len(by_id)))
