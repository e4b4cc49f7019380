"""The verbs of this room for Python: `map`, `view` and `info` as functions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Unpack

from mapgen.errors import UsageError, option
from mapgen.results.info import describe
from mapgen.results.map import Mapper
from mapgen.results.options import MapKeys, MapOptions, ViewKeys, ViewOptions
from mapgen.results.planned import Result
from mapgen.results.view import View
from mapgen.settings import DEFAULT_MODEL, PathLike, taking


@taking(MapOptions, MapKeys)
def map_(scenes: PathLike | Sequence[PathLike], folder: PathLike, **options: Unpack[MapKeys]) -> Result:
    """Write class map, layer, tiles, a preview and a report of a scene, or of several as one mosaic, into `folder`.

    `options` are the fields of `MapOptions`. Raises what `segment` raises; then nothing of this run is there. Where a
    later part fails, the others are kept, and `report["errors"]` says so.
    """
    names = [scenes] if isinstance(scenes, str | os.PathLike) else scenes
    return Mapper(MapOptions(**options))([os.fspath(name) for name in names], Path(folder))


map_.__name__ = map_.__qualname__ = "map"


@taking(ViewOptions, ViewKeys)
def view(path: PathLike, output: PathLike | None = None, **options: Unpack[ViewKeys]) -> Path | None:
    """Look at results: a still picture where `output` ends in .png, one HTML file where it ends in .html.

    Without an output the page is served and opened in the browser until Ctrl-C. `options` are the fields of
    `ViewOptions`. Returns the output. Raises `InputError`, `OutputError` or `UsageError`.
    """
    target = None if output is None else Path(output)
    if target is not None and target.suffix.lower() not in (".png", ".html", ".htm"):
        raise UsageError(option("output"), f"{target.name} is neither a picture nor a page", "name a .png or .html")
    with View(os.fspath(path), ViewOptions(**options), handed_on=target is not None) as shown:
        if target is None:
            _served(shown)
        elif target.suffix.lower() == ".png":
            shown.picture(target)
        else:
            shown.inline(target)
    return target


def _served(shown: View) -> None:
    import webbrowser

    with shown.server() as server, suppress(KeyboardInterrupt):
        webbrowser.open(server.url)
        server.serve_forever()


def info(path: PathLike, model: PathLike = DEFAULT_MODEL) -> dict[str, Any]:
    """What a file is, as plain values: its `kind`, whether model and scene fit, and the `next` command to type.

    Raises `InputError` or `ModelError`.
    """
    return describe(os.fspath(path), os.fspath(model))
