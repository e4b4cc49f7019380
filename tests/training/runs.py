"""What tests of training are made of: a small scene with labels, and a configuration that learns it in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from factory import make_raster

from mapgen.schema import toml_value

CLASSES = ((2, "field"), (7, "roof"), (9, "lake"))
"""Ids that are neither in a row nor the order of the colours."""

UNLABELLED = 3
"""A label value that means: not labelled."""

COLORS = np.array([[60, 160, 70], [200, 60, 50], [40, 60, 190]], np.uint8)


def truth(size: int = 192, seed: int = 0, cell: int = 16) -> np.ndarray:
    """Cells of one class, as indices of CLASSES, (size, size)."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, len(CLASSES), (size // cell,) * 2).repeat(cell, 0).repeat(cell, 1)


def make_scene(folder: Path, name: str = "scene", size: int = 192, seed: int = 0, **profile: Any) -> Path:
    """`NAME.tif`, RGB, and `label/NAME.tif` with the ids of CLASSES; a corner is not labelled, another without data."""
    index = truth(size, seed)
    rng = np.random.default_rng(seed + 100)
    image = COLORS[index].astype(int) + rng.integers(-25, 26, (size, size, 3))
    label = np.array([c[0] for c in CLASSES], np.uint8)[index]
    label[:24, :24] = UNLABELLED
    image[-24:, -24:] = 0
    image = image.clip(1 if (image > 0).all() else 0, 255).astype(np.uint8)
    image[:, :-24] = image[:, :-24].clip(1)
    make_raster(folder / f"{name}.tif", image.transpose(2, 0, 1), nodata=0, photometric="RGB", **profile)
    (folder / "label").mkdir(exist_ok=True)
    make_raster(folder / "label" / f"{name}.tif", label, nodata=255, **profile)
    return folder / f"{name}.tif"


def config_text(**changes: dict[str, Any]) -> str:
    """The configuration of a run over a small scene; `changes` are keys of its tables, None to leave one out."""
    tables: dict[str, dict[str, Any]] = {
        "": {"name": "tiny", "seed": 1},
        "data": {"folder": ".", "ignore": [UNLABELLED]},
        "data.split": {"block": "64px", "guard": "8px", "validation": 0.25},
        "model": {
            "architecture": "Unet", "encoder": "tu-resnet10t", "window": 64, "halo": 16,
            "parameters": {"encoder_depth": 2, "decoder_channels": [16, 8]},
        },
        "run": {
            "steps": 12, "batch": 2, "crop": 32, "rate": 4e-3, "ema_decay": 0.9, "check_every": 5, "save_every": 4,
            "precision": "fp32", "threads": 1,
        },
        "augment": {"angle_deg": 0.0, "zoom": [1.0, 1.0], "softness": 0.0, "haze": 0.0},
    }  # fmt: skip
    lines = []
    for table in dict.fromkeys([*tables, *changes]):
        values = tables.get(table, {}) | changes.get(table, {})
        lines += [f"[{table}]"] if table else []
        lines += [f"{key} = {toml_value(value)}" for key, value in values.items() if value is not None]
        if table == "data":
            lines += (
                ["[[data.sources]]", 'images = ["scene.tif"]', 'labels = "label/{stem}.tif"']
                if not values.get("sources")
                else []
            )
            for id_, name in changes.get("classes", {"all": CLASSES})["all"]:
                lines += ["[[data.classes]]", f"id = {id_}", f"name = {name!r}"]
    return "\n".join(line for line in lines if line != "[classes]" and not line.startswith("all = ")) + "\n"


BY_HEART = {
    "run": {"steps": 60, "batch": 4, "crop": 64, "rate": 1e-2, "check_every": 30, "save_every": 100},
    "augment": dict.fromkeys(("brightness", "contrast", "gamma", "balance", "saturation", "noise"), 0.0),
}
"""Changes with which the scene is learnt by heart in seconds."""


def make_run(folder: Path, name: str = "run.toml", **changes: dict[str, Any]) -> Path:
    """A scene in `folder`, unless one is there, and the configuration of a run over it."""
    folder.mkdir(exist_ok=True)
    if not (folder / "scene.tif").exists():
        make_scene(folder)
    path = folder / name
    path.write_text(config_text(**changes), encoding="utf-8")
    return path
