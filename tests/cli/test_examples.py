"""The examples at the foot of each help can be typed as they stand."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer.main
from factory import Run

from mapgen.cli.app import app
from mapgen.cli.examples import EXAMPLES


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its name."""
    children = getattr(command, "commands", {})
    if not children:
        yield " ".join(path), command
    for name, child in children.items():
        yield from commands(child, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_every_command_has_examples() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("example", [line for lines in EXAMPLES.values() for line in lines])
def test_every_example_parses(example: str) -> None:
    """Each part of a pipe: its command is there, and its options and their values are those of it."""
    for part in example.split(" | "):
        program, *words = shlex.split(part)
        assert program == "mapgen"
        path = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
        rest = words[len(path.split()) :]
        context = COMMANDS[path].make_context(path, rest)
        assert not context.args


@pytest.mark.parametrize("command", sorted(EXAMPLES))
def test_the_help_of_a_command_ends_with_them(mapgen: Callable[..., Run], command: str) -> None:
    lines = [line.strip() for line in mapgen(*command.split(), "--help").out.rstrip().splitlines()]
    assert lines[lines.index("Examples:") + 1 :] == list(EXAMPLES[command])


def test_no_example_is_wider_than_a_terminal() -> None:
    assert not [line for lines in EXAMPLES.values() for line in lines if len(line) > 96]
