"""A page as a folder for web servers: what lies in it, that it works anywhere, and what it must not do."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser, serving
from factory import Run, contents, make_raster, north_up
from pages import Watched, click, color_at, near, opaque, place, press, settled, shown
from scenes import LEGEND, SIDE, class_map, classes, imagery, result

from mapgen.files.page import OWN_SCRIPTS, SITE_FILES
from mapgen.files.webfiles import FOLDER, page_texts
from mapgen.results.options import ViewOptions
from mapgen.results.view import View

Mapgen = Callable[..., Run]

needs_browser = pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")

BYTES, LINES = 60_000, 300
"""Of scripts and style of our own together; of the lines of each."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Watched]:
    with Watched() as opened:
        yield opened


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with results, their scene, and the page of them in `a/b`."""
    base = tmp_path_factory.mktemp("site")
    imagery(base / "scene.tif")
    result(base / "out")
    (base / "a").mkdir()
    with View(str(base / "out"), ViewOptions(imagery=str(base / "scene.tif"), title="Town")) as view:
        view.export(base / "a" / "b")
    return base


def data_of(folder: Path) -> dict[str, Any]:
    page = (folder / "index.html").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)[0])
    return found


def test_scripts_of_our_own_are_light_and_short() -> None:
    texts = page_texts()
    own = [*OWN_SCRIPTS, "page.css"]
    assert sum(len(texts[name].encode()) for name in own) <= BYTES
    assert max(texts[name].count("\n") for name in own) <= LINES


def test_a_site_holds_all_that_its_page_asks_for(sites: Path) -> None:
    folder = sites / "a" / "b"
    side = data_of(folder)["sides"][0]
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {side[part]["archive"] for part in ("raster", "imagery", "vector")} == {
        "classes.pmtiles", "imagery.pmtiles", "polygons.pmtiles",
    }  # fmt: skip
    assert files >= {"classes.pmtiles", "imagery.pmtiles", "polygons.pmtiles", "map.webp", "style.json", "index.html"}
    for name in re.findall(r'(?:src|href)="([^":]+)"', (folder / "index.html").read_text(encoding="utf-8")):
        assert name in files
    for name in (*OWN_SCRIPTS, "maplibre-gl.js", "maplibre-gl.LICENSE.txt"):
        assert (folder / SITE_FILES / name).read_bytes() == (FOLDER / name).read_bytes()


@needs_browser
def test_an_exported_folder_works_on_any_server_below_any_path(
    browser: Watched, sites: Path, mapgen: Mapgen
) -> None:
    folder = sites / "a" / "b"
    named = ("--imagery", sites / "scene.tif", "--title", "Town", "--overwrite")
    assert mapgen("view", sites / "out", "--export", folder, *named).out == f"{folder}\n"
    with serving(sites) as base:
        shown(browser, f"{base}/a/b/")
        opaque(browser)
        settled(browser)
        x, y = place(browser, 0.5, 0.5)
        assert near(color_at(browser, sites / "a.png", x, y), LEGEND.classes[1].rgb)
        click(browser, x, y)
        browser.wait("document.querySelector('.maplibregl-popup')")
        assert "3,603 m²" in browser.evaluate("document.querySelector('.maplibregl-popup').innerText")
        press(browser, "Escape")
        assert all(url.startswith((f"{base}/a/b/", "blob:", "data:")) for url in browser.asked), browser.asked
        assert browser.evaluate("document.getElementById('title').textContent") == "Town"


@needs_browser
def test_a_link_brings_back_place_classes_and_parts(browser: Watched, sites: Path) -> None:
    with serving(sites) as base:
        shown(browser, f"{base}/a/b/#map=17/24.4123/57.0007&hide=2&off=imagery")
        assert browser.evaluate("mapgenPage.maps[0].map.getZoom()") == 17
        boxes = "[...document.querySelectorAll('#classes input, #layers input')].map(e => e.checked)"
        assert browser.evaluate(boxes) == [True, False, True, False, True, True]
        browser.evaluate("document.querySelectorAll('#classes .only')[2].click()")
        assert browser.evaluate("location.hash") == "#map=17/24.4123/57.0007&hide=1,2&off=imagery"
        browser.evaluate("document.querySelectorAll('#classes .only')[2].click()")  # and all again
        assert "hide" not in browser.evaluate("location.hash")


@needs_browser
def test_lengths_and_areas_are_measured(browser: Watched, sites: Path) -> None:
    with serving(sites) as base:
        shown(browser, f"{base}/a/b/")
        browser.evaluate("document.getElementById('measure').click()")
        corners = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]  # of 60 m
        for corner in corners[:2]:
            click(browser, *place(browser, *corner))
        told = "document.getElementById('told').textContent"
        browser.wait(f"{told}.endsWith(' m')")
        assert float(browser.evaluate(told).split()[0]) == pytest.approx(60, abs=1)
        for corner in corners[2:]:
            click(browser, *place(browser, *corner))
        browser.wait(f"{told}.includes('encloses')")
        line, ground = re.findall(r"([\d.,]+) m", browser.evaluate(told))
        assert float(line) == pytest.approx(180, abs=3)
        assert float(ground.replace(",", "")) == pytest.approx(3600, rel=0.03)
        press(browser, "Escape")
        assert browser.evaluate("document.getElementById('told').hidden") is True


@needs_browser
def test_polygons_can_be_clicked_far_out(browser: Watched, sites: Path) -> None:
    with serving(sites) as base:
        shown(browser, f"{base}/a/b/")
        zoom = browser.evaluate("mapgenPage.maps[0].map.getZoom()")
        browser.evaluate(f"mapgenPage.maps[0].map.jumpTo({{zoom: {zoom - 2}}}); true")
        settled(browser)
        click(browser, *place(browser, 0.5, 0.5))
        browser.wait("document.querySelector('.maplibregl-popup')")
        assert "Area" in browser.evaluate("document.querySelector('.maplibregl-popup').innerText")
        press(browser, "Escape")


@needs_browser
def test_the_theme_is_remembered(browser: Watched, sites: Path) -> None:
    with serving(sites) as base:
        shown(browser, f"{base}/a/b/")
        browser.evaluate("document.getElementById('theme').click()")
        chosen = browser.evaluate("document.documentElement.dataset.theme")
        shown(browser, f"{base}/a/b/?again")
        assert browser.evaluate("document.documentElement.dataset.theme") == chosen


@needs_browser
@pytest.mark.parametrize("way", ["no WebGL", "a plain file"])
def test_where_no_map_can_move_there_is_a_picture_and_a_sentence(sites: Path, way: str) -> None:
    page = sites / "a" / "b" / "index.html"
    with serving(page.parent) as base, Browser(900, 600) as alone:
        if way == "no WebGL":
            without = "HTMLCanvasElement.prototype.getContext = () => null"
            alone.send("Page.addScriptToEvaluateOnNewDocument", source=without)
        alone.open(f"{base}/" if way == "no WebGL" else page.as_uri())
        alone.wait("document.querySelector('#still p')")
        assert ("WebGL" if way == "no WebGL" else "http.server") in alone.evaluate(
            "document.querySelector('#still p').textContent"
        )
        if way == "no WebGL":
            alone.wait("document.querySelector('#still img').naturalWidth > 100")
        assert alone.evaluate("document.querySelectorAll('#classes .what').length") == 3
        assert alone.evaluate("mapgenPage.errors") == []


def axe() -> Path | None:
    """axe-core, which is no part of mapgen: where AXE says, else as npm puts it beside the tests."""
    places = [Path(os.environ["AXE"])] if "AXE" in os.environ else []
    places += [parent / "node_modules/axe-core/axe.min.js" for parent in Path(__file__).resolve().parents[:3]]
    return next((path for path in places if path.is_file()), None)


@needs_browser
@pytest.mark.skipif(axe() is None, reason="axe-core is not there: npm install --no-save axe-core")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_axe_finds_no_serious_fault(browser: Watched, sites: Path, theme: str, width: int) -> None:
    script = axe()
    assert script is not None
    with serving(sites) as base:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        browser.send("Emulation.setDeviceMetricsOverride", **size)
        try:
            shown(browser, f"{base}/a/b/?{theme}")
            browser.evaluate(f"document.documentElement.dataset.theme = '{theme}'; mapgenPage.fold(false)")
            click(browser, *place(browser, 0.3, 0.12))
            browser.wait("document.querySelector('.maplibregl-popup')")
            browser.evaluate(script.read_text(encoding="utf-8"))
            found = browser.evaluate(
                "axe.run().then(r => r.violations.filter(v => ['serious', 'critical'].includes(v.impact))"
                ".map(v => v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join('; ')))"
            )
            assert found == []
        finally:
            browser.send("Emulation.setDeviceMetricsOverride", **size | {"width": 900, "height": 600})


@needs_browser
def test_the_snippet_of_the_docs_shows_a_site_on_a_page_of_ones_own(browser: Watched, sites: Path) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "view.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```html\n(.*?)```", docs, re.DOTALL)
    (sites / "a" / "b" / "own.html").write_text(f"<!doctype html>{snippet.replace('const map', 'window.map')}")
    try:
        with serving(sites) as base:
            browser.open(f"{base}/a/b/own.html")
            browser.wait("window.map.loaded && map.loaded() && map.isStyleLoaded()")
            click(browser, *browser.evaluate("(p => [p.x, p.y])(map.project(map.getBounds().getCenter()))"))
            browser.wait("document.querySelector('.maplibregl-popup')")
            assert "0.36 ha" in browser.evaluate("document.querySelector('.maplibregl-popup').textContent")
    finally:
        (sites / "a" / "b" / "own.html").unlink()


# --- options ----------------------------------------------------------------------------------------------------------


def test_title_and_credit_stand_on_the_page(mapgen: Mapgen, tmp_path: Path) -> None:
    mask = class_map(tmp_path / "map.mask.tif")
    run = mapgen("view", mask, "--export", tmp_path / "site", "--title", "My <town>", "--credit", "© Someone")
    assert (run.code, run.out) == (0, f"{tmp_path / 'site'}\n"), run
    data = data_of(tmp_path / "site")
    assert (data["title"], data["about"]) == ("My <town>", ["© Someone"])
    assert "<title>My &lt;town&gt; | mapgen</title>" in (tmp_path / "site" / "index.html").read_text()


def test_a_base_map_is_asked_for_only_where_it_was_named(mapgen: Mapgen, tmp_path: Path) -> None:
    mask = class_map(tmp_path / "map.mask.tif")
    url = "https://tiles.example.org/{z}/{x}/{y}.png"
    for number, options in enumerate(([], ["--basemap", url])):
        page = tmp_path / f"{number}.html"
        assert mapgen("view", mask, "--inline", page, *options).code == 0
        policy = re.findall(r'Security-Policy" content="([^"]*)"', page.read_text(encoding="utf-8"))[0]
        assert ("https://tiles.example.org" in policy) is bool(options)
        assert "tiles.example.org/" not in policy


def test_base_url_makes_the_addresses_of_the_style_whole(mapgen: Mapgen, tmp_path: Path) -> None:
    mask = class_map(tmp_path / "map.mask.tif")
    found = []
    for number, options in enumerate(([], ["--base-url", "https://example.org/maps"])):
        assert mapgen("view", mask, "--export", tmp_path / str(number), *options).code == 0
        found.append(json.loads((tmp_path / str(number) / "style.json").read_text())["sources"]["raster"]["url"])
    assert found == ["pmtiles://classes.pmtiles", "pmtiles://https://example.org/maps/classes.pmtiles"]


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_folder_that_holds_anything_else_is_left_alone(mapgen: Mapgen, tmp_path: Path) -> None:
    mask = class_map(tmp_path / "map.mask.tif")
    folder = tmp_path / "site"
    folder.mkdir()
    assert mapgen("view", mask, "--export", folder).code == 0  # an empty one will do
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("precious")
    before = contents(tmp_path)
    for place_, options, words in (
        (tmp_path / "photos", [], "not empty (it holds a.jpg)"), (tmp_path / "photos", ["--overwrite"], "not empty"),
        (folder, [], "--overwrite"), (mask, ["--overwrite"], "also an input"),
        (tmp_path / "photos" / "a.jpg", ["--overwrite"], "needs a folder"),
        (tmp_path / "no" / "site", [], "does not exist"),
    ):  # fmt: skip
        run = mapgen("view", mask, "--export", place_, *options)
        assert (run.code, len(run.errors), words in run.errors[0]) == (5, 1, True), run
        assert contents(tmp_path) == before
    assert mapgen("view", mask, "--export", folder, "--overwrite", "--title", "new").code == 0
    assert data_of(folder)["title"] == "new"
    (folder / "notes.txt").write_text("precious")
    run = mapgen("view", mask, "--export", folder, "--overwrite")
    assert (run.code, "notes.txt" in run.errors[0]) == (5, True), run
    assert (folder / "notes.txt").read_text() == "precious"


def test_an_older_page_that_is_looked_at_is_not_replaced(mapgen: Mapgen, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    assert mapgen("view", class_map(tmp_path / "map.mask.tif"), "--export", folder).code == 0
    before = contents(tmp_path)
    for shown_ in (folder, folder / "classes.pmtiles"):
        run = mapgen("view", shown_, "--export", folder, "--overwrite")
        assert (run.code, "the output is also an input" in run.errors[0]) == (5, True), run
        assert contents(tmp_path) == before


def test_maps_of_other_ground_are_not_compared(mapgen: Mapgen, tmp_path: Path) -> None:
    mask = class_map(tmp_path / "map.mask.tif")
    there = make_raster(tmp_path / "there.tif", classes(), nodata=255, transform=north_up(1.0, (600_000, 5e6)))
    run = mapgen("view", mask, "--compare", there, "--inline", tmp_path / "a.html")
    assert (run.code, "shows other ground" in run.errors[0], "--compare" in run.errors[0]) == (4, True, True), run
    assert not (tmp_path / "a.html").exists()


@pytest.mark.parametrize("url", ["https://example.org/", "ftp://h/{z}/{x}/{y}", "https://h/{z}/{x}/{y}; script-src *"])
def test_what_is_no_url_of_tiles_is_refused(mapgen: Mapgen, tmp_path: Path, url: str) -> None:
    run = mapgen("view", class_map(tmp_path / "map.mask.tif"), "--inline", tmp_path / "a.html", "--basemap", url)
    assert (run.code, "is not the URL of tiles" in run.errors[0]) == (2, True), run


# --- what changed -----------------------------------------------------------------------------------------------------


def test_changes_are_those_of_the_pixels_whatever_the_grids(tmp_path: Path) -> None:
    values = classes()
    values[30:60, 30:90] = 3
    same = class_map(tmp_path / "same.mask.tif", values)
    finer = make_raster(
        tmp_path / "finer.tif", np.kron(values, np.ones((2, 2), np.uint8)), nodata=255, transform=north_up(0.5)
    )
    mask = class_map(tmp_path / "map.mask.tif")
    for other in (same, finer):
        with View(str(mask), ViewOptions(compare=str(other))) as view:
            from mapgen.results.changes import changes_of

            found = changes_of(view.sides)
            assert found is not None
            ((before, after, area),) = found.rows
            assert (before, after, found.whole) == (2, 3, True)
            assert area == pytest.approx(1800 / 0.9996**2, rel=1e-6)
            assert found.total == pytest.approx((SIDE**2 - 100) / 0.9996**2, rel=1e-6)
