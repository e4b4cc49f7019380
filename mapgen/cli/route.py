"""`mapgen route`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import check_suffix
from mapgen.cli.console import console
from mapgen.cli.options import takes
from mapgen.errors import UsageError
from mapgen.files.commit import Output


@takes(given_by.Passable, given_by.LayerRead, given_by.AssumeCrs, given_by.Overwriting, given_by.Json)
def route(
    network: Annotated[
        Path, typer.Argument(metavar="NET", help="A network of mapgen roads, or any file of lines that meet at ends.")
    ],
    places: Annotated[
        list[str],
        typer.Argument(metavar="LON,LAT", help="From, to, and points between, in order; or in the file's CRS."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE",
            help="Write the way as GeoJSON, or as a page of the network (.html).  [default: GeoJSON to stdout]",
        ),
    ] = None,
    **given: Any,
) -> None:
    """Find the shortest way over a network, as GeoJSON or as a page.

    The page (way.html) needs no server, shows the way on the network, and finds others by two clicks.
    Points are taken to the nearest edge, up to 100 m away. Where there is no way the exit code is 10, and the message
    says how far the two parts are from each other. Directions, turn rules and levels are not known.
    """
    if output is not None:
        check_suffix(str(output), ".geojson", folders=False)
    from mapgen.roads.layers import LIMITS
    from mapgen.roads.route import find_way, parse_point, write_way

    if len(places) < 2:
        raise UsageError("LON,LAT", "one point is not a way", "give two or more")
    stops = [parse_point(text) for text in places]
    way = find_way(
        network, stops, min_width=given["min_width"], no_bridges=given["no_bridges"], layer=given["layer"],
        assume_crs=given["assume_crs"],
    )  # fmt: skip
    found = way.to_json()
    about = found["properties"]
    narrowest = f", narrowest {about['narrowest_m']:.1f} m" if about["narrowest_m"] is not None else ""
    bridged = f", {about['bridged_m']:.0f} m over bridged gaps" if about["bridged_m"] else ""
    away = " and ".join(f"{d:.0f}" for d in about["snapped_m"])
    said = f"{about['length_m']:.0f} m{narrowest}{bridged}"
    console.note(f"{said}; points {away} m off the network")
    if output is not None:
        place = Output(output, given["overwrite"])
        if output.suffix.lower() == ".html":
            from mapgen.results.way import write_way_page

            write_way_page(place, network, way, f"{said}. {LIMITS}", given["layer"], given["assume_crs"])
        else:
            write_way(place, way)
        console.result(output, about | {"output": str(output), "exit_code": 0})
        return
    from json import dumps

    console.text(dumps(found, ensure_ascii=False))
