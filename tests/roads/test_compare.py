"""`mapgen evaluate` for lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from city import city, depth_of
from factory import Run
from test_roads import street_map


def test_a_network_is_measured_against_lines_and_against_labels(mapgen: Callable[..., Run], tmp_path: Path) -> None:
    mask = street_map(tmp_path / "town.mask.tif", depth_of(city(9, 384, stubs=4)) > 0)
    assert mapgen("roads", mask, "-o", tmp_path / "town.gpkg").code == 0
    itself = mapgen("evaluate", tmp_path / "town.gpkg", tmp_path / "town.gpkg", "--json")
    figures = json.loads(itself.out)["lines"]
    assert (figures["apls"], figures["topo"]["f1"], figures["width_rms_m"]) == pytest.approx((1, 1, 0), abs=1e-3)
    labels = mapgen("evaluate", tmp_path / "town.gpkg", mask, "--fail-under", "apls=0.9")
    assert labels.code == 0, labels.err
    assert "APLS" in labels.out
    low = mapgen("evaluate", tmp_path / "town.gpkg", mask, "--fail-under", "topo=1.0", "--json")
    assert low.code in (0, 9)


def test_what_is_no_truth_for_lines_is_refused(mapgen: Callable[..., Run], tmp_path: Path) -> None:
    mask = street_map(tmp_path / "town.mask.tif", depth_of(city(9, 256, stubs=2)) > 0)
    empty = street_map(tmp_path / "empty.mask.tif", np.zeros((40, 40), bool))
    net, far = tmp_path / "town.gpkg", tmp_path / "far.geojson"
    mapgen("roads", mask, "-o", net)
    line = {"type": "LineString", "coordinates": [[10.0, 50.0], [10.01, 50.0]]}
    far.write_text(
        json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": line}]})
    )
    for truth in (empty, far):
        run = mapgen("evaluate", net, truth)
        assert run.code == 4
        assert truth.name in run.err
    assert mapgen("evaluate", net, mask, "--boundary", "3").code == 2
    assert mapgen("evaluate", mask, mask, "--fail-under", "apls=0.5").code == 2
