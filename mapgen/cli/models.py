"""`mapgen models`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import check_suffix
from mapgen.cli.console import console
from mapgen.cli.examples import foot
from mapgen.cli.group import Group
from mapgen.cli.options import takes
from mapgen.errors import UsageError, option
from mapgen.settings import choice

models = typer.Typer(cls=Group, help="Built-in and local models.", no_args_is_help=False, invoke_without_command=True)


@models.callback()
def default(context: typer.Context) -> None:
    """Built-in and local models; without a further word, the list."""
    if context.invoked_subcommand is None:
        list_models(json=False, quiet=False, verbose=0)


@models.command("list", epilog=foot("models list"))
@takes(given_by.Json)
def list_models(**given: Any) -> None:
    """List the models: name, resolution, bands, classes, what imagery they know.

    Those that come with mapgen, and those of your own folder (MAPGEN_MODELS names another).
    """
    from mapgen.model.listing import line_of, listed

    for entry in listed():
        if console.as_json:
            console.result(entry["name"], entry)
        else:
            console.text(line_of(entry))


@models.command("import", epilog=foot("models import"))
@takes(given_by.Overwriting, given_by.Json)
def import_(
    source: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="An ONNX file, a folder of save_pretrained, or a STAC item of a model."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PATH", help="The model file.  [default: NAME in your models folder]"),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="What to call it.")] = None,
    resolution: Annotated[
        float | None, typer.Option("--resolution", metavar="METRES", min=0.001, help="Of the ground it was trained on.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option("--classes", metavar="NAMES", help="Of the output channels, in order, with commas.")
    ] = None,
    background: Annotated[
        str | None, typer.Option("--background", metavar="NAME", help="The class that is not drawn as polygons.")
    ] = None,
    bands: Annotated[
        str | None, typer.Option("--bands", metavar="NAMES", help="Of the input, in order, such as red,green,blue,nir.")
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option("--scale", metavar="0,1|0,255|MEAN/STD", help="What it takes: scaled, raw, standardized."),
    ] = None,
    data_type: Annotated[
        str | None, typer.Option("--data-type", metavar="TYPE", help="Of the pixels: uint8, uint16 or float32.")
    ] = None,
    gives: Annotated[
        str | None,
        typer.Option("--gives", metavar="probabilities|scores|ids", help="What its output is, where it is not seen."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", metavar="P", min=0, max=1, help="Of a network of one or two classes.")
    ] = None,
    head: Annotated[
        int | None, typer.Option("--head", metavar="N", min=0, help="Which of several outputs, from 0.")
    ] = None,
    colors: Annotated[
        str | None, typer.Option("--colors", metavar="COLORS", help="Of the classes, #rrggbb with commas.")
    ] = None,
    license: Annotated[
        str | None, typer.Option("--license", metavar="TEXT", help="The terms of the model.")
    ] = None,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="SCENE", help="Map this scene with it and draw the map beside it.")
    ] = None,
    **given: Any,
) -> None:
    """Make a model of a network from elsewhere: an ONNX file as QGIS's Deepness and GeoDeep use them, and others.

    What the file does not say is asked for in one message. It is checked before any library reads it.
    """
    from mapgen.model.foreign import ImportOptions
    from mapgen.model.importing import import_model, told

    options = ImportOptions(
        resolution, _words(classes), background, _words(bands), scale, data_type, gives, threshold, head,
        _words(colors), license or "", name, given["overwrite"],
    )  # fmt: skip
    done = import_model(source, options, output)
    for line in told(done):
        console.note(line)
    console.result(done.output, done.to_json())
    if check is not None:
        _draw(done.output, check, given["overwrite"])


def _draw(model: Path, scene: Path, overwrite: bool) -> None:
    """Map a scene with the model, and draw the map over it as a picture beside the model."""
    import mapgen

    stem = model.name.removesuffix(model.suffix)
    mask = model.with_name(f"{stem}.check.tif")
    mapgen.segment(scene, mask, model=str(model), overwrite=overwrite)
    picture = mask.with_suffix(".png")
    mapgen.view(mask, picture, overwrite=overwrite)
    console.result(picture)


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip()) if text else ()


@models.command("export", epilog=foot("models export"))
@takes(given_by.Overwriting, given_by.Json)
def export_model(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A model by name or its file.")],
    to: Annotated[str, typer.Option("--to", metavar="onnx|openvino", help="The format.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PATH", help="The file.  [default: NAME.onnx or NAME.xml here]"),
    ] = None,
    window: Annotated[
        int | None, typer.Option("--window", metavar="PIXELS", help="The side of its windows.  [default: 512]")
    ] = None,
    **given: Any,
) -> None:
    """Write a model for other programs, such as Deepness in QGIS and GeoDeep, with all the keys that they read.

    It takes pixels from 0 to 1 and gives probabilities; the whole card is among the keys. How near it is to the model
    is measured, said and stored. ONNX needs torch and onnx: pip install 'mapgen[export]'.
    """
    from mapgen.model.exporting import Target, export

    target = choice("to", to, ("onnx", "openvino"))
    done = export(name, cast(Target, target), output, window=window, overwrite=given["overwrite"])
    for text in done.warnings:
        console.warning(done.output, text)
    console.note(done.parity)
    console.result(done.output, done.to_json())


@models.command("upgrade", epilog=foot("models upgrade"))
@takes(given_by.Json)
def upgrade_models(
    names: Annotated[list[str], typer.Argument(metavar="FILE", help="Model files of an earlier mapgen.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PATH", help="Write here instead of in the file's own place."),
    ] = None,
    **given: Any,
) -> None:
    """Store the graph of its network in a model file, so that mapping needs no torch from then on.

    Needs torch once: pip install 'mapgen[torch]'. Weights stay as they are; an int8 file beside it goes along.
    """
    if output is not None and not output.is_dir():
        check_suffix(str(output), ".safetensors", folders=False)
    from mapgen.model.upgrade import upgrade

    if output is not None and len(names) > 1:
        raise UsageError(option("output"), f"is one name for {len(names)} files", "upgrade them one by one")
    for name in names:
        done = upgrade(name, output)
        size = f"{done.bytes_before / 1e6:.2f} MB, now {done.bytes / 1e6:.2f} MB"
        console.note(f"{done.output}: {size}" if done.changed else f"{done.output}: holds its graph already")
        console.result(done.output, done.to_json())


@models.command("show", epilog=foot("models show"))
@takes(given_by.Json)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A model by name or its file.")],
    **given: Any,
) -> None:
    """Show a model's card: what it knows, on what it was trained, how good it is, and the next command."""
    from mapgen.model.listing import card_lines, described

    record = described(name)
    if console.as_json:
        console.result(name, record)
    else:
        for line in card_lines(record):
            console.text(line)
