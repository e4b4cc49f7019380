"""Judge the recipe of a built-in model on places that it has not met: python folds.py RECIPE RUN MODEL OUT.

RECIPE is the TOML file of `mapgen train`, with `data.folder` naming the imagery; MODEL is what it made. Each set of
tiles of FOLDS is left out by a run of its own below RUN and judged by it, all other ground of the recipe trains there.
OUT is MODEL with these scores, pooled, on its card. Runs that are done are not done again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from mapgen.dataset.config import SplitConfig
from mapgen.dataset.read import read_dataset
from mapgen.model.file import open_model, read_tensors
from mapgen.model.write import save_model
from mapgen.training.config import TrainConfig, read_config
from mapgen.training.folds import Fold, judged, pooled
from mapgen.training.train import run

FOLDS = (("tile6",), ("tile5",), ("tile4", "tile7", "tile8"))
"""Tiles of one city go together: 4, 7 and 8 share ground."""

STEPS = 160
"""Of the runs that judge: fewer than the model's own, so that they cost less together than it does."""


def left_out(config: TrainConfig, groups: tuple[str, ...]) -> TrainConfig:
    """The recipe for all ground but these tiles, which validate at the end."""
    sources = tuple(replace(one, use="split") for one in config.data.sources)
    split = SplitConfig(method="groups", group=r"^(tile\d)", groups=groups)
    return replace(
        config, name="-".join(groups), data=replace(config.data, sources=sources, split=split),
        run=replace(config.run, steps=STEPS, check_every=STEPS),
    )  # fmt: skip


def main() -> None:
    """Run the folds, print what they say together, and write the model with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("recipe", "run", "model", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    config = read_config(args.recipe)
    args.run.mkdir(exist_ok=True)
    found = []
    for groups in FOLDS:
        own = left_out(config, groups)
        done = run(own, args.run / own.name, say=print)
        data = read_dataset(own.data, done.run.ground)
        found.append((Fold(groups, own, done.run.path), judged(done.model, data)))
    scores = pooled(found, data)
    scores["ground"] += f"; those runs took {STEPS} steps, the model's own {config.run.steps}"
    print(json.dumps(scores, indent=1))
    model = open_model(args.model)
    save_model(read_tensors(model), replace(model.card, scores=scores), args.out, overwrite=True)


if __name__ == "__main__":
    main()
