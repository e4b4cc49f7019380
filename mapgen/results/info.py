"""`info`: what a file is, whether a model fits it, and what to do next."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mapgen.errors import InputError, one_line
from mapgen.files.gdal import environment
from mapgen.files.kind import kind_of
from mapgen.files.untrusted import parsed_json
from mapgen.files.vectors import layer_facts
from mapgen.files.vet import is_url, public_name
from mapgen.inference.job import Job, foretell, obstacles, plan_job
from mapgen.inference.options import SegmentOptions
from mapgen.model.file import find_model, open_model
from mapgen.model.listing import card_lines
from mapgen.model.listing import describe as describe_model
from mapgen.raster.legends import color_table, read_names
from mapgen.raster.open import open_scene
from mapgen.raster.scene import RasterScene
from mapgen.results.report import read_report
from mapgen.tiling.containers.container import open_tiles
from mapgen.tiling.job import NAMED
from mapgen.tiling.source import raster_kind


def describe(name: str, model: str) -> dict[str, Any]:
    """What the file is, as plain values; `kind` is scene, class map, layer, tile set, model or result."""
    path, kind = Path(name), kind_of(name)
    if kind == "model":
        return describe_model(open_model(path))
    if kind == "layer":
        return _layer(path)
    if kind == "result":
        return _result(path)
    if kind in ("tiles", "folder"):
        return _tiles(path)
    with environment(remote=is_url(name)):
        with open_scene(name, any_kind=True) as scene:
            if raster_kind(scene, name)[0] == "classes":
                return _class_map(scene, name)
        with open_scene(name) as scene:
            return _scene(scene, name, model)


def _raster(scene: RasterScene) -> dict[str, Any]:
    across, down = scene.grid.resolution_m
    crs = scene.dataset.crs
    return {
        "file": public_name(scene.name),
        "format": scene.dataset.driver,
        "width": scene.grid.width,
        "height": scene.grid.height,
        "bands": scene.band_names,
        "dtype": scene.dtype.name,
        "crs": crs.to_string()[:80] if crs else None,
        "bounds": list(scene.grid.bounds),
        "resolution_m": [round(across, 6), round(down, 6)] if crs and math.isfinite(across + down) else None,
        "nodata": _nodata(scene),
    }


def _nodata(scene: RasterScene) -> str:
    if scene.alpha is not None:
        return f"alpha (band {scene.alpha})"
    values = sorted({str(v) for v in scene.dataset.nodatavals if v is not None})
    if scene.sparse:
        return "what is not stored"
    return ", ".join(values) if values else "mask" if scene.has_validity else "none"


def _scene(scene: RasterScene, name: str, model_name: str) -> dict[str, Any]:
    model = find_model(model_name)
    record = {"kind": "scene", **_raster(scene), "model": model.card.name}
    flag = (
        "" if model.path.stem == model_name and not Path(model_name).exists() else f" --model {shlex.quote(model_name)}"
    )
    options = SegmentOptions(model=model_name)
    found = obstacles(scene, model, options)
    if not found:
        try:
            job = plan_job(scene, model, options)
        except InputError as exc:
            found = [exc]
    if found:
        why, remedies = ("; ".join(parts) for parts in zip(*((e.problem, e.remedy) for e in found), strict=True))
        return record | {"fits": False, "why": why, "next": remedies, "warnings": list(scene.warnings)}
    plan = foretell(job)
    return record | {
        "fits": True,
        "compared": _compared(job),
        "not_judged": f"whether the ground is like what the model knows: {model.card.domain or 'it does not say'}",
        "windows": plan["windows"],
        "resampled": plan["grid"]["resampled"],
        "warnings": plan["warnings"],
        "next": f"mapgen segment {shlex.quote(name)}{flag}",
    }


def _compared(job: Job) -> dict[str, str]:
    """What fits: which bands are taken for the model's, in which type, at which resolution."""
    card, across = job.model.card, job.scene.grid.resolution_m[0]
    here = f"{across:.3g} m" if job.scene.grid.crs and math.isfinite(across) else "unknown"
    return {
        "bands": ", ".join(f"{b} as {one}" for b, one in zip(job.scene.bands, card.bands, strict=True)),
        "data_type": f"{job.scene.dtype.name} for {card.data_type}",
        "resolution": f"{here} for {card.resolution_m:.3g} m",
    }


