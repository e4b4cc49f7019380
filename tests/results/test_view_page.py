"""The page in a browser: served and from one file, clicked, toggled, swiped; nothing leaves this machine."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import serving
from factory import make_raster
from pages import Watched, click, color_at, near, opaque, place, press, settled, shown
from scenes import HOSTILE, LEGEND, SIDE, class_map, classes, imagery, result

from mapgen.results.options import ViewOptions
from mapgen.results.view import View
from mapgen.tiling.tiles import tiles

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")

@pytest.fixture(scope="module")
def browser() -> Iterator[Watched]:
    with Watched() as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("view")
    imagery(base / "scene.tif")
    class_map(base / "other.mask.tif", np.full((SIDE, SIDE), 3, np.uint8))
    return result(base / "out")


def use(browser: Watched, folder: Path) -> None:
    """What people do on the page of a folder of results with imagery below, whatever way it came to them."""
    pictures = folder.parent
    x, y = place(browser, 0.5, 0.5)
    opaque(browser)
    settled(browser)
    red = LEGEND.classes[1].rgb
    assert near(color_at(browser, pictures / "whole.png", x, y), red)

    # A polygon is marked, and tells its class, area, share and place, as text.
    click(browser, x, y)
    browser.wait("document.querySelector('.maplibregl-popup table')")
    rows: dict[str, Any] = browser.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.maplibregl-popup tr')].map(r => "
        "[r.cells[0].textContent, r.cells[1].textContent]))"
    )
    assert browser.evaluate("document.querySelector('.maplibregl-popup h2').textContent") == HOSTILE
    assert rows["Area"] == "3,603 m² (25.2 % of the map)"
    assert rows[f"All {HOSTILE}"] == "3,603 m² (25.2 % of the map)"
    assert "class_id" not in rows
    assert re.fullmatch(r"24\.\d{5}° N, 57\.\d{5}° E", browser.evaluate("document.querySelector('.place').textContent"))
    settled(browser)
    assert near(color_at(browser, pictures / "marked.png", *place(browser, 0.25, 0.5)), (11, 59, 107), 40)
    assert browser.evaluate("document.querySelectorAll('.maplibregl-popup img, #panel img, #panel b').length") == 0
    press(browser, "Escape")
    assert browser.evaluate("document.querySelectorAll('.maplibregl-popup').length") == 0

    # A class that is hidden shows the imagery instead, and cannot be clicked.
    browser.evaluate("document.querySelectorAll('#classes input')[1].click()")
    settled(browser)
    assert near(color_at(browser, pictures / "hidden.png", x, y), (120, 120, 90), 12)
    assert near(color_at(browser, pictures / "hidden.png", *place(browser, 0.12, 0.5)), LEGEND.classes[0].rgb)
    click(browser, x, y)
    settled(browser)
    assert browser.evaluate("document.querySelectorAll('.maplibregl-popup').length") == 0
    browser.evaluate("document.querySelectorAll('#classes input')[1].click()")

    # The swipe shows the imagery on its right; the arrows move it.
    browser.evaluate("document.getElementById('swipe').click()")
    browser.evaluate("document.getElementById('handle').focus()")
    press(browser, "Home")
    settled(browser)
    assert near(color_at(browser, pictures / "swiped.png", x, y), (120, 120, 90), 12)
    press(browser, "End")
    assert browser.evaluate("document.getElementById('handle').getAttribute('aria-valuenow')") == "100"
    settled(browser)
    assert near(color_at(browser, pictures / "back.png", x, y), red)
    browser.evaluate("document.getElementById('swipe').click()")

    # The keyboard moves the map.
    before = browser.evaluate("mapgenPage.maps[0].map.getZoom()")
    browser.evaluate("mapgenPage.maps[0].map.getCanvas().focus()")
    browser.send("Input.dispatchKeyEvent", type="keyDown", key="+", code="Equal", windowsVirtualKeyCode=187)
    browser.wait(f"mapgenPage.maps[0].map.getZoom() > {before}")

    # Dark mode changes the page.
    shade = "getComputedStyle(document.getElementById('panel')).backgroundColor"
    light = browser.evaluate(shade)
    browser.evaluate("document.getElementById('theme').click()")
    assert browser.evaluate(shade) != light
    assert browser.evaluate("document.querySelector('.maplibregl-ctrl-scale').textContent").endswith("m")


def test_the_served_page_works(browser: Watched, folder: Path) -> None:
    with View(str(folder), ViewOptions(imagery=str(folder.parent / "scene.tif"))) as view, view.server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            shown(browser, server.url)
            use(browser, folder)
            assert all(url.startswith((server.url, "blob:", "data:")) for url in browser.asked), browser.asked
            assert len(browser.asked) > 6
        finally:
            server.shutdown()
            thread.join()


def test_the_inlined_page_works_from_a_file(browser: Watched, folder: Path) -> None:
    output = folder.parent / "page.html"
    with View(str(folder), ViewOptions(imagery=str(folder.parent / "scene.tif"), overwrite=True)) as view:
        view.inline(output)
    shown(browser, output.as_uri())
    use(browser, folder)
    assert all(url.startswith((output.as_uri(), "blob:", "data:")) for url in browser.asked), browser.asked


def test_two_results_are_swiped_between(browser: Watched, folder: Path) -> None:
    output = folder.parent / "two.html"
    with View(str(folder / "map.mask.tif"), ViewOptions(compare=str(folder.parent / "other.mask.tif"))) as view:
        view.inline(output)
    shown(browser, output.as_uri())
    opaque(browser)
    settled(browser)
    x, y = place(browser, 0.5, 0.5)
    browser.evaluate(f"mapgenPage.swipeTo(100 * {x + 20} / innerWidth)")
    assert near(color_at(browser, folder.parent / "one.png", x, y), LEGEND.classes[1].rgb)
    browser.evaluate(f"mapgenPage.swipeTo(100 * {x - 20} / innerWidth)")
    assert near(color_at(browser, folder.parent / "two.png", x, y), LEGEND.classes[2].rgb)
    assert browser.evaluate("document.getElementById('right').textContent") == "other.mask.tif"


@pytest.fixture
def served() -> Iterator[Any]:
    """`served(path, …)`: the address of the page of a view."""
    with ExitStack() as stack:

        def serve(path: Path, **options: Any) -> str:
            view = stack.enter_context(View(str(path), ViewOptions(**options)))
            server = stack.enter_context(view.server())
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return str(server.url)

        yield serve


def test_where_there_is_no_tile_nothing_is_wrong(browser: Watched, tmp_path: Path, served: Any) -> None:
    values = np.full((512, 512), 255, np.uint8)
    values[:30, :30] = 1
    path = class_map(tmp_path / "corners.mask.tif", values)
    shown(browser, served(path))
    settled(browser)
    with View(str(path), ViewOptions()) as view:
        view.inline(tmp_path / "corners.html")
    shown(browser, (tmp_path / "corners.html").as_uri())
    settled(browser)


def test_an_error_lies_on_no_control_and_can_be_dismissed(browser: Watched, folder: Path, served: Any) -> None:
    shown(browser, served(folder))
    browser.evaluate("mapgenPage.maps[0].map.fire('error', {error: new Error('a '.repeat(40))}); true")
    on = (
        "[...document.querySelectorAll('#panel, .maplibregl-ctrl')].filter(e => { const a = e.getBoundingClientRect(),"
        " b = document.getElementById('failure').getBoundingClientRect(); return a.width && a.left < b.right &&"
        " b.left < a.right && a.top < b.bottom && b.top < a.bottom }).map(e => e.className || e.id)"
    )
    assert browser.evaluate("document.getElementById('failure').offsetHeight") > 0
    assert browser.evaluate(on) == []
    browser.evaluate("document.getElementById('dismiss').click()")
    assert browser.evaluate("document.getElementById('failure').offsetHeight") == 0


@pytest.mark.parametrize("name", ["v.mbtiles", "v"])
def test_vector_tiles_of_any_container_are_drawn(browser: Watched, tmp_path: Path, served: Any, name: str) -> None:
    path = tiles(class_map(tmp_path / "map.mask.tif"), tmp_path / name, vector=True).output
    shown(browser, served(path))
    opaque(browser)
    settled(browser)
    assert near(color_at(browser, tmp_path / "a.png", *place(browser, 0.5, 0.5)), LEGEND.classes[1].rgb)


def named(path: Path, values: np.ndarray, name: str, color: str) -> Path:
    """A class map whose class 2 is called so."""
    legend = json.dumps([{"id": 2, "name": name, "color": color}])
    return make_raster(path, values, nodata=255, tags={"MAPGEN_LEGEND": legend})


def test_ids_that_mean_different_things_have_two_legends(browser: Watched, folder: Path, served: Any) -> None:
    other = named(folder.parent / "named.tif", np.full((SIDE, SIDE), 2, np.uint8), "ice", "#aabbcc")
    shown(browser, served(folder / "map.mask.tif", compare=str(other)))
    texts = browser.evaluate(
        "[...document.querySelectorAll('#classes th.side, #classes .what')].map(e => e.textContent)"
    )
    assert texts == ["map.mask.tif", *LEGEND.names, "named.tif", "ice"]
    assert "class 2 is" in browser.evaluate("document.getElementById('missing').textContent")
    settled(browser)
    opaque(browser)
    browser.evaluate("mapgenPage.swipeTo(0)")
    settled(browser)
    assert color_at(browser, folder.parent / "ice.png", *place(browser, 0.5, 0.5)) == (0xAA, 0xBB, 0xCC)
    browser.evaluate("[...document.querySelectorAll('#classes input')].at(-1).click()")
    settled(browser)
    assert color_at(browser, folder.parent / "ice.png", *place(browser, 0.5, 0.5)) != (0xAA, 0xBB, 0xCC)


def test_a_comparison_has_one_legend_by_id_and_tells_what_became_of_what(
    browser: Watched, folder: Path, served: Any
) -> None:
    values = classes()
    values[30:60, 30:90] = 3  # half of the square
    bare = make_raster(folder.parent / "bare.tif", values, nodata=255)
    shown(browser, served(folder / "map.mask.tif", compare=str(bare)))
    texts = browser.evaluate("[...document.querySelectorAll('#classes .what')].map(e => e.textContent)")
    assert texts == list(LEGEND.names)
    rows = "[...document.querySelectorAll('#changes tr')].map(r => [...r.cells].map(c => c.textContent))"
    assert browser.evaluate(rows) == [[f"{LEGEND.names[1]} → {LEGEND.names[2]}", "1,801 m²"]]
    assert browser.evaluate("document.querySelector('#changes p').textContent").startswith("12.6 % of the ground")
    # The differences alone are seen in the colour of what they became; the rest is veiled.
    browser.evaluate("mapgenPage.show('changes', true); mapgenPage.swipeTo(0)")
    settled(browser)
    assert color_at(browser, folder.parent / "c.png", *place(browser, 0.5, 0.35)) == LEGEND.classes[2].rgb
    assert min(color_at(browser, folder.parent / "c.png", *place(browser, 0.5, 0.65))) > 150
    # A click tells what both maps show there.
    browser.evaluate("mapgenPage.show('changes', false)")
    click(browser, *place(browser, 0.5, 0.35))
    browser.wait("document.querySelectorAll('.maplibregl-popup h2').length === 2")
    assert browser.evaluate("[...document.querySelectorAll('.maplibregl-popup h2')].map(e => e.textContent)") == [
        LEGEND.names[1], LEGEND.names[2],
    ]  # fmt: skip
    press(browser, "Escape")


@pytest.mark.parametrize("vector", [False, True])
def test_the_page_beside_a_folder_of_tiles_draws_them(browser: Watched, tmp_path: Path, vector: bool) -> None:
    tiles(class_map(tmp_path / "map.mask.tif"), tmp_path / "t", vector=vector)
    with serving(tmp_path) as base:
        browser.open(f"{base}/t/")
        browser.wait("window.mapgenTiles && mapgenTiles.idle")
        assert browser.evaluate("mapgenTiles.errors") == []
        center = "(p => [p.x, p.y])(mapgenTiles.map.project(mapgenTiles.map.getBounds().getCenter()))"
        seen = color_at(browser, tmp_path / "a.png", *browser.evaluate(center))
    assert near(seen, LEGEND.classes[1].rgb)
