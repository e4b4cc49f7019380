"""Pictures: words in a real font on arrays of colours, and those as verified PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Bytes
from mapgen.errors import OutputError
from mapgen.files.commit import Output, staged
from mapgen.files.encoders import encoded

LINE = 16
"""Pixels that a line of words is high."""

PAPER, INK = (255, 255, 255), (32, 32, 32)

_FONT = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
_SIZE, _BASELINE = 12, 12

_ELSEWHERE = (
    "NotoSansCJK-Regular.ttc", "wqy-zenhei.ttc", "wqy-microhei.ttc", "msyh.ttc", "YuGothM.ttc", "malgun.ttf",
    "PingFang.ttc", "NotoSans-Regular.ttf",
)  # fmt: skip
"""Fonts that a machine may have for what mapgen's own lacks, Chinese, Japanese and Korean before all."""


def shown_bands(names: Sequence[str]) -> tuple[int, ...]:
    """Which of the bands called `names` make a picture: red, green and blue by name in any case, else the first three,
    else the first alone."""
    folded = [name.casefold() for name in names]
    if {"red", "green", "blue"} <= set(folded):
        return folded.index("red"), folded.index("green"), folded.index("blue")
    return (0, 1, 2) if len(folded) >= 3 else (0,)


def text_width(text: str) -> int:
    """Pixels that a line of text is wide."""
    return sum(round(font.getlength(part)) for font, part in _runs(text))


def fitted(text: str, width: int) -> str:
    """The text, its end replaced by an ellipsis where it is wider than `width` pixels."""
    if text_width(text) <= width:
        return text
    while text and text_width(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…" if text else ""


def draw_text(canvas: Bytes, row: int, col: int, text: str, color: Sequence[int] = INK) -> None:
    """Draw a line of text on a picture (H, W, 3), its upper left at a place; what lies outside is cut off."""
    row, col = max(0, row), max(0, col)
    place = canvas[row : row + LINE, col : col + text_width(text)]
    share = _ink(text)[: place.shape[0], : place.shape[1], None]
    place[:] = np.rint(place * (1 - share) + np.array(color) * share).astype(np.uint8)


def heavier(canvas: Bytes, row: int, col: int, text: str) -> None:
    """Draw a line of text in bold: twice, a pixel apart."""
    draw_text(canvas, row, col, text)
    draw_text(canvas, row, col + 1, text)


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` pixels, broken between words; a longer word is shortened."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(fitted(word, width))
    return lines


def text_line(text: str, width: int, color: Sequence[int] = INK) -> Bytes:
    """A line of text as a picture (LINE, width, 3), shortened to fit."""
    line = np.full((LINE, width, 3), PAPER, np.uint8)
    draw_text(line, 0, 0, fitted(text, width), color)
    return line


def _ink(text: str) -> NDArray[np.float32]:
    """How much ink there is, 0 to 1, of a line of text (LINE, width)."""
    from PIL import Image, ImageDraw

    image = Image.new("L", (max(1, text_width(text)), LINE))
    draw, col = ImageDraw.Draw(image), 0
    for font, part in _runs(text):
        draw.text((col, _BASELINE), part, 255, font, anchor="ls")
        col += round(font.getlength(part))
    return np.asarray(image, np.float32)[:, : text_width(text)] / np.float32(255)


def _runs(text: str) -> list[tuple[Any, str]]:
    """The text in parts, each with the font that has its letters."""
    runs: list[tuple[Any, str]] = []
    for letter in "".join(c if c.isprintable() else " " for c in text):
        font = next((f for f in _fonts() if _has(f, letter)), _fonts()[0])
        if runs and runs[-1][0] is font:
            runs[-1] = (font, runs[-1][1] + letter)
        else:
            runs.append((font, letter))
    return runs


@cache
def _fonts() -> tuple[Any, ...]:
    """mapgen's font, then those that this machine has. The layout is that of Pillow itself, the same everywhere."""
    from PIL import ImageFont

    def opened(name: str | Path) -> Any:
        return ImageFont.truetype(name, _SIZE, layout_engine=ImageFont.Layout.BASIC)

    found = [opened(_FONT)]
    for name in _ELSEWHERE:
        try:
            found.append(opened(name))
        except OSError:
            continue
    return tuple(found)


@cache
def _has(font: Any, letter: str) -> bool:
    """Whether a font has a letter: what it lacks it draws as what no font has, the last code of all."""
    lacking = font.getmask("\U0010ffff")
    mask = font.getmask(letter)
    return bool(mask.size != lacking.size or bytes(mask) != bytes(lacking))


def write_picture(output: Output, picture: NDArray[np.uint8]) -> None:
    """Write RGB (H, W, 3) as a PNG, and read it back. Raises `OutputError`; then nothing is left."""
    opaque = np.full((1, *picture.shape[:2]), 255, np.uint8)
    data = encoded(np.concatenate([picture.transpose(2, 0, 1), opaque]), "png")
    with staged(output) as temporary:
        temporary.write_bytes(data)
        if temporary.read_bytes() != data:
            problem = "did not read back as written (a full or failing disk?)"
            raise OutputError(output.path, problem, "free some space and run again")
