"""Score a trained network on the validation ground and write the built-in model: python package.py DATA RUN OUT.

DATA is the folder with tile4 … tile8, RUN the folder of the run, OUT the model file. Into RUN come report.json
(confusion counts, scores and their intervals, per piece and in all) and a picture of each piece: image, truth,
prediction.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import rasterio
import torch
from ground import read_ground
from numpy.typing import NDArray
from read import HERE, read_piece, read_recipe
from safetensors.torch import load_file

from mapgen.legend import BUILTIN
from mapgen.model.card import ModelCard
from mapgen.model.network import build
from mapgen.model.write import save_model
from mapgen.training.measure import block_counts, intervals, predict, scores
from mapgen.training.samples import Piece, statistics

BLOCK = 256
"""Side of the bootstrap's blocks in pixels: several houses and streets."""

TEXT = {
    "domain": "RGB cities in dry land at ~1 m",
    "description": "Buildings, land, roads, vegetation and water in satellite and aerial imagery of dry cities.",
    "data": "Semantic segmentation of aerial imagery, tiles 4 to 8 (Humans in the Loop with the Mohammed Bin Rashid "
    "Space Centre), CC0 as stated by its public copies; satellite imagery of Emirati cities, about 1.03 m a pixel, "
    "sharpened. Random initialisation, no other data.",
    "license": "Apache-2.0",
    "limits": "Knows sand, villas, towers, golf courses, mangroves and sea under a high sun. Houses that stand close "
    "come out as one building, since many were drawn so; large pale roofs come out in pieces, and rows of parked cars "
    "as building; narrow, unpaved and shaded roads are missed; the shadows of towers are taken for water; tidal flats "
    "and dark lawns are mixed up with water. Green country, snow, forest, other seasons and resolutions far from 1 m "
    "are unknown to it. The labels themselves agree on 60 to 86 % of the pixels that were drawn twice.",
}


def trained(run: Path, model: dict) -> torch.nn.Module:
    """The average of the run's checkpoint, its weights as the model file will store them."""
    values = load_file(run / "checkpoint.safetensors").items()
    average = {name.removeprefix("average."): v for name, v in values if name.startswith("average.")}
    network = build(**model, in_channels=3, classes=len(BUILTIN))
    stored = {k: v.half().float() if v.is_floating_point() else v for k, v in average.items()}
    network.load_state_dict(stored)
    return network.eval().to(memory_format=torch.channels_last)


def picture(piece: Piece, predicted: NDArray[np.uint8], path: Path) -> None:
    """Image, truth and prediction side by side."""
    color = np.zeros((256, 3), np.uint8)
    color[: len(BUILTIN)] = [c.rgb for c in BUILTIN]
    drawn = [color[m].transpose(2, 0, 1) for m in (piece.label, predicted)]
    panel = np.concatenate([piece.image, *drawn], axis=2)
    profile = {"driver": "PNG", "dtype": "uint8", "count": 3, "height": panel.shape[1], "width": panel.shape[2]}
    with rasterio.open(path, "w", **profile) as file:
        file.write(panel)


def summary(blocks: NDArray[np.int64]) -> dict:
    """Scores of the blocks together, rounded, with their 95 % intervals."""
    found, spread = scores(blocks.sum(0)), intervals(blocks)
    return {
        "confusion": blocks.sum(0).tolist(),
        **{name: np.round(value, 4).tolist() for name, value in found.items()},
        **{f"{name}_interval": np.round(value, 4).tolist() for name, value in spread.items()},
    }


def card_scores(report: dict, names: list[str]) -> dict:
    """What the card says: mIoU, accuracy and each class with intervals, and the ground they were measured on."""
    by_class = {
        c.name: {"iou": report["iou"][i], "iou_interval": report["iou_interval"][i], "f1": report["f1"][i]}
        for i, c in enumerate(BUILTIN)
    }
    chosen = {k: report[k] for k in ("miou", "miou_interval", "accuracy", "accuracy_interval")}
    ground = f"{', '.join(names)} of the same imagery, never trained on; 95 % block bootstrap of {BLOCK} px blocks"
    return {"ground": ground, **chosen, **by_class}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--version", default="1")
    args = parser.parse_args()
    document, _, _ = read_recipe(HERE / "recipe.toml")
    ground = read_ground(HERE / "ground.json")
    mean, std = statistics([read_piece(args.data, name) for name in ground.training])
    network = trained(args.run, document["model"])

    blocks, report = [], {}
    for name in ground.validation:
        piece = read_piece(args.data, name)
        predicted = predict(network, piece.image, torch.tensor(mean), torch.tensor(std))
        blocks.append(block_counts(piece.label, predicted, len(BUILTIN), BLOCK))
        report[name] = summary(blocks[-1])
        picture(piece, predicted, args.run / f"{name.replace('/', '_')}.png")
    report["all"] = summary(np.concatenate(blocks))
    (args.run / "report.json").write_text(json.dumps(report, indent=1))

    card = ModelCard(
        name=args.out.stem,
        bands=("red", "green", "blue"),
        mean=tuple(round(v, 3) for v in mean),
        std=tuple(round(v, 3) for v in std),
        legend=BUILTIN,
        resolution_m=1.03,
        version=args.version,
        scores=card_scores(report["all"], list(ground.validation)),
        **document["model"],
        **TEXT,
    )
    print(json.dumps(dict(card.scores), indent=1))
    print(save_model(network, card, args.out, half=True, overwrite=True))


if __name__ == "__main__":
    main()
