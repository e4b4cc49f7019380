"""Draw docs/img/example.png from what the README's first command writes: the scene, its class map, its polygons.

    python docs/draw_example.py [--mask FILE] [--layer FILE] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import shapely
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
TOP, LEFT, HEIGHT, WIDTH = 180, 300, 460, 520
"""The part of the scene that is shown, in pixels."""
ZOOM = 3  # drawn pixels for a pixel of the scene; halved at the end
GAP, FOOT = 24, 100


def window() -> tuple[tuple[int, int], tuple[int, int]]:
    return (TOP, TOP + HEIGHT), (LEFT, LEFT + WIDTH)


def enlarged(pixels: np.ndarray[Any, Any], how: Image.Resampling) -> Image.Image:
    return Image.fromarray(pixels).resize((WIDTH * ZOOM, HEIGHT * ZOOM), how)


def panels(scene: Path, mask: Path, layer: Path) -> tuple[list[Image.Image], list[dict[str, Any]]]:
    """The three pictures, and the legend that the class map carries."""
    with rasterio.open(scene) as dataset:
        photo = enlarged(np.moveaxis(dataset.read([1, 2, 3], window=window()), 0, -1), Image.Resampling.BICUBIC)
        crs, to_pixel = dataset.crs, ~dataset.transform
    with rasterio.open(mask) as dataset:
        legend = json.loads(dataset.tags()["MAPGEN_LEGEND"])
        table = np.full((256, 3), 255, np.uint8)
        for c in legend:
            table[c["id"]] = [int(c["color"][i : i + 2], 16) for i in (1, 3, 5)]
        classes = enlarged(table[dataset.read(1, window=window())], Image.Resampling.NEAREST)
    frame = pyogrio.read_dataframe(layer).to_crs(crs)
    polygons = outlines(photo, frame, to_pixel, {c["id"]: c["color"] for c in legend})
    return [photo, classes, polygons], legend


def outlines(photo: Image.Image, frame: Any, to_pixel: Any, colors: dict[int, str]) -> Image.Image:
    """The polygons over the picture: filled lightly, outlined in full colour."""
    view = shapely.box(LEFT - 2, TOP - 2, LEFT + WIDTH + 2, TOP + HEIGHT + 2)
    shapes = [
        (polygon, colors[kind])
        for geometry, kind in zip(frame.geometry, frame["class_id"], strict=True)
        for polygon in shapely.get_parts(shapely.transform(geometry, lambda xy: np.transpose(to_pixel * xy.T[:2])))
        if polygon.intersects(view)
    ]
    # Large ones first: what lies in their holes is drawn after them, so the holes need no care of their own.
    shapes.sort(key=lambda entry: -shapely.Polygon(entry[0].exterior).area)
    fill = Image.new("RGB", photo.size)
    pen = ImageDraw.Draw(fill)
    for polygon, color in shapes:
        pen.polygon(placed(polygon.exterior), fill=color)
    picture = Image.blend(photo, fill, 0.4)
    pen = ImageDraw.Draw(picture)
    for polygon, color in shapes:
        for ring in (polygon.exterior, *polygon.interiors):
            pen.line(placed(ring), fill=color, width=4, joint="curve")
    return picture


def placed(ring: Any) -> list[tuple[float, float]]:
    """A ring in pixels of the scene as points of the drawing."""
    return [((col - LEFT) * ZOOM, (row - TOP) * ZOOM) for col, row in ring.coords]


def draw(pictures: list[Image.Image], legend: list[dict[str, Any]]) -> Image.Image:
    """The pictures side by side over their names and the legend."""
    width = sum(p.width for p in pictures) + GAP * (len(pictures) - 1)
    sheet = Image.new("RGB", (width, pictures[0].height + 2 * FOOT), "#ffffff")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(52)
    for number, (picture, name) in enumerate(zip(pictures, ("scene", "class map", "polygons"), strict=True)):
        left = number * (picture.width + GAP)
        sheet.paste(picture, (left, 0))
        pen.text((left + picture.width // 2, picture.height + 20), name, fill="#22252b", font=font, anchor="ma")
    x, y = 0, pictures[0].height + FOOT + 16
    for c in legend:
        pen.rectangle((x, y + 4, x + 64, y + 60), fill=c["color"], outline="#22252b", width=2)
        pen.text((x + 84, y), c["name"], fill="#22252b", font=font)
        x += 84 + int(pen.textlength(c["name"], font)) + 80
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mask", type=Path, default=EXAMPLES / "scene.mask.tif")
    parser.add_argument("--layer", type=Path, default=EXAMPLES / "scene.mask.geojson")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "img" / "example.png")
    options = parser.parse_args()
    sheet = draw(*panels(EXAMPLES / "scene.tif", options.mask, options.layer))
    sheet = sheet.resize((1500, round(sheet.height * 1500 / sheet.width)), Image.Resampling.LANCZOS)
    sheet.quantize(256, kmeans=4).save(options.out, optimize=True)
    print(f"{options.out.name}: {options.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
