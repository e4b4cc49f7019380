"""Union-find in compiled code, for all who join pieces of regions: sets of numbers, each under its smallest.

`parent[i]` is a number of the same set that is not above i, or i itself at the root. So the root of regions that are
numbered row by row is the one of their first pixel.
"""

from __future__ import annotations

import numpy as np

from mapgen.kernels import kernel


@kernel
def root(parent, i):  # type: ignore[no-untyped-def]
    """The root of i's tree; halves the path to it (Tarjan and van Leeuwen 1984)."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@kernel
def join(parent, one, other):  # type: ignore[no-untyped-def]
    """Make the sets of two numbers one; its root."""
    one, other = root(parent, one), root(parent, other)
    least = min(one, other)
    parent[max(one, other)] = least
    return least


@kernel
def flatten(parent):  # type: ignore[no-untyped-def]
    """Let each number point to its root."""
    for i in range(len(parent)):
        parent[i] = root(parent, i)


@kernel
def numbered(parent, size):  # type: ignore[no-untyped-def]
    """For each number below `size` that of its set, 1… in the order of their roots, and how many there are; 0 stays 0.

    What has 0 as its parent gets 0.
    """
    final = np.zeros(size, np.int32)
    count = 0
    for i in range(1, size):
        if parent[i] == i:
            count += 1
            final[i] = count
        else:
            final[i] = final[root(parent, i)]
    return final, count
