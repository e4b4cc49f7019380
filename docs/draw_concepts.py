"""Draw docs/img/windows.png: how a plan cuts a grid into windows, from the plan that `mapgen segment` itself makes.

    python docs/draw_concepts.py
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from mapgen.grid import Window
from mapgen.plan import Plan, plan_windows

OUT = Path(__file__).parent / "img" / "windows.png"
HEIGHT, WIDTH, WINDOW, HALO, STRIDE = 640, 1056, 416, 64, 32
SCALE = 2  # drawn pixels for a pixel of the grid
LEFT, TOP, SIDE = 40, 130, 760
INK, GREY, PAPER = "#22252b", "#8a8f98", "#ffffff"
KEEPS = ("#dbe7f3", "#eaf1dd", "#f6ead8", "#efe1ec", "#dff0ee", "#f4f0d4")
READ, KEEP, SHRUNK = "#c0392b", "#1f4e79", "#b9770e"


def box(window: Window, inset: int = 0) -> tuple[int, int, int, int]:
    """The rectangle of a window on the drawing."""
    return (
        LEFT + window.col * SCALE + inset, TOP + window.row * SCALE + inset,
        LEFT + window.right * SCALE - inset, TOP + window.bottom * SCALE - inset,
    )  # fmt: skip


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def lattice(pen: ImageDraw.ImageDraw) -> None:
    """A dot on every multiple of the stride."""
    for row in range(0, HEIGHT + 1, STRIDE):
        for col in range(0, WIDTH + 1, STRIDE):
            x, y = LEFT + col * SCALE, TOP + row * SCALE
            pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill="#9aa1ab")


def dashed(pen: ImageDraw.ImageDraw, window: Window, color: str, width: int = 4) -> None:
    left, top, right, bottom = box(window)
    for start in range(left, right, 20):
        for y in (top, bottom):
            pen.line((start, y, min(start + 11, right), y), fill=color, width=width)
    for start in range(top, bottom, 20):
        for x in (left, right):
            pen.line((x, start, x, min(start + 11, bottom)), fill=color, width=width)


def arrow(pen: ImageDraw.ImageDraw, start: tuple[int, int], end: tuple[int, int], color: str) -> None:
    """A line with a small bar at both ends, level or upright."""
    pen.line((start, end), fill=color, width=4)
    level = start[1] == end[1]
    for x, y in (start, end):
        pen.line(((x, y - 9), (x, y + 9)) if level else ((x - 9, y), (x + 9, y)), fill=color, width=4)


def draw(plan: Plan) -> Image.Image:
    """The picture: grid and lattice, the kept parts in colours, one window in full, and the words."""
    picture = Image.new("RGB", (LEFT + WIDTH * SCALE + SIDE, TOP + HEIGHT * SCALE + 50), PAPER)
    pen = ImageDraw.Draw(picture)
    steps = list(plan.steps())
    for number, step in enumerate(steps):
        pen.rectangle(box(step.keep), fill=KEEPS[number % len(KEEPS)])
    lattice(pen)
    for number, step in enumerate(steps, 1):
        pen.rectangle(box(step.keep), outline=KEEP, width=3)
        left, top, *_ = box(step.keep)
        pen.text((left + 16, top + 10), str(number), fill=KEEP, font=font(40))
    pen.rectangle(box(Window(0, 0, HEIGHT, WIDTH)), outline=INK, width=6)

    middle, last = steps[1], steps[-1]
    dashed(pen, middle.read, READ, 6)
    dashed(pen, last.read, SHRUNK, 6)
    left, top, right, bottom = box(middle.keep)
    seen_left, _, seen_right, seen_bottom = box(middle.read)
    y = top + 110
    arrow(pen, (seen_left, y), (left, y), READ)
    arrow(pen, (right, y), (seen_right, y), READ)
    x = (left + right) // 2
    arrow(pen, (x, bottom), (x, seen_bottom), READ)
    for x_text, y_text in ((seen_left + 22, y + 14), (right + 22, y + 14), (x + 18, (bottom + seen_bottom) // 2 - 18)):
        pen.text((x_text, y_text), "halo", fill=READ, font=font(32))

    pen.text((LEFT, 24), f"A grid of {WIDTH} by {HEIGHT} pixels, window {WINDOW}, halo {HALO}, stride {STRIDE}",
             fill=INK, font=font(46))  # fmt: skip
    words(pen, legend(plan))
    return picture


def legend(plan: Plan) -> Iterable[tuple[str, str, list[str]]]:
    steps = list(plan.steps())
    middle, last = steps[1], steps[-1]
    yield "solid", KEEP, ["kept", "Each window alone decides", "these pixels; together they", "tile the grid exactly."]
    yield "dashed", READ, [
        "read by window 2", f"{middle.read.width} by {middle.read.height} pixels. Its halo", "gives context and is",
        "thrown away (crop) or", "faded out (blend). The", "grid's own edge needs none.",
    ]  # fmt: skip
    yield "dashed", SHRUNK, [
        f"read by window {len(steps)}", f"{last.read.width} by {last.read.height} pixels: it ends",
        "with the grid, it is",
        "not pulled back to full size.",
    ]  # fmt: skip
    yield "dots", GREY, ["stride lattice", "Every window starts on a dot,", "so the network's own raster",
                         "falls on the same pixels in", "all of them."]  # fmt: skip


def words(pen: ImageDraw.ImageDraw, entries: Iterable[tuple[str, str, list[str]]]) -> None:
    x, y = LEFT + WIDTH * SCALE + 60, TOP
    for kind, color, lines in entries:
        if kind == "dots":
            for i in range(3):
                pen.ellipse((x + 12 + 32 * i, y + 18, x + 24 + 32 * i, y + 30), fill=color)
        elif kind == "solid":
            pen.rectangle((x, y + 6, x + 96, y + 42), outline=color, fill=KEEPS[0], width=5)
        else:
            for start in range(0, 96, 24):
                pen.line((x + start, y + 24, x + start + 14, y + 24), fill=color, width=7)
        pen.text((x + 120, y), lines[0], fill=color, font=font(42))
        for number, line in enumerate(lines[1:], 1):
            pen.text((x + 120, y + 14 + 44 * number), line, fill=INK, font=font(36))
        y += 44 * len(lines) + 76


def main() -> None:
    picture = draw(plan_windows(HEIGHT, WIDTH, WINDOW, HALO, STRIDE))
    OUT.parent.mkdir(exist_ok=True)
    picture = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)
    picture.quantize(64, dither=Image.Dither.NONE).save(OUT, optimize=True)
    print(f"{OUT.name}: {OUT.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
