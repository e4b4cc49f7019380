"""Options of road networks and of ways over them."""

from pathlib import Path
from typing import Annotated

from mapgen.cli.bundles.say import Text, say
from mapgen.roads.options import NetworkFormat


class NetworkForm:
    PANEL = "Output"

    format: Annotated[
        Text,
        say(
            "-f", "--format", metavar="FORMAT", choices=NetworkFormat,
            help="Of the network: gpkg, geojson, geojsonl, fgb, osm, osm.pbf, graphml."
            "  [default: by the suffix, else gpkg]",
        ),
    ] = None  # fmt: skip


class RoadsRead:
    PANEL = "Roads"

    classes: Annotated[
        Text,
        say(
            "--classes", metavar="LIST",
            help="The classes that are roads, by name or number.  [default: what is called road, street or highway]",
        ),
    ] = None  # fmt: skip
    probabilities_raster: Annotated[
        Path | None,
        say(
            "--probabilities-raster", metavar="FILE",
            help="Probabilities of the same run: they guide bridges over gaps.",
        ),
    ] = None  # fmt: skip
    threshold: Annotated[
        Text,
        say(
            "--threshold", metavar="LOW,HIGH",
            help="Road is what is likelier than LOW and hangs together with what is likelier than HIGH: 0.3,0.6."
            "  [default: the class map]",
        ),
    ] = None  # fmt: skip


class RoadSizes:
    PANEL = "Roads"

    max_width: Annotated[
        str,
        say("--max-width", metavar="SIZE", help="What is wider, in px or m, is an area and gets a line around it."),
    ] = "60m"
    spur: Annotated[str, say("--spur", metavar="SIZE", help="Leave out dead ends that stick out less, in px or m.")] = (
        "10m"
    )
    bridge: Annotated[
        str, say("--bridge", metavar="SIZE", help="Bridge gaps that cost up to this, in px or m; 0 bridges none.")
    ] = "40m"
    min_length: Annotated[
        str,
        say("--min-length", metavar="SIZE", help="Leave out parts shorter than this that do not reach the frame."),
    ] = "30m"


class Passable:
    PANEL = "Roads"

    min_width: Annotated[
        float | None, say("--min-width", min=0, metavar="METRES", help="Only roads that are as wide as this.")
    ] = None
    no_bridges: Annotated[bool, say("--no-bridges", help="Only roads without bridged gaps.")] = False
