"""Option classes take what a person gives, and refuse the rest with the key of the option."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mapgen.accuracy.options import EvaluateKeys, EvaluateOptions, Floor
from mapgen.cli.options import in_shell
from mapgen.errors import UsageError, in_python, option, speaking
from mapgen.inference.options import SegmentKeys, SegmentOptions
from mapgen.layers.options import VectorizeKeys, VectorizeOptions
from mapgen.results.options import MapKeys, MapOptions, ViewKeys, ViewOptions
from mapgen.schema import in_toml
from mapgen.settings import Options, Scale, Size
from mapgen.tiling.options import TilesKeys, TilesOptions
from mapgen.training.options import CompressKeys, CompressOptions

CLASSES: dict[type[Any], Any] = {
    SegmentOptions: SegmentKeys, VectorizeOptions: VectorizeKeys, TilesOptions: TilesKeys, MapOptions: MapKeys,
    EvaluateOptions: EvaluateKeys, ViewOptions: ViewKeys, CompressOptions: CompressKeys,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "key", "given", "read"),
    [
        (VectorizeOptions, "simplify", "1.5px", Size(1.5)),
        (VectorizeOptions, "simplify", 2, Size(2.0)),
        (VectorizeOptions, "simplify", "3m", Size(3.0, "m")),
        (VectorizeOptions, "min_area", "20m2", Size(20.0, "m2")),
        (VectorizeOptions, "classes", "road", ("road",)),
        (VectorizeOptions, "classes", ["road", 4], ("road", "4")),
        (VectorizeOptions, "classes", "road, water", ("road", "water")),
        (VectorizeOptions, "clip", "town.gpkg", Path("town.gpkg")),
        (VectorizeOptions, "smooth", np.int64(2), 2),
        (SegmentOptions, "bands", [4, 3, 2], ("4", "3", "2")),
        (SegmentOptions, "bands", 1, ("1",)),
        (SegmentOptions, "model", Path("roofs.safetensors"), "roofs.safetensors"),
        (SegmentOptions, "scale", "p2,p98", Scale("percentile", 2, 98)),
        (SegmentOptions, "scale", (0, 3000), Scale("range", 0, 3000)),
        (SegmentOptions, "resolution", "0.5m", 0.5),
        (SegmentOptions, "max_memory", "2GB", 2_000_000_000),
        (SegmentOptions, "bbox", [1, 2, 3, 4], (1.0, 2.0, 3.0, 4.0)),
        (SegmentOptions, "creation_options", {"LEVEL": 9}, (("LEVEL", "9"),)),
        (SegmentOptions, "creation_options", ["LEVEL=9"], (("LEVEL", "9"),)),
        (TilesOptions, "zoom", "10-14", (10, 14)),
        (TilesOptions, "zoom", 12, (12, 12)),
        (TilesOptions, "zoom", (None, 12), (None, 12)),
        (EvaluateOptions, "fail_under", {"miou": 0.6}, (Floor("miou", None, 0.6),)),
        (EvaluateOptions, "fail_under", "iou.road=0.4", (Floor("iou", "road", 0.4),)),
        (ViewOptions, "imagery", Path("scene.tif"), "scene.tif"),
        (CompressOptions, "evaluate", [(Path("a.tif"), "b.gpkg")], (("a.tif", "b.gpkg"),)),
    ],
)
def test_what_a_person_gives_becomes_what_is_meant(kind: Callable[..., Any], key: str, given: Any, read: Any) -> None:
    options = kind(**{key: given})
    assert getattr(options, key) == read
    assert getattr(kind(**{key: read}), key) == read, "what was read is read as itself"


@pytest.mark.parametrize(
    ("kind", "key", "given"),
    [
        (VectorizeOptions, "simplify", "wide"), (VectorizeOptions, "simplify", "2m2"),
        (VectorizeOptions, "simplify", [1]), (VectorizeOptions, "sieve", "-1px"), (VectorizeOptions, "sieve", "nanpx"),
        (VectorizeOptions, "method", "foo"), (VectorizeOptions, "smooth", 7), (VectorizeOptions, "smooth", 1.5),
        (VectorizeOptions, "smooth", True), (VectorizeOptions, "classes", ["a", ""]),
        (VectorizeOptions, "classes", 1.5), (VectorizeOptions, "classes", {"a": 1}), (VectorizeOptions, "clip", 3),
        (VectorizeOptions, "dissolve", "yes"), (VectorizeOptions, "crs", 4326), (VectorizeOptions, "threads", 0),
        (VectorizeOptions, "format", "dxf"), (VectorizeOptions, "decimals", 16),
        (SegmentOptions, "window", "512"), (SegmentOptions, "window", 0), (SegmentOptions, "batch", 257),
        (SegmentOptions, "nodata", "0"), (SegmentOptions, "scale", "9,1"), (SegmentOptions, "scale", 3),
        (SegmentOptions, "resolution", 0), (SegmentOptions, "resolution", None), (SegmentOptions, "max_memory", "800"),
        (SegmentOptions, "bbox", (1, 2, 3)), (SegmentOptions, "bbox", 3), (SegmentOptions, "creation_options", ["A"]),
        (SegmentOptions, "model", None), (TilesOptions, "zoom", "9-3"), (TilesOptions, "zoom", 99),
        (TilesOptions, "simplify", "1m"), (TilesOptions, "simplify", 65), (TilesOptions, "tile_size", 300),
        (TilesOptions, "stretch", "none"), (TilesOptions, "quality", 0), (EvaluateOptions, "boundary", 0),
        (EvaluateOptions, "boundary", float("nan")), (EvaluateOptions, "fail_under", ["miou=2"]),
        (MapOptions, "name", "a/b"), (MapOptions, "sieve", None), (ViewOptions, "size", 15),
        (ViewOptions, "opacity", 101), (CompressOptions, "evaluate", ["a.tif"]),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_its_key(kind: Callable[..., Any], key: str, given: Any) -> None:
    with pytest.raises(UsageError) as caught:
        kind(**{key: given})
    assert (caught.value.key, caught.value.subject) == (key, key)
    assert "--" not in str(caught.value), "nobody types flags in Python"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_annotations_of_what_may_be_given_name_every_option(kind: type[Options]) -> None:
    assert list(CLASSES[kind].__annotations__) == list(kind.__dataclass_fields__)  # type: ignore[attr-defined]


def test_an_option_is_called_as_whoever_gave_it_calls_it() -> None:
    assert (option("min_area"), option("min_area", "8px")) == ("min_area", "min_area='8px'")
    assert option("boundary", "METRES") == "boundary=METRES"
    with speaking(in_shell):
        assert (option("min_area"), option("min_area", "8px")) == ("--min-area", "--min-area 8px")
        assert (option("bands", [3, 2, 1]), option("vector", True)) == ("--bands 3,2,1", "--vector")
        with speaking(in_toml("layer", {"feature_class": "class"})):
            assert (option("simplify"), option("simplify", "8px")) == ("layer.simplify", 'simplify = "8px"')
            assert (option("feature_class"), option("bands", [3, 1])) == ("layer.class", "bands = [3, 1]")
        assert option("output") == "-o"
    assert option("simplify", 1) == in_python("simplify", 1) == "simplify=1"


def test_words_reach_other_threads_only_where_they_are_for_all() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool, speaking(in_shell):
        assert pool.submit(option, "window").result() == "window"
    with ThreadPoolExecutor(1) as pool, speaking(in_shell, everywhere=True):
        assert pool.submit(option, "window").result() == "--window"


def test_the_same_fault_is_told_to_each_in_their_words() -> None:
    heard = {"window": in_python, "--window": in_shell, "model.window": in_toml("model")}
    for told, words in heard.items():
        with speaking(words), pytest.raises(UsageError, match=f"^{told}: 0 is not"):
            SegmentOptions(window=0)


def test_an_unknown_choice_is_told_the_choices_once() -> None:
    with pytest.raises(UsageError) as caught:
        SegmentOptions(stitch="sew")  # type: ignore[arg-type]
    assert str(caught.value) == "stitch: 'sew' is not one of crop, blend"
    with pytest.raises(UsageError, match="did you mean blend"):
        SegmentOptions(stitch="blnd")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "kind"),
    [("segment", SegmentOptions), ("vectorize", VectorizeOptions), ("tiles", TilesOptions), ("map", MapOptions),
     ("evaluate", EvaluateOptions), ("view", ViewOptions)],
)  # fmt: skip
def test_every_option_is_on_the_command_line_with_the_same_default(command: str, kind: type[Options]) -> None:
    from typer.main import get_command

    from mapgen.cli.app import app

    commands: Any = get_command(app)
    params = {p.name: p.default for p in commands.commands[command].params}
    for key, field in kind.__dataclass_fields__.items():  # type: ignore[attr-defined]
        assert key in params or f"no_{key}" in params, key
        if params.get(key) not in (None, (), []):
            assert getattr(kind(**{key: params[key]}), key) == getattr(kind(), key), f"{key}: {field.default}"
