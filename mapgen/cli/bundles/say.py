"""How an option is declared."""

from typing import Any, get_args

import typer

Text = str | None
Names = list[str] | None


def say(*flags: str, metavar: str | None = None, help: str, choices: Any = None, **more: Any) -> Any:
    """An option of these flags; the values of a Literal are its metavar and complete with TAB."""
    if choices is not None:
        values = get_args(choices)
        metavar = metavar or "|".join(values)
        more["autocompletion"] = lambda incomplete: [v for v in values if v.startswith(incomplete)]
    return typer.Option(*flags, metavar=metavar, help=help, **more)
