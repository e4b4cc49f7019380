"""mapgen: aerial and satellite imagery in, maps out.

The verbs of the command line are functions here: `mapgen.map("scene.tif", "out")`, `mapgen.segment("scene.tif")`. Each
takes the options of its option class as keywords, raises a `MapgenError` for what its caller can cure, and returns what
became of the work. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mapgen.accuracy.evaluate import evaluate
    from mapgen.accuracy.options import EvaluateOptions
    from mapgen.accuracy.sample_options import SampleOptions
    from mapgen.accuracy.sampling import sample
    from mapgen.errors import MapgenError
    from mapgen.inference.array import segment_array
    from mapgen.inference.join import join
    from mapgen.inference.options import SegmentOptions
    from mapgen.inference.segment import segment
    from mapgen.layers.options import VectorizeOptions
    from mapgen.layers.polygonize import polygonize
    from mapgen.layers.vectorize import vectorize
    from mapgen.legend import Class, Legend
    from mapgen.model.card import ModelCard
    from mapgen.model.write import save_model
    from mapgen.results.areas import AreasOptions, areas
    from mapgen.results.notebook import show
    from mapgen.results.options import MapOptions, ViewOptions
    from mapgen.results.verbs import info, view
    from mapgen.results.verbs import map_ as map
    from mapgen.results.verify import verify
    from mapgen.roads.extract import extract_roads
    from mapgen.roads.options import RoadsOptions
    from mapgen.roads.route import find_way
    from mapgen.settings import Scale, Size
    from mapgen.tiling.options import TilesOptions
    from mapgen.tiling.tiles import tiles
    from mapgen.training.compress import compress
    from mapgen.training.options import CompressOptions
    from mapgen.training.train import train

__all__ = [
    "AreasOptions",
    "Class",
    "CompressOptions",
    "EvaluateOptions",
    "Legend",
    "MapOptions",
    "MapgenError",
    "ModelCard",
    "RoadsOptions",
    "SampleOptions",
    "Scale",
    "SegmentOptions",
    "Size",
    "TilesOptions",
    "VectorizeOptions",
    "ViewOptions",
    "areas",
    "compress",
    "evaluate",
    "extract_roads",
    "find_way",
    "info",
    "join",
    "map",
    "polygonize",
    "sample",
    "save_model",
    "segment",
    "segment_array",
    "show",
    "tiles",
    "train",
    "vectorize",
    "verify",
    "view",
]

_HOMES = {
    "AreasOptions": "results.areas", "areas": "results.areas",
    "Class": "legend", "CompressOptions": "training.options", "EvaluateOptions": "accuracy.options",
    "Legend": "legend", "MapOptions": "results.options", "MapgenError": "errors", "ModelCard": "model.card",
    "RoadsOptions": "roads.options", "extract_roads": "roads.extract", "find_way": "roads.route",
    "Scale": "settings", "SegmentOptions": "inference.options", "Size": "settings", "TilesOptions": "tiling.options",
    "VectorizeOptions": "layers.options", "ViewOptions": "results.options", "compress": "training.compress",
    "evaluate": "accuracy.evaluate", "info": "results.verbs", "map": "results.verbs", "polygonize": "layers.polygonize",
    "SampleOptions": "accuracy.sample_options", "sample": "accuracy.sampling",
    "save_model": "model.write", "segment": "inference.segment", "segment_array": "inference.array",
    "join": "inference.join", "tiles": "tiling.tiles", "train": "training.train",
    "show": "results.notebook", "vectorize": "layers.vectorize", "verify": "results.verify", "view": "results.verbs",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"mapgen.{_HOMES[name]}"), "map_" if name == "map" else name)
    raise AttributeError(f"module 'mapgen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
