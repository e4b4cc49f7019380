"""Augmentation: where a crop lies on the ground, and how its light differs. Image and label share the geometry.

Images are float32 (C, H, W) in the units of the card's data type; labels (H, W) are channel indices or `IGNORE`. No
torch: processes that make samples start without it. What is drawn follows from the generator alone, not from threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Bytes as Label
from mapgen.dataset.dataset import IGNORE
from mapgen.kernels import kernel

Matrix = NDArray[np.float64]
Image = NDArray[np.generic]
Crop = NDArray[np.float32]

_GRADES = 1024
"""Steps of the table that gamma is read from, with straight lines between: off by a fifth of a grey of 255 at most."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """How far crops may be turned and zoomed. All-default is the identity up to the crop's place."""

    flips: bool = False
    """Mirror half of the crops and turn them by multiples of 90°."""
    angle_deg: float = 0.0
    """Free rotation of up to ± this."""
    zoom: tuple[float, float] = (1.0, 1.0)
    """Range of source pixels per crop pixel: above 1 the crop covers more ground, coarser."""
    zoom_spread: float = 0.25
    """Standard deviation of log zoom: most crops keep nearly their own resolution."""


@dataclass(frozen=True, slots=True)
class Light:
    """Strengths of the changes of colour; 0 leaves the image alone. Fractions of the data type's full range."""

    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    balance: float = 0.0
    """Independent gain of each band, ± this."""
    saturation: float = 0.0
    haze: float = 0.0
    noise: float = 0.0
    softness: float = 0.0
    """Probability of blur, and of a coarser resolution scaled back."""


def draw_matrix(rng: np.random.Generator, geometry: Geometry) -> Matrix:
    """A random (2, 2) matrix from crop offsets (row, col) to source offsets: zoom · rotation · mirror."""
    low, high = geometry.zoom
    zoom = float(np.clip(math.exp(rng.normal(0.0, geometry.zoom_spread)), low, high))
    angle = math.radians(rng.uniform(-geometry.angle_deg, geometry.angle_deg))
    mirror = 1.0
    if geometry.flips:
        angle += rng.integers(4) * math.pi / 2
        mirror = float(rng.choice((-1.0, 1.0)))
    cos, sin = math.cos(angle), math.sin(angle)
    return zoom * np.array([[cos, -sin * mirror], [sin, cos * mirror]])


def reach(matrix: Matrix, size: int) -> NDArray[np.float64]:
    """Half the (rows, columns) of source that a crop of size×size pixels covers."""
    half: NDArray[np.float64] = np.abs(matrix).sum(1) * size / 2
    return half


def warp(
    image: Image, label: Label, centre: tuple[float, float], matrix: Matrix, size: int,
    crop: Crop | None = None, target: Label | None = None,
) -> tuple[Crop, Label]:  # fmt: skip
    """The crop (C, size, size) float32 and its label (size, size) uint8 around `centre` (row, col) of the source.

    Positions are in pixels with the first pixel's middle at 0.5. The image is sampled bilinearly, mirrored beyond its
    edges; the label takes the nearest pixel and is `IGNORE` beyond the edges. Only ground under the crop is touched.
    They are written to `crop` and `target` where these are given.
    """
    height, width = label.shape
    r0, r1 = _span(centre[0], matrix[0], size, height)
    c0, c1 = _span(centre[1], matrix[1], size, width)
    crop = np.empty((len(image), size, size), np.float32) if crop is None else crop
    target = np.empty((size, size), np.uint8) if target is None else target
    source, drawn = (np.ascontiguousarray(part) for part in (image[:, r0:r1, c0:c1], label[r0:r1, c0:c1]))
    _cut(source, drawn, centre[0] - r0, centre[1] - c0, matrix, crop, target)
    return crop, target


def _span(centre: float, steps: NDArray[np.float64], size: int, length: int) -> tuple[int, int]:
    """The range of source pixels along one axis, some to spare on either side, that a crop around `centre` reads.

    `steps` are the source pixels that a pixel down and a pixel across the crop make along that axis.
    """
    half = float(np.abs(steps).sum()) * (size - 1) / 2
    first = int(np.clip(math.floor(centre - half) - 2, 0, length - 1))
    last = int(np.clip(math.ceil(centre + half) + 2, first + 1, length))
    return first, last


