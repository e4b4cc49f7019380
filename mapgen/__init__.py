"""mapgen: aerial and satellite imagery in, maps out.

The public Python interface is small and imported late: `mapgen.save_model`, `mapgen.ModelCard`, `mapgen.Legend`,
`mapgen.Class`, `mapgen.segment`, `mapgen.vectorize`, `mapgen.train`, `mapgen.evaluate`,
`mapgen.extract_roads`, `mapgen.find_way`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Class": "mapgen.legend",
    "Legend": "mapgen.legend",
    "ModelCard": "mapgen.model.card",
    "MapgenError": "mapgen.errors",
    "SegmentOptions": "mapgen.settings",
    "VectorizeOptions": "mapgen.settings",
    "save_model": "mapgen.model.file",
    "evaluate": "mapgen.accuracy.evaluate",
    "RoadsOptions": "mapgen.settings",
    "extract_roads": "mapgen.roads.extract",
    "find_way": "mapgen.roads.route",
    "segment": "mapgen.inference.segment",
    "segment_array": "mapgen.inference.array",
    "train": "mapgen.training.train",
    "vectorize": "mapgen.layers.vectorize",
}

if TYPE_CHECKING:
    from mapgen.accuracy.evaluate import evaluate as evaluate
    from mapgen.errors import MapgenError as MapgenError
    from mapgen.inference.array import segment_array as segment_array
    from mapgen.inference.segment import segment as segment
    from mapgen.layers.vectorize import vectorize as vectorize
    from mapgen.legend import Class as Class
    from mapgen.legend import Legend as Legend
    from mapgen.model.card import ModelCard as ModelCard
    from mapgen.model.file import save_model as save_model
    from mapgen.roads.extract import extract_roads as extract_roads
    from mapgen.roads.route import find_way as find_way
    from mapgen.settings import RoadsOptions as RoadsOptions
    from mapgen.settings import SegmentOptions as SegmentOptions
    from mapgen.settings import VectorizeOptions as VectorizeOptions
    from mapgen.training.train import train as train


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mapgen' has no attribute {name!r}")
