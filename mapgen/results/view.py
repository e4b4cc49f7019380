"""`view`: a page to look at class maps, layers, tile sets and whole results; a still picture without a browser."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.errors import UsageError, one_line, option
from mapgen.files.commit import Output, check_output
from mapgen.files.inputs import one_run
from mapgen.files.page import SCRIPTS, SERVED_POLICY, STYLES, TEMPLATE, inlined_page, served_page
from mapgen.files.pictures import write_picture
from mapgen.files.webfiles import page_texts, write_page
from mapgen.results.options import ViewOptions
from mapgen.results.parts import AtServer, InPage, described, within
from mapgen.results.render import RasterDrawing, TilesDrawing
from mapgen.results.server import PageServer, Served, TileMaker
from mapgen.results.side import Finder, Side
from mapgen.results.still import area_text, frame_of, laid_over, with_legend

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
        sides = [described(side, AtServer(things, makers)) for side in self.sides]
        page = served_page(texts[TEMPLATE], self.title, {"inlined": False, "sides": sides})
        things[""] = Served("text/html; charset=utf-8", page)
        return PageServer(things, makers, SERVED_POLICY, port)

    def inline(self, output: Path, **more: Any) -> int:
        """Write the page as one file; its size in bytes. `more` is what else the page is to show, such as a `way`.

        Raises `OutputError`, and `InputError` if it is too large.
        """
        place = Output(output, self.options.overwrite)
        check_output(place)
        texts = page_texts()
        with tempfile.TemporaryDirectory(prefix="mapgen-") as name:
            parts = InPage(Path(name))
            sides = [described(side, parts) for side in self.sides]
            data = {"inlined": True, "sides": sides} | more
            page = inlined_page(texts[TEMPLATE], self.title, data, texts, parts.files)
        write_page(place, page)
        return len(page)

    @property
    def title(self) -> str:
        """What the page is called."""
        return " | ".join([*(one_line(side.title) for side in self.sides), "mapgen"])

    # --- the picture --------------------------------------------------------------------------------------------------

    def picture(self, output: Path) -> tuple[int, int]:
        """Write the map with its legend as PNG; width and height. Raises `OutputError`, `InputError`, `UsageError`."""
        if len(self.sides) > 1:
            raise UsageError(
                option("compare"), "a still picture shows one map", f"leave it out, or leave out {option('png')}"
            )
        (side,) = self.sides
        drawn = side.raster or side.layer or side.vector
        frame = frame_of(within(side.bounds), self.options.size, side.drawings[0].finest)
        picture = np.full((frame.height, frame.width, 3), 255, np.uint8)
        if side.imagery is not None:
            picture = laid_over(picture, side.imagery.draw(frame), 1.0)
        if drawn is not None:
            opacity = self.options.opacity / 100 if side.imagery is not None else 1.0
            picture = laid_over(picture, drawn.draw(frame), opacity)
        if side.roads is not None:
            picture = laid_over(picture, side.roads.draw(frame), 1.0)
        rows = [(c.name, c.color, "" if a is None else area_text(a)) for c, a in side.areas]
        made = with_legend(picture, rows, side.title, frame.metres)
        write_picture(Output(output, self.options.overwrite), made)
        return made.shape[1], made.shape[0]
