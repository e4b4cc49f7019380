"""What an explanation leaves behind: georeferenced rasters with a style for QGIS."""

from __future__ import annotations

import warnings
from dataclasses import replace
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np
import shapely

from mapgen.arrays import Array, Bools, Floats, Longs
from mapgen.errors import OutputError
from mapgen.files.commit import Output, staged
from mapgen.grid import Grid
from mapgen.layers.features import Features, write_features
from mapgen.layers.polygonize import polygonize
from mapgen.legend import NODATA
from mapgen.raster.style import add_fill

AGAINST, NEITHER, FOR = (33, 102, 172), (247, 247, 247), (178, 24, 43)
"""Colours of what speaks against, of nothing, and of what speaks for: blue, white and red of ColorBrewer's RdBu."""


def strongest(values: Floats) -> float:
    """What the colours end at: the 99th percentile of the absolute values, so that a few do not pale all others."""
    found = float(np.percentile(np.abs(values), 99)) if values.size else 0.0
    return found or float(np.abs(values).max(initial=0.0)) or 1.0


def raster_output(output: Output) -> Output:
    """The output of a raster with what lies beside it."""
    return replace(output, beside={f"{output.path.stem}.qml": None})


def write_raster(output: Output, values: Floats, valid: Bools, grid: Grid, what: str) -> None:
    """Write attributions (H, W) as a Cloud Optimized GeoTIFF of float32, NaN where there is no data, and read it back.

    A diverging style lies beside it. Raises `OutputError`.
    """
    pixels = np.where(valid, values, np.nan).astype(np.float32)
    data = _cog(pixels, grid, what)
    with staged(output) as temporary:
        temporary.write_bytes(data)
        temporary.with_name(f"{output.path.stem}.qml").write_bytes(_style(strongest(values[valid])))
        if temporary.read_bytes() != data:
            problem = "did not read back as written (a full or failing disk?)"
            raise OutputError(output.path, problem, "free some space and run again")


def _cog(pixels: Array, grid: Grid, what: str) -> bytes:
    import rasterio.shutil
    from rasterio.io import MemoryFile

    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 1, "height": pixels.shape[0], "width": pixels.shape[1],
        "nodata": np.nan, "crs": grid.crs, "transform": grid.transform,
    }  # fmt: skip
    with warnings.catch_warnings(), MemoryFile(ext=".tif") as plain, MemoryFile(ext=".tif") as made:
        warnings.simplefilter("ignore")  # of scenes without georeferencing
        with plain.open(**profile) as dataset:
            dataset.descriptions = (what,)
            dataset.write(pixels, 1)
        rasterio.shutil.copy(
            plain.name, made.name, driver="COG", COMPRESS="DEFLATE", PREDICTOR="YES", OVERVIEW_RESAMPLING="AVERAGE"
        )
        return bytes(made.read())


def write_segments(output: Output, name: str, values: Floats, labels: Longs, valid: Bools, grid: Grid) -> None:
    """Write the segments (H, W) as a GeoPackage, a feature each, with what each adds to the score.

    Attributes are `segment`, `value` (in units of the score) and `pixels`. Raises `OutputError`.
    """
    shown = np.where(valid, labels, NODATA).astype(np.uint8)
    ids, polygons = polygonize(shown, transform=grid.transform, nodata=NODATA)
    there = np.unique(ids)
    shapes = np.array([shapely.multipolygons(polygons[ids == one]) for one in there], object)
    columns = {
        "segment": there.astype(np.int64), "value": values[there],
        "pixels": np.bincount(labels[valid], minlength=len(values))[there],
    }  # fmt: skip
    style = _ranges(strongest(values))
    write_features(output, Features(name, "MultiPolygon", shapes, columns, grid.crs, style))


def _ranges(most: float) -> bytes:
    """QGIS fills segments in seven steps from `AGAINST` to `FOR`, so clear that the imagery shows through."""
    root = Element("qgis", version="3.28", styleCategories="Symbology")
    renderer = SubElement(root, "renderer-v2", type="graduatedSymbol", attr="value", graduatedMethod="GraduatedColor")
    ranges, symbols = SubElement(renderer, "ranges"), SubElement(renderer, "symbols")
    ends = np.linspace(-1, 1, 8) * most
    ends[0], ends[-1] = -1e9, 1e9  # what is stronger than the colours go
    for number, share in enumerate(np.linspace(-1, 1, 7)):
        low, high = ends[number], ends[number + 1]
        label = f"{share * most:.2g}"
        SubElement(
            ranges, "range", lower=f"{low:.9g}", upper=f"{high:.9g}", symbol=str(number), label=label, render="true"
        )
        color = np.array(NEITHER) * (1 - abs(share)) + np.array(FOR if share > 0 else AGAINST) * abs(share)
        add_fill(symbols, str(number), (*(int(c) for c in color), 150))  # type: ignore[arg-type]
    return b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + tostring(root, encoding="utf-8")


def _style(most: float) -> bytes:
    """QGIS draws the raster from `AGAINST` over `NEITHER` to `FOR`, clear in the middle."""
    root = Element("qgis", version="3.28", styleCategories="Symbology")
    renderer = SubElement(
        SubElement(root, "pipe"), "rasterrenderer", type="singlebandpseudocolor", band="1", opacity="1", alphaBand="-1",
        classificationMin=f"{-most:g}", classificationMax=f"{most:g}",
    )  # fmt: skip
    ramp = SubElement(SubElement(renderer, "rastershader"), "colorrampshader", colorRampType="INTERPOLATED", clip="0")
    for share, color, alpha in ((-1, AGAINST, 255), (-0.5, _between(AGAINST), 190), (0, NEITHER, 0),
                                (0.5, _between(FOR), 190), (1, FOR, 255)):  # fmt: skip
        code = "#{:02x}{:02x}{:02x}".format(*color)
        SubElement(ramp, "item", value=f"{share * most:g}", color=code, alpha=str(alpha), label=f"{share * most:.2g}")
    indent(root)
    return b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + tostring(root, encoding="utf-8") + b"\n"


def _between(color: tuple[int, int, int]) -> tuple[int, ...]:
    return tuple((a + b) // 2 for a, b in zip(color, NEITHER, strict=True))
