"""Class names and colours in the forms that other programs read: GDAL's PAM side-car and QGIS' style."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mapgen.errors import one_line  # XML has no place for most control characters, not even escaped
from mapgen.legend import NODATA, Legend

# Usages of RAT columns, from GDAL's GDALRATFieldUsage and GDALRATFieldType.
_COLUMNS = (("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8), ("Alpha", 0, 9))


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


def qml(legend: Legend) -> bytes:
    """A QGIS layer style for a class map: paletted, with names; QGIS loads `NAME.qml` beside `NAME.tif` by itself."""
    root = Element("qgis", version="3.28", styleCategories="Symbology")
    renderer = SubElement(
        SubElement(root, "pipe"), "rasterrenderer",
        type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor="",
    )  # fmt: skip
    palette = SubElement(renderer, "colorPalette")
    for c in sorted(legend, key=lambda c: c.id):
        SubElement(palette, "paletteEntry", value=str(c.id), color=c.color, alpha="255", label=one_line(c.name))
    indent(root)
    return b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + tostring(root, encoding="utf-8") + b"\n"


def color_table(legend: Legend) -> dict[int, tuple[int, int, int, int]]:
    """The TIFF colour table of a class map, `NODATA` transparent."""
    return {c.id: (*c.rgb, 255) for c in legend} | {NODATA: (0, 0, 0, 0)}
