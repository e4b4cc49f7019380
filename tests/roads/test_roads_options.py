"""`mapgen roads` and `mapgen route` as they are typed: what each option changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factory import ORIGIN, Run, make_raster
from layer_maps import class_map
from test_roads import STREETS, street_map

from mapgen.cli.main import run as run_command
from mapgen.errors import InputError

Mapgen = Callable[..., Run]
SIDE = 260


def drawn() -> np.ndarray[Any, Any]:
    """Roads of 6 m: one with a gap of 20 m, one across it; a spur of 10 m, a square with a hole, a piece apart."""
    roads = np.zeros((SIDE, SIDE), bool)
    roads[100:106, :] = roads[:, 60:66] = True
    roads[100:106, 120:140] = False
    roads[106:116, 200:206] = True  # sticks out 10 m
    roads[180:220, 20:66] = True  # a square
    roads[196:203, 40:47] = False  # a hole in it
    roads[150:156, 150:172] = True  # a piece of 22 m
    for step in range(60):
        roads[106 + step : 113 + step, 90 + step // 3 : 97 + step // 3] = True  # a slanting road
    return roads


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return street_map(tmp_path_factory.mktemp("streets") / "town.mask.tif", drawn())


@pytest.fixture
def networked(mapgen: Mapgen, streets: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The record of a network made with these arguments."""

    def network(*arguments: object, source: Path = streets) -> dict[str, Any]:
        done = mapgen("roads", source, "-o", tmp_path / "net.geojson", "--json", "--overwrite", *arguments)
        assert done.code == 0, done.err
        record: dict[str, Any] = json.loads(done.out.splitlines()[0])
        return record

    return network


def places(path: Path) -> int:
    """Corners of all lines of a network."""
    found = json.loads(path.read_text())["features"]
    return sum(len(f["geometry"]["coordinates"]) for f in found if f["geometry"]["type"] == "LineString")


Networked = Callable[..., dict[str, Any]]


def test_the_sieve_absorbs_specks(networked: Networked) -> None:
    edges = [networked("--min-hole", "0px", "--sieve", size)["edges"] for size in ("0px", "60m2")]
    assert edges[0] > edges[1]  # of the hole, which is one too


def test_small_holes_are_filled(networked: Networked) -> None:
    edges = [networked("--sieve", "0px", "--min-hole", size)["edges"] for size in ("0px", "60m2")]
    assert edges[0] > edges[1]


def test_what_is_wider_gets_a_line_around_it(networked: Networked) -> None:
    lengths = [networked("--max-width", size)["length_m"] for size in ("60m", "20m")]
    assert lengths[0] != lengths[1]


def test_short_spurs_are_left_out(networked: Networked) -> None:
    edges = [networked("--spur", size)["edges"] for size in ("2m", "15m")]
    assert edges[0] > edges[1]


def test_gaps_are_bridged_up_to_a_price(networked: Networked) -> None:
    assert networked("--bridge", "0")["bridges"] == 0
    assert networked("--bridge", "60m")["bridges"] > 0


def test_short_parts_are_left_out(networked: Networked) -> None:
    parts = [networked("--bridge", "0", "--min-length", size)["parts"] for size in ("5m", "60m")]
    assert parts[0] > parts[1]


def test_simplify_leaves_out_corners(networked: Networked, tmp_path: Path) -> None:
    corners = []
    for tolerance in ("0px", "3px"):
        networked("--simplify", tolerance)
        corners.append(places(tmp_path / "net.geojson"))
    assert corners[0] > corners[1]


def test_classes_say_what_is_a_road(mapgen: Mapgen, tmp_path: Path) -> None:
    path = class_map(tmp_path / "a.tif", np.where(drawn(), 4, 0).astype(np.uint8), STREETS)
    assert json.loads(mapgen("roads", path, "--json").out.splitlines()[0])["edges"] == 0
    done = mapgen("roads", path, "--classes", "water", "--json", "--overwrite")
    assert json.loads(done.out.splitlines()[0])["edges"] > 0


def test_probabilities_and_their_threshold_make_the_roads(networked: Networked, tmp_path: Path) -> None:
    p = np.where(drawn(), 0.9, 0.05)
    p[100:106, 120:140] = 0.4  # the gap
    path = make_raster(tmp_path / "p.tif", np.round(p * 250).astype(np.uint8), nodata=255, scales=(0.004,))
    bridged = [
        networked("--probabilities-raster", path, *more)["bridged_m"] for more in ((), ("--threshold", "0.3,0.6"))
    ]
    assert bridged[0] > bridged[1]
    networked("--probabilities-raster", path)
    guided = (tmp_path / "net.geojson").read_text()
    networked()
    assert '"confidence":null' not in guided
    assert '"confidence":null' in (tmp_path / "net.geojson").read_text()


