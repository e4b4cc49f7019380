"""Lines: the arcs as coordinates, in pixels and on the ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Floats, Longs
from mapgen.kernels import kernel
from mapgen.polygons.arcs import Arcs


@dataclass(frozen=True, slots=True)
class Lines:
    """Line i is `(x, y)[offsets[i]:offsets[i + 1]]`, one for each arc, in its direction."""

    offsets: Longs
    x: Floats
    y: Floats

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def moved(self, place: Callable[[Floats, Floats], tuple[Floats, Floats]]) -> Lines:
        """The lines in the coordinates that `place` gives to (columns, rows), such as `Grid.points`."""
        return Lines(self.offsets, *place(self.x, self.y))


def kept_lines(arcs: Arcs, keep: NDArray[np.bool_]) -> Lines:
    """The arcs through the vertices that are kept, in pixels: x is a column 0…W, y a row 0…H."""
    offsets = _kept_offsets(arcs.offsets, keep)
    x, y = np.empty(offsets[-1]), np.empty(offsets[-1])
    _keep(arcs.nodes, keep, arcs.at.x, arcs.at.y, x, y)
    return Lines(offsets, x, y)


def densified(lines: Lines, step: float) -> Lines:
    """The lines with vertices added at equal distances wherever two are more than `step` apart, in x or in y."""
    if not np.isfinite(step):
        return lines
    offsets = _dense_offsets(lines.offsets, lines.x, lines.y, step)
    if offsets[-1] == lines.offsets[-1]:
        return lines
    x, y = np.empty(offsets[-1]), np.empty(offsets[-1])
    _densify(lines.offsets, lines.x, lines.y, step, offsets, x, y)
    return Lines(offsets, x, y)


@kernel
def _kept_offsets(offsets, keep):  # type: ignore[no-untyped-def]
    out = np.zeros(len(offsets), np.int64)
    for i in range(len(offsets) - 1):
        n = 0
        for k in range(offsets[i], offsets[i + 1]):
            n += keep[k]
        out[i + 1] = out[i] + n
    return out


@kernel
def _keep(nodes, keep, x, y, out_x, out_y):  # type: ignore[no-untyped-def]
    n = 0
    for k in range(len(nodes)):
        if keep[k]:
            out_x[n], out_y[n] = x[nodes[k]], y[nodes[k]]
            n += 1


@kernel
def _parts(x, y, k, step):  # type: ignore[no-untyped-def]
    """Into how many equal parts the segment that ends at vertex k is cut."""
    return max(1, int(np.ceil(max(abs(x[k] - x[k - 1]), abs(y[k] - y[k - 1])) / step)))


@kernel
def _dense_offsets(offsets, x, y, step):  # type: ignore[no-untyped-def]
    out = np.zeros(len(offsets), np.int64)
    for i in range(len(offsets) - 1):
        n = 1
        for k in range(offsets[i] + 1, offsets[i + 1]):
            n += _parts(x, y, k, step)
        out[i + 1] = out[i] + n
    return out


@kernel
def _densify(offsets, x, y, step, dense, out_x, out_y):  # type: ignore[no-untyped-def]
    for i in range(len(offsets) - 1):
        n = dense[i]
        out_x[n], out_y[n] = x[offsets[i]], y[offsets[i]]
        for k in range(offsets[i] + 1, offsets[i + 1]):
            parts = _parts(x, y, k, step)
            for j in range(1, parts):
                out_x[n + j] = x[k - 1] + (x[k] - x[k - 1]) * j / parts
                out_y[n + j] = y[k - 1] + (y[k] - y[k - 1]) * j / parts
            n += parts
            out_x[n], out_y[n] = x[k], y[k]
