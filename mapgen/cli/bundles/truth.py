"""Options of what maps are measured against."""

from typing import Annotated

from mapgen.accuracy.options import Match
from mapgen.cli.bundles.say import Names, Text, say


class TruthRead:
    PANEL = "Input"

    attribute: Annotated[
        Text,
        say(
            "--attribute",
            metavar="NAME",
            help="Attribute of a vector truth that holds the class, as a name or id of the map's legend."
            "  [default: class_id, class_name or class]",
        ),
    ] = None
    feature_class: Annotated[
        Text, say("--class", metavar="CLASS", help="The class of all features of a vector truth.")
    ] = None
    outside: Annotated[
        Text,
        say(
            "--outside",
            metavar="CLASS",
            help="The class of the ground outside all features.  [default: it does not count]",
        ),
    ] = None
    priority: Annotated[
        Text,
        say(
            "--priority",
            metavar="LIST",
            help="Classes that win where features overlap, the first most.  [default: the later feature wins]",
        ),
    ] = None
    match: Annotated[
        str, say("--match", choices=Match, help="Whether a raster truth has the map's class ids or names.")
    ] = "id"


class Ignore:
    PANEL = "Input"

    ignore: Annotated[
        Names, say("--ignore", metavar="CLASS", help="A class of the truth that does not count; or a list.")
    ] = None
