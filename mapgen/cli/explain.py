"""`mapgen explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.console import console
from mapgen.cli.options import chosen, takes
from mapgen.explain.options import METHODS, ExplainOptions
from mapgen.files.vet import beside


@takes(
    given_by.Bands, given_by.Ground, given_by.Engine, given_by.Threads, given_by.Overwriting, given_by.Json,
)  # fmt: skip
def explain(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model by name or its file.")],
    scene: Annotated[str, typer.Argument(metavar="SCENE", help="Imagery that it maps: a file or URL.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Where all goes.  [default: SCENE.explain]"),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="X,Y", help="Ask about the pixel at this place, in the CRS of the scene."),
    ] = None,
    bbox: Annotated[
        str | None,
        typer.Option(
            "--bbox", metavar="L,B,R,T",
            help="Ask about the class' pixels in this box, in the CRS of the scene.  [default: the scene's middle]",
        ),
    ] = None,
    feature_class: Annotated[
        str | None,
        typer.Option("--class", metavar="CLASS", help="Why this class?  [default: the one that the model shows there]"),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods", metavar="LIST", help=f"Of {', '.join(METHODS)}.  [default: cam,ig,lime,bands]"
        ),
    ] = None,
    stage: Annotated[
        int | None, typer.Option("--stage", metavar="N", help="Stage of the encoder for cam.  [default: the last]")
    ] = None,
    size: Annotated[
        int, typer.Option("--size", metavar="PIXELS", help="Side of what is looked at, in pixels of the network's.")
    ] = 256,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the random orders.")] = 0,
    **given: Any,
) -> None:  # fmt: skip
    """Show what of the pixels makes the model show a class, and what speaks against it.

    Rasters over the place with a blue and red style, a picture of all of them, and a report that says how faithful
    each is: whether the score falls faster when what it calls important is taken away than in random order.
    """
    options = ExplainOptions(
        at=at, bbox=bbox, feature_class=feature_class, methods=methods, stage=stage, size=size, seed=seed,
        **chosen(ExplainOptions, given),
    )  # fmt: skip
    from mapgen.explain.run import explain as explained
    from mapgen.explain.run import lines

    place = output if output is not None else beside(scene, ".explain")
    found = explained(model, scene, place, options)
    for warning in found.warnings:
        console.warning(scene, warning)
    if console.as_json:
        console.result(found.output, found.report)
        return
    console.result(found.output)
    for line in lines(found):
        console.note(line)
