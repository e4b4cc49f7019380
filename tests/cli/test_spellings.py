"""Options by their old names still work for one release, with a warning; one word means one thing in all commands."""

from __future__ import annotations

from typing import Any

import pytest
import typer.main

from mapgen.cli.app import app
from mapgen.cli.spellings import RENAMED, modern


@pytest.mark.parametrize(("command", "old"), RENAMED, ids=" ".join)
def test_an_old_spelling_is_read_as_the_new_one_and_warned_of(
    command: str, old: str, capsys: pytest.CaptureFixture[str]
) -> None:
    new = RENAMED[command, old]
    assert modern([command, "a", old, "b"]) == [command, "a", new, "b"]
    assert modern([command, f"{old}=b"]) == [command, f"{new}=b"]
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 2
    assert all("warning" in line and old in line and new in line for line in warnings)


def test_the_format_of_tiles_was_that_of_the_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    assert modern(["tiles", "a", "--format", "png"]) == ["tiles", "a", "--tile-format", "png"]
    assert "--tile-format" in capsys.readouterr().err
    assert modern(["tiles", "a", "--format", "mbtiles"]) == ["tiles", "a", "--format", "mbtiles"]
    assert capsys.readouterr().err == ""


def test_what_comes_after_two_dashes_is_not_an_option() -> None:
    assert modern(["vectorize", "--", "--precision"]) == ["vectorize", "--", "--precision"]


def test_a_word_means_the_same_in_every_command() -> None:
    """Options of one name take the same kind of value."""
    seen: dict[str, set[Any]] = {}
    commands: Any = typer.main.get_command(app)
    for command in commands.commands.values():
        for param in command.params:
            if param.param_type_name == "option":
                value = None if param.is_flag or param.count else param.metavar
                seen.setdefault(max(param.opts, key=len), set()).add(value)
    twofold = {name: kinds for name, kinds in seen.items() if len(kinds) > 1}
    # -o names a file or folder by what is made, and the form of a file is that of layers or tile sets
    assert set(twofold) <= {"--output", "--format"}, twofold
