"""Tilings by name: that of the web, and others from morecantile."""

from __future__ import annotations

from typing import Any

from mapgen.errors import UsageError
from mapgen.tiling.quadtree import WEB_MERCATOR, Tiling


def find_tiling(name: str) -> Tiling:
    """The tiling called `name`: WebMercatorQuad, or a TileMatrixSet that morecantile knows.

    Raises `UsageError` where morecantile is missing or does not know it, or where tiles are not quartered from zoom to
    zoom, so that no tile can be made of its four children.
    """
    if name.casefold() == WEB_MERCATOR.name.casefold():
        return WEB_MERCATOR
    try:
        import morecantile
    except ImportError as exc:
        problem = f"{name} needs the package morecantile; built in is {WEB_MERCATOR.name}"
        raise UsageError("--tms", problem, "pip install 'mapgen[tms]'") from exc
    known = {one.casefold(): one for one in morecantile.tms.list()}
    if name.casefold() not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, [*known.values()], 1) or [WEB_MERCATOR.name]
        raise UsageError("--tms", f"no tile matrix set is called {name!r}", f"did you mean {near[0]}?")
    return _tiling(morecantile.tms.get(known[name.casefold()]))


def _tiling(tms: Any) -> Tiling:
    first = tms.tileMatrices[0]
    if not _quarters(tms):
        problem = f"{tms.id} does not quarter its tiles from each zoom to the next, beginning with 0"
        raise UsageError("--tms", problem, f"use another, such as {WEB_MERCATOR.name} or WorldCRS84Quad")
    box = tms.xy_bounds(0, 0, 0)
    crs = tms.crs._pyproj_crs.to_wkt()
    return Tiling(str(tms.id), crs, box.left, box.top, box.right - box.left, first.matrixWidth, first.matrixHeight)


def _quarters(tms: Any) -> bool:
    """Whether each zoom from 0 on has the corner of the one before, half its cells and twice its columns and rows."""
    matrices = tms.tileMatrices
    return all(
        str(m.id) == str(z)
        and m.tileWidth == m.tileHeight
        and not getattr(m, "variableMatrixWidths", None)
        and all(abs(a - b) < 1e-3 * m.cellSize for a, b in zip(m.pointOfOrigin, matrices[0].pointOfOrigin, strict=True))
        and abs(m.cellSize * 2**z / matrices[0].cellSize - 1) < 1e-6
        and (m.matrixWidth, m.matrixHeight) == (matrices[0].matrixWidth << z, matrices[0].matrixHeight << z)
        for z, m in enumerate(matrices)
    )
