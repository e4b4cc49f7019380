"""How good a network is on labelled ground, while it is trained: windowed inference and confusion counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mapgen.accuracy import confusion as metrics
from mapgen.accuracy.bootstrap import DRAWS, Resamples
from mapgen.arrays import Floats
from mapgen.arrays import Longs as Counts
from mapgen.dataset.dataset import IGNORE, Dataset, Piece
from mapgen.model.card import ModelCard
from mapgen.plan import plan_windows
from mapgen.raster.patch import padded


def confusion(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int) -> Counts:
    """Pixels (K, K) by truth (row) and prediction (column), where truth is drawn. Counts of disjoint ground add up."""
    return metrics.confusion(np.where(truth == IGNORE, -1, truth.astype(np.int16)), predicted, classes)


def scores(counts: Counts) -> dict[str, float | list[float]]:
    """From counts (K, K): `iou` and `f1` per class, NaN where neither truth nor prediction has it, `miou` over the
    others, `accuracy` over all pixels."""
    tally = metrics.Tally.of(counts)
    return {
        "miou": float(tally.miou),
        "accuracy": float(tally.accuracy),
        "iou": tally.iou.tolist(),
        "f1": tally.f1.tolist(),
    }


def block_counts(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int, size: int) -> Counts:
    """Confusion counts (B, K, K) of the blocks of size×size pixels, row by row, that have a drawn pixel."""
    height, width = truth.shape
    places = [np.s_[r : r + size, c : c + size] for r in range(0, height, size) for c in range(0, width, size)]
    blocks = [confusion(truth[at], predicted[at], classes) for at in places]
    drawn = [b for b in blocks if b.any()]
    return np.stack(drawn) if drawn else np.zeros((0, classes, classes), np.int64)


def intervals(blocks: Counts, draws: int = DRAWS, seed: int = 0) -> dict[str, Floats]:
    """Block bootstrap intervals (95 %) of `scores`, each (..., 2), from the counts (B, K, K) of blocks.

    Blocks larger than an object are wanted; see `mapgen.accuracy.bootstrap`.
    """
    resamples = Resamples(seed, draws)
    resamples.add(0, np.stack((blocks.diagonal(axis1=1, axis2=2), blocks.sum(2), blocks.sum(1)), axis=1))
    return resamples.intervals("miou", "accuracy", "iou", "f1")


def predict(
    network: nn.Module, image: NDArray[np.generic], mean: Tensor, std: Tensor, *, window: int = 1024, halo: int = 64,
    stride: int = 32, half: bool = False,
) -> NDArray[np.uint8]:  # fmt: skip
    """The channel index with the highest score at each pixel of image (C, H, W), by windows that overlap by 2·halo.

    Windows and padding are those of `mapgen segment`. `mean` and `std` (C,) scale the pixel values.
    """
    device = next(network.parameters()).device
    result = np.empty(image.shape[1:], np.uint8)
    _, height, width = image.shape
    plan = plan_windows(height, width, window, halo, stride)
    whole = plan.whole
    network.eval()
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
        for step in plan.steps():
            pixels = padded(image[:, *step.read.slices(whole)], stride)
            x = torch.from_numpy(pixels.astype(np.float32)).to(device)
            x = ((x - mean.to(device)[:, None, None]) / std.to(device)[:, None, None])[None]
            best = network(x.contiguous(memory_format=torch.channels_last)).argmax(1)[0]
            result[step.keep.slices(whole)] = best.cpu().numpy()[step.keep.slices(step.read)]
    return result


def measure(
    network: nn.Module, pieces: Sequence[Piece], classes: int, mean: Tensor, std: Tensor, *, half: bool = False
) -> dict[str, Counts]:
    """Confusion counts of the network on each piece, by its name."""
    return {
        p.name: confusion(p.label, predict(network, p.image, mean, std, half=half), classes) for p in pieces
    }  # fmt: skip


def blocks_of(network: nn.Module, dataset: Dataset, card: ModelCard, size: int) -> Counts:
    """Confusion counts (B, K, K) of the network on the validation ground, block by block, seen as `segment` would."""
    mean, std = torch.tensor(card.mean), torch.tensor(card.std)
    found = [np.zeros((0, len(card.legend), len(card.legend)), np.int64)]
    for piece in dataset.validation:
        predicted = predict(
            network, piece.image, mean, std, window=card.window, halo=card.halo, stride=card.stride
        )  # fmt: skip
        found.append(block_counts(piece.label, predicted, len(card.legend), size))
    return np.concatenate(found)