def test_clip_keeps_the_roads_inside(networked: Networked, tmp_path: Path) -> None:
    left, top = ORIGIN
    ring = [[left, top], [left + 100, top], [left + 100, top - SIDE], [left, top - SIDE], [left, top]]
    area = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32640"}},
        "features": [{"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}],
    }
    (tmp_path / "area.geojson").write_text(json.dumps(area))
    assert networked("--clip", tmp_path / "area.geojson")["length_m"] < networked()["length_m"]


def test_output_format_layer_name_and_crs_are_those_asked_for(mapgen: Mapgen, streets: Path, tmp_path: Path) -> None:
    import pyogrio

    more = ("--layer-name", "streets", "--crs", "EPSG:3857")
    assert mapgen("roads", streets, "-o", tmp_path / "a.fgb", *more).code == 0
    assert [str(name) for name, _ in pyogrio.list_layers(tmp_path / "a.fgb")] == ["streets"]
    assert pyogrio.read_info(tmp_path / "a.fgb")["crs"] == "EPSG:3857"
    done = mapgen("roads", streets, "-o", f"{tmp_path / 'out'}/", "--format", "graphml")
    assert done.out == f"{tmp_path / 'out' / 'town.roads.graphml'}\n"


def test_a_map_without_a_crs_needs_one_assumed(mapgen: Mapgen, tmp_path: Path) -> None:
    path = street_map(tmp_path / "a.tif", drawn(), crs=None)
    assert mapgen("roads", path).code == 4
    assert mapgen("roads", path, "--assume-crs", "EPSG:32640").code == 0


def test_threads_overwrite_json_and_voice(
    mapgen: Mapgen, streets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """--threads, --overwrite, --json, -q and -v are those of the other commands."""
    made = []
    for threads in ("1", "3"):
        assert mapgen("roads", streets, "-o", tmp_path / f"{threads}.geojson", "--threads", threads).code == 0
        made.append(json.loads((tmp_path / f"{threads}.geojson").read_text())["features"])
    assert made[0] == made[1]
    again = ("roads", streets, "-o", tmp_path / "1.geojson")
    assert (mapgen(*again).code, mapgen(*again, "--overwrite", "-q").err) == (5, "")
    assert json.loads(mapgen(*again, "--overwrite", "--json").out.splitlines()[-1])["summary"]["done"] == 1
    assert len(mapgen(*again, "--overwrite", "-v").err) > len(mapgen(*again, "--overwrite").err)
    monkeypatch.setattr("mapgen.roads.extract.open_mask", lambda *arguments, **options: 1 // 0)
    assert run_command(["roads", str(streets), "-o", str(tmp_path / "b.gpkg"), "--verbose", "-v"]) == 1
    assert "Traceback" in capfd.readouterr().err
    assert run_command(["roads", str(streets), "-o", str(tmp_path / "b.gpkg"), "--quiet"]) == 1
    assert len(capfd.readouterr().err.splitlines()) == 1


# Ways -----------------------------------------------------------------------------------------------------------------


LINES = {
    "main": ([[0.0, 0.0], [0.01, 0.0]], {"width_min_m": 3.0, "bridged_m": 0.0}),
    "gap": ([[0.0, 0.0], [0.005, 0.001], [0.01, 0.0]], {"width_min_m": 9.0, "bridged_m": 12.0}),
    "wide": ([[0.0, 0.0], [0.005, 0.003], [0.01, 0.0]], {"width_min_m": 9.0, "bridged_m": 0.0}),
}
"""Three ways from one place to another: narrow, with a bridged gap, long and good."""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    features = [
        {"type": "Feature", "properties": facts, "geometry": {"type": "LineString", "coordinates": line}}
        for line, facts in LINES.values()
    ]
    path = tmp_path / "net.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def way(mapgen: Mapgen, net: Path, *arguments: object) -> dict[str, Any]:
    done = mapgen("route", net, "0,0", "0.01,0", *arguments)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_width_and_bridges_decide_which_way_is_taken(mapgen: Mapgen, net: Path) -> None:
    """--min-width and --no-bridges leave out the narrow and the uncertain."""
    lengths = [
        way(mapgen, net, *more)["properties"]["length_m"]
        for more in ((), ("--min-width", "5"), ("--min-width", "5", "--no-bridges"))
    ]
    assert lengths == sorted(set(lengths))


def test_the_layer_of_lines_is_named(mapgen: Mapgen, net: Path, tmp_path: Path) -> None:
    import geopandas

    frame = geopandas.read_file(net)
    frame.iloc[:1].to_file(tmp_path / "two.gpkg", layer="short")
    frame.iloc[2:].to_file(tmp_path / "two.gpkg", layer="long")
    short, long = (way(mapgen, tmp_path / "two.gpkg", "--layer", name)["properties"] for name in ("short", "long"))
    assert short["length_m"] < long["length_m"]


def test_a_network_without_a_crs_needs_one_assumed(mapgen: Mapgen, net: Path, tmp_path: Path) -> None:
    import geopandas

    frame = geopandas.read_file(net).to_crs("EPSG:32631")
    frame.set_crs(None, allow_override=True).to_file(tmp_path / "bare.shp")
    assert mapgen("route", tmp_path / "bare.shp", "0,0", "0.01,0").code == 4
    done = mapgen("route", tmp_path / "bare.shp", "0,0", "0.01,0", "--assume-crs", "EPSG:32631")
    assert done.code == 0, done.err


def test_the_way_is_written_said_and_told(
    mapgen: Mapgen, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """--output, --overwrite, --json, -q and -v."""
    output = ("-o", tmp_path / "way.geojson")
    assert mapgen("route", net, "0,0", "0.01,0", *output).out == f"{tmp_path / 'way.geojson'}\n"
    assert mapgen("route", net, "0,0", "0.01,0", *output).code == 5
    record = way(mapgen, net, *output, "--overwrite", "--json")
    assert (record["exit_code"], record["length_m"]) == (0, way(mapgen, net)["properties"]["length_m"])
    assert mapgen("route", net, "0,0", "0.01,0", "-q").err == ""

    def broken(*arguments: object, **options: object) -> None:
        raise InputError("net", "is damaged", "make it again")

    monkeypatch.setattr("mapgen.roads.route.find_way", broken)
    for flags, lines in ((["--quiet"], 1), (["--verbose"], 1), (["-vv"], 9)):
        assert run_command(["route", str(net), "0,0", "0.01,0", *flags]) == 4
        assert len(capfd.readouterr().err.splitlines()) >= lines
