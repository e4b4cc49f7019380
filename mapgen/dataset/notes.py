"""What is to be said of a dataset: splits that came out otherwise than asked for, and pictures that are one."""

from __future__ import annotations

from collections.abc import Sequence

from mapgen.dataset.common_grid import Seat
from mapgen.dataset.cuts import SHOWN
from mapgen.dataset.imagery import Image


def share_note(share: float, wanted: float, size: int) -> list[str]:
    """What to say where large blocks of `size` pixels leave no choice but a share that was not asked for."""
    if wanted / 2 <= share <= min(0.95, 2 * wanted):
        return []
    return [f"{share:.0%} of the labels validate, not {wanted:.0%}: use smaller blocks than {size} px"]


def twins(images: Sequence[Image], seats: Sequence[Seat]) -> list[str]:
    """What to say of images that are one picture, though nothing says that they lie on the same ground."""
    known: dict[str, int] = {}
    found = []
    for number, image in enumerate(images):
        first = known.setdefault(image.digest, number)
        if first != number and (seats[first].frame, seats[first].offset) != (seats[number].frame, seats[number].offset):
            found.append((images[first].pair.name, image.pair.name))
    remedy = "leave one out, or name the two in data.same_ground"
    return [f"{a} and {b} are the same picture: {remedy}" for a, b in found[:SHOWN]]
