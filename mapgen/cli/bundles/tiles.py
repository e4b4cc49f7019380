"""Options of tiles, and of what `map` makes beside its class map."""

from typing import Annotated

from mapgen.cli.bundles.say import Text, say
from mapgen.tiling.options import TileContainer, TileImage, TileKind, TileResampling, TileScheme


class Zoom:
    PANEL = "Output"

    zoom: Annotated[
        str,
        say("--zoom", metavar="MIN-MAX|auto", help="Zooms of the tiles; auto: from the extent to the resolution."),
    ] = "auto"


class TileForm:
    PANEL = "Output"

    format: Annotated[
        Text,
        say(
            "-f",
            "--format",
            choices=TileContainer,
            help="Form of the set, where the name after -o does not decide it.  [default: pmtiles]",
        ),
    ] = None
    tile_size: Annotated[
        int | None,
        say("--tile-size", metavar="256|512", help="Pixels of the side of a tile.  [default: 256; 512 with --vector]"),
    ] = None
    vector: Annotated[
        bool, say("--vector", help="Vector tiles, of a class map or of a layer of polygons in any format.")
    ] = False
    simplify: Annotated[
        str, say("--simplify", metavar="TOL", help="Tolerance of vector tiles, in px of each zoom; 0: none.")
    ] = "1px"
    tile_format: Annotated[
        str,
        say(
            "--tile-format",
            choices=TileImage,
            help="Form of each picture; auto: palette PNG for classes, WebP for imagery.",
        ),
    ] = "auto"
    quality: Annotated[int | None, say("--quality", metavar="N", help="Of JPEG and WebP, 1 to 100.  [default: 80]")] = (
        None
    )
    kind: Annotated[str, say("--kind", choices=TileKind, help="What SRC is, where it does not say so itself.")] = "auto"
    resampling: Annotated[
        str,
        say(
            "--resampling",
            choices=TileResampling,
            help="How pixels are taken: mode or nearest for classes; bilinear, cubic or nearest for imagery.",
        ),
    ] = "auto"
    scheme: Annotated[
        Text,
        say(
            "--scheme",
            choices=TileScheme,
            help="Rows of a folder z/x/y from the north or the south.  [default: xyz]",
        ),
    ] = None
    tms: Annotated[str, say("--tms", metavar="NAME", help="The grid of tiles; any but the web's needs a folder.")] = (
        "WebMercatorQuad"
    )


class BaseUrl:
    PANEL = "Output"

    base_url: Annotated[
        Text, say("--base-url", metavar="URL", help="Where the tiles will be served from, for the style beside them.")
    ] = None


class Colors:
    PANEL = "Input"

    bands: Annotated[
        Text, say("-b", "--bands", metavar="LIST", help="Bands of imagery to show as red, green, blue, or as grey.")
    ] = None
    nodata: Annotated[float | None, say("--nodata", metavar="VALUE", help="The value of pixels without data.")] = None
    stretch: Annotated[
        Text,
        say("--stretch", metavar="LO,HI", help="Values of imagery to show as black and white; pLO,pHI: percentiles."),
    ] = None


class Parts:
    PANEL = "Output"

    roads: Annotated[
        bool, say("--roads", help="Also write the network of the roads; on the page ways are found over it.")
    ] = False
    no_layer: Annotated[bool, say("--no-layer", help="Write no polygons.")] = False
    no_tiles: Annotated[bool, say("--no-tiles", help="Write no raster and no vector tiles.")] = False
    no_preview: Annotated[bool, say("--no-preview", help="Write no picture of the imagery.")] = False
    no_stac: Annotated[bool, say("--no-stac", help="Write no STAC items.")] = False
    no_page: Annotated[bool, say("--no-page", help="Write no index.html to look at the map.")] = False
