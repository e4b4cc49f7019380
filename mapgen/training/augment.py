"""Augmentation: where a crop lies on the ground, and how its light differs. Image and label share the geometry.

Images are float32 (C, H, W) in the units of the card's data type; labels (H, W) are channel indices or `IGNORE`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mapgen.arrays import Bytes as Label
from mapgen.dataset.dataset import IGNORE

Matrix = NDArray[np.float64]
Image = NDArray[np.generic]


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


def warp(image: Image, label: Label, centre: tuple[float, float], matrix: Matrix, size: int) -> tuple[Tensor, Tensor]:
    """The crop (C, size, size) float32 and its label (size, size) uint8 around `centre` (row, col) of the source.

    Positions are in pixels with the first pixel's middle at 0.5. The image is sampled bilinearly, mirrored beyond its
    edges; the label takes the nearest pixel and is `IGNORE` beyond the edges. Only ground under the crop is touched.
    """
    offsets = np.arange(size) + 0.5 - size / 2
    rows = centre[0] + matrix[0, 0] * offsets[:, None] + matrix[0, 1] * offsets[None]
    cols = centre[1] + matrix[1, 0] * offsets[:, None] + matrix[1, 1] * offsets[None]
    height, width = label.shape
    r, c = np.floor(rows).astype(np.intp), np.floor(cols).astype(np.intp)
    inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
    target = np.where(inside, label[r.clip(0, height - 1), c.clip(0, width - 1)], IGNORE).astype(np.uint8)
    r0, r1 = _span(rows, height)
    c0, c1 = _span(cols, width)
    source = torch.from_numpy(image[:, r0:r1, c0:c1].astype(np.float32))[None]
    # grid_sample wants x before y, and -1…1 over the outer edges of the first and last pixel
    grid = np.stack([2 * (cols - c0) / (c1 - c0) - 1, 2 * (rows - r0) / (r1 - r0) - 1], -1)
    where = torch.from_numpy(grid.astype(np.float32))[None]
    crop = F.grid_sample(source, where, mode="bilinear", padding_mode="reflection", align_corners=False)[0]
    return crop, torch.from_numpy(target)


def _span(positions: NDArray[np.float64], length: int) -> tuple[int, int]:
    """The range of source pixels, one to spare on either side, that bilinear sampling at `positions` reads."""
    first = int(np.clip(np.floor(positions.min()) - 2, 0, length - 1))
    last = int(np.clip(np.ceil(positions.max()) + 2, first + 1, length))
    return first, last


def relight(image: Tensor, rng: np.random.Generator, light: Light, full: float = 255.0) -> Tensor:
    """The image (C, H, W) under another light and sensor; `full` is the top of its range, results stay in 0…full."""
    x = image / full
    x = _soften(x, rng, light.softness)
    if light.saturation:
        grey = x.mean(0, keepdim=True)
        x = grey + (x - grey) * (1 + rng.uniform(-light.saturation, light.saturation))
    if light.gamma:
        x = x.clamp(0, 1) ** math.exp(rng.uniform(-light.gamma, light.gamma))
    if light.contrast:
        middle = x.mean()
        x = middle + (x - middle) * math.exp(rng.uniform(-light.contrast, light.contrast))
    gains = 1 + rng.uniform(-light.balance, light.balance, (len(x), 1, 1)) if light.balance else np.ones((1, 1, 1))
    x = x * torch.from_numpy(gains.astype(np.float32)) + rng.uniform(-light.brightness, light.brightness)
    if light.haze:
        depth = rng.uniform(0, light.haze) * (rng.random() < 0.5)
        x = x * (1 - depth) + depth * rng.uniform(0.6, 1.0)
    if light.noise:
        grain = rng.standard_normal(x.shape, dtype=np.float32) * rng.uniform(0, light.noise)
        x = x + torch.from_numpy(grain)
    return x.clamp(0, 1) * full


def _soften(x: Tensor, rng: np.random.Generator, chance: float) -> Tensor:
    """Sometimes blurred by a small binomial kernel, sometimes resampled through a coarser grid."""
    if rng.random() < chance:
        kernel = torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 2.0, 1.0])) / 16
        padded = F.pad(x[:, None], (1, 1, 1, 1), mode="replicate")
        x = torch.lerp(x, F.conv2d(padded, kernel[None, None])[:, 0], float(rng.uniform(0.3, 1.0)))
    if rng.random() < chance / 2:
        size = x.shape[-2:]
        coarse = [max(1, round(n / rng.uniform(1.2, 2.0))) for n in size]
        small = F.interpolate(x[None], coarse, mode="area")
        x = F.interpolate(small, size, mode="bilinear", align_corners=False)[0]
    return x
