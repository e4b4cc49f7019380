"""Result folders of `mapgen map`: the report that says what lies in one, and plain JSON beside it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mapgen import __version__
from mapgen.errors import InputError, one_line
from mapgen.files.commit import Output, translated, write_whole
from mapgen.files.kind import REPORT
from mapgen.files.machine import version_of
from mapgen.files.untrusted import json_object
from mapgen.files.vet import is_url, public_name
from mapgen.grid import Grid
from mapgen.model.card import ModelCard
from mapgen.tiling.footprint import footprint

SCHEMA = 1
"""Of report.json; fields are only added while it stays."""


def write_json(output: Output, content: Mapping[str, Any]) -> None:
    """Write one JSON object, whole or not at all. Raises `OutputError`."""
    write_whole(output, json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def older_files(folder: Path) -> dict[str, str]:
    """The files by role of the report that lies in a folder; none where there is none, or nothing it could be."""
    try:
        files = json_object((folder / REPORT).read_text(encoding="utf-8"))["files"]
        return {str(role): str(name) for role, name in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def read_report(folder: Path) -> dict[str, Any]:
    """The report in a folder. Raises `InputError` where it is none."""
    try:
        found = json_object((folder / REPORT).read_text(encoding="utf-8"))
        if "mapgen_report" not in found:
            raise ValueError("not the report of mapgen map")
        _check_shape(found)
    except (OSError, ValueError) as exc:
        raise InputError(folder / REPORT, f"cannot be read ({one_line(exc)})", "make the map again") from exc
    return dict(found)


_SHAPE: dict[str, tuple[type, ...]] = {
    "files": (dict,), "sha256": (dict,), "model": (dict,), "grid": (dict,), "classes": (list,), "scenes": (list,),
    "warnings": (list,),
}  # fmt: skip
"""What parts of a report are, where it has them; it has files."""


def _check_shape(report: Mapping[str, Any]) -> None:
    """Raise `ValueError` for a report whose parts are not what they are to be."""
    wrong = [key for key, kinds in _SHAPE.items() if not isinstance(report.get(key, kinds[0]()), kinds)]
    entries = [*report.get("classes", []), *report.get("scenes", [])] if not wrong else []
    shares = [entry.get("share", 0) for entry in entries if isinstance(entry, dict)]
    if wrong or "files" not in report or len(shares) < len(entries) or not all(_is_share(one) for one in shares):
        raise ValueError(f"a report whose {(wrong or ['classes or scenes'])[0]} are none")


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def drop_report(folder: Path) -> None:
    """Remove the report of an earlier run, which no longer holds."""
    with suppress(FileNotFoundError), translated(folder / REPORT):
        (folder / REPORT).unlink()


def seen_from(folder: Path, path: Path) -> str:
    """The relative path from a folder to a file, with slashes; the absolute one on another drive."""
    try:
        return os.path.relpath(path, folder).replace(os.sep, "/")
    except ValueError:
        return path.absolute().as_uri()


def finite(area: float) -> float | None:
    """Square metres to the thousandth; None where there is no place on Earth."""
    return round(area, 3) if area == area and abs(area) != float("inf") else None


def known_crs(grid: Grid) -> str | None:
    """The CRS of a grid as web pages and scripts take it: `EPSG:32640`; as WKT where no authority numbers it."""
    if grid.crs is None:
        return None
    from pyproj import CRS

    known = CRS.from_user_input(grid.crs).to_authority()
    return ":".join(known) if known else grid.crs


def described_scenes(scenes: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """Scenes as the report in a folder says them; of a URL there is no path."""
    return [{"name": public_name(s), "path": None if is_url(s) else seen_from(folder, Path(s))} for s in scenes]


def described_model(card: ModelCard, sha256: str) -> dict[str, Any]:
    """A model as a report says it."""
    return {
        "name": card.name,
        "version": card.version,
        "sha256": sha256,
        "domain": card.domain,
        "license": card.license,
    }


def described_map(name: str, scenes: Sequence[str], folder: Path, card: ModelCard, sha256: str) -> dict[str, Any]:
    """What the report in a folder begins with: what the map is, and what it was made of."""
    return {
        "mapgen_report": SCHEMA, "name": name, "created": now(), "mapgen": __version__,
        "scenes": described_scenes(scenes, folder), "model": described_model(card, sha256),
    }  # fmt: skip


def described_grid(grid: Grid) -> dict[str, Any]:
    """A grid as a report says it."""
    ground = footprint(grid) if grid.crs is not None else None
    t = grid.transform
    return {
        "crs": known_crs(grid), "wkt": grid.crs,
        "transform": [t.a, t.b, t.c, t.d, t.e, t.f], "height": grid.height, "width": grid.width,
        "resolution_m": None if grid.crs is None else [finite(r) for r in grid.resolution_m],
        "bounds": None if ground is None else list(ground.lonlat),
    }  # fmt: skip


def now() -> str:
    """The time, in UTC, as RFC 3339 writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def versions() -> dict[str, str]:
    """The versions that a map depends on."""
    found = {"python": platform.python_version(), "mapgen": __version__}
    packages = ("numpy", "rasterio", "openvino", "torch", "pyogrio", "shapely", "numba")
    return found | {name: text for name in packages if (text := version_of(name))}
