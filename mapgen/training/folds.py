"""Scores on ground that no run has seen: each set of groups is left out by a run of its own and judged by it.

The model itself trains on all ground; what its card says is what its recipe reaches on places that it does not know
(cross-validation by groups: Roberts et al. 2017, Cross-validation strategies for data with temporal, spatial,
hierarchical, or phylogenetic structure).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.arrays import Longs
from mapgen.dataset.dataset import Dataset
from mapgen.model.file import open_model
from mapgen.training.config import NEVER, TrainConfig
from mapgen.training.measure import blocks_of, scores
from mapgen.training.parts import BLOCK, card_scores, loaded
from mapgen.training.runs import Run


@dataclass(frozen=True, slots=True)
class Fold:
    """A run that leaves out `groups`: its configuration and its folder."""

    groups: tuple[str, ...]
    config: TrainConfig
    folder: Path

    @property
    def label(self) -> str:
        """The groups in words."""
        return ", ".join(self.groups)


def folds_of(config: TrainConfig, run: Run) -> Iterator[Fold]:
    """The runs that judge the configuration, in folders of their own below that of `run`."""
    for number, groups in enumerate(config.data.split.folds, 1):
        split = replace(config.data.split, groups=groups, folds=())
        once = replace(config.run, check_every=NEVER, patience=0)
        left_out = replace(config, data=replace(config.data, split=split), run=once)
        yield Fold(groups, left_out, run.folds / str(number))


def judged(model: Path, dataset: Dataset) -> Longs:
    """The confusion counts (B, K, K) of a fold's model on the blocks of the ground that it left out."""
    found = open_model(model)
    return blocks_of(loaded(found), dataset, found.card, BLOCK)


def pooled(folds: list[tuple[Fold, Longs]], data: Dataset) -> dict[str, Any]:
    """What the card says: the scores of all blocks together with their intervals, and the mIoU of each fold.

    A class that one place lacks and nobody finds there has no IoU there, and counts in the others'.
    """
    blocks = np.concatenate([counts for _, counts in folds])
    found = card_scores(scores(blocks.sum(0)) | {"blocks": blocks}, data)
    ground = f"places that the model did not know, each left out by a run of its own: {found.pop('ground')}"
    alone = {fold.label: round(float(scores(counts.sum(0))["miou"]), 4) for fold, counts in folds}  # type: ignore[arg-type]
    return {"ground": ground, **found, "miou_left_out": alone}
