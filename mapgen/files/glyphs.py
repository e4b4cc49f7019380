"""A few letters for pictures, so that drawing a word needs neither a font nor a library."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SCALE = 2
"""Pixels of a picture for one dot of a letter."""

HEIGHT, ADVANCE = 5 * SCALE, 4 * SCALE
"""Pixels that a line is high, and from one letter to the next."""

_UNKNOWN = "61202"
_DOTS = {
    "A": "25755", "B": "65656", "C": "34443", "D": "65556", "E": "74647", "F": "74644", "G": "34553", "H": "55755",
    "I": "72227", "J": "11152", "K": "55655", "L": "44447", "M": "57755", "N": "65555", "O": "25552", "P": "65644",
    "Q": "25573", "R": "65655", "S": "34216", "T": "72222", "U": "55557", "V": "55552", "W": "55775", "X": "55255",
    "Y": "55222", "Z": "71247", "0": "75557", "1": "26227", "2": "61247", "3": "61216", "4": "55711", "5": "74616",
    "6": "34652", "7": "71222", "8": "25252", "9": "25316", " ": "00000", "-": "00700", ".": "00002", ",": "00024",
    "%": "51245", ":": "02020", "_": "00007", "/": "11244", "(": "12221", ")": "42224", "+": "02720",
}  # fmt: skip
"""Five rows of three dots for each letter, a row as an octal digit."""


def word(text: str) -> NDArray[np.bool_]:
    """Where the ink of a line of text is, (HEIGHT, ADVANCE · letters); capitals only, others become a question mark."""
    letters = [_DOTS.get(letter, _UNKNOWN) for letter in text.upper()]
    rows = [[int(letter[row]) >> dot & 1 for letter in letters for dot in (2, 1, 0, 3)] for row in range(5)]
    return np.kron(np.array(rows, bool).reshape(5, -1), np.ones((SCALE, SCALE), bool))