@kernel
def _cut(image, label, middle_row, middle_col, matrix, crop, target):  # type: ignore[no-untyped-def]
    """Fill the crop (C, N, M) and the target (N, M) from an image (C, H, W) and its label (H, W), around a place."""
    bands, height, width = image.shape
    rows, cols = target.shape
    planes = image.reshape(bands, height * width)
    half = np.float32(0.5)
    down_row, across_row, down_col, across_col = matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1]
    for i in range(rows):
        down = i + 0.5 - rows / 2
        for j in range(cols):
            across = j + 0.5 - cols / 2
            row = middle_row + down_row * down + across_row * across
            col = middle_col + down_col * down + across_col * across
            r, c = math.floor(row - 0.5), math.floor(col - 0.5)
            low, right = np.float32(row - 0.5 - r), np.float32(col - 0.5 - c)
            up, left = np.float32(1) - low, np.float32(1) - right
            own_row, own_col = r + (low >= half), c + (right >= half)  # the pixel that the position lies in
            inside = 0 <= own_row < height and 0 <= own_col < width
            target[i, j] = label[np.uint64(own_row), np.uint64(own_col)] if inside else IGNORE
            below, beside = r + 1, c + 1
            if r < 0 or c < 0 or below >= height or beside >= width:
                r, below = _mirrored(r, height), _mirrored(below, height)
                c, beside = _mirrored(c, width), _mirrored(beside, width)
            # Places in a band as numbers without a sign: what may be negative is looked at before each access.
            first, second = np.uint64(r * width + c), np.uint64(r * width + beside)
            third, fourth = np.uint64(below * width + c), np.uint64(below * width + beside)
            for band in range(bands):
                plane = planes[band]
                above = np.float32(plane[first]) * left + np.float32(plane[second]) * right
                under = np.float32(plane[third]) * left + np.float32(plane[fourth]) * right
                crop[band, i, j] = above * up + under * low


@kernel
def _mirrored(place, length):  # type: ignore[no-untyped-def]
    """The pixel of 0…length-1 that a place beyond the edges mirrors, the edges themselves repeated."""
    place = place % (2 * length)
    return place if place < length else 2 * length - 1 - place


def relight(image: Crop, rng: np.random.Generator, light: Light, full: float = 255.0) -> Crop:
    """Put the image (C, H, W) under another light and sensor, in its place; it is returned too.

    `full` is the top of its range; values stay in 0…full.
    """
    image /= np.float32(full)
    _soften(image, rng, light.softness)
    colour = 1 + rng.uniform(-light.saturation, light.saturation) if light.saturation else 1.0
    exponent = math.exp(rng.uniform(-light.gamma, light.gamma)) if light.gamma else 0.0
    steep = math.exp(rng.uniform(-light.contrast, light.contrast)) if light.contrast else 1.0
    gains = np.ones(len(image))
    if light.balance:
        gains += rng.uniform(-light.balance, light.balance, len(image))
    shift = rng.uniform(-light.brightness, light.brightness)
    depth = veil = 0.0
    if light.haze:
        depth = rng.uniform(0, light.haze) * (rng.random() < 0.5)
        veil = rng.uniform(0.6, 1.0)
    grain, seed = (rng.uniform(0, light.noise), int(rng.integers(1 << 31))) if light.noise else (0.0, 0)
    middle = _colored(image, np.float32(colour), exponent)
    factors = steep * gains * (1 - depth)
    offsets = (middle * (1 - steep) * gains + shift) * (1 - depth) + depth * veil
    _lit(image, factors.astype(np.float32), offsets.astype(np.float32), np.float32(grain), seed, np.float32(full))
    return image


