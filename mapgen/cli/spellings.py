"""Options by the names they had in the release before: they still work, and say on stderr what they are called now."""

from __future__ import annotations

from collections.abc import Sequence

from mapgen.cli.console import console

RENAMED = {
    ("vectorize", "--confidence"): "--confidence-raster",
    ("vectorize", "--precision"): "--decimals",
    ("vectorize", "--layer"): "--layer-name",
    ("tiles", "--confidence"): "--confidence-raster",
    ("tiles", "--scale"): "--stretch",
    ("tiles", "--container"): "--format",
}
"""By command and old name: the new name."""

PICTURES = ("png", "webp", "jpeg", "auto")
"""What `tiles --format` took before it was the form of the set: now `--tile-format`."""


def modern(arguments: Sequence[str]) -> list[str]:
    """The arguments with the options of today; one warning for each that was replaced."""
    command, result, told = arguments[0] if arguments else "", list(arguments), set()
    for at, argument in enumerate(arguments):
        if argument == "--":
            break
        name, equals, value = argument.partition("=")
        new = RENAMED.get((command, name))
        following = value if equals else next(iter(arguments[at + 1 : at + 2]), "")
        if (command, name) == ("tiles", "--format") and following in PICTURES:
            new = "--tile-format"
        if new is not None:
            result[at] = f"{new}{equals}{value}"
            if name not in told:
                told.add(name)
                console.warning(name, f"is called {new} now; the old name goes with the next release")
    return result
