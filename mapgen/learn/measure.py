"""How good a network is on labelled ground, while it is trained: windowed inference and confusion counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mapgen.learn.losses import IGNORE
from mapgen.learn.samples import Piece

Counts = NDArray[np.int64]


def confusion(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int) -> Counts:
    """Pixels (K, K) by truth (row) and prediction (column), where truth is drawn. Counts of disjoint ground add up."""
    drawn = truth != IGNORE
    pairs = truth[drawn].astype(np.int64) * classes + predicted[drawn]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def scores(counts: Counts) -> dict[str, float | list[float]]:
    """From counts (K, K): `iou` and `f1` per class, NaN where neither truth nor prediction has it, `miou` over the
    others, `accuracy` over all pixels."""
    hit = np.diag(counts).astype(float)
    truth, predicted = counts.sum(1), counts.sum(0)
    with np.errstate(invalid="ignore"):
        iou, f1 = hit / (truth + predicted - hit), 2 * hit / (truth + predicted)
    miou = float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan")
    return {
        "miou": miou,
        "accuracy": float(hit.sum() / max(counts.sum(), 1)),
        "iou": iou.tolist(),
        "f1": f1.tolist(),
    }


def block_counts(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int, size: int) -> Counts:
    """Confusion counts (B, K, K) of the blocks of size×size pixels, row by row, that have a drawn pixel."""
    height, width = truth.shape
    places = [np.s_[r : r + size, c : c + size] for r in range(0, height, size) for c in range(0, width, size)]
    blocks = [confusion(truth[at], predicted[at], classes) for at in places]
    drawn = [b for b in blocks if b.any()]
    return np.stack(drawn) if drawn else np.zeros((0, classes, classes), np.int64)


def intervals(blocks: Counts, draws: int = 1000, seed: int = 0, level: float = 0.95) -> dict[str, NDArray[np.float64]]:
    """Block bootstrap intervals of `scores`, each (..., 2): between which `level` of the resampled scores lie.

    `draws` times as many blocks as in `blocks` (B, K, K) are drawn with replacement and scored together (Efron 1979; by
    blocks because the errors of neighbouring pixels are alike, Künsch 1989). Blocks larger than an object are wanted.
    """
    rng = np.random.default_rng(seed)
    found = [scores(blocks[rng.integers(len(blocks), size=len(blocks))].sum(0)) for _ in range(draws)]
    tails = [(1 - level) / 2, (1 + level) / 2]
    return {name: np.nanquantile([f[name] for f in found], tails, axis=0).T for name in found[0]}


def predict(
    network: nn.Module, image: NDArray[np.generic], mean: Tensor, std: Tensor, *, window: int = 1024, halo: int = 64,
    stride: int = 32, half: bool = False,
) -> NDArray[np.uint8]:  # fmt: skip
    """The channel index with the highest score at each pixel of image (C, H, W), by windows that overlap by 2·halo.

    Each window keeps what is `halo` or more away from its cut edges; the image's own edges are repeated up to a
    multiple of `stride`. `mean` and `std` (C,) scale the pixel values.
    """
    device = next(network.parameters()).device
    height, width = image.shape[1:]
    result = np.empty((height, width), np.uint8)
    network.eval()
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
        for (r0, r1, top, bottom), (c0, c1, left, right) in _windows(height, width, window, halo):
            x = torch.from_numpy(image[:, r0:r1, c0:c1].astype(np.float32)).to(device)
            x = ((x - mean.to(device)[:, None, None]) / std.to(device)[:, None, None])[None]
            x = F.pad(x, (0, -(c1 - c0) % stride, 0, -(r1 - r0) % stride), mode="replicate")
            best = network(x.contiguous(memory_format=torch.channels_last)).argmax(1)[0]
            result[top:bottom, left:right] = best[top - r0 : bottom - r0, left - c0 : right - c0].cpu().numpy()
    return result


Span = tuple[int, int, int, int]


def _windows(height: int, width: int, window: int, halo: int) -> Iterator[tuple[Span, Span]]:
    """Rows and columns of each window: (read from, read to, keep from, keep to)."""
    for rows in _spans(height, window, halo):
        for cols in _spans(width, window, halo):
            yield rows, cols


def _spans(length: int, window: int, halo: int) -> Iterator[Span]:
    begin = 0
    while True:
        end = min(begin + window, length)
        last = end == length
        yield begin, end, begin + (halo if begin else 0), end - (0 if last else halo)
        if last:
            return
        begin += window - 2 * halo


def measure(
    network: nn.Module, pieces: Sequence[Piece], classes: int, mean: Tensor, std: Tensor, *, half: bool = False
) -> dict[str, Counts]:
    """Confusion counts of the network on each piece, by its name."""
    return {
        p.name: confusion(p.label, predict(network, p.image, mean, std, half=half), classes) for p in pieces
    }  # fmt: skip
