"""What the values of a class raster are called and how they are drawn, from wherever that is written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from mapgen.files.inputs import note_inputs
from mapgen.files.untrusted import parsed_json
from mapgen.legend import LayerClass, color_of, colors_of

_XML_LIMIT = 20_000_000
_BACKGROUND = ("background", "no data", "nodata", "unclassified", "unlabeled", "unlabelled")


@dataclass(frozen=True, slots=True)
class ClassNames:
    """The classes a raster names, by value; `background` are those that are not to become polygons."""

    classes: dict[int, LayerClass]
    background: frozenset[int] = frozenset()

    def of(self, values: Iterable[int]) -> tuple[LayerClass, ...]:
        """A class for each value, by increasing value: as named, or the number itself with a colour of the palette."""
        return tuple(self.classes.get(v, LayerClass(v, str(v), color_of(v))) for v in sorted(set(values)))

    def find(self, key: str) -> int | None:
        """The value of a class by name (any case) or number; None if it is neither a known name nor an integer."""
        text = key.strip()
        for c in self.classes.values():
            if c.name.casefold() == text.casefold():
                return c.id
        return int(text) if re.fullmatch(r"[+-]?\d+", text) else None


def read_names(path: Path | None, tags: dict[str, str], colors: dict[int, tuple[int, ...]]) -> ClassNames:
    """The class names of a raster: from mapgen's tag, else its attribute table, category names or QGIS style.

    `path` is the raster's (None for a URL, which has no side-cars to read), `colors` its colour table. A side-car that
    cannot be parsed counts as absent.
    """
    if "MAPGEN_LEGEND" in tags and (names := _from_tag(tags["MAPGEN_LEGEND"])) is not None:
        return names
    table = {v: LayerClass(v, str(v), "#{:02x}{:02x}{:02x}".format(*c[:3])) for v, c in colors.items()}
    if path is not None:
        pam = _parsed(path.with_name(path.name + ".aux.xml"))
        style = _parsed(path.with_suffix(".qml"))
        for found in (_from_table(pam), _from_style(style), _from_categories(pam)):
            if found:
                # Category names come without colours; the colour table may have them.
                bare = {c.id: c.name for c in found if not c.color and c.id not in table}
                given = [c.color or table[c.id].color for c in found if c.id not in bare]
                other = {v: c.color for v, c in table.items()} | colors_of(bare, given)
                table = {c.id: replace(c, color=c.color or other[c.id]) for c in found}
                break
    background = frozenset(v for v, c in table.items() if c.name.casefold() in _BACKGROUND)
    return ClassNames(table, background)


def _from_tag(text: str) -> ClassNames | None:
    try:
        entries = parsed_json(text)
        classes = {int(e["id"]): LayerClass(int(e["id"]), str(e["name"]), _checked(str(e["color"]))) for e in entries}
        return ClassNames(classes, frozenset(int(e["id"]) for e in entries if e.get("background")))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def _checked(color: str) -> str:
    return color if re.fullmatch(r"#[0-9a-fA-F]{6}", color) else "#808080"


def _parsed(path: Path) -> Element | None:
    """The root of an XML side-car; None if there is none, it is damaged, or it declares entities (a billion laughs)."""
    from xml.etree.ElementTree import fromstring

    try:
        if not path.is_file() or path.stat().st_size > _XML_LIMIT:
            return None
        data = path.read_bytes()
        note_inputs(path)
        return None if b"<!ENTITY" in data else fromstring(data)
    except (OSError, ParseError, ValueError, LookupError):  # the last of an encoding that nobody knows
        return None


def _from_table(root: Element | None) -> list[LayerClass]:
    """The classes of a raster attribute table, found by the usage of its columns, else by their names."""
    table = None if root is None else root.find(".//GDALRasterAttributeTable")
    if table is None:
        return []
    columns: dict[str, int] = {}
    for place, field in enumerate(table.findall("FieldDefn")):
        name, usage = (field.findtext("Name") or "").casefold(), field.findtext("Usage") or "0"
        role = {"5": "value", "2": "name", "6": "red", "7": "green", "8": "blue"}.get(usage)
        role = role or {"value": "value", "class": "name", "class_name": "name", "name": "name"}.get(name)
        if role:
            columns.setdefault(role, place)
    if not {"value", "name"} <= set(columns):
        return []
    rows = [[f.text or "" for f in row.findall("F")] for row in table.findall("Row")]
    return [c for row in rows if (c := _row_class(row, columns)) is not None]


def _row_class(row: list[str], columns: dict[str, int]) -> LayerClass | None:
    try:
        value = int(float(row[columns["value"]]))
        name = row[columns["name"]] or str(value)
        if not {"red", "green", "blue"} <= set(columns):
            return LayerClass(value, name, "")
        rgb = [max(0, min(255, int(float(row[columns[c]])))) for c in ("red", "green", "blue")]
        return LayerClass(value, name, "#{:02x}{:02x}{:02x}".format(*rgb))
    except (ValueError, IndexError, OverflowError):
        return None


def _from_categories(root: Element | None) -> list[LayerClass]:
    if root is None or (names := root.find(".//CategoryNames")) is None:
        return []
    return [LayerClass(i, c.text, "") for i, c in enumerate(names.findall("Category")) if c.text]


def _from_style(root: Element | None) -> list[LayerClass]:
    """The palette entries of a QGIS style."""
    found = []
    for entry in [] if root is None else root.iter("paletteEntry"):
        value, label = entry.get("value", ""), entry.get("label", "")
        if re.fullmatch(r"-?\d{1,9}", value, re.ASCII):
            found.append(LayerClass(int(value), label or value, _checked(entry.get("color", ""))))
    return found


def color_table(dataset: Any) -> dict[int, tuple[int, ...]]:
    """The colour table of the first band, empty where it has none."""
    try:
        table: dict[int, tuple[int, ...]] = dataset.colormap(1)
    except ValueError:
        return {}
    return table
