"""From the graph of pixels to the network on the ground: coordinates, metres, widths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mapgen.arrays import Floats
from mapgen.grid import Grid
from mapgen.layers.area import measured
from mapgen.layers.reproject import LONLAT, projected, straight_step
from mapgen.polygons.lines import Lines, densified
from mapgen.roads.centre import bridged_shares, centre_lines, widths
from mapgen.roads.graph import Graph
from mapgen.roads.network import Network


def on_the_ground(
    graph: Graph, grid: Grid, crs: str | None, name: str, *, tolerance: float, confidence: Floats, width_px: float,
    digits: int | None = None, threads: int = 1,
) -> Network:  # fmt: skip
    """The network of a graph in `crs` (WKT; None: longitude and latitude on WGS 84).

    `tolerance` and `width_px` (from which on an edge is the rim of an area) are in pixel widths, `confidence` has a
    value for each pixel of the graph. Coordinates are rounded to `digits` decimals where given, and lengths are those
    of the rounded lines. Ends of edges are the coordinates of their nodes, bit by bit.
    """
    across, down = grid.resolution_m
    aspect = down / across
    lines = centre_lines(graph, grid.height, grid.width, tolerance, aspect)
    mean, least = widths(graph)
    target = crs if crs is not None else LONLAT
    if target != grid.crs:
        lines = densified(lines, straight_step(grid))
    assert grid.crs is not None
    lines = projected(lines, grid.transform, grid.crs, target, threads)
    if digits is not None:
        lines = Lines(lines.offsets, np.round(lines.x, digits), np.round(lines.y, digits))
    x, y = np.empty(len(graph.nodes)), np.empty(len(graph.nodes))
    first, last = lines.offsets[:-1], lines.offsets[1:] - 1
    for nodes, places in ((graph.v, last), (graph.u, first)):
        x[nodes], y[nodes] = lines.x[places], lines.y[places]
    for nodes, places in ((graph.u, first), (graph.v, last)):
        lines.x[places], lines.y[places] = x[nodes], y[nodes]
    length = geodesic_lengths(lines, crs, threads)
    return Network(
        name, crs, x, y, graph.frame[graph.nodes], graph.u, graph.v, lines, length, mean * across, least * across,
        _means(graph, confidence), length * bridged_shares(graph, aspect), least >= width_px,
    )  # fmt: skip


def geodesic_lengths(lines: Lines, crs: str | None, threads: int = 1) -> Floats:
    """Metres of each line (in `crs`, None for longitude and latitude) along geodesics between its vertices."""
    if crs is not None:
        from affine import Affine

        lines = projected(lines, Affine.identity(), crs, LONLAT, threads)
    return measured(lines)[1]


def in_lonlat(network: Network, digits: int = 7) -> Network:
    """The network in longitude and latitude on WGS 84, rounded; lengths are those of the rounded lines."""
    if network.crs is None:
        return network
    from affine import Affine

    count = len(network.lines.x)
    points = Lines(
        np.array([0, count + len(network.x)]), np.concatenate((network.lines.x, network.x)),
        np.concatenate((network.lines.y, network.y)),
    )  # fmt: skip
    moved = projected(points, Affine.identity(), network.crs, LONLAT)
    x, y = np.round(moved.x, digits), np.round(moved.y, digits)
    lines = Lines(network.lines.offsets, x[:count], y[:count])
    x, y = x[count:], y[count:]
    for nodes, places in ((network.u, lines.offsets[:-1]), (network.v, lines.offsets[1:] - 1)):
        lines.x[places], lines.y[places] = x[nodes], y[nodes]
    length = geodesic_lengths(lines, None)
    with np.errstate(invalid="ignore", divide="ignore"):
        bridged = np.where(network.length > 0, network.bridged * length / network.length, 0.0)
    return replace(network, crs=None, x=x, y=y, lines=lines, length=length, bridged=bridged)


def _means(graph: Graph, values: Floats) -> Floats:
    """The mean over the pixels of each edge, without those that are NaN."""
    if not len(graph):
        return np.empty(0)
    found = values[graph.path]
    known = np.isfinite(found)
    sums = np.add.reduceat(np.where(known, found, 0.0), graph.offsets[:-1])
    with np.errstate(invalid="ignore"):
        return sums / np.add.reduceat(known.astype(np.float64), graph.offsets[:-1])
