"""Networks across the antimeridian: cut at 180 degrees, and whole by their nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from test_odd_roads import cross
from test_roads import edges_of, street_map

from mapgen.roads.extract import extract_roads
from mapgen.roads.lines import read_lines
from mapgen.roads.route import find_way

WEST = 179.9992
"""Of maps whose crossing lies just east of 180 degrees, and with it three of its four arms."""

PLACE = {"crs": "EPSG:4326", "transform": Affine(1e-5, 0, WEST, 0, -1e-5, -17.0)}


@pytest.mark.parametrize("form", ["geojson", "gpkg", "graphml", "osm"])
def test_an_edge_across_the_antimeridian_ends_there_on_both_sides(tmp_path: Path, form: str) -> None:
    found = extract_roads(street_map(tmp_path / "a.tif", cross(), **PLACE), tmp_path / f"a.{form}")
    assert (found.edges, found.parts, found.loops, found.dead_ends, found.frame_ends) == (5, 1, 0, 0, 4)
    ways = read_lines(tmp_path / f"a.{form}").ways
    assert np.abs(ways.lines.x).max() == 180
    assert (len(ways), ways.count, len(np.unique(ways.parts()))) == (5, 6, 1)
    plain = extract_roads(
        street_map(tmp_path / "b.tif", cross(), crs="EPSG:4326", transform=Affine(1e-5, 0, 57.0, 0, -1e-5, -17.0)),
        tmp_path / f"b.{form}",
    )  # fmt: skip
    assert plain.edges == 4
    assert found.length_m == pytest.approx(plain.length_m, abs=0.02)


def test_a_way_goes_across_and_is_written_in_two_lines(tmp_path: Path) -> None:
    extract_roads(street_map(tmp_path / "a.tif", cross(), **PLACE), tmp_path / "a.gpkg")
    y = -17.0 - 54.5e-5
    way = find_way(tmp_path / "a.gpkg", [(179.9994, y), (-179.9993, y)])
    assert way.length_m == pytest.approx(1.3e-3 * 106_480, rel=2e-3)
    geometry = way.to_json()["geometry"]
    assert geometry["type"] == "MultiLineString"
    assert [part[i][0] for part, i in zip(geometry["coordinates"], (-1, 0), strict=True)] == [180, -180]


def test_a_network_in_metres_across_the_antimeridian_is_one_too(tmp_path: Path) -> None:
    import pyproj

    left, top = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:32760", always_xy=True).transform(WEST, -17.0)
    place = {"crs": "EPSG:32760", "transform": Affine(1, 0, left - 20, 0, -1, top)}
    source = street_map(tmp_path / "a.tif", cross(), **place)
    assert extract_roads(source, tmp_path / "a.gpkg").edges == 4
    assert extract_roads(source, tmp_path / "a.geojson").edges == 5
    lines = edges_of(tmp_path / "a.geojson")[1]
    assert max(np.ptp(shapely.get_coordinates(line)[:, 0]) for line in lines) < 0.01
    to = pyproj.Transformer.from_crs("EPSG:32760", "OGC:CRS84", always_xy=True)
    ends = [to.transform(left - 20 + x, top - 54.5) for x in (20, 140)]
    for name in ("a.gpkg", "a.geojson"):
        assert find_way(tmp_path / name, ends).length_m == pytest.approx(120, rel=2e-3)
