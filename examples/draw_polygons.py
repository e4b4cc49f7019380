"""Draw the polygons of a class map before and after generalizing, at three zooms.

    python examples/draw_polygons.py [MASK] [-o PICTURE] [--sieve 8] [--simplify 1.5] [--smooth 2] [--at ROW,COL]

Left the exact polygons, right the generalized ones, with their vertices at the highest zoom: neighbours share every one
of them, so nothing gapes and nothing overlaps.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyogrio
import rasterio
import shapely
from PIL import Image, ImageDraw, ImageFont

import mapgen
from mapgen.layers.options import Method
from mapgen.raster.masks import open_mask
from mapgen.settings import Size

ROOT = Path(__file__).parent.parent
WIDTHS = (330, 110, 37)
"""Pixels of the class map across each of the three zooms."""
PANEL = (660, 420)
GAP, HEAD, FINER = 12, 34, 3
"""Space between panels and above them, and how many times finer everything is drawn than it is kept."""


def polygons(mask: Path, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Class ids and polygons of the map, in pixels."""
    with tempfile.TemporaryDirectory() as folder:
        layer = mapgen.vectorize(mask, Path(folder) / "layer.gpkg", **options).output
        name = str(pyogrio.list_layers(layer)[0, 0])
        meta, _, geometry, fields = pyogrio.raw.read(layer, layer=name)
    with rasterio.open(mask) as dataset:
        a, b, c, d, e, f = tuple(~dataset.transform)[:6]
    shapes = shapely.transform(
        shapely.from_wkb(geometry),
        lambda xy: np.stack((a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f), axis=1),
    )
    return fields[list(meta["fields"]).index("class_id")], shapes


def panel(
    ids: np.ndarray, shapes: np.ndarray, colors: dict[int, str], row: float, col: float, width: int
) -> Image.Image:
    """The part of `width` pixels of the map whose middle is at (row, col)."""
    scale = PANEL[0] * FINER / width
    image = Image.new("RGB", (PANEL[0] * FINER, PANEL[1] * FINER), "white")
    draw = ImageDraw.Draw(image)
    box = shapely.box(col - width, row - width, col + width, row + width)
    origin = np.array([col - width / 2, row - width / 2 * PANEL[1] / PANEL[0]])
    seen = [(i, p) for i, p in zip(ids, shapes, strict=True) if p.intersects(box)]
    # Larger ones first: what lies in a hole of one is drawn over it.
    for number, polygon in sorted(seen, key=lambda pair: -pair[1].envelope.area):
        points = [tuple(v) for v in (shapely.get_coordinates(polygon.exterior) - origin) * scale]
        draw.polygon(points, fill=colors[int(number)])
    for _, polygon in seen:
        for ring in (polygon.exterior, *polygon.interiors):
            points = [tuple(v) for v in (shapely.get_coordinates(ring) - origin) * scale]
            draw.line(points, fill="#202020", width=FINER + FINER // 2)
            if width == WIDTHS[-1]:
                for x, y in points:
                    draw.ellipse((x - 8, y - 8, x + 8, y + 8), fill="#ffffff", outline="#202020", width=3)
    return image.resize(PANEL, Image.Resampling.LANCZOS)


def picture(
    mask: Path, sieve: float, simplify: float, method: Any, smooth: int, place: tuple[float, float] | None
) -> Image.Image:
    """All six panels."""
    with open_mask(mask) as opened:
        grid, names = opened.grid, opened.names
    row, col = place or (grid.height / 2, grid.width / 2)
    before = polygons(mask)
    after = polygons(mask, sieve=Size(sieve), simplify=Size(simplify), method=method, smooth=smooth)
    how = f"--sieve {sieve:g}px --simplify {simplify:g}px --method {method} --smooth {smooth}"
    colors = {c.id: c.color for c in names.of(np.unique(before[0]).tolist())}
    height = HEAD + len(WIDTHS) * (PANEL[1] + GAP)
    image = Image.new("RGB", (2 * PANEL[0] + GAP, height), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(20)
    for column, (title, (ids, shapes)) in enumerate((("exact", before), (how, after))):
        left = column * (PANEL[0] + GAP)
        draw.text((left + 4, 4), title, fill="black", font=font)
        for line, width in enumerate(WIDTHS):
            top = HEAD + line * (PANEL[1] + GAP)
            image.paste(panel(ids, shapes, colors, row, col, width), (left, top))
    return image


def main() -> None:
    """Draw one picture."""
    made = ROOT / "examples" / "scene.mask.tif"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "mask", nargs="?", type=Path, default=made if made.exists() else made.with_name("scene_truth.tif")
    )
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "img" / "vectorize_before_after.png")
    parser.add_argument("--sieve", type=float, default=8)
    parser.add_argument("--simplify", type=float, default=1.5)
    parser.add_argument("--method", choices=get_args(Method), default="vw")
    parser.add_argument("--smooth", type=int, default=2)
    parser.add_argument("--at", help="row,column of the map in the middle of the pictures")
    options = parser.parse_args()
    row, _, col = (options.at or "").partition(",")
    place = (float(row), float(col)) if options.at else None
    image = picture(options.mask, options.sieve, options.simplify, options.method, options.smooth, place)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    image.quantize(64).save(options.output, optimize=True)
    print(options.output)


if __name__ == "__main__":
    main()
