"""`mapgen map --roads`: the network beside the other parts, its tiles, and ways that the page finds by itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser
from factory import Engines, Run, make_model, make_raster

from mapgen.errors import Interrupted, NoWayError
from mapgen.legend import Class, Legend
from mapgen.roads.extract import Extractor
from mapgen.roads.lines import read_lines
from mapgen.roads.route import find_way

SIDE = 320
STREETS = Legend((Class(1, "land", "#c0b090"), Class(2, "road", "#808080"), Class(4, "water", "#4060c0")))
NETWORK = {"roads": "town.roads.gpkg", "road_tiles": "town.roads.pmtiles"}


def drawn() -> np.ndarray[Any, Any]:
    """A grid of streets of 7 and 11 m, one with a gap of 20 m, a slanting one, and one that is joined to no other."""
    roads = np.zeros((SIDE, SIDE), bool)
    for at, width in ((40, 7), (150, 11), (250, 7)):
        roads[at : at + width, : SIDE - 60] = roads[: SIDE - 60, at : at + width] = True
    roads[150:161, 190:210] = False
    for step in range(85):
        roads[50 + step : 58 + step, 55 + step : 63 + step] = True
    roads[290:297, 100:200] = True
    return roads


@pytest.fixture
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "streets.safetensors", legend=STREETS)


@pytest.fixture
def scene(tmp_path: Path, engines: Engines) -> Path:
    engines.rule = lambda pixels: (pixels[..., 0, :, :] > 100).astype(int)
    return make_raster(tmp_path / "town.tif", np.where(drawn(), 200, 20).astype(np.uint8)[None].repeat(3, 0))


@pytest.fixture
def mapped(mapgen: Callable[..., Run], model: Path, scene: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """`mapped(options…)`: the report of a map of the scene in tmp_path/out."""

    def call(*arguments: object) -> dict[str, Any]:
        run = mapgen("map", "--model", model, scene, "-o", tmp_path / "out", "--roads", *arguments)
        assert run.code == 0, run.err
        return json.loads((tmp_path / "out" / "report.json").read_text())

    return call


def test_the_network_is_that_of_the_command_and_whole(
    mapped: Callable[..., dict[str, Any]], mapgen: Callable[..., Run], tmp_path: Path
) -> None:
    """Of `map --roads`."""
    report, out = mapped(), tmp_path / "out"
    assert NETWORK.items() <= report["files"].items()
    apart = json.loads(mapgen("roads", out / "town.mask.tif", "-o", tmp_path / "a.gpkg", "--json").out.splitlines()[0])
    assert report["roads"].items() <= apart.items()
    assert report["roads"]["edges"] > 10
    assert "turn rules" in report["roads"]["limits"]
    one, other = (read_lines(path).ways for path in (out / "town.roads.gpkg", tmp_path / "a.gpkg"))
    assert (one.lines.x == other.lines.x).all()
    assert mapgen("verify", out, out / "town.roads.gpkg", out / "town.roads.pmtiles").code == 0
    item = json.loads((out / "town.stac.json").read_text())
    assert item["assets"]["roads"]["href"] == "./town.roads.gpkg"
    style = json.loads((out / "town.roads.pmtiles.style.json").read_text())
    assert "width_m" in json.dumps(style["layers"][0]["paint"]["line-width"])
    (out / "town.roads.gpkg").write_bytes(b"cut off")
    assert mapgen("verify", out).code == 9


def test_probabilities_that_are_written_too_guide_the_bridges(
    mapped: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen, true = [], Extractor.__init__
    monkeypatch.setattr(Extractor, "__init__", lambda self, told, *more: seen.append(told) or true(self, told, *more))
    mapped("--probabilities", "--no-tiles")
    assert [told.probabilities_raster for told in seen] == [tmp_path / "out" / "town.probabilities.tif"]
    assert not (tmp_path / "out" / "town.roads.pmtiles").exists()


def test_a_model_that_knows_no_roads_is_refused_before_anything_is_read(
    mapgen: Callable[..., Run], engines: Engines, scene: Path, tmp_path: Path
) -> None:
    plain = make_model(tmp_path / "plain.safetensors")
    run = mapgen("map", "--model", plain, scene, "-o", tmp_path / "out", "--roads")
    assert run.code == 2
    assert "called road" in run.err
    assert not engines.seen
    assert not (tmp_path / "out").exists()


def test_a_map_that_was_stopped_in_the_roads_goes_on_with_them(
    mapped: Callable[..., dict[str, Any]], mapgen: Callable[..., Run], model: Path, engines: Engines, scene: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def stopped(self: object, *arguments: object) -> None:
        raise Interrupted("SIGINT", "stopped")

    with monkeypatch.context() as patch:
        patch.setattr(Extractor, "__call__", stopped)
        assert mapgen("map", "--model", model, scene, "-o", tmp_path / "out", "--roads").code == 130
    engines.opened.clear()
    there = (tmp_path / "out" / "town.gpkg").stat().st_mtime_ns
    report = mapped()
    assert not engines.seen or len(engines.seen) == report["engine"]["windows"]
    assert (tmp_path / "out" / "town.gpkg").stat().st_mtime_ns == there
    assert NETWORK.items() <= report["files"].items()


def test_a_map_without_roads_says_that_there_are_none(
    mapped: Callable[..., dict[str, Any]], engines: Engines, tmp_path: Path
) -> None:
    engines.rule = lambda pixels: np.zeros(pixels[..., 0, :, :].shape, int)
    report = mapped()
    assert report["roads"]["edges"] == 0
    assert any("no roads" in text for text in report["warnings"])
    assert "page" in report["files"]


# The page -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    with Browser(900, 700) as opened:
        yield opened


def click(browser: Browser, lon: float, lat: float) -> None:
    x, y = browser.evaluate(f"(p => [p.x, p.y])(mapgenPage.maps[0].map.project([{lon}, {lat}]))")
    for kind in ("mousePressed", "mouseReleased"):
        browser.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def test_two_clicks_on_the_page_find_the_way_that_the_command_finds(
    mapped: Callable[..., dict[str, Any]], browser: Browser, tmp_path: Path
) -> None:
    mapped()
    page, network = tmp_path / "out" / "index.html", tmp_path / "out" / "town.roads.gpkg"
    browser.open(page.as_uri())
    browser.wait("window.mapgenPage && mapgenPage.maps.length && mapgenPage.maps[0].idle")
    browser.evaluate("document.getElementById('way').click()")
    ways = read_lines(network).ways
    x, y = ways.lines.x, ways.lines.y
    low, high = int(np.argmin(x - y)), int(np.argmax(x - y))  # far ends of the part in the north-west
    ends = [(float(x[i]), float(y[i])) for i in (low, high)]
    for lon, lat in ends:
        click(browser, lon, lat)
    browser.wait("mapgenPage.finders[0] && mapgenPage.finders[0].places.length === 2")
    found = browser.evaluate("mapgenPage.finders[0].way")
    wanted = find_way(network, ends)
    assert found["length"] == pytest.approx(wanted.length_m, abs=3)  # a click is as exact as a pixel
    assert found["narrowest"] == pytest.approx(wanted.narrowest_m, abs=0.06)
    said = browser.evaluate("document.getElementById('told').textContent")
    assert said.startswith(f"{found['length']:.0f} m, narrowest")
    settled = (
        "new Promise(done => { const m = mapgenPage.maps[0].map; m.once('idle', () => done(true));"
        " m.triggerRepaint() })"
    )
    browser.wait(settled)
    drawn_way = browser.evaluate("mapgenPage.maps[0].map.queryRenderedFeatures({layers: ['way']}).length")
    assert drawn_way > 0
    assert browser.evaluate("mapgenPage.maps[0].map.queryRenderedFeatures({layers: ['roads seen']}).length") > 5
    assert browser.evaluate("mapgenPage.errors") == []
    browser.evaluate("document.getElementById('way').click()")
    assert browser.evaluate("document.getElementById('told').hidden")


def test_the_page_and_the_command_agree_on_any_two_places(
    mapped: Callable[..., dict[str, Any]], browser: Browser, tmp_path: Path
) -> None:
    mapped("--no-tiles")
    network = tmp_path / "out" / "town.roads.gpkg"
    browser.open((tmp_path / "out" / "index.html").as_uri())
    browser.wait("window.mapgenPage && mapgenPage.maps.length")
    lines = read_lines(network).ways.lines
    rng = np.random.default_rng(2)
    reached = 0
    for a, b in rng.integers(0, len(lines.x), (25, 2)).tolist():
        ends = [(float(lines.x[i]) + 2e-5 * rng.normal(), float(lines.y[i]) + 2e-5 * rng.normal()) for i in (a, b)]
        script = (
            "(() => { const net = mapgenPage.networks[0]; const places = "
            f"{json.dumps(ends)}.map(p => mapgenWays.nearest(net, ...p));"
            " const way = mapgenWays.shortest(net, ...places); return way && mapgenWays.told(net, way) })()"
        )
        found = browser.evaluate(script)
        try:
            wanted = find_way(network, ends)
        except NoWayError:
            assert found is None
            continue
        reached += 1
        assert found["length"] == pytest.approx(wanted.length_m, abs=0.1)
        for end in (0, -1):
            off = np.abs(np.array(found["line"][end]) - wanted.coordinates[end]).max()
            assert off < 1e-6, (end, off, found["line"], wanted.coordinates.tolist())
    assert reached > 10
    none = browser.evaluate(
        "(() => { const said = []; const f = mapgenWays.Finder(mapgenPage.networks[0], text => said.push(text));"
        f" f.click({lines.x[0] + 0.1}, {lines.y[0]}); return said }})()"
    )
    assert "No road within 100 m" in none[0]


def test_a_way_as_a_page_shows_it_on_its_network(
    mapgen: Callable[..., Run], browser: Browser, tmp_path: Path
) -> None:
    lines = [[[57.0, 23.0], [57.003, 23.0]], [[57.003, 23.0], [57.003, 23.002]], [[57.003, 23.0], [57.005, 22.999]]]
    shapes = [{"type": "LineString", "coordinates": c} for c in lines]
    features = [{"type": "Feature", "properties": {}, "geometry": shape} for shape in shapes]
    (tmp_path / "net.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    page = tmp_path / "way.html"
    run = mapgen("route", tmp_path / "net.geojson", "57.001,23", "57.003,23.001", "-o", page)
    assert (run.code, run.out) == (0, f"{page}\n"), run.err
    assert mapgen("route", tmp_path / "net.geojson", "57.001,23", "57.003,23.001", "-o", page).code == 5
    browser.open(page.as_uri())
    browser.wait("window.mapgenPage && mapgenPage.maps.length && mapgenPage.maps[0].idle")
    browser.wait("mapgenPage.maps[0].map.queryRenderedFeatures({layers: ['way']}).length > 0")
    metres = f"{find_way(tmp_path / 'net.geojson', [(57.001, 23.0), (57.003, 23.001)]).length_m:.0f} m"
    assert browser.evaluate("document.getElementById('told').textContent").startswith(metres)
    click(browser, 57.0032, 22.9999)
    click(browser, 57.0048, 22.9991)
    browser.wait("mapgenPage.finders[0].way")
    assert browser.evaluate("mapgenPage.finders[0].way.length") == pytest.approx(186, abs=8)
    assert browser.evaluate("mapgenPage.errors") == []
