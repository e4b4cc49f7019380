"""Options of the way from imagery to class maps."""

from pathlib import Path
from typing import Annotated

from mapgen.cli.bundles.say import Names, Text, say
from mapgen.inference.options import OnReadError, Stitch, Tta
from mapgen.settings import DEFAULT_MODEL, Device, EngineName, Precision
from mapgen.training.options import Compressed


def _models(incomplete: str) -> list[str]:
    from mapgen.model.file import builtin_models, own_models

    return [path.stem for path in (*builtin_models(), *own_models()) if path.stem.startswith(incomplete)]


MODEL = say("--model", metavar="NAME|FILE", help="A model by name or its file.", autocompletion=_models)


class Model:
    PANEL = "Model"

    model: Annotated[str, MODEL] = DEFAULT_MODEL


class Bands:
    PANEL = "Input"

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
    PANEL = "Model"

    resolution: Annotated[
        str,
        say(
            "--resolution",
            metavar="model|native|METRES",
            help="The ground resolution at which the network sees the scene.",
        ),
    ] = "model"


class Windows:
    PANEL = "Model"

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
    PANEL = "Speed and memory"

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


class Memory:
    PANEL = "Speed and memory"

    max_memory: Annotated[
        Text,
        say(
            "--max-memory",
            metavar="SIZE",
            help="Memory to stay under, such as 800MB; it decides the window.  [default: 1GB]",
        ),
    ] = None


class Scores:
    PANEL = "Output"

    probabilities: Annotated[
        bool, say("--probabilities", help="Also write NAME.probabilities.tif, a band for each class.")
    ] = False
    confidence: Annotated[
        bool, say("--confidence", help="Also write NAME.confidence.tif, the probability of the chosen class.")
    ] = False


class Area:
    PANEL = "Input"

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
    PANEL = "Output"

    creation_options: Annotated[
        Names, say("--co", metavar="KEY=VALUE", help="A creation option of GDAL's COG driver.")
    ] = None


class To:
    to: Annotated[str, say("--to", choices=Compressed, help="What the arithmetic is to be in.")] = "int8"