def _class_map(scene: RasterScene, name: str) -> dict[str, Any]:
    tags = scene.dataset.tags()
    names = read_names(None if is_url(name) else Path(name), tags, color_table(scene.dataset))
    named = tuple(names.classes.values())
    return {
        "kind": "class map",
        **_raster(scene),
        "model": tags.get("MAPGEN_MODEL"),
        "model_sha256": tags.get("MAPGEN_MODEL_SHA256"),
        "mapgen": tags.get("MAPGEN_VERSION"),
        "parameters": _loaded(tags.get("MAPGEN_PARAMETERS"), {}),
        "classes": [{"id": c.id, "name": c.name, "color": c.color} for c in named] if len(named) <= NAMED else None,
        "next": f"mapgen vectorize {shlex.quote(name)}",
    }


def _loaded(text: str | None, default: Any) -> Any:
    try:
        return parsed_json(text) if text else default
    except ValueError:  # somebody edited the tag
        return default


def _result(folder: Path) -> dict[str, Any]:
    """What the report in a folder says of the map in it."""
    report = read_report(folder)
    classes = [c for c in report.get("classes", []) if c.get("pixels")]
    return {
        "kind": "result",
        "file": str(folder),
        "name": report.get("name"),
        "created": report.get("created"),
        "scenes": [str(scene.get("name")) for scene in report.get("scenes", [])],
        "model": report.get("model", {}).get("name"),
        "crs": report.get("grid", {}).get("crs"),
        "shares": {str(c.get("name")): f"{c.get('share', 0):.1%}" for c in classes},
        "files": list(report.get("files", {}).values()),
        "warnings": [str(text) for text in report.get("warnings", [])],
        "next": f"mapgen view {shlex.quote(str(folder))}",
    }


def _layer(path: Path) -> dict[str, Any]:
    facts = layer_facts(path)
    return {
        "kind": "layer",
        "file": str(path),
        **facts,
        "next": "open it in QGIS, or `mapgen info` its class map",
    }


def _tiles(path: Path) -> dict[str, Any]:
    with open_tiles(path) as tiles:
        info = tiles.info
    return {
        "kind": "tile set",
        "file": str(path),
        "name": info.name,
        "bytes": path.stat().st_size if path.is_file() else None,
        "format": info.format,
        "zoom": [info.min_zoom, info.max_zoom],
        "tile_size": info.tile_size,
        "tiling": info.tiling,
        "bounds": list(info.bounds),
        "layers": [str(layer.get("id", "")) for layer in info.vector_layers] or None,
        "classes": [{"id": c.id, "name": c.name} for c in info.classes] or None,
        "next": "open it with a MapLibre page, or QGIS (MBTiles)",
    }


def lines(record: Mapping[str, Any]) -> Iterator[str]:
    """The record as text, one fact a line."""
    if record["kind"] == "model":
        yield from card_lines(record)
        return
    yield f"{one_line(record['file'])}: {record['kind']}"
    for key, value in record.items():
        if key in ("kind", "file", "warnings") or value is None:
            continue
        yield f"  {key.replace('_', ' ') + ':':<14}{one_line(_shown(key, value))}"
    for warning in record.get("warnings", []):
        yield f"  warning:      {one_line(warning)}"


def _shown(key: str, value: Any) -> str:
    if key == "classes":
        return ", ".join(f"{c['id']} {c['name']}" for c in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(f"{v:.10g}" if isinstance(v, float) else str(v) for v in value)
    if isinstance(value, dict):
        return "; ".join(f"{k.replace('_', ' ')} {v}" for k, v in value.items())
    return str(value)
