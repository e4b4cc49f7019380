"""Networks as layers that a GIS opens: edges and nodes in a GeoPackage, edges alone in GeoJSON and FlatGeobuf."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
import shapely

from mapgen.errors import OutputError
from mapgen.files.commit import Output, staged, translated, unwritten
from mapgen.layers.formats import add_style, check_geopackage
from mapgen.layers.whole import layer_faults
from mapgen.roads.graphml import write_graphml
from mapgen.roads.network import Network
from mapgen.roads.osm_pbf import write_osm_pbf
from mapgen.roads.osm_xml import write_osm_xml

SUFFIXES = {
    ".gpkg": "gpkg", ".geojson": "geojson", ".json": "geojson", ".geojsonl": "geojsonl", ".geojsons": "geojsonl",
    ".ndjson": "geojsonl", ".fgb": "fgb", ".osm": "osm", ".osm.pbf": "osm.pbf", ".pbf": "osm.pbf",
    ".graphml": "graphml",
}  # fmt: skip
"""The format that a suffix stands for."""

LONLAT_FORMATS = ("geojson", "geojsonl", "osm", "osm.pbf", "graphml")
"""Formats whose coordinates are longitude and latitude on WGS 84."""

DIGITS = {"osm": 7, "osm.pbf": 7, "graphml": 10}
"""Decimals of degrees: those of OSM's nodes; for libraries of graphs so many that lengths are the GeoPackage's to a
millimetre. Other formats have as many as the resolution asks for."""

DECIMALS = {"length_m": 3, "width_m": 2, "width_min_m": 2, "confidence": 4, "bridged_m": 1}

LIMITS = "no directions, no turn rules, no levels: a crossing of bridge and road is a junction; gaps are guesses"
"""What a network from a class map does not know, said in its files too."""


def write_network(output: Output, network: Network, form: str) -> int:
    """Write the network in one of the formats; return the size of the file in bytes.

    Formats of LONLAT_FORMATS want it in longitude and latitude. Raises `OutputError`; then nothing is left, and an old
    file is untouched.
    """
    with staged(output) as temporary:
        if form in ("geojson", "geojsonl"):
            _write_json(temporary, network, form)
        elif form in _OWN:
            _OWN[form](temporary, network)
        else:
            _write_ogr(temporary, network, form, output.path)
        if layer_faults(temporary)[0]:
            raise OutputError(output.path, "did not read back as written (a full or failing disk?)", "free some space")
        return temporary.stat().st_size


_OWN = {"osm": write_osm_xml, "osm.pbf": write_osm_pbf, "graphml": write_graphml}


def features(network: Network) -> Iterator[dict[str, Any]]:
    """The edges as GeoJSON features; of a network in longitude and latitude."""
    columns = {name: values.tolist() for name, values in network.columns().items()}
    points = np.stack((network.lines.x, network.lines.y), axis=1)
    for i in range(len(network)):
        line = points[network.lines.offsets[i] : network.lines.offsets[i + 1]].tolist()
        values = {name: _plain(name, column[i]) for name, column in columns.items()}
        about = {"id": i, "class": network.road, "class_id": network.road_id}
        geometry = {"type": "LineString", "coordinates": line}
        yield {"type": "Feature", "id": i, "properties": about | values, "geometry": geometry}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, DECIMALS[name])
    return value


def _write_json(path: Path, network: Network, form: str) -> None:
    parts = (json.dumps(f, ensure_ascii=False, separators=(",", ":")) for f in features(network))
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        if form == "geojsonl":
            out.writelines(part + "\n" for part in parts)
            return
        name = json.dumps(network.name, ensure_ascii=False)
        out.write(f'{{"type":"FeatureCollection","name":{name},"description":{json.dumps(LIMITS)},"features":[\n')
        for i, part in enumerate(parts):
            out.write(",\n" * (i > 0) + part)
        out.write("\n]}\n")


def _write_ogr(path: Path, network: Network, form: str, final: Path) -> None:
    from pyogrio.errors import DataLayerError, DataSourceError, FieldError, GeometryError

    try:
        with translated(final):
            if form == "fgb":
                _write_layer(path, "FlatGeobuf", network.name, _lines(network), _edge_fields(network), network.crs)
                return
            _write_layer(path, "GPKG", "edges", _lines(network), _edge_fields(network), network.crs)
            nodes = shapely.to_wkb(shapely.points(network.x, network.y))
            _write_layer(path, "GPKG", "nodes", nodes, _node_fields(network), network.crs, "Point")
            add_style(path, "edges", "roads", edge_qml(), LIMITS)
            check_geopackage(path, {"edges": len(network), "nodes": len(network.x)}, final)
    except (DataSourceError, DataLayerError, FieldError, GeometryError) as exc:
        raise unwritten(final, exc) from exc


def _lines(network: Network) -> Any:
    return shapely.to_wkb(network.ways().geometries())


def _edge_fields(network: Network) -> dict[str, Any]:
    count = len(network)
    about = {
        "id": np.arange(count), "class": np.full(count, network.road, object),
        "class_id": np.full(count, network.road_id, np.int64),
    }  # fmt: skip
    return about | network.columns()


def _node_fields(network: Network) -> dict[str, Any]:
    return {
        "id": np.arange(len(network.x)), "degree": network.degrees, "frame": network.frame, "part": network.parts,
        "x": network.x, "y": network.y,
    }  # fmt: skip


def _write_layer(
    path: Path, driver: str, name: str, geometry: Any, fields: dict[str, Any], crs: str | None, kind: str = "LineString"
) -> None:
    import warnings

    import pyogrio

    options: dict[str, Any] = {"append": path.exists()} if driver == "GPKG" else {"SPATIAL_INDEX": "YES"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyogrio.raw.write(
            path, geometry, list(fields.values()), list(fields), layer=name, driver=driver, geometry_type=kind,
            crs=crs or "OGC:CRS84", **options,
        )  # fmt: skip


def edge_qml() -> bytes:
    """A QGIS style: edges as wide as the road, those with bridged gaps dashed in another colour."""
    root = Element("qgis", version="3.28", styleCategories="Symbology")
    renderer = SubElement(root, "renderer-v2", type="RuleRenderer", enableorderby="0")
    rules = SubElement(renderer, "rules", key="roads")
    symbols = SubElement(renderer, "symbols")
    for place, (label, rule, color, dash) in enumerate(
        (
            ("road", '"bridged_m" = 0', "200,60,50,255", "solid"),
            ("gap bridged", '"bridged_m" > 0', "230,140,30,255", "dash"),
        )
    ):
        SubElement(rules, "rule", key=f"rule{place}", filter=rule, label=label, symbol=str(place))
        symbol = SubElement(symbols, "symbol", type="line", name=str(place), alpha="1")
        line = SubElement(SubElement(symbol, "layer", {"class": "SimpleLine", "enabled": "1"}), "Option", type="Map")
        for name, value in (("line_color", color), ("line_style", dash), ("line_width", "0.6"), ("capstyle", "round")):
            SubElement(line, "Option", type="QString", name=name, value=value)
    return b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + tostring(root, encoding="utf-8")
