"""Options of the way from class maps to layers and networks."""

from pathlib import Path
from typing import Annotated, get_args

from mapgen.cli.bundles.say import Names, Text, say
from mapgen.layers.options import LayerFormat, Method

FORMS = f"Of the layer: {', '.join(get_args(LayerFormat))}."


class LayerForm:
    PANEL = "Output"

    format: Annotated[
        Text,
        say(
            "-f",
            "--format",
            metavar="FORMAT",
            choices=LayerFormat,
            help=f"{FORMS}  [default: by the suffix, else geojson]",
        ),
    ] = None


class MapForm:
    PANEL = "Output"

    format: Annotated[str, say("-f", "--format", metavar="FORMAT", choices=LayerFormat, help=FORMS)] = "gpkg"


class Sieve:
    PANEL = "Polygons"

    sieve: Annotated[
        Text, say("--sieve", metavar="SIZE", help="Let neighbours absorb regions below this size: 8px, 60m2, 0.5ha.")
    ] = None


class Holes:
    PANEL = "Polygons"

    min_hole: Annotated[
        Text,
        say("--min-hole", metavar="SIZE", help="Fill holes below this size (px, m2, ha, km2), with all in them."),
    ] = None


class Simplify:
    PANEL = "Polygons"

    simplify: Annotated[
        Text, say("--simplify", metavar="TOL", help="Simplify shared borders by this tolerance, in px or m: 1.5px.")
    ] = None


class Regions:
    PANEL = "Polygons"

    classes: Annotated[
        Text, say("--classes", metavar="LIST", help="Write only these classes, by name or number: road,water.")
    ] = None
    background: Annotated[
        Names, say("--background", metavar="CLASS", help="A class that is not written; may be repeated, or a list.")
    ] = None
    min_area: Annotated[
        Text, say("--min-area", metavar="SIZE", help="Leave out polygons below this size, in px, m2, ha or km2.")
    ] = None
    max_area: Annotated[
        Text, say("--max-area", metavar="SIZE", help="Leave out polygons above this size, in px, m2, ha or km2.")
    ] = None
    method: Annotated[
        str,
        say(
            "--method",
            choices=Method,
            help="Simplify by Douglas-Peucker (a distance) or Visvalingam-Whyatt (the root of an area).",
        ),
    ] = "dp"
    smooth: Annotated[
        int, say("--smooth", metavar="N", help="Round off shared borders by N rounds of corner cutting, up to 6.")
    ] = 0
    square: Annotated[
        Names,
        say(
            "--square", metavar="CLASS[=SIZE]",
            help="Give regions of this class right angles where there is room: building, building=2px;"
            " building:45=2px takes 45° for right too. May be repeated, or a list.",
        ),
    ] = None  # fmt: skip
    dissolve: Annotated[bool, say("--dissolve", help="Write one multipolygon for each class.")] = False


class Crs:
    PANEL = "Output"

    crs: Annotated[
        Text,
        say(
            "--crs",
            metavar="CRS",
            help="CRS of what is written.  [default: the class map's; GeoJSON is always in WGS 84]",
        ),
    ] = None


class Decimals:
    PANEL = "Output"

    decimals: Annotated[
        int | None,
        say(
            "--decimals",
            metavar="N",
            help="Decimals of GeoJSON coordinates.  [default: 7, more for pixels below 10 cm]",
        ),
    ] = None


class AssumeCrs:
    PANEL = "Input"

    assume_crs: Annotated[
        Text, say("--assume-crs", metavar="CRS", help="The CRS of inputs that do not name theirs, such as EPSG:32640.")
    ] = None


class ConfidenceRaster:
    PANEL = "Input"

    confidence_raster: Annotated[
        Path | None,
        say(
            "--confidence-raster",
            metavar="FILE",
            help="Add the mean of this raster (same grid) over each polygon to its attributes.",
        ),
    ] = None


class LayerName:
    PANEL = "Output"

    layer_name: Annotated[
        Text, say("--layer-name", metavar="NAME", help="Name of the layer that is written.  [default: the output's]")
    ] = None


class LayerRead:
    PANEL = "Input"

    layer: Annotated[
        Text, say("--layer", metavar="NAME", help="The layer to read of a vector file that has several.")
    ] = None


class Clip:
    PANEL = "Input"

    clip: Annotated[
        Path | None,
        say("--clip", metavar="FILE", help="Only pixels inside the polygons of this vector file (any CRS)."),
    ] = None


class Append:
    PANEL = "Output"

    append: Annotated[bool, say("--append", help="Add to a GeoPackage that exists.")] = False


class Table:
    PANEL = "Output"

    table: Annotated[
        Path | None,
        say("--table", metavar="FILE.csv", help="Also write the areas of the classes as a table (CSV)."),
    ] = None
