"""Results in notebooks: the page of a map in a cell, and its picture."""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import dataclass
from html import escape
from typing import Unpack

from mapgen.errors import MapgenError, UsageError, option
from mapgen.results.options import ViewKeys, ViewOptions
from mapgen.results.view import View
from mapgen.settings import PathLike, taking

LEAST, MOST = 200, 4000
"""Pixels that a page may be high."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page that a cell of a notebook shows; it holds all that it shows, so it stays in the notebook."""

    title: str
    html: str
    height: int

    def __repr__(self) -> str:
        return f"<page of {self.title}: {len(self.html) / 1e6:.1f} MB>"

    def _repr_html_(self) -> str:
        """The page in a frame of its own, whose styles and scripts do not meet those of the notebook."""
        frame = f'title="{escape(self.title)}" width="100%" height="{self.height}" style="border: 0"'
        return f'<iframe {frame} srcdoc="{escape(self.html)}"></iframe>'


@taking(ViewOptions, ViewKeys)
def show(path: PathLike, *, height: int = 600, **options: Unpack[ViewKeys]) -> Page:
    """The page of a result folder, class map or layer, for a cell of a notebook: to move, to click in, to measure.

    `options` are the fields of `ViewOptions`, `height` is in pixels. Raises `InputError`, also for what would make the
    page too large, and `UsageError`.
    """
    if not LEAST <= height <= MOST:
        raise UsageError(option("height"), f"{height} is not between {LEAST} and {MOST}", "give pixels, such as 600")
    with View(os.fspath(path), ViewOptions(**options), handed_on=True) as view:
        return Page(view.title, view.inlined().decode(), height)


def picture_of(path: PathLike) -> str:
    """A small picture of a map as an image of HTML; nothing where none can be drawn (any more)."""
    try:
        with View(os.fspath(path), ViewOptions()) as view:
            picture, title = b64encode(view.still()).decode(), view.title
    except MapgenError:  # the files of a result may be gone, what it says is not
        return ""
    return f'<img alt="The map of {escape(title)}" src="data:image/webp;base64,{picture}">'
