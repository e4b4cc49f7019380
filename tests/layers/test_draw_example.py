"""The script of the pictures in the docs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from layer_maps import class_map
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "examples" / "draw_polygons.py"


def test_the_pictures_are_drawn_from_any_class_map(tmp_path: Path) -> None:
    mask = class_map(tmp_path / "town.tif")
    picture = tmp_path / "picture.png"
    command = [sys.executable, SCRIPT, mask, "-o", picture, "--at", "20,30"]
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parents[1])}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == str(picture)
    with Image.open(picture) as image:
        assert image.size == (1332, 1330)
        assert len(image.convert("RGB").getcolors(1 << 20)) > 10
    assert {p.name for p in tmp_path.iterdir()} == {"town.tif", "picture.png"}
