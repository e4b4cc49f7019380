"""`route -o way.html`: the page of a network with the way that was found on it."""

from __future__ import annotations

from pathlib import Path

from mapgen.files.commit import Output
from mapgen.files.vet import public_name
from mapgen.results.network import NetworkDrawing
from mapgen.results.options import ViewOptions
from mapgen.results.side import Side
from mapgen.results.view import View
from mapgen.roads.route import Way


def write_way_page(
    output: Output, network: Path, way: Way, said: str, layer: str | None = None, assume_crs: str | None = None
) -> int:
    """Write one HTML file that needs no server: the network, the way on it, and what is `said` of it. Its size in
    bytes. Raises `OutputError`, and `InputError` for a network that is too large for a page."""
    side = Side(public_name(network.name), roads=NetworkDrawing(network, layer, assume_crs))
    with View.of(side, ViewOptions(overwrite=output.overwrite)) as shown:
        return shown.inline(output.path, way={"line": way.rounded(), "said": said})
