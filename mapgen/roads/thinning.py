"""Thinning: a road raster worn down to lines of one pixel, in place and a strip at a time."""

from __future__ import annotations

import numpy as np

from mapgen.arrays import Bools
from mapgen.kernels import kernel

FOLLOW_UP = 4
"""Rounds of thinning after the inside of wide areas is taken out: what is left of them is at most three pixels wide."""


def rounds_for(width_px: float) -> int:
    """Rounds after which all that is narrower than `width_px` is thin, with room for slanted and widening roads."""
    return int(np.ceil(1.5 * np.ceil(width_px / 2))) + 4


def support(rounds: int) -> int:
    """Pixels around a place on which `thinned` depends there: a sub-iteration looks one pixel far, a round has two."""
    return 2 * (rounds + FOLLOW_UP) + 1


def thin(mask: Bools, rounds: int) -> Bools:
    """The mask (H, W) after at most that many rounds of thinning; what lies outside counts as empty.

    Guo and Hall 1989, algorithm A1: two sub-iterations a round, each deleting border pixels from one side at once.
    Only pixels whose surroundings have changed are looked at again. Laws: a part of the mask stays one part
    (8-connected), a hole stays a hole (4-connected); once nothing changes, thinning again changes nothing.
    """
    state = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), np.uint8)
    state[1:-1, 1:-1] = mask
    _thin(state.ravel(), state.shape[1], rounds, _DELETE)
    return state[1:-1, 1:-1] & 1 > 0


def thinned(mask: Bools, rounds: int) -> Bools:
    """`thin`, and where that leaves an area because it is too wide, a line around the area instead.

    Depends on nothing farther than `support(rounds)`.
    """
    lines = thin(mask, rounds)
    inside = _full(lines)
    if not inside.any():
        return lines
    return thin(lines & ~inside, FOLLOW_UP)


def _full(mask: Bools) -> Bools:
    """Where all of the 3 × 3 pixels are set."""
    across = mask.copy()
    across[:, 1:] &= mask[:, :-1]
    across[:, :-1] &= mask[:, 1:]
    across[:, [0, -1]] = False
    full = across.copy()
    full[1:] &= across[:-1]
    full[:-1] &= across[1:]
    full[[0, -1]] = False
    return full


def _deletable(code: int) -> tuple[bool, bool]:
    """Whether a pixel goes in the first and in the second sub-iteration; bits of the code: N, NE, E … NW, clockwise."""
    n, ne, e, se, s, sw, w, nw = (bool(code >> i & 1) for i in range(8))
    crossings = (not n and (ne or e)) + (not e and (se or s)) + (not s and (sw or w)) + (not w and (nw or n))
    one = (nw or n) + (ne or e) + (se or s) + (sw or w)
    other = (n or ne) + (e or se) + (s or sw) + (w or nw)
    if crossings != 1 or not 2 <= min(one, other) <= 3:
        return False, False
    return not ((n or ne or not se) and e), not ((s or sw or not nw) and w)


_DELETE = np.array([_deletable(code) for code in range(256)], np.bool_).T.copy()
"""(2, 256): whether a pixel with these neighbours goes in a sub-iteration."""


@kernel
def _code(state, at, width):  # type: ignore[no-untyped-def]
    """The eight neighbours of a pixel as bits, clockwise from the north."""
    up, down = at - width, at + width
    return (
        state[up] & 1
        | (state[up + 1] & 1) << 1
        | (state[at + 1] & 1) << 2
        | (state[down + 1] & 1) << 3
        | (state[down] & 1) << 4
        | (state[down - 1] & 1) << 5
        | (state[at - 1] & 1) << 6
        | (state[up - 1] & 1) << 7
    )


@kernel
def _border(state, width):  # type: ignore[no-untyped-def]
    """The set pixels that are not surrounded by set ones, marked as waiting for both sub-iterations."""
    count = 0
    for at in range(width + 1, len(state) - width - 1):
        if state[at] & 1 and _code(state, at, width) != 255:
            count += 1
    found = np.empty(count, np.int64)
    n = 0
    for at in range(width + 1, len(state) - width - 1):
        if state[at] & 1 and _code(state, at, width) != 255:
            found[n] = at
            n += 1
    for i in range(count):
        state[found[i]] |= 6
    return found


@kernel
def _pushed(items, count, item):  # type: ignore[no-untyped-def]
    if count == len(items):
        items = np.concatenate((items, np.empty(count + 64, np.int64)))
    items[count] = item
    return items


@kernel
def _thin(state, width, rounds, delete):  # type: ignore[no-untyped-def]
    """Thin in place. Bit 0 of a pixel says that it is set, bits 1 and 2 that it waits for a sub-iteration."""
    first = _border(state, width)
    waiting, counts = [first, first.copy()], [len(first), len(first)]
    gone = np.empty(len(first) + 64, np.int64)
    around = np.array((-width, -width + 1, 1, width + 1, width, width - 1, -1, -width - 1))
    for _ in range(rounds):
        if counts[0] == 0 and counts[1] == 0:
            return
        for turn in range(2):
            count = 0
            items = waiting[turn]
            for i in range(counts[turn]):
                at = items[i]
                state[at] &= 255 ^ (2 << turn)
                if state[at] & 1 and delete[turn, _code(state, at, width)]:
                    gone = _pushed(gone, count, at)
                    count += 1
            counts[turn] = 0
            for i in range(count):
                state[gone[i]] &= 254
            for i in range(count):
                for step in around:
                    at = gone[i] + step
                    for other in range(2):
                        if state[at] & 1 and not state[at] >> (other + 1) & 1:
                            state[at] |= 2 << other
                            waiting[other] = _pushed(waiting[other], counts[other], at)
                            counts[other] += 1
