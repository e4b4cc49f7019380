"""What is said of each class of a map: pixels, share, ground, polygons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mapgen.grid import Grid
from mapgen.layers.class_areas import ClassAreas
from mapgen.legend import NODATA, Legend
from mapgen.results.report import finite


def class_rows(
    census: ClassAreas, legend: Legend, grid: Grid, polygons: Mapping[str, int] | None
) -> list[dict[str, Any]]:
    """What a report says of each class of the legend; `polygons` are their numbers by name, if there is a layer."""
    pixels = census.finish()
    areas = {} if grid.crs is None else census.areas(grid)
    known = max(1, sum(pixels.values()) - pixels.get(NODATA, 0))
    return [
        {
            "id": c.id, "name": c.name, "color": c.color, "background": c.background,
            **covered(pixels.get(c.id, 0), known, None if grid.crs is None else areas.get(c.id, 0.0)),
            "polygons": None if polygons is None else polygons.get(c.name, 0),
        }
        for c in legend
    ]  # fmt: skip


def covered(pixels: int, known: int, area: float | None) -> dict[str, Any]:
    """What is said of pixels that cover `area` square metres, None without a CRS; their share is of those `known`."""
    square = None if area is None else finite(area)
    return {
        "pixels": pixels, "share": round(pixels / known, 6), "area_m2": square,
        "area_ha": None if square is None else round(square / 10_000, 7),
    }  # fmt: skip
