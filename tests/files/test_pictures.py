"""Words on pictures are in a real font, whatever letters they have, and stay where they belong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapgen.files.pictures import LINE, PAPER, draw_text, fitted, text_line, text_width


def ink(text: str) -> np.ndarray:
    return 255 - text_line(text, max(1, text_width(text)))


@pytest.mark.parametrize("letter", "äöüÄÖÜßéñçłøåΩЖ²µ–×…")
def test_a_letter_has_a_form_of_its_own(letter: str) -> None:
    """What a font lacks all looks alike, such as this code, which stands for no letter."""
    assert ink(letter).any()
    lacking = ink("\U0010fffd")
    assert ink(letter).shape != lacking.shape or (ink(letter) != lacking).any()


def test_capitals_and_small_letters_differ() -> None:
    assert text_width("Gewässer") < text_width("GEWÄSSER")


@given(st.text(max_size=60), st.integers(1, 300))
def test_a_line_is_as_wide_as_it_is_said_to_be(text: str, width: int) -> None:
    assert text_line(text, width).shape == (LINE, width, 3)
    assert text_width(fitted(text, width)) <= width
    if text_width(text) <= width:
        assert fitted(text, width) == text


@given(st.integers(-20, 60), st.integers(-20, 90))
def test_what_lies_outside_is_cut_off(row: int, col: int) -> None:
    canvas = np.full((40, 70, 3), PAPER, np.uint8)
    draw_text(canvas, row, col, "Gewässer")
    assert canvas.shape == (40, 70, 3)
