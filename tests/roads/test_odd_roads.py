"""Odd class maps, probabilities, networks and places: each gives the right result or one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from factory import Run, make_raster
from test_roads import STREETS, edges_of, probabilities, street_map

from mapgen.roads.extract import extract_roads
from mapgen.roads.route import find_way

Array = np.ndarray[Any, np.dtype[Any]]
Mapgen = Callable[..., Run]


def cross(height: int = 120, width: int = 160) -> Array:
    """Two roads of 9 pixels that cross."""
    roads = np.zeros((height, width), bool)
    roads[50:59] = roads[:, 80:89] = True
    return roads


PLACES = {
    "south up": {"transform": Affine(1, 0, 5e5, 0, 1, 27e5)},
    "rotated": {"transform": Affine.translation(5e5, 27e5) @ Affine.rotation(30) @ Affine.scale(1, -1)},
    "sheared": {"transform": Affine(1, 0.2, 5e5, 0, -1, 27e5)},
    "of other pixels": {"transform": Affine(1.03, 0, 5e5, 0, -2, 27e5)},
    "at 60 degrees north": {"crs": "EPSG:4326", "transform": Affine(2e-5, 0, 25.0, 0, -1e-5, 60.0)},
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_a_crossing_is_four_edges_wherever_pixels_lie(tmp_path: Path, name: str) -> None:
    import pyproj
    import shapely

    path = street_map(tmp_path / "a.tif", cross(), **PLACES[name])
    found = extract_roads(path, tmp_path / "a.geojson")
    assert (found.edges, found.frame_ends, found.dead_ends, found.parts) == (4, 4, 0, 1)
    columns, lines = edges_of(tmp_path / "a.geojson")
    geod = pyproj.Geod(ellps="WGS84")
    assert columns["length_m"] == pytest.approx([geod.geometry_length(line) for line in lines], abs=2e-3)
    to = pyproj.Transformer.from_crs("OGC:CRS84", PLACES[name].get("crs", "EPSG:32640"), always_xy=True)
    back = ~PLACES[name]["transform"]
    for line in lines:
        x, y = to.transform(*shapely.get_coordinates(line).T)
        columns_of, rows = back @ (np.asarray(x), np.asarray(y))
        assert np.minimum(np.abs(columns_of - 84.5), np.abs(rows - 54.5)).max() < 1


@pytest.mark.parametrize(
    ("name", "roads", "edges"),
    [("a line of pixels", np.ones((1, 90), bool), None), ("a column", np.ones((90, 1), bool), None),
     ("one pixel", np.ones((1, 1), bool), None), ("absent", np.zeros((40, 40), bool), 0)],
)  # fmt: skip
def test_maps_of_a_pixel_or_a_line_are_read(tmp_path: Path, name: str, roads: Array, edges: int | None) -> None:
    found = extract_roads(street_map(tmp_path / "a.tif", roads), tmp_path / "a.gpkg")
    assert edges is None or found.edges == edges
    assert (found.edges == 0) == bool(found.warnings)


def test_nodata_across_a_road_is_the_end_of_what_is_known(tmp_path: Path) -> None:
    classes = np.where(cross(), 3, 0).astype(np.uint8)
    classes[:, 118:132] = 255
    tags = {"MAPGEN_LEGEND": json.dumps(STREETS.to_json())}
    path = make_raster(tmp_path / "a.tif", classes, nodata=255, tags=tags)
    found = extract_roads(path, tmp_path / "a.gpkg", bridge="60m")
    assert (found.edges, found.dead_ends, found.bridges) == (5, 0, 0)


def test_a_stub_that_ends_where_knowledge_ends_is_no_spur(tmp_path: Path) -> None:
    classes = np.where(cross(), 3, 0).astype(np.uint8)
    classes[:40] = 255  # ten pixels above the road that runs level; the other goes on up there
    tags = {"MAPGEN_LEGEND": json.dumps(STREETS.to_json())}
    found = extract_roads(make_raster(tmp_path / "a.tif", classes, nodata=255, tags=tags), tmp_path / "a.gpkg")
    assert (found.edges, found.frame_ends, found.dead_ends) == (4, 4, 0)


def test_probabilities_may_lack_values(tmp_path: Path) -> None:
    roads = cross()
    roads[:, 118:124] = False
    mask = street_map(tmp_path / "a.tif", roads)
    p = np.where(roads, 0.9, 0.4)
    for i, values in enumerate((np.where(roads, 0.9, np.nan).astype(np.float32), p.astype(np.float32))):
        raster = make_raster(tmp_path / f"p{i}.tif", values)
        found = extract_roads(mask, tmp_path / "a.gpkg", probabilities_raster=raster, overwrite=True)
        assert found.bridges == 1, i
    raster = probabilities(tmp_path / "p.tif", p)  # bytes with a scale, nodata 255
    assert extract_roads(mask, tmp_path / "a.gpkg", probabilities_raster=raster, overwrite=True).bridges == 1


def test_sizes_beyond_the_map_or_below_a_pixel_are_taken_as_they_are(tmp_path: Path) -> None:
    mask = street_map(tmp_path / "a.tif", cross())
    assert extract_roads(mask, tmp_path / "a.gpkg", bridge="5000m").edges == 4
    narrow = extract_roads(mask, tmp_path / "a.gpkg", max_width="1px", overwrite=True)
    assert narrow.edges > 0
    assert edges_of(tmp_path / "a.gpkg", "edges")[0]["area"].any()


def test_a_map_wider_than_sixteen_bits_is_one_road(tmp_path: Path) -> None:
    roads = np.zeros((24, 70_000), bool)
    roads[10:16] = True
    found = extract_roads(street_map(tmp_path / "a.tif", roads), tmp_path / "a.fgb")
    assert (found.edges, found.frame_ends) == (1, 2)
    assert found.length_m == pytest.approx(70_000, rel=2e-3)


def network(path: Path, *lines: list[list[float]]) -> Path:
    shapes = [
        {"type": "Feature", "properties": {}, "geometry": {"type": "LineString", "coordinates": line}} for line in lines
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": shapes}))
    return path


def test_ways_on_one_edge_on_a_loop_and_over_lines_without_nodes(tmp_path: Path) -> None:
    edge = network(tmp_path / "edge.geojson", [[57.0, 23.0], [57.01, 23.0]])
    whole = find_way(edge, [(57.0, 23.0), (57.01, 23.0)]).length_m
    assert find_way(edge, [(57.002, 23.0), (57.004, 23.0)]).length_m == pytest.approx(0.2 * whole, rel=1e-3)
    loop = network(tmp_path / "loop.geojson", [[57.0, 23.0], [57.01, 23.0], [57.005, 23.008], [57.0, 23.0]])
    one, other = (57.002, 23.0), (57.001, 23.0016)
    there, back = find_way(loop, [one, other]).length_m, find_way(loop, [other, one]).length_m
    assert there == pytest.approx(back)
    assert there < 450  # the short way round
    three = network(tmp_path / "three.geojson", [[57.0, 23.0], [57.01, 23.0]], [[57.01, 23.0], [57.01, 23.01]])
    assert find_way(three, [(57.0, 23.0), (57.01, 23.01)]).edges == 2


def test_polygons_are_no_truth_for_lines(mapgen: Mapgen, tmp_path: Path) -> None:
    net = network(tmp_path / "net.geojson", [[57.0, 23.0], [57.01, 23.0]])
    ring = [[[57.0, 23.0], [57.01, 23.0], [57.01, 23.01], [57.0, 23.0]]]
    shape = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": ring}}
    (tmp_path / "area.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [shape]}))
    run = mapgen("evaluate", net, tmp_path / "area.geojson")
    assert (run.code, len(run.errors)) == (4, 1)
    assert "polygon" in run.err


def test_a_truth_in_another_crs_is_brought_to_the_network(mapgen: Mapgen, tmp_path: Path) -> None:
    import geopandas

    net = network(tmp_path / "net.geojson", [[57.0, 23.0], [57.01, 23.0]], [[57.01, 23.0], [57.01, 23.01]])
    geopandas.read_file(net).to_crs("EPSG:32640").to_file(tmp_path / "truth.gpkg", layer="edges")
    run = mapgen("evaluate", net, tmp_path / "truth.gpkg", "--json")
    assert json.loads(run.out)["lines"]["apls"] == pytest.approx(1, abs=1e-3)
