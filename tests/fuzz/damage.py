"""Damage by a seed: to the bytes of any file, and to the values of one that is JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**70, 1e308, float("inf"), float("nan"), "", "x", "..", "\0", "a" * 3000, [], [[]], {},
    {"a": 1}, [1, "x"], [[[[[[[[1]]]]]]]],
)  # fmt: skip
"""What may stand in the place of a value."""


def damaged(data: bytes, seed: int) -> bytes:
    """The bytes with some flipped, cut out, doubled, or cut off, by the seed; of JSON every other time a value."""
    if seed % 2 and data[:1] == b"{":
        try:
            return bent(json.loads(data), seed)
        except ValueError:  # several objects, a line each
            pass
    rng = np.random.default_rng(seed)
    out = bytearray(data)
    for _ in range(1 + seed % 4):
        at = int(rng.integers(0, max(1, len(out))))
        length = int(rng.integers(1, 40))
        match int(rng.integers(4)):
            case 0:
                out[at : at + 1] = bytes([int(rng.integers(256))])
            case 1:
                del out[at : at + length]
            case 2:
                out[at:at] = out[at : at + length]
            case _:
                out[at : at + length] = rng.bytes(length)
    return bytes(out[: int(rng.integers(len(out) + 1))] if seed % 5 == 0 else out)


def bent(value: Any, seed: int) -> bytes:
    """The JSON of a value in which one or two others, at any depth, have become something odd or are gone."""
    rng = np.random.default_rng(seed)
    for _ in range(1 + seed % 3 // 2):
        places = list(_places(value))
        if not places:
            break
        holder, key = places[int(rng.integers(len(places)))]
        what = int(rng.integers(len(ODD) + 1))
        if what == len(ODD):
            del holder[key]
        else:
            holder[key] = ODD[what]
    return json.dumps(value).encode()


def _places(value: Any) -> Any:
    """(holder, key) of each value within."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
