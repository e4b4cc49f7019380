"""STAC items: what a map and its model say of themselves to catalogues.

https://github.com/radiantearth/stac-spec/blob/v1.1.0/item-spec/item-spec.md and the extensions `classification`,
`processing`, `projection` and `mlm` in the versions named here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np

from mapgen.errors import CrsError
from mapgen.files.vet import is_url, public_name
from mapgen.grid import Grid, transformer
from mapgen.legend import NODATA, Legend
from mapgen.model.card import ModelCard
from mapgen.raster.classmap import SCORE_SCALE
from mapgen.results.report import seen_from

VERSION = "1.1.0"
CLASSIFICATION = "https://stac-extensions.github.io/classification/v2.0.0/schema.json"
PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
RASTER = "https://stac-extensions.github.io/raster/v2.0.0/schema.json"
FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
MLM = "https://stac-extensions.github.io/mlm/v1.5.0/schema.json"

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
MEDIA = {
    "class_map": COG, "confidence": COG, "preview": "image/webp", ".html": "text/html",
    ".gpkg": "application/geopackage+sqlite3", ".geojson": "application/geo+json",
    ".fgb": "application/vnd.flatgeobuf", ".parquet": "application/vnd.apache.parquet",
    ".pmtiles": "application/vnd.pmtiles", ".geojsonl": "application/geo+json-seq", ".shp": "application/vnd.shp",
    ".json": "application/json", ".tif": "image/tiff; application=geotiff", ".tiff": "image/tiff; application=geotiff",
    ".jp2": "image/jp2", ".png": "image/png", ".jpg": "image/jpeg",
}  # fmt: skip
"""Media types of assets, by role or suffix."""

ROLES = {
    "class_map": ["data"], "confidence": ["data"], "layer": ["data"], "layer_geojson": ["data"],
    "raster_tiles": ["visual"], "vector_tiles": ["visual"], "preview": ["overview", "thumbnail"], "page": ["visual"],
    "roads": ["data"], "road_tiles": ["visual"],
    "report": ["metadata"], "tilejson": ["metadata"], "style": ["metadata"],
}  # fmt: skip
TITLES = {
    "class_map": "Class map", "confidence": "Probability of the chosen class",
    "layer": "Polygons", "layer_geojson": "Polygons as GeoJSON",
    "raster_tiles": "Raster tiles of the class map", "vector_tiles": "Vector tiles of the class map",
    "roads": "Network of the roads", "road_tiles": "Vector tiles of the roads",
    "preview": "Picture of the imagery", "page": "Page to look at the map", "report": "What mapgen did and found",
    "tilejson": "TileJSON of the tiles", "style": "MapLibre style of the tiles",
}  # fmt: skip

BESIDE = {"tilejson": ".json", "style": ".style.json"}
"""What lies beside a set of tiles, by the end of its name."""

_ALONG = 16
"""Places along each side of a footprint."""


@dataclass(frozen=True, slots=True)
class Source:
    """A scene that a map was made from: what it is called, and where it is as seen from the item."""

    name: str
    href: str


def source_of(scene: str, folder: Path) -> Source:
    """A scene for an item in a folder; of a URL neither password nor query."""
    if not is_url(scene):
        return Source(public_name(Path(scene).name), quoted(seen_from(folder, Path(scene))))
    parts = urlsplit(scene)
    place = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return Source(public_name(scene), place)


def map_item(
    name: str,
    grid: Grid,
    legend: Legend,
    files: Mapping[str, str],
    sources: Sequence[Source],
    model: str | None,
    software: Mapping[str, str],
    created: str,
) -> dict[str, Any]:
    """The item of a map on `grid`: `files` by role, names as seen from the item; `model` is the item of the model.

    Its time is that of the making, `created` (RFC 3339), since scenes seldom say when they were taken.
    """
    geometry, box = outline(grid)
    # `derived_from` is for STAC items; a scene is a file.
    links = [{"rel": "via", "href": one.href, "title": one.name, **_media(one.name)} for one in sources]
    if model is not None:
        links.append({"rel": "derived_from", "href": model, "type": "application/geo+json", "title": "The model"})
    properties: dict[str, Any] = {
        "title": name, "datetime": created, "created": created,
        "processing:lineage": "Semantic segmentation of imagery by a neural network",
        "processing:software": dict(software),
    }  # fmt: skip
    if grid.crs is not None:
        properties["gsd"] = round(float(np.mean(grid.resolution_m)), 6)
    assets = {role: _asset(role, file, legend) for role, file in files.items() if role in ROLES}
    for role in ("raster_tiles", "vector_tiles", "road_tiles"):  # what lies beside them
        if role in files:
            assets |= {f"{role}_{kind}": _asset(kind, files[role] + end, legend) for kind, end in BESIDE.items()}
    extensions = [CLASSIFICATION, PROCESSING, PROJECTION, *([RASTER] if "confidence" in assets else [])]
    item = {
        "type": "Feature", "stac_version": VERSION, "stac_extensions": extensions,
        "id": name, "geometry": geometry, "bbox": box, "properties": properties | _projection(grid),
        "links": links, "assets": assets,
    }  # fmt: skip
    return item if box is not None else {k: v for k, v in item.items() if k != "bbox"}


def _asset(role: str, file: str, legend: Legend) -> dict[str, Any]:
    media = MEDIA.get(role) or MEDIA.get("." + file.rsplit(".", 1)[-1], "application/octet-stream")
    asset: dict[str, Any] = {"href": f"./{quoted(file)}", "type": media, "title": TITLES[role], "roles": ROLES[role]}
    if role == "class_map":
        nodata = {"value": NODATA, "name": "nodata", "title": "No data", "nodata": True}
        asset |= {"data_type": "uint8", "nodata": NODATA, "classification:classes": [*classes(legend), nodata]}
    elif role == "confidence":
        asset |= {"data_type": "uint8", "nodata": NODATA, "raster:scale": SCORE_SCALE, "raster:offset": 0}
    return asset


def _media(name: str) -> dict[str, str]:
    """The media type of a file by its suffix, if it is known."""
    suffix = "." + name.rsplit(".", 1)[-1].lower()
    return {"type": MEDIA[suffix]} if suffix in MEDIA else {}


def classes(legend: Legend) -> list[dict[str, Any]]:
    """The classes as class objects; their names may hold few characters, their titles any."""
    names: list[str] = []
    for c in legend:
        name = re.sub(r"[^0-9A-Za-z_]+", "-", c.name).strip("-")
        name = name or "class"
        names.append(name if name not in names else f"{name}--{c.id}")
    return [
        {"value": c.id, "name": name, "title": c.name, "description": c.name, "color_hint": c.color[1:].upper()}
        for c, name in zip(legend, names, strict=True)
    ]


def _untitled(entry: dict[str, Any]) -> dict[str, Any]:
    """A class object as readers of `mlm` take it: they know the older version, which has no titles."""
    return {key: value for key, value in entry.items() if key != "title"}


def _projection(grid: Grid) -> dict[str, Any]:
    t = grid.transform
    entries: dict[str, Any] = {
        "proj:code": None,
        "proj:shape": [grid.height, grid.width],
        "proj:transform": [t.a, t.b, t.c, t.d, t.e, t.f],
        "proj:bbox": list(grid.bounds),
    }
    if grid.crs is not None:
        from pyproj import CRS

        crs = CRS.from_user_input(grid.crs)
        known = crs.to_authority()
        entries["proj:code"] = ":".join(known) if known else None
        entries["proj:wkt2"] = crs.to_wkt()
    return entries


def outline(grid: Grid) -> tuple[dict[str, Any] | None, list[float] | None]:
    """The outline of a grid as GeoJSON in degrees, cut at the antimeridian, and its box; None without a place."""
    if grid.crs is None:
        return None, None
    import shapely

    cols, rows = grid.border(_ALONG)
    try:
        to = transformer(grid.crs, "OGC:CRS84")
    except CrsError:
        return None, None
    lon, lat = to.transform(*grid.points(cols, rows))
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return None, None
    # Along the edge longitudes go on, whatever the 180th meridian says: at ±180 none may jump.
    lon = np.unwrap(lon, period=360)
    lon -= 360 * np.floor((lon.min() + 180) / 360)
    if abs(_turned(lon)) > 180:  # around a pole: all longitudes, from the outermost latitude to it
        ring = shapely.box(-180, lat.min(), 180, 90) if lat.mean() > 0 else shapely.box(-180, -90, 180, lat.max())
    else:
        ring = shapely.Polygon(np.round(np.stack((lon, lat), axis=1), 7))
        ring = ring if ring.is_valid else ring.envelope
    return _cut(ring)


def _turned(lon: Any) -> float:
    """By how many degrees a closed edge has gone around when it comes back to where it began."""
    gap = float(lon[0] - lon[-1])
    return round(gap / 360) * 360.0 if abs(gap) > 180 else 0.0


def _cut(ring: Any) -> tuple[dict[str, Any], list[float]]:
    """A polygon from -180° on as GeoJSON within ±180°, and its box, whose east is below its west across there."""
    import shapely
    from shapely.affinity import translate

    west, south, east, north = ring.bounds
    if east > 180:
        halves = [ring & shapely.box(-180, -90, 180, 90), translate(ring & shapely.box(180, -90, 540, 90), -360)]
        ring = shapely.union_all(halves) if east - west >= 360 else shapely.MultiPolygon(halves)
        west, east = (-180.0, 180.0) if east - west >= 360 else (west, east - 360)
    return dict(shapely.geometry.mapping(shapely.orient_polygons(ring))), [west, south, east, north]


def model_item(card: ModelCard, href: str, parameters: int, sha256: str) -> dict[str, Any]:
    """The item of a model whose file is called `href`, known by its checksum. It has no place and no time."""
    side, count = card.window, len(card.bands)
    task = "semantic-segmentation"
    properties: dict[str, Any] = {
        "title": card.name, "description": card.description or card.domain or f"{card.architecture} {card.encoder}",
        "datetime": None, "start_datetime": "1900-01-01T00:00:00Z", "end_datetime": "9999-12-31T23:59:59Z",
        "bands": [{"name": band, "data_type": card.data_type} for band in card.bands],
        "gsd": card.resolution_m,
        "mlm:name": model_name(card.name),
        "mlm:architecture": card.architecture,
        "mlm:framework": "PyTorch",
        "mlm:tasks": [task],
        "mlm:total_parameters": parameters,
        "mlm:hyperparameters": {"encoder": card.encoder, "stride": card.stride, "halo": card.halo},
        "mlm:input": [{
            "name": "imagery", "bands": list(card.bands), "description": card.domain or card.name,
            "input": {
                "shape": [-1, count, side, side], "dim_order": ["batch", "bands", "height", "width"],
                "data_type": "float32",
            },
            "value_scaling": [
                {"type": "z-score", "mean": mean, "stddev": std} for mean, std in zip(card.mean, card.std, strict=True)
            ],
            "resize_type": None,
        }],
        "mlm:output": [{
            "name": "scores", "tasks": [task], "classification:classes": [_untitled(c) for c in classes(card.legend)],
            "result": {
                "shape": [-1, len(card.legend), side, side], "dim_order": ["batch", "class", "height", "width"],
                "data_type": "float32",
            },
        }],
    }  # fmt: skip
    asset = {
        "href": href, "type": "application/octet-stream", "title": "The network's tensors, with the model card",
        "file:checksum": f"1220{sha256}", "roles": ["mlm:model", "mlm:weights"],
        "mlm:artifact_type": "safetensors.torch.save_file",
        # The core allows bands in the properties, where `mlm` wants them, only where an asset has some too.
        "bands": [{"name": band} for band in card.bands],
    }  # fmt: skip
    return {
        "type": "Feature", "stac_version": VERSION, "stac_extensions": [MLM, FILE], "id": model_name(card.name),
        "geometry": None, "properties": properties, "links": [], "assets": {"model": asset},
    }  # fmt: skip


def model_name(name: str) -> str:
    """A name as `mlm:name` allows it: letters, digits and `_.-`, three at least, a letter first."""
    plain = re.sub(r"[^0-9A-Za-z_.-]+", "-", name).strip("_.-")
    return plain if len(plain) > 2 and plain[0].isascii() and plain[0].isalpha() else f"model-{plain or 'unnamed'}"


def quoted(path: str) -> str:
    """A file's name as part of a URL."""
    from urllib.parse import quote

    return quote(path)
