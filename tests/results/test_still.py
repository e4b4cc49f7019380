"""The still picture: what its panel tells, and that nothing of the map is covered."""

from __future__ import annotations

import numpy as np

from mapgen.files.pictures import text_width, wrapped
from mapgen.legend import BUILTIN, LayerClass
from mapgen.results.still import legend_rows, with_legend

AREAS = [(LayerClass(c.id, c.name, c.color), 10_000.0 * c.id) for c in BUILTIN]


def test_the_legend_tells_share_and_area_of_each_class_and_the_total() -> None:
    rows = legend_rows(AREAS)
    assert rows[0] == ("building", "#c0504d", "6.7 %", "1 ha")
    assert rows[-1] == ("Total", "", "", "15 ha")
    assert legend_rows(AREAS[:1]) == [("building", "#c0504d", "100.0 %", "1 ha")]
    assert legend_rows([(AREAS[0][0], None), AREAS[1]]) == [
        ("building", "#c0504d", "", ""), ("land", "#e8d9b0", "", "2 ha"),
    ]  # fmt: skip


def test_the_panel_grows_by_what_is_to_be_told_and_covers_nothing() -> None:
    picture = np.full((40, 60, 3), (10, 200, 30), np.uint8)
    short = with_legend(picture, legend_rows(AREAS), "Town", 1.0)
    long = with_legend(picture, legend_rows(AREAS), "Town", 1.0, ["Model x 1 · 2026-01-01", "Imagery: a " + "b " * 80])
    assert (long[:40, :60] == picture).all()
    assert len(long) > len(short) + 40
    assert (long[-12:] == 255).all()  # the last line has room below it


def test_lines_are_broken_between_words_and_no_line_is_too_wide() -> None:
    text = "Imagery: City of Example, " + "w" * 90
    lines = wrapped(text, 150)
    assert lines[0].startswith("Imagery: City of")
    assert max(map(text_width, lines)) <= 150
