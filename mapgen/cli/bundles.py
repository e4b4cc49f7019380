"""Every option that several commands share, declared once, in bundles."""

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from mapgen.accuracy.options import Match
from mapgen.inference.options import OnReadError, Stitch, Tta
from mapgen.layers.options import LayerFormat, Method
from mapgen.settings import DEFAULT_MODEL, Device, EngineName, Precision
from mapgen.tiling.options import TileContainer, TileImage, TileKind, TileResampling, TileScheme
from mapgen.training.options import Compressed


def say(*flags: str, metavar: str | None = None, help: str, choices: Any = None, **more: Any) -> Any:
    """An option of these flags; the values of a Literal are its metavar and complete with TAB."""
    if choices is not None:
        values = get_args(choices)
        metavar = metavar or "|".join(values)
        more["autocompletion"] = lambda incomplete: [v for v in values if v.startswith(incomplete)]
    return typer.Option(*flags, metavar=metavar, help=help, **more)


def _models(incomplete: str) -> list[str]:
    from mapgen.model.file import builtin_models

    return [path.stem for path in builtin_models() if path.stem.startswith(incomplete)]


Text = str | None
Names = list[str] | None

MODEL = say("--model", metavar="NAME|FILE", help="A built-in model or a model file.", autocompletion=_models)
OVERWRITE = say("--overwrite", help="Replace outputs that exist.")


class Output:
    output: Annotated[Text, say("-o", "--output", metavar="PATH", help="The output, or a folder for several.")] = None


class Overwriting:
    overwrite: Annotated[bool, OVERWRITE] = False


class Json:
    json: Annotated[bool, say("--json", help="Print one JSON object per input, then a summary.")] = False


class Voice:
    quiet: Annotated[bool, say("-q", "--quiet", help="No progress and no notes.")] = False
    verbose: Annotated[int, say("-v", "--verbose", count=True, help="Say more; -vv shows tracebacks.")] = 0


# Segmenting ---------------------------------------------------------------------------------------------------------


class Model:
    model: Annotated[str, MODEL] = DEFAULT_MODEL


class Bands:
    bands: Annotated[
        Text,
        say("-b", "--bands", metavar="LIST", help="The scene's bands for the model's, as numbers or names: 4,3,2."),
    ] = None
    nodata: Annotated[
        float | None,
        say("--nodata", metavar="VALUE", help="The value that means no data, instead of what the file says."),
    ] = None
    scale: Annotated[
        str,
        say(
            "--scale",
            metavar="none|dtype|LO,HI|pLO,pHI",
            help="Bring values into the model's range: by their type, a range, or percentiles of the whole scene.",
        ),
    ] = "none"


class Ground:
    resolution: Annotated[
        str,
        say(
            "--resolution",
            metavar="model|native|METRES",
            help="The ground resolution at which the network sees the scene.",
        ),
    ] = "model"


class Windows:
    window: Annotated[
        int | None,
        say(
            "--window",
            metavar="PIXELS",
            help="Side of the windows the network sees.  [default: what suits the model, the scene and --max-memory]",
        ),
    ] = None
    halo: Annotated[
        int | None,
        say("--halo", metavar="PIXELS", help="Margin of a window that only gives context.  [default: the model's]"),
    ] = None
    stitch: Annotated[
        str,
        say(
            "--stitch",
            choices=Stitch,
            help="Take each pixel from the window that sees it best, or average the windows that see it.",
        ),
    ] = "crop"
    tta: Annotated[
        str,
        say(
            "--tta",
            choices=Tta,
            help="Average over mirrored copies of each window, or all eight symmetries: better, 2 or 8 times the work.",
        ),
    ] = "none"
    batch: Annotated[
        int | None, say("--batch", metavar="N", help="Windows that run together.  [default: what suits the device]")
    ] = None


class Engine:
    engine: Annotated[str, say("--engine", choices=EngineName, help="What runs the network.")] = "auto"
    device: Annotated[str, say("--device", choices=Device, help="Where it runs.")] = "auto"
    precision: Annotated[
        str,
        say(
            "--precision",
            choices=Precision,
            help="What it computes in; auto is the fastest that the model and the machine have.",
        ),
    ] = "auto"


class Threads:
    threads: Annotated[int | None, say("--threads", metavar="N", help="Threads on a CPU.  [default: all cores]")] = None


class Memory:
    max_memory: Annotated[
        Text,
        say(
            "--max-memory",
            metavar="SIZE",
            help="Memory to stay under, such as 800MB; it decides the window.  [default: 1GB]",
        ),
    ] = None


