"""`view`: a page to look at class maps, layers, tile sets and whole results; a still picture without a browser."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.arrays import Bytes
from mapgen.errors import UsageError, one_line, option
from mapgen.files.commit import Output, check_output
from mapgen.files.encoders import encoded
from mapgen.files.inputs import one_run
from mapgen.files.page import SCRIPTS, STYLES, TEMPLATE, inlined_page, served_page, served_policy
from mapgen.files.pictures import write_picture
from mapgen.files.webfiles import page_texts, write_page
from mapgen.results.changes import adopt_names, changes_of, check_same_ground
from mapgen.results.options import ViewOptions
from mapgen.results.parts import AtServer, InFolder, InPage, Place, described, within
from mapgen.results.render import RasterDrawing, TilesDrawing
from mapgen.results.server import PageServer, Served, TileMaker
from mapgen.results.side import Finder, Side
from mapgen.results.site import staged_site, write_site
from mapgen.results.still import frame_of, laid_over, legend_rows, with_legend

STILL = 800
"""Pixels of the longer side of the picture that a page shows where the browser has no WebGL."""

_KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


class View:
    """What is looked at: one or two results, open until the block ends.

    `handed_on` says that it will be written to a file for others: then nothing is shown that lies outside of what was
    named. Raises `InputError`, `UsageError`.
    """

    def __init__(self, path: str, options: ViewOptions, *, handed_on: bool = False) -> None:
        self.options = options
        self._stack = ExitStack()
        self._stack.enter_context(one_run())
        self.sides: list[Side] = []
        try:
            finder = Finder(options, self._stack, handed_on=handed_on)
            self.sides = [finder.side(name) for name in (path, options.compare) if name is not None]
            picture = None if options.imagery is None else finder.raster(options.imagery, imagery=True)
            if len(self.sides) > 1:
                check_same_ground(self.sides)
                adopt_names(self.sides)
            for side in self.sides:
                side.imagery = picture or side.imagery
                side.count()
        except BaseException:
            self._stack.close()
            raise

    @classmethod
    def of(cls, side: Side, options: ViewOptions) -> View:
        """A view of a side that is put together already; its drawings are closed with it."""
        view = cls.__new__(cls)
        view.options, view.sides, view._stack = options, [side], ExitStack()
        for drawing in side.drawings:
            if isinstance(drawing, RasterDrawing | TilesDrawing):
                view._stack.callback(drawing.close)
        return view

    def __enter__(self) -> View:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def warnings(self) -> list[str]:
        """What may be wrong with what is shown."""
        return [text for side in self.sides for text in (*side.warnings, *side.missing)]

    # --- the page -----------------------------------------------------------------------------------------------------

    def server(self, port: int = 0) -> PageServer:
        """A server of the page, ready to `serve_forever`."""
        texts = page_texts()
        things = {n: Served(_KINDS[Path(n).suffix], texts[n].encode()) for n in (*SCRIPTS, *STYLES)}
        makers: list[TileMaker] = []
        place = AtServer(things, makers)
        still = place.made("image/webp", self.still) if self._is_drawn else None
        page = served_page(texts[TEMPLATE], self.page_title, self.data(place, still))
        things[""] = Served("text/html; charset=utf-8", page)
        policy = f"{served_policy(self.options.basemap)}; frame-ancestors 'none'"
        return PageServer(things, makers, policy, port)

    def inline(self, output: Path, **more: Any) -> int:
        """Write the page as one file; its size in bytes. `more` is what else the page is to show, such as a `way`.

        Raises `OutputError`, and `InputError` if it is too large.
        """
        place = Output(output, self.options.overwrite)
        check_output(place)
        page = self.inlined(**more)
        write_page(place, page)
        return len(page)

    def inlined(self, **more: Any) -> bytes:
        """The page with all that it shows in it. Raises `InputError` if it is too large."""
        texts = page_texts()
        with tempfile.TemporaryDirectory(prefix="mapgen-") as name:
            parts = InPage(Path(name))
            still = parts.content("map.webp", self.still()) if self._is_drawn else None
            data = {**self.data(parts, still), "inlined": True, **more}
            return inlined_page(texts[TEMPLATE], self.page_title, data, texts, parts.files)

    def export(self, folder: Path) -> int:
        """Write the page as a folder for any web server; bytes of all its files. Raises `OutputError`, `InputError`."""
        with staged_site(folder, overwrite=self.options.overwrite) as made:
            parts = InFolder(made)
            still = parts.content("map.webp", self.still()) if self._is_drawn else None
            data = self.data(parts, still)
            return write_site(made, self.page_title, data, self.options.base_url)

    def data(self, place: Place, still: str | None) -> dict[str, Any]:
        """What the page is told, its parts being put at their place."""
        changes = changes_of(self.sides) if len(self.sides) > 1 else None
        return {
            "inlined": False, "title": self.title, "about": self.about, "basemap": self.options.basemap, "still": still,
            "changes": None if changes is None else changes.to_json(),
            "sides": [described(side, place) for side in self.sides],
        }  # fmt: skip

    @property
    def about(self) -> list[str]:
        """Lines about what is shown: model, date, licence, warnings, whose imagery it is."""
        lines = list(dict.fromkeys(line for side in self.sides for line in side.about))
        return [*lines, *([one_line(self.options.credit)] if self.options.credit else [])]

    @property
    def title(self) -> str:
        """What the map is called."""
        return one_line(self.options.title or " | ".join(side.title for side in self.sides))

    @property
    def page_title(self) -> str:
        """What the page is called."""
        return f"{self.title} | mapgen"

    # --- the picture --------------------------------------------------------------------------------------------------

    def picture(self, output: Path) -> tuple[int, int]:
        """Write the map with its legend as a picture; width and height. Raises `OutputError`, `InputError`,
        `UsageError`."""
        if len(self.sides) > 1:
            raise UsageError(
                option("compare"), "a still picture shows one map", f"leave it out, or leave out {option('png')}"
            )
        made = self._drawn(self.options.size)
        write_picture(Output(output, self.options.overwrite), made)
        return made.shape[1], made.shape[0]

    @property
    def _is_drawn(self) -> bool:
        """Whether the first side can be drawn here: vector tiles alone cannot."""
        side = self.sides[0]
        return side.raster is not None or side.layer is not None or side.imagery is not None

    def still(self) -> bytes:
        """The first side as a small picture, for browsers without WebGL."""
        picture = self._drawn(STILL)
        opaque = np.full((1, *picture.shape[:2]), 255, np.uint8)
        return encoded(np.concatenate([picture.transpose(2, 0, 1), opaque]), "webp", 80)

    def _drawn(self, size: int) -> Bytes:
        """The first side with its legend (H, W, 3), the map itself `size` pixels long."""
        side = self.sides[0]
        drawn = side.raster or side.layer or side.vector
        frame = frame_of(within(side.bounds), size, side.drawings[0].finest)
        picture = np.full((frame.height, frame.width, 3), 255, np.uint8)
        if side.imagery is not None:
            picture = laid_over(picture, side.imagery.draw(frame), 1.0)
        if drawn is not None:
            opacity = self.options.opacity / 100 if side.imagery is not None else 1.0
            picture = laid_over(picture, drawn.draw(frame), opacity)
        if side.roads is not None:
            picture = laid_over(picture, side.roads.draw(frame), 1.0)
        return with_legend(picture, legend_rows(side.areas), self.title, frame.metres, self.about)
