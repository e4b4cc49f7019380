"""The example scene that comes with mapgen: a drawn town, for a first map and for demonstrations."""

from __future__ import annotations

from pathlib import Path

from mapgen.files.commit import Output, write_whole

SCENE = Path(__file__).parent / "example" / "scene.tif"


def write_example(output: Output) -> None:
    """Write a copy of the example scene. Raises `OutputError`."""
    write_whole(output, SCENE.read_bytes())