class Scores:
    probabilities: Annotated[
        bool, say("--probabilities", help="Also write NAME.probabilities.tif, a band for each class.")
    ] = False
    confidence: Annotated[
        bool, say("--confidence", help="Also write NAME.confidence.tif, the probability of the chosen class.")
    ] = False


class Area:
    aoi: Annotated[
        Path | None, say("--aoi", metavar="FILE", help="Only inside the polygons of this vector file (any CRS).")
    ] = None
    bbox: Annotated[Text, say("--bbox", metavar="L,B,R,T", help="Only inside this box, in the CRS of the scene.")] = (
        None
    )
    on_read_error: Annotated[
        str,
        say(
            "--on-read-error", choices=OnReadError, help="A damaged block fails the scene, or becomes nodata (exit 3)."
        ),
    ] = "fail"


class Creation:
    creation_options: Annotated[
        Names, say("--co", metavar="KEY=VALUE", help="A creation option of GDAL's COG driver.")
    ] = None


class DryRun:
    dry_run: Annotated[
        bool, say("--dry-run", help="Say what it would take (windows, time, memory, disk) and write nothing.")
    ] = False


def _set_net_timeout(value: float | None) -> float | None:
    from mapgen.files.remote import set_net_timeout

    set_net_timeout(value)
    return value


class Network:
    net_timeout: Annotated[
        float | None,
        say(
            "--net-timeout", min=1, max=86400, metavar="SECONDS", callback=_set_net_timeout,
            help="How long one question to a server may take, all that is tried again included.  [default: 60]",
        ),
    ] = None  # fmt: skip


def _set_max_pixels(value: float | None) -> float | None:
    from mapgen.files.limits import MOST_PIXELS, PIXELS

    PIXELS.set(MOST_PIXELS if value is None else int(value))
    return value


def _set_max_block(value: str | None) -> str | None:
    from mapgen.files.limits import BLOCK_BYTES, MOST_BLOCK_BYTES
    from mapgen.settings import parse_bytes

    BLOCK_BYTES.set(MOST_BLOCK_BYTES if value is None else parse_bytes("max_block_memory", value))
    return value


class Limits:
    max_pixels: Annotated[
        float | None,
        say(
            "--max-pixels", min=1, metavar="N", callback=_set_max_pixels,
            help="Refuse scenes that claim more pixels, before anything is allocated.  [default: 1e12]",
        ),
    ] = None  # fmt: skip
    max_block_memory: Annotated[
        Text,
        say(
            "--max-block-memory", metavar="SIZE", callback=_set_max_block,
            help="Refuse scenes one block of which takes more memory.  [default: 512MiB]",
        ),
    ] = None  # fmt: skip


def _set_log(value: Path | None) -> Path | None:
    from mapgen.cli.console import console

    console.log_to(value)
    return value


class Log:
    log_file: Annotated[
        Path | None,
        say("--log-file", metavar="FILE", callback=_set_log, help="Append all that is said, as lines of JSON."),
    ] = None


class Resuming:
    no_resume: Annotated[
        bool, say("--no-resume", help="Begin anew, whatever an interrupted run of the same command has left.")
    ] = False


# Layers -------------------------------------------------------------------------------------------------------------


FORMS = f"Of the layer: {', '.join(get_args(LayerFormat))}."


class LayerForm:
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
    format: Annotated[str, say("-f", "--format", metavar="FORMAT", choices=LayerFormat, help=FORMS)] = "gpkg"


