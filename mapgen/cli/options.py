"""How commands come by their options: they take bundles of them, and hand on what an option class knows."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any

from typer.models import OptionInfo

from mapgen.cli.bundles import Voice
from mapgen.cli.console import console
from mapgen.settings import Options

FLAGS = {"output": "-o", "count": "-n", "feature_class": "--class", "creation_options": "--co"}
"""Options that the command line does not call by their key."""

REPEATED = {"background", "ignore", "objects", "priority", "square"}
"""Lists that may be given in parts, by several options or with commas."""


def in_shell(key: str, value: object) -> str:
    """How the command line calls an option: `--min-area`, or `--min-area 8px`."""
    flag = FLAGS.get(key, f"--{key.replace('_', '-')}")
    if value is None or value is True:
        return flag
    return f"{flag} {','.join(map(str, value)) if isinstance(value, list | tuple) else value}"


def takes(
    *bundles: type, panel: str | None = None, **defaults: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a command the options of bundles, which reach it as `**given`; `defaults` replace those of the bundles.

    `-q`, `-v` and, where the command takes it, `--json` are told to the console instead. In the help the options stand
    under the heading of their bundle (`PANEL`), those of the command itself under `panel`.
    """

    def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command, eval_str=True)
        parameters = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        for told in (p.annotation.__metadata__[0] for p in parameters):
            if isinstance(told, OptionInfo):
                told.rich_help_panel = panel
        for bundle in (*bundles, Voice):
            for name, hint in bundle.__annotations__.items():
                hint.__metadata__[0].rich_help_panel = getattr(bundle, "PANEL", None)
                default = defaults.get(name, getattr(bundle, name))
                parameters.append(
                    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
                )

        @wraps(command)
        def run(**given: Any) -> Any:
            quiet, verbose = given.pop("quiet"), given.pop("verbose")
            console.verbosity = -1 if quiet else verbose
            console.as_json = given.pop("json", False)
            return command(**given)

        signature = own.replace(parameters=sorted(parameters, key=lambda p: p.kind))
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return with_options


def chosen(kind: type[Options], given: dict[str, Any]) -> dict[str, Any]:
    """What of the given is for this option class; options that were not given are left to its defaults."""
    given = given | {key.removeprefix("no_"): False for key, value in given.items() if key.startswith("no_") and value}
    named = {field.name: given[field.name] for field in fields(kind) if given.get(field.name) is not None}  # type: ignore[arg-type]
    return {k: ",".join(v) if k in REPEATED and isinstance(v, list) else v for k, v in named.items()}
