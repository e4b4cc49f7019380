"""Groups of commands that cost nothing beside the one that is called."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


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
