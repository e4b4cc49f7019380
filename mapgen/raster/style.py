"""Class names and colours in the forms that other programs read: GDAL's PAM side-car and QGIS' style."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mapgen.errors import one_line  # XML has no place for most control characters, not even escaped
from mapgen.legend import NODATA, Class, LayerClass, Legend

# Usages of RAT columns, from GDAL's GDALRATFieldUsage and GDALRATFieldType.
_COLUMNS = (("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8), ("Alpha", 0, 9))


@lru_cache(8)
def pam_xml(legend: Legend) -> bytes:
    """The `.aux.xml` beside a class map: category names by index and a raster attribute table."""
    root = Element("PAMDataset")
    band = SubElement(root, "PAMRasterBand", band="1")
    names = SubElement(band, "CategoryNames")
    by_id = {c.id: c for c in legend}
    for index in range(max(by_id) + 1):
        SubElement(names, "Category").text = one_line(by_id[index].name) if index in by_id else ""
    table = SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(_COLUMNS):
        field = SubElement(table, "FieldDefn", index=str(index))
        for tag, value in (("Name", name), ("Type", kind), ("Usage", usage)):
            SubElement(field, tag).text = str(value)
    for index, c in enumerate(sorted(legend, key=lambda c: c.id)):
        row = SubElement(table, "Row", index=str(index))
        for value in (c.id, one_line(c.name), *c.rgb, 255):
            SubElement(row, "F").text = str(value)
    indent(root)
    return tostring(root, encoding="utf-8") + b"\n"


@lru_cache(8)
def qml(legend: Legend) -> bytes:
    """A QGIS layer style for a class map: paletted, with names; QGIS loads `NAME.qml` beside `NAME.tif` by itself.

    It does so beside `NAME.geojson` too, so the style says as well how polygons of these classes are drawn.
    """
    root = Element("qgis", version="3.28", styleCategories="Symbology")
    renderer = SubElement(
        SubElement(root, "pipe"), "rasterrenderer",
        type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor="",
    )  # fmt: skip
    palette = SubElement(renderer, "colorPalette")
    for c in sorted(legend, key=lambda c: c.id):
        SubElement(palette, "paletteEntry", value=str(c.id), color=c.color, alpha="255", label=one_line(c.name))
    add_categories(root, legend)
    indent(root)
    return b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + tostring(root, encoding="utf-8") + b"\n"


def add_categories(root: Element, classes: Iterable[Class | LayerClass]) -> None:
    """Add to a style that polygons are filled with the colours of their classes, by the attribute `class_id`."""
    renderer = SubElement(root, "renderer-v2", type="categorizedSymbol", attr="class_id", enableorderby="0")
    categories, symbols = SubElement(renderer, "categories"), SubElement(renderer, "symbols")
    for place, c in enumerate(classes):
        entry = {"value": str(c.id), "label": one_line(c.name), "symbol": str(place), "render": "true", "type": "long"}
        SubElement(categories, "category", entry)
        add_fill(symbols, str(place), (int(c.color[1:3], 16), int(c.color[3:5], 16), int(c.color[5:7], 16), 255))


def add_fill(symbols: Element, name: str, color: tuple[int, int, int, int]) -> None:
    """Add a symbol that fills polygons with a colour (RGBA), with a thin dark border."""
    symbol = SubElement(symbols, "symbol", type="fill", name=name, alpha="1")
    fill = SubElement(SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1"}), "Option", type="Map")
    for key, value in (
        ("color", ",".join(map(str, color))), ("style", "solid"), ("outline_style", "solid"),
        ("outline_color", "35,35,35,255"), ("outline_width", "0.1"), ("outline_width_unit", "MM"),
    ):  # fmt: skip
        SubElement(fill, "Option", type="QString", name=key, value=value)


def color_table(legend: Legend) -> dict[int, tuple[int, int, int, int]]:
    """The TIFF colour table of a class map, `NODATA` transparent."""
    return {c.id: (*c.rgb, 255) for c in legend} | {NODATA: (0, 0, 0, 0)}
