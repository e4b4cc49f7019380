"""What the report in a folder of results tells those who look at it; it may be somebody else's, or damaged."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mapgen.errors import one_line
from mapgen.files.inputs import note_inputs
from mapgen.files.kind import PICTURE_SUFFIXES
from mapgen.files.untrusted import parsed_json
from mapgen.legend import LayerClass
from mapgen.raster.legends import ClassNames
from mapgen.results.render import PictureDrawing


def told_about(report: dict[str, Any]) -> list[str]:
    """Lines about a map: which model made it when, under which licence, and what it warned of."""
    model = report.get("model")
    model = model if isinstance(model, dict) else {}
    name, version, license_ = (model.get(key) for key in ("name", "version", "license"))
    created = report.get("created")
    parts = [
        f"Model {name} {version}" if _is_text(name) and _is_text(version) else "",
        str(created)[:10] if _is_text(created) else "",
        f"licence of the model: {license_}" if _is_text(license_) else "",
    ]
    line = " · ".join(part for part in parts if part)
    warnings = report.get("warnings")
    said = [text for text in warnings if _is_text(text)] if isinstance(warnings, list) else []
    return [one_line(text) for text in ([line] if line else []) + [f"Warning: {text}" for text in said[:5]]]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def reported_areas(report: dict[str, Any], mask: str, names: ClassNames) -> list[tuple[LayerClass, float | None]]:
    """Each class that occurs with its area, as the report says of the class map `mask`; none where it does not."""
    files, classes = report.get("files"), report.get("classes")
    if not isinstance(files, dict) or files.get("class_map") != mask or not isinstance(classes, list):
        return []
    found: list[tuple[LayerClass, float | None]] = []
    for entry in classes:
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), int) or not _is_area(entry.get("area_m2")):
            return []
        if entry.get("pixels") and entry["id"] not in names.background:
            (known,) = names.of([entry["id"]])
            found.append((known, float(entry["area_m2"])))
    return found


def _is_area(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def preview_of(report: dict[str, Any], folder: Path) -> PictureDrawing | None:
    """The small picture of the imagery, if it is there and the report says where on Earth."""
    files = report.get("files")
    named = files.get("preview") if isinstance(files, dict) else None  # before one that an older run has left
    previews = [p for p in folder.glob("*.preview.*") if p.suffix in PICTURE_SUFFIXES]
    previews.sort(key=lambda p: (p.name != named, p.name))
    placing = report.get("preview")
    bounds = placing.get("bounds") if isinstance(placing, dict) else None
    if not previews or not isinstance(bounds, list) or len(bounds) != 4:
        return None
    if not all(isinstance(v, int | float) for v in bounds) or not (bounds[0] < bounds[2] and bounds[1] < bounds[3]):
        return None
    return PictureDrawing(previews[0], (bounds[0], bounds[1], bounds[2], bounds[3]))


def read_record(path: Path) -> dict[str, Any]:
    """A report as it stands in a folder; nothing where it is missing or damaged."""
    try:
        found = parsed_json(path.read_text(encoding="utf-8"))
        note_inputs(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def only_scene(report: dict[str, Any]) -> str | None:
    """The path, as seen from the report, of the scene that it names, if it is one."""
    scenes = report.get("scenes")
    if not isinstance(scenes, list) or len(scenes) != 1 or not isinstance(scenes[0], dict):
        return None
    path = scenes[0].get("path")
    return path if isinstance(path, str) else None