@kernel
def _colored(image, colour, exponent):  # type: ignore[no-untyped-def]
    """Change saturation and gamma (none where the exponent is 0) of an image (C, H, W) in place; its mean after that.

    Values are 0…1; gamma cuts off what saturation has pushed out of that.
    """
    bands, height, width = image.shape
    table = np.empty(_GRADES + 2, np.float32)
    for k in range(_GRADES + 2 if exponent else 0):
        table[k] = (k / _GRADES) ** exponent
    grey, total = np.empty(width, np.float32), np.zeros(width)
    for i in range(height):
        if colour != 1:
            grey[:] = 0
            for band in range(bands):
                for j in range(width):
                    grey[j] += image[band, i, j]
            grey /= np.float32(bands)
            for band in range(bands):
                for j in range(width):
                    image[band, i, j] = grey[j] + (image[band, i, j] - grey[j]) * colour
        for band in range(bands):
            for j in range(width if exponent else 0):
                value = min(max(image[band, i, j], np.float32(0)), np.float32(1)) * np.float32(_GRADES)
                at = np.uint64(value)
                image[band, i, j] = table[at] + (value - np.float32(at)) * (table[at + np.uint64(1)] - table[at])
            for j in range(width):
                total[j] += image[band, i, j]
    return total.sum() / image.size


@kernel
def _lit(image, factors, offsets, grain, seed, full):  # type: ignore[no-untyped-def]
    """Scale and shift the bands of an image (C, H, W) of values 0…1, add grain, cut off, and bring it to 0…full."""
    bands, height, width = image.shape
    for band in range(bands):
        factor, offset = factors[band], offsets[band]
        for i in range(height):
            first = (band * height + i) * width + seed
            for j in range(width):
                value = image[band, i, j] * factor + offset + grain * _noise(first + j)
                image[band, i, j] = min(max(value, np.float32(0)), np.float32(1)) * full


@kernel
def _noise(number):  # type: ignore[no-untyped-def]
    """A number of mean 0 and deviation 1, nearly normal, and unlike those of other numbers.

    The four bytes of a hash, added up: the finalizer of MurmurHash3 (Appleby 2011, public domain).
    """
    h = np.uint32(number)
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    h = np.uint32(h ^ (h >> np.uint32(16)))
    mask = np.uint32(255)
    total = (h & mask) + ((h >> np.uint32(8)) & mask) + ((h >> np.uint32(16)) & mask) + (h >> np.uint32(24))
    return (np.float32(total) - np.float32(510)) * np.float32(1 / 147.8)  # 147.8² = 4 · (256² - 1) / 12


def _soften(image: Crop, rng: np.random.Generator, chance: float) -> None:
    """Sometimes blur it by a small binomial kernel, sometimes take it through a coarser grid."""
    if rng.random() < chance:
        padded = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
        _blur(padded, np.float32(rng.uniform(0.3, 1.0)), image)
    if rng.random() < chance / 2:
        _, height, width = image.shape
        rows, cols = (max(1, round(n / rng.uniform(1.2, 2.0))) for n in (height, width))
        coarse = _coarser(image, rows, cols)
        label, target = np.empty((rows, cols), np.uint8), np.empty((height, width), np.uint8)
        _cut(coarse, label, rows / 2, cols / 2, np.diag((rows / height, cols / width)), image, target)


@kernel
def _blur(padded, share, image):  # type: ignore[no-untyped-def]
    """Move an image (C, H, W) by a share towards what a kernel of 1, 2, 1 makes of it; it is padded by a pixel too."""
    bands, height, width = image.shape
    lines, two = np.empty(width + 2, np.float32), np.float32(2)
    for band in range(bands):
        for i in range(height):
            for j in range(width + 2):
                lines[j] = padded[band, i, j] + two * padded[band, i + 1, j] + padded[band, i + 2, j]
            for j in range(width):
                blurred = (lines[j] + two * lines[j + 1] + lines[j + 2]) * np.float32(1 / 16)
                image[band, i, j] += (blurred - image[band, i, j]) * share


@kernel
def _coarser(image, rows, cols):  # type: ignore[no-untyped-def]
    """The image (C, H, W) as (C, rows, cols): means of the pixels that each new one touches."""
    bands, height, width = image.shape
    result = np.empty((bands, rows, cols), np.float32)
    for i in range(rows):
        top, bottom = i * height // rows, -(-(i + 1) * height // rows)
        for j in range(cols):
            left, right = j * width // cols, -(-(j + 1) * width // cols)
            for band in range(bands):
                total = np.float32(0)
                for r in range(top, bottom):
                    for c in range(left, right):
                        total += image[band, r, c]
                result[band, i, j] = total / np.float32((bottom - top) * (right - left))
    return result
