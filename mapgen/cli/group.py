"""Groups of commands that cost nothing beside the one that is called, and options in groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand, TyperGroup

PANELS = (
    "Options", "Input", "Model", "Polygons", "Roads", "Output", "Run", "Many machines", "Speed and memory", "Messages",
)  # fmt: skip
"""The headings of options in a help text, in order."""

SHORT = 60
"""Letters of what the list of commands says of one."""

FEW = 14
"""So many options need no headings."""


def panels(params: list[Any]) -> Mapping[str, list[Any]]:
    """The options of a command by the heading that they stand under; one heading where they are few."""
    options = [p for p in params if p.param_type_name == "option"]
    found: dict[str, list[Any]] = {name: [] for name in PANELS}
    for one in options:
        found[(len(options) > FEW and one.rich_help_panel) or "Options"].append(one)
    return {name: some for name, some in found.items() if some}


class Grouped(TyperCommand):
    """A command whose help shows its options under headings."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options."""
        every = self.get_params(ctx)
        arguments = [p for p in every if p.param_type_name == "argument"]
        help_option = self.get_help_option(ctx)
        listed = panels([p for p in every if p is not help_option])
        last = list(listed)[-1] if listed else "Options"
        for name, params in {"Arguments": arguments, **listed}.items():
            if name == last and help_option is not None:
                params = [*params, help_option]
            records = [record for p in params if (record := p.get_help_record(ctx)) is not None]
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


class Group(TyperGroup):
    """Commands. Options of the group itself are looked at where one is given.

    typer checks the values of options by pydantic, which takes a tenth of a second to load, also those of options that
    were not given.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The rest of the arguments."""
        every = self.params
        if args and not args[0].startswith("-"):
            self.params, self.add_help_option = [], False
        try:
            return super().parse_args(ctx, args)
        finally:
            self.params, self.add_help_option = every, True

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write what each command does, in half a line."""
        rows = [(name, _short(command)) for name, command in self.commands.items()]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _short(command: Any) -> str:
    """The first sentence of a help text; of a long one what stands before its details."""
    sentence = " ".join((command.help or "").split()).partition(". ")[0].rstrip(".")
    return sentence if len(sentence) <= SHORT else re.split("[:;,] ", sentence)[0]
