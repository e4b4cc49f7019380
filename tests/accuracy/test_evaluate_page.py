"""`mapgen evaluate --html`: one page with all that was found."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from factory import CRS, ORIGIN, Run, make_raster

from mapgen.legend import Class, Legend

Runner = Callable[..., Run]
NAMES = ("water", "<b>road & rail</b>")


class Outline(HTMLParser):
    """The tags of a page, opened and closed in order, and its headings."""

    EMPTY = ("meta", "link", "img", "rect", "line", "path")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in self.EMPTY or tag == "rect":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def ground(tmp_path: Path) -> Path:
    """A map of two classes, right in three quarters of its columns, with its truth and confidence."""
    mapped = (np.arange(80)[None] // 20 % 2 + np.zeros((60, 1), int)).astype(np.uint8)
    truth = mapped.copy()
    truth[:, :20] = 1
    legend = Legend((Class(0, NAMES[0], "#2060c0"), Class(1, NAMES[1], "#606060")))
    tags = {"MAPGEN_LEGEND": json.dumps(legend.to_json())}
    make_raster(tmp_path / "map.tif", mapped, nodata=255, tags=tags)
    make_raster(tmp_path / "truth.tif", truth, nodata=255)
    make_raster(tmp_path / "confidence.tif", np.full((60, 80), 200, np.uint8), nodata=255, scales=(0.004,))
    return tmp_path


def outline(path: Path) -> Outline:
    text = path.read_text(encoding="utf-8")
    assert "http://" not in text.replace("http-equiv", "")
    assert "https://" not in text
    assert "<b>" not in text
    found = Outline(text)
    assert not found.open
    assert "script" not in found.seen
    return found


def test_html_writes_one_page_that_needs_no_network(mapgen: Runner, ground: Path) -> None:
    line = ("evaluate", ground / "map.tif", ground / "truth.tif", "--confidence-raster", ground / "confidence.tif")
    run = mapgen(*line, "--html", ground / "page.html")
    assert run.code == 0, run
    page = outline(ground / "page.html")
    words = " ".join(page.text)
    for one in (*NAMES, "mIoU", "0.750", "ECE 0.050", "The worst places", "25.0 %, map 50.0"):
        assert one in words, one
    assert page.seen.count("img") == 1
    assert page.seen.count("svg") == 2
    assert mapgen(*line, "--html", ground / "page.html").code == 5
    assert mapgen(*line, "--html", ground / "page.html", "--overwrite").code == 0


def test_the_page_of_points_has_areas_with_bars(mapgen: Runner, ground: Path) -> None:
    cols = np.arange(2, 80, 4)
    places = [shapely.Point(ORIGIN[0] + c + 0.5, ORIGIN[1] - r - 0.5) for c in cols for r in (10, 50)]
    truth = ["<b>road & rail</b>" if c < 20 or c // 20 % 2 else "water" for c in cols for _ in range(2)]
    geopandas.GeoDataFrame({"truth": truth}, geometry=places, crs=CRS).to_file(ground / "points.gpkg")
    run = mapgen("evaluate", ground / "map.tif", "--points", ground / "points.gpkg", "--html", ground / "page.html")
    assert run.code == 0, run
    page = outline(ground / "page.html")
    words = " ".join(page.text)
    assert "Accuracy 0.750 ±" in words
    assert "0.1 ± 0.1 ha, map 0.2" in words
    assert page.seen.count("svg") == 1


def test_a_page_that_cannot_be_written_is_refused_first(mapgen: Runner, ground: Path) -> None:
    run = mapgen("evaluate", ground / "map.tif", ground / "truth.tif", "--html", ground / "none" / "page.html")
    assert (run.code, run.out) == (5, "")
