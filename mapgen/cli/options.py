"""Options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli.console import console


def _set_json(value: bool) -> bool:
    console.as_json = value
    return value


Output = Annotated[
    str | None, typer.Option("-o", "--output", metavar="PATH", help="The output, or a folder for several.")
]
Model = Annotated[str, typer.Option("--model", metavar="NAME|FILE", help="A built-in model or a model file.")]
Engine = Annotated[str, typer.Option("--engine", metavar="auto|torch|openvino", help="What runs the network.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where it runs.")]
EngineThreads = Annotated[
    int | None,
    typer.Option("--threads", min=1, max=1024, metavar="N", help="Threads on a CPU.  [default: all cores]"),
]


def _set_log(value: Path | None) -> Path | None:
    console.log_to(value)
    return value


LogFile = Annotated[
    Path | None,
    typer.Option("--log-file", metavar="FILE", callback=_set_log, help="Append all that is said, as lines of JSON."),
]


def _set_net_timeout(value: float | None) -> float | None:
    from mapgen.files.remote import set_net_timeout

    set_net_timeout(value)
    return value


NetTimeout = Annotated[
    float | None,
    typer.Option(
        "--net-timeout", min=1, max=86400, metavar="SECONDS", callback=_set_net_timeout,
        help="How long one question to a server may take, all that is tried again included.  [default: 60]",
    ),
]  # fmt: skip
NoResume = Annotated[
    bool, typer.Option("--no-resume", help="Begin anew, whatever an interrupted run of the same command has left.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")]
Json = Annotated[
    bool, typer.Option("--json", callback=_set_json, help="Print one JSON object per input, then a summary.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no notes.")]
Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more; -vv shows tracebacks.")]


def set_verbosity(quiet: bool, verbose: int) -> None:
    """Make the console as talkative as the options say."""
    console.verbosity = -1 if quiet else verbose


def choice(flag: str, value: str, choices: tuple[str, ...]) -> Any:
    """`value` if it is one of `choices`. Raises `UsageError` with the nearest one."""
    from mapgen.errors import UsageError

    if value in choices:
        return value
    from difflib import get_close_matches

    near = get_close_matches(value, choices, 1)
    hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(choices)}"
    raise UsageError(flag, f"{value!r} is not one of {', '.join(choices)}", hint)
