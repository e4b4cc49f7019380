"""Results in notebooks: tables of pandas and GeoPandas, and what a cell shows of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from factory import make_raster, noise

import mapgen
from mapgen.errors import InputError, UsageError
from mapgen.results.areas import Areas, Row

ALONE = {"tiles": False, "page": False, "stac": False, "preview": False}


@pytest.fixture
def made(tmp_path: Path, model: Path, engines: Any) -> Any:
    scene = make_raster(tmp_path / "a&b.tif", noise(60, 70))
    return mapgen.map(scene, tmp_path / "out", model=str(model), **ALONE)


def test_a_map_gives_its_areas_and_its_layer_as_tables(made: Any) -> None:
    table, layer = made.to_dataframe(), made.to_geodataframe()
    assert list(table["pixels"]) == [c["pixels"] for c in made.report["classes"]]
    assert table["polygons"].sum() == len(layer)
    assert layer.crs is not None
    assert layer["area_m2"].sum() == pytest.approx(table["area_m2"].sum(), rel=1e-3)


def test_a_cell_shows_name_and_areas_and_no_markup_of_others(made: Any) -> None:
    shown = made._repr_html_()
    assert "a&amp;b" in shown
    assert "a&b" not in shown
    assert shown.count("<tr>") == len(made.report["classes"]) + 2
    row = Row("<b>", 1, "<script>", 4, 1.0, 4.0, 0.0004, 0.000004)
    assert "<script>" not in Areas("x", (row,))._repr_html_()


def test_a_map_without_a_layer_says_so(tmp_path: Path, model: Path, engines: Any) -> None:
    scene = make_raster(tmp_path / "town.tif", noise(60, 70))
    made = mapgen.map(scene, tmp_path / "out", model=str(model), layer=False, **ALONE)
    with pytest.raises(InputError, match="holds no layer"):
        made.to_geodataframe()


def test_a_cell_shows_a_picture_as_long_as_there_is_one(made: Any) -> None:
    shown = made._repr_html_()
    assert "data:image/webp;base64," in shown
    made.folder.rename(made.folder.with_name("moved"))
    assert "data:image" not in made._repr_html_()
    assert "<td>bright</td>" in made._repr_html_()


def test_the_page_of_a_map_is_shown_in_a_frame_of_its_own(made: Any) -> None:
    page = made.show(height=300)
    assert repr(page).startswith("<page of ")
    shown = page._repr_html_()
    assert shown.startswith("<iframe")
    assert 'height="300"' in shown
    assert shown.count("<") == 2  # nothing of the page leaves the frame
    with pytest.raises(UsageError, match="height"):
        mapgen.show(made.folder, height=1)
