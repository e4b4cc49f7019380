"""What a GeoPackage holds besides features: a default style, in the table that QGIS reads."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

from mapgen.layers.layer import Layer, LayerClass

_TABLE = """CREATE TABLE IF NOT EXISTS layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
  f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"""
_REGISTER = """INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier, description, srs_id)
  VALUES ('layer_styles', 'attributes', 'layer_styles', '', 0)"""
_INSERT = """INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName,
  styleQML, styleSLD, useAsDefault, description, owner, update_time) VALUES ('', '', ?, ?, ?, ?, '', 1, ?, '', ?)"""

STYLED = 1000
"""More classes than this are numbers of things rather than kinds, and get no style."""

_EPOCH = "1980-01-01T00:00:00.000Z"
"""A fixed time of the style, so that the same layer gives the same bytes."""


def add_styles(path: Path, layer: Layer) -> None:
    """Make the class colours the default style of the layer in the GeoPackage at `path`, in place of an older one."""
    if len(layer.classes) > STYLED:
        return
    with closing(sqlite3.connect(path)) as db, db:
        (column,) = db.execute(
            "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer.name,)
        ).fetchone()
        db.execute(_TABLE)
        db.execute(_REGISTER)
        db.execute("DELETE FROM layer_styles WHERE f_table_name = ? AND useAsDefault", (layer.name,))
        style = layer_qml(layer.classes).decode()
        db.execute(_INSERT, (layer.name, column, "classes", style, "class colours", _EPOCH))


def layer_qml(classes: tuple[LayerClass, ...]) -> bytes:
    """A QGIS style that fills the polygons of each class with its colour, by the attribute `class_id`."""
    root = Element("qgis", version="3.28", styleCategories="Symbology")
    renderer = SubElement(root, "renderer-v2", type="categorizedSymbol", attr="class_id", enableorderby="0")
    categories, symbols = SubElement(renderer, "categories"), SubElement(renderer, "symbols")
    for place, c in enumerate(classes):
        SubElement(categories, "category", value=str(c.id), label=c.name, symbol=str(place), render="true", type="long")
        symbol = SubElement(symbols, "symbol", type="fill", name=str(place), alpha="1")
        fill = SubElement(SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1"}), "Option", type="Map")
        rgb = ",".join(str(int(c.color[i : i + 2], 16)) for i in (1, 3, 5))
        for name, value in (
            ("color", f"{rgb},255"), ("style", "solid"), ("outline_style", "solid"),
            ("outline_color", "35,35,35,255"), ("outline_width", "0.1"), ("outline_width_unit", "MM"),
        ):  # fmt: skip
            SubElement(fill, "Option", type="QString", name=name, value=value)
    return b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + tostring(root, encoding="utf-8")
