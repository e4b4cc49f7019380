"""A contact sheet: places of a dataset, each as the image and with its labels laid over it, so that wrong ones show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Bytes
from mapgen.dataset.dataset import IGNORE, Dataset, Piece
from mapgen.files.pictures import INK, LINE, PAPER, draw_text, shown_bands, text_line, text_width
from mapgen.grid import Window

SIDE = 224
"""Pixels of the side of a panel."""

COLUMNS = 3
"""Places in a row."""

SIDES = {"training": INK, "validation": (200, 60, 0)}
"""Colours of the names of places, by what they are for."""

_GAP = 10
_REACH = 2 * SIDE  # pixels of ground that a panel shows
_OVER = 0.55  # of the class colour in the second panel
_LOOKS = 6  # places looked at down and across a piece


def draw_contact(dataset: Dataset, count: int = 18) -> Bytes:
    """Up to `count` places as RGB (H, W, 3): three of four from training, the others from validation, spread over the
    pieces; in each piece the place with the most classes. Unlabelled ground shows the image alone."""
    judged = min(len(dataset.validation), max(count // 4, count - len(dataset.training)))
    classes = len(dataset.legend)
    chosen = [("training", *place) for place in _spread(dataset.training, count - judged, classes)]
    chosen += [("validation", *place) for place in _spread(dataset.validation, judged, classes)]
    palette = np.array([c.rgb for c in dataset.legend], np.float64)
    bands = shown_bands(dataset.bands)
    bands = bands * 3 if len(bands) == 1 else bands
    stretch = _stretch(dataset, bands)
    cells = [_cell(piece, window, side, palette, bands, stretch) for side, piece, window in chosen]
    rows = [_beside(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)]
    legend = _legend(dataset)
    body = _below(rows, _GAP)
    page = _beside([body, legend])
    return np.pad(page, ((_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=PAPER[0])


def _spread(pieces: Sequence[Piece], count: int, classes: int) -> list[tuple[Piece, Window]]:
    """Up to `count` places, evenly spread over the pieces in their order; several of a piece where pieces are few."""
    if not pieces or count < 1:
        return []
    each = -(-count // len(pieces))
    chosen = [pieces[i] for i in np.linspace(0, len(pieces) - 1, min(count, len(pieces))).round().astype(int).tolist()]
    return [(piece, window) for piece in chosen for window in _best(piece, classes)[:each]][:count]


def _stretch(dataset: Dataset, bands: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """What is drawn as black and as white, by band: the whole range of bytes, else two deviations around the mean."""
    if dataset.data_type == "uint8":
        return np.zeros(3), np.full(3, 255.0)
    mean, std = (np.array([v[b] for b in bands]) for v in (dataset.mean, dataset.std))
    return mean - 2 * std, mean + 2 * std


def _cell(
    piece: Piece,
    window: Window,
    side: str,
    palette: NDArray[Any],
    bands: tuple[int, ...],
    stretch: tuple[Any, Any],
) -> Bytes:
    step = max(1, -(-max(window.height, window.width) // SIDE))
    rows, cols = slice(window.row, window.bottom, step), slice(window.col, window.right, step)
    label = np.asarray(piece.label[rows, cols])
    values = np.stack([piece.image[b, rows, cols] for b in bands], axis=-1).astype(np.float64)
    low, high = stretch
    plain = ((values - low) / np.maximum(high - low, 1e-9)).clip(0, 1) * 255
    drawn = label != IGNORE
    over = plain.copy()
    over[drawn] = (1 - _OVER) * plain[drawn] + _OVER * palette[label[drawn]]
    panels = [_held(p.astype(np.uint8)) for p in (plain, over)]
    title = f"{piece.name[-30:]} {window.row},{window.col}"
    return _below([text_line(title, 2 * SIDE + 4, SIDES[side]), _beside(panels, 4)], 4)


def _best(piece: Piece, classes: int) -> list[Window]:
    """Disjoint places of at most _REACH pixels, from those with the most classes, then the most labels, on."""
    height, width = piece.label.shape
    h, w = min(_REACH, height), min(_REACH, width)
    found = []
    for row in np.unique(np.linspace(0, height - h, _LOOKS).astype(int)).tolist():
        for col in np.unique(np.linspace(0, width - w, _LOOKS).astype(int)).tolist():
            counts = np.bincount(np.asarray(piece.label[row : row + h : 4, col : col + w : 4]).ravel(), minlength=256)
            some = counts[:classes] > 0.01 * counts.sum()
            found.append((-int(some.sum()), -int(counts[:classes].sum()), Window(row, col, h, w)))
    taken: list[Window] = []
    for _, _, window in sorted(found):
        if not any((window & other).area for other in taken):
            taken.append(window)
    return taken


def _legend(dataset: Dataset) -> Bytes:
    """Classes with their colours and their share of training and of validation in per cent."""
    shares = {side: np.array(n, float) / max(1, sum(n)) for side, n in dataset.pixels.items()}
    swatch, name, share = 2 * LINE + _GAP, 180, 64  # the places of the columns
    width = swatch + name + 2 * share

    def line(texts: Sequence[str]) -> Bytes:
        row = np.full((LINE, width, 3), PAPER, np.uint8)
        row[:, swatch : swatch + name] = text_line(texts[0], name)
        for number, text in enumerate(texts[1:], 1):  # numbers stand under each other
            draw_text(row, 0, swatch + name + number * share - text_width(text), text)
        return row

    lines = [line(("", "training", "valid."))]
    for k, one in enumerate(dataset.legend):
        row = line((one.name, *(f"{100 * shares[side][k]:.1f} %" for side in ("training", "validation"))))
        row[:, : swatch - _GAP] = one.rgb
        lines.append(row)
    lines += [text_line(f"{side}: {len(getattr(dataset, side))} pieces", width, color) for side, color in SIDES.items()]
    return _below(lines, _GAP)


def _held(picture: Bytes) -> Bytes:
    """The picture in the upper left of a square panel."""
    page = np.full((SIDE, SIDE, 3), 235, np.uint8)
    page[: picture.shape[0], : picture.shape[1]] = picture[:SIDE, :SIDE]
    return page


def _beside(pictures: Sequence[Bytes], gap: int = _GAP) -> Bytes:
    """Pictures in a row, aligned at the top."""
    height = max([p.shape[0] for p in pictures], default=0)
    tall = [np.pad(p, ((0, height - p.shape[0]), (0, 0), (0, 0)), constant_values=PAPER[0]) for p in pictures]
    return np.hstack(list(_spaced(tall, (height, gap, 3)))) if tall else np.zeros((0, 0, 3), np.uint8)


def _below(pictures: Sequence[Bytes], gap: int) -> Bytes:
    """Pictures in a column, aligned at the left."""
    width = max([p.shape[1] for p in pictures], default=0)
    wide = [np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=PAPER[0]) for p in pictures]
    return np.vstack(list(_spaced(wide, (gap, width, 3)))) if wide else np.zeros((0, 0, 3), np.uint8)


def _spaced(pictures: Iterable[Bytes], shape: tuple[int, int, int]) -> Iterable[Bytes]:
    for number, picture in enumerate(pictures):
        if number:
            yield np.full(shape, PAPER, np.uint8)
        yield picture
