"""Whether a map is right as often as its confidence says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from factory import LEGEND, Run, make_raster

from mapgen.accuracy.reliability import ReliabilityCounter

Runner = Callable[..., Run]


def counted(confidence: np.ndarray, right: np.ndarray) -> ReliabilityCounter:
    counter = ReliabilityCounter()
    counter.add(confidence, right, np.ones(confidence.shape, bool))
    return counter


def test_a_map_that_is_right_as_often_as_it_says_has_no_error() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.2, 1, 400_000)
    found = counted(confidence, rng.random(400_000) < confidence).finish()
    assert found.ece < 0.005
    assert abs(found.overconfidence) < 0.003


def test_a_map_that_is_always_surer_than_right_is_off_by_as_much() -> None:
    rng = np.random.default_rng(2)
    confidence = rng.uniform(0.5, 1, 400_000)
    found = counted(confidence, rng.random(400_000) < confidence - 0.2).finish()
    assert found.ece == pytest.approx(0.2, abs=0.005)
    assert found.overconfidence == pytest.approx(0.2, abs=0.005)


def test_errors_of_two_kinds_do_not_make_up_for_each_other() -> None:
    found = counted(np.array([0.25, 0.75] * 50), np.array([True, False] * 50)).finish()
    assert found.ece == pytest.approx(0.75)
    assert found.overconfidence == pytest.approx(0)


def test_steps_begin_at_their_lower_end_and_the_last_holds_1() -> None:
    found = counted(np.array([0.0, 0.1, 0.3, 0.7, 1.0]), np.ones(5, bool)).finish()
    assert found.pixels.tolist() == [1, 1, 0, 1, 0, 0, 0, 1, 0, 1]


@pytest.fixture
def ground(tmp_path: Path) -> Path:
    """A map that is right in its upper half, sure there, and half as sure below; no truth at the right border."""
    mapped = np.zeros((40, 60), np.uint8)
    truth = np.where(np.arange(40)[:, None] < 20, mapped, np.arange(60)[None] % 2).astype(np.uint8)
    truth[:, 50:] = 255
    confidence = np.where(np.arange(40)[:, None] < 20, 245, 175).astype(np.uint8) * np.ones((1, 60), np.uint8)
    confidence[:, :10] = 255
    tags = {"MAPGEN_LEGEND": json.dumps(LEGEND.to_json())}
    make_raster(tmp_path / "map.tif", mapped, nodata=255, tags=tags)
    make_raster(tmp_path / "truth.tif", truth, nodata=255)
    make_raster(tmp_path / "confidence.tif", confidence, nodata=255, scales=(0.004,))
    return tmp_path


def test_confidence_raster_adds_how_often_the_map_is_right(mapgen: Runner, ground: Path) -> None:
    line = ("evaluate", ground / "map.tif", ground / "truth.tif")
    assert "reliability" not in json.loads(mapgen(*line, "--json").out)
    record = json.loads(mapgen(*line, "--confidence-raster", ground / "confidence.tif", "--json").out)
    found = record["reliability"]
    assert [(s["pixels"], s["confidence"], s["accuracy"]) for s in found["steps"]] == [(800, 0.7, 0.5), (800, 0.98, 1)]
    assert found["ece"] == pytest.approx((0.2 + 0.02) / 2)
    assert found["overconfidence"] == pytest.approx((0.2 - 0.02) / 2)
    assert record["unmapped"] == 0
    text = mapgen(*line, "--confidence-raster", ground / "confidence.tif").out
    assert "confidence against what is right: ECE 0.110, surer by +0.090:" in text


@pytest.mark.parametrize(
    ("code", "words", "change"),
    [
        (4, "its values reach 245, a confidence lies between 0 and 1", {"scales": (1.0,)}),
        (4, "use the confidence raster of the same run", {"rows": 30}),
        (4, "has no data where map and truth have", {"nodata": 175, "value": 175}),
    ],
)
def test_a_raster_that_is_no_confidence_of_the_map_is_refused(
    mapgen: Runner, ground: Path, code: int, words: str, change: dict[str, object]
) -> None:
    values = np.full((change.get("rows", 40), 60), 175, np.uint8)
    values[:5] = change.get("value", 245)
    make_raster(
        ground / "other.tif", values, nodata=change.get("nodata", 255), scales=change.get("scales", (0.004,))
    )
    run = mapgen("evaluate", ground / "map.tif", ground / "truth.tif", "--confidence-raster", ground / "other.tif")
    assert (run.code, len(run.errors), words in run.errors[0]) == (code, 1, True), run
