"""Ground that a model does not know: how sure it is of what it saw, and pixels of another size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factory import Engines, Run, make_model, make_raster, noise, north_up

import mapgen
from mapgen.arrays import Array
from mapgen.inference import sureness
from mapgen.inference.job import opened_job
from mapgen.inference.options import SegmentOptions
from mapgen.inference.sureness import FEWEST, PIECES, Sureness
from mapgen.model.fake import FakeEngine
from mapgen.model.file import find_model
from mapgen.plan import Step
from mapgen.raster.patch import Patch

SIZE = 720
"""Pixels of the side of a scene that is large enough to be looked at."""


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch, engines: Engines) -> Callable[[float], Engines]:
    """`sure(0.5)`: the network gives the class that it chose this probability."""
    run = FakeEngine._run

    def set_to(share: float) -> Engines:
        def less(self: FakeEngine, pixels: Array) -> Array:
            found = run(self, pixels)
            if self.setup.output == "classes":
                return found
            return np.where(found > 0.5, share, (1 - share) / (found.shape[1] - 1)).astype(np.float32)

        monkeypatch.setattr(FakeEngine, "_run", less)
        return engines

    return set_to


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return make_raster(tmp_path / "town.tif", noise(SIZE, SIZE))


@pytest.mark.parametrize("confidence", [False, True])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_network_that_is_unsure_is_doubted_whatever_was_asked_of_it(
    scene: Path, model: Path, sure: Any, share: float, confidence: bool
) -> None:
    opened = sure(share).opened
    made = mapgen.segment(scene, model=str(model), confidence=confidence)
    assert made.confidence == pytest.approx(share, abs=1e-3)
    assert [("treat the map as a guess" in text) for text in made.warnings] == [True] * (share < sureness.LOW)
    assert len(opened) == (1 if confidence else 2)  # nothing is shown again where probabilities pass by anyway


def test_the_doubt_is_said_stands_in_the_report_and_is_told_of_the_map(
    scene: Path, tmp_path: Path, model: Path, sure: Any, mapgen: Callable[..., Run]
) -> None:
    sure(0.5)
    run = mapgen("map", scene, "-o", tmp_path / "out", "--model", model, "--no-tiles", "--no-stac", "--no-preview")
    assert run.code == 0
    assert "may be ground that fake does not know (test patterns): it expects to be right at 50%" in run.err
    assert "treat the map as a guess" in mapgen("info", tmp_path / "out").out
    assert "treat the map as a guess" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_small_scenes_are_not_looked_at_twice(tmp_path: Path, model: Path, sure: Any) -> None:
    scene = make_raster(tmp_path / "small.tif", noise(200, 200))
    opened = sure(0.5).opened
    made = mapgen.segment(scene, model=str(model))
    assert (made.confidence, made.warnings, len(opened)) == (None, (), 1)


@pytest.mark.parametrize("windows", [1, 3, 40, 700])
def test_few_pieces_are_kept_of_however_many_windows_from_all_over(scene: Path, model: Path, windows: int) -> None:
    with opened_job(str(scene), find_model(str(model)), SegmentOptions(model=str(model))) as job:
        found = Sureness(job)
    found._each = max(1, -(-FEWEST // windows))
    step: Step = job.steps[0]
    for number in range(windows):
        found.look(Patch(step, np.full((3, 256, 256), number, np.uint16), np.ones((256, 256), bool)))
    kept = [int(pixels[0, 0, 0]) for pixels, _ in found._pieces]
    assert min(FEWEST, 4 * windows) <= len(kept) <= PIECES
    assert min(kept) == 0
    assert max(kept) >= 0.7 * (windows - 1)


def test_ground_without_data_does_not_count(tmp_path: Path, model: Path, sure: Any) -> None:
    values = noise(SIZE, SIZE)
    values[:, :, SIZE // 4 :] = 0
    scene = make_raster(tmp_path / "strip.tif", values, nodata=0)
    sure(0.7)
    made = mapgen.segment(scene, model=str(model))
    assert made.confidence in (None, pytest.approx(0.7, abs=1e-3))


@pytest.mark.parametrize(
    ("metres", "resolution", "words"),
    [(1.0, "model", ""), (5.0, "native", "pixels of 5 m"), (3.0, "model", "pixels of 3 m"), (0.3, "model", ""),
     (0.3, "native", "pixels of 0.3 m"), (1.9, "native", "")],
)  # fmt: skip
def test_pixels_of_another_size_are_warned_of(
    tmp_path: Path, engines: Engines, metres: float, resolution: str, words: str
) -> None:
    model = make_model(tmp_path / "one.safetensors")
    scene = make_raster(tmp_path / "scene.tif", noise(40, 40), transform=north_up(metres))
    made = mapgen.segment(scene, model=str(model), resolution=resolution)
    assert [words in text and "as a guess" in text for text in made.warnings] == [True] * bool(words)