class Regions:
    classes: Annotated[
        Text, say("--classes", metavar="LIST", help="Write only these classes, by name or number: road,water.")
    ] = None
    background: Annotated[
        Names, say("--background", metavar="CLASS", help="A class that is not written; may be repeated, or a list.")
    ] = None
    sieve: Annotated[
        Text, say("--sieve", metavar="SIZE", help="Let neighbours absorb regions below this size, in px or m2: 8px.")
    ] = None
    min_area: Annotated[
        Text, say("--min-area", metavar="SIZE", help="Leave out polygons below this size, in px or m2.")
    ] = None
    max_area: Annotated[
        Text, say("--max-area", metavar="SIZE", help="Leave out polygons above this size, in px or m2.")
    ] = None
    min_hole: Annotated[
        Text,
        say("--min-hole", metavar="SIZE", help="Fill holes below this size, in px or m2, with all that is in them."),
    ] = None
    simplify: Annotated[
        Text, say("--simplify", metavar="TOL", help="Simplify shared borders by this tolerance, in px or m: 1.5px.")
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
    dissolve: Annotated[bool, say("--dissolve", help="Write one multipolygon for each class.")] = False


class Coordinates:
    crs: Annotated[
        Text,
        say("--crs", metavar="CRS", help="CRS of the layer.  [default: the class map's; GeoJSON is always WGS 84]"),
    ] = None
    decimals: Annotated[
        int | None,
        say(
            "--decimals",
            metavar="N",
            help="Decimals of GeoJSON coordinates.  [default: 7, more for pixels below 10 cm]",
        ),
    ] = None


class AssumeCrs:
    assume_crs: Annotated[
        Text, say("--assume-crs", metavar="CRS", help="The CRS of inputs that do not name theirs, such as EPSG:32640.")
    ] = None


class ConfidenceRaster:
    confidence_raster: Annotated[
        Path | None,
        say(
            "--confidence-raster",
            metavar="FILE",
            help="Add the mean of this raster (same grid) over each polygon to its attributes.",
        ),
    ] = None


class LayerName:
    layer_name: Annotated[
        Text, say("--layer-name", metavar="NAME", help="Name of the layer that is written.  [default: the output's]")
    ] = None


class LayerRead:
    layer: Annotated[
        Text, say("--layer", metavar="NAME", help="The layer to read of a vector file that has several.")
    ] = None


class Clip:
    clip: Annotated[
        Path | None,
        say("--clip", metavar="FILE", help="Only pixels inside the polygons of this vector file (any CRS)."),
    ] = None


class Append:
    append: Annotated[bool, say("--append", help="Add to a GeoPackage that exists.")] = False


# Tiles --------------------------------------------------------------------------------------------------------------


class Zoom:
    zoom: Annotated[
        str,
        say("--zoom", metavar="MIN-MAX|auto", help="Zooms of the tiles; auto: from the extent to the resolution."),
    ] = "auto"


class TileForm:
    format: Annotated[
        Text,
        say(
            "-f",
            "--format",
            choices=TileContainer,
            help="Form of the set where -o does not say it.  [default: pmtiles]",
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
    base_url: Annotated[
        Text, say("--base-url", metavar="URL", help="Where the tiles will be served from, for the style beside them.")
    ] = None


class Colors:
    bands: Annotated[
        Text, say("-b", "--bands", metavar="LIST", help="Bands of imagery to show as red, green, blue, or as grey.")
    ] = None
    nodata: Annotated[float | None, say("--nodata", metavar="VALUE", help="The value of pixels without data.")] = None
    stretch: Annotated[
        Text,
        say("--stretch", metavar="LO,HI", help="Values of imagery to show as black and white; pLO,pHI: percentiles."),
    ] = None


class Parts:
    no_layer: Annotated[bool, say("--no-layer", help="Write no polygons.")] = False
    no_tiles: Annotated[bool, say("--no-tiles", help="Write no raster and no vector tiles.")] = False
    no_preview: Annotated[bool, say("--no-preview", help="Write no picture of the imagery.")] = False
    no_stac: Annotated[bool, say("--no-stac", help="Write no STAC items.")] = False
    no_page: Annotated[bool, say("--no-page", help="Write no index.html to look at the map.")] = False


# Truth --------------------------------------------------------------------------------------------------------------


class TruthRead:
    attribute: Annotated[
        Text,
        say(
            "--attribute",
            metavar="NAME",
            help="Attribute of a vector truth that holds the class, as a name or id of the map's legend."
            "  [default: class_id, class_name or class]",
        ),
    ] = None
    feature_class: Annotated[
        Text, say("--class", metavar="CLASS", help="The class of all features of a vector truth.")
    ] = None
    outside: Annotated[
        Text,
        say(
            "--outside",
            metavar="CLASS",
            help="The class of the ground outside all features.  [default: it does not count]",
        ),
    ] = None
    priority: Annotated[
        Text,
        say(
            "--priority",
            metavar="LIST",
            help="Classes that win where features overlap, the first most.  [default: the later feature wins]",
        ),
    ] = None
    match: Annotated[
        str, say("--match", choices=Match, help="Whether a raster truth has the map's class ids or names.")
    ] = "id"


class Ignore:
    ignore: Annotated[
        Names, say("--ignore", metavar="CLASS", help="A class of the truth that does not count; or a list.")
    ] = None


class To:
    to: Annotated[str, say("--to", choices=Compressed, help="What the arithmetic is to be in.")] = "int8"
