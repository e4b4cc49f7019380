"""The slow and plain way to what the streams compute."""

from itertools import pairwise

import numpy as np

NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def patchy(seed, height, width, classes=3):
    """Codebook of a truth in patches, and of a map like it with errors; both have places without a class."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, (height // 3 + 1, width // 3 + 1)).repeat(3, 0).repeat(3, 1)[:height, :width]
    truth = np.where(rng.random((height, width)) < 0.08, -1, truth).astype(np.int16)
    other = rng.integers(-1, classes, (height, width)).astype(np.int16)
    return truth, np.where(rng.random((height, width)) < 0.12, other, truth)


def strips(cuts, *arrays):
    """The arrays in strips that end at the cuts."""
    edges = [0, *sorted(cuts), len(arrays[0])]
    for top, bottom in pairwise(edges):
        if bottom > top:
            yield tuple(a[top:bottom] for a in arrays)


def counting(one, other):
    """Both arrays with -1 wherever either has no class."""
    both = (one >= 0) & (other >= 0)
    return np.where(both, one, -1), np.where(both, other, -1)


def regions(codes, wanted):
    """The 4-connected regions of one class, each a set of (row, column)."""
    todo = {(int(r), int(c)) for r, c in np.argwhere(codes == wanted)}
    found = []
    while todo:
        edge = [todo.pop()]
        region = set(edge)
        while edge:
            r, c = edge.pop()
            near = {(r + dr, c + dc) for dr, dc in NEIGHBOURS} & todo
            todo -= near
            region |= near
            edge += near
        found.append(region)
    return found


def edge_pixels(codes, wanted):
    """Pixels (N, 2) of a class with a 4-neighbour of another."""
    height, width = codes.shape
    return np.array(
        [
            (r, c)
            for r, c in np.argwhere(codes == wanted).tolist()
            if any(
                0 <= r + dr < height and 0 <= c + dc < width and codes[r + dr, c + dc] not in (-1, wanted)
                for dr, dc in NEIGHBOURS
            )
        ]
    ).reshape(-1, 2)


def near(pixels, others, tolerance, across, down):
    """How many of the pixels (N, 2) have one of the others within the tolerance."""
    if not len(pixels) or not len(others):
        return 0
    away = (pixels[:, None] - others[None]) * np.array([down, across])
    return int((np.hypot(away[..., 0], away[..., 1]).min(1) <= tolerance * 1.01).sum())
