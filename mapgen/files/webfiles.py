"""The files of the page that come with mapgen: its own, MapLibre GL JS and pmtiles.js."""

from __future__ import annotations

from pathlib import Path

from mapgen.errors import OutputError
from mapgen.files.commit import Output, staged
from mapgen.files.page import SCRIPTS, STYLES, TEMPLATE, TILES_SCRIPTS, TILES_STYLES, TILES_TEMPLATE

FOLDER = Path(__file__).parent / "web"


def page_texts() -> dict[str, str]:
    """The template, scripts and styles of the page by their names."""
    return _texts(TEMPLATE, *SCRIPTS, *STYLES)


def tiles_page_texts() -> dict[str, str]:
    """The template, scripts and styles of the page beside a folder of tiles by their names."""
    return _texts(TILES_TEMPLATE, *TILES_SCRIPTS, *TILES_STYLES)


def _texts(*names: str) -> dict[str, str]:
    return {name: (FOLDER / name).read_text(encoding="utf-8") for name in names}


def write_page(output: Output, content: bytes) -> None:
    """Write the page, and read it back. Raises `OutputError`; then nothing is left."""
    with staged(output) as temporary:
        temporary.write_bytes(content)
        if temporary.read_bytes() != content:
            problem = "did not read back as written (a full or failing disk?)"
            raise OutputError(output.path, problem, "free some space and run again")
