"""Roads of a map that is being made: the network of its class map, and vector tiles of that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mapgen.errors import UsageError, option
from mapgen.files.commit import Output
from mapgen.model.card import ModelCard
from mapgen.results.options import MapOptions
from mapgen.roads.extract import Extractor
from mapgen.roads.options import RoadsOptions
from mapgen.roads.read import ROAD_NAMES
from mapgen.tiling.options import TilesOptions
from mapgen.tiling.tiles import Tiler

FACTS = (
    "length_m", "edges", "nodes", "parts", "largest", "loops", "dead_ends", "frame_ends", "bridges", "bridged_m",
    "limits",
)  # fmt: skip
"""What a report says of a network, as `roads --json` does."""


def check_roads(card: ModelCard) -> None:
    """Raise `UsageError` for a model that knows no roads."""
    if not {c.name.strip().casefold() for c in card.legend} & set(ROAD_NAMES):
        known = ", ".join(c.name for c in card.legend)
        problem = f"no class of {card.name} is called road; it has {known}"
        remedy = "leave it out, and run mapgen roads --classes on the class map"
        raise UsageError(option("roads", True), problem, remedy)


def write_roads(
    paths: Mapping[str, Path], outputs: Mapping[str, Output], options: MapOptions
) -> tuple[list[str], list[str], dict[str, Any]]:
    """Write the network of the class map among `paths`, guided by its probabilities where these are written too, and
    tiles of it where there is an output for them.

    Returns the roles that were made, warnings, and what the report says of the network. Raises `OutputError`.
    """
    network = outputs["roads"]
    told = RoadsOptions(
        format="gpkg", probabilities_raster=paths.get("probabilities"), assume_crs=options.assume_crs,
        crs=options.crs, overwrite=network.overwrite, threads=options.threads,
    )  # fmt: skip
    found = Extractor(told)(str(paths["class_map"]), network.path)
    made = ["roads"]
    if "road_tiles" in outputs and found.edges:
        tiles = outputs["road_tiles"]
        Tiler(TilesOptions(
            vector=True, layer="edges", layer_name="roads", zoom=options.zoom, overwrite=tiles.overwrite,
            threads=options.threads,
        ))(str(network.path), tiles.path)  # fmt: skip
        made.append("road_tiles")
    facts = found.to_json()
    return made, list(found.warnings), {key: facts[key] for key in FACTS}
