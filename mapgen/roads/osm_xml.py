"""Networks as OpenStreetMap XML (API 0.6): read by Routino, OSRM, osmnx, JOSM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mapgen.arrays import Longs
from mapgen.roads.network import Network

MOST_NODES = 2000
"""Nodes of a way at most, by the API's rule; longer ones are split."""


def osm_tags(network: Network, edge: int) -> dict[str, str]:
    """The tags of an edge. A bridged gap is no bridge, so it has a key of its own."""
    tags = {"highway": "road", "width": f"{network.width[edge]:.1f}", "source": "mapgen"}
    if network.bridged[edge] > 0:
        tags["mapgen:bridged"] = f"{network.bridged[edge]:.0f}"
    return tags


def osm_nodes(network: Network) -> tuple[Longs, Longs, Longs]:
    """Latitudes and longitudes of all nodes in units of 1e-7 degrees, numbered from 1 on, and the number of each vertex
    of the lines: first the nodes of the network, then what lies within edges."""
    ends = np.zeros(len(network.lines.x), np.bool_)
    number = np.empty(len(ends), np.int64)
    for nodes, places in ((network.u, network.lines.offsets[:-1]), (network.v, network.lines.offsets[1:] - 1)):
        ends[places] = True
        number[places] = nodes + 1
    number[~ends] = len(network.x) + 1 + np.arange(int((~ends).sum()))
    lat = np.concatenate((network.y, network.lines.y[~ends]))
    lon = np.concatenate((network.x, network.lines.x[~ends]))
    return np.rint(lat * 1e7).astype(np.int64), np.rint(lon * 1e7).astype(np.int64), number


def osm_ways(network: Network, number: Longs) -> Iterator[tuple[int, Longs]]:
    """The edge and the numbers of the nodes of each way."""
    for edge in range(len(network)):
        refs = number[network.lines.offsets[edge] : network.lines.offsets[edge + 1]]
        for start in range(0, max(len(refs) - 1, 1), MOST_NODES - 1):
            yield edge, refs[start : start + MOST_NODES]


def write_osm_xml(path: Path, network: Network) -> None:
    """Write a network in longitude and latitude; the same network gives the same bytes."""
    lat, lon, number = osm_nodes(network)
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n<osm version="0.6" generator="mapgen" upload="never">\n')
        for i, (y, x) in enumerate(zip(lat.tolist(), lon.tolist(), strict=True), 1):
            out.write(f'<node id="{i}" version="1" visible="true" lat="{y / 1e7:.7f}" lon="{x / 1e7:.7f}"/>\n')
        for i, (edge, refs) in enumerate(osm_ways(network, number), 1):
            out.write(f'<way id="{i}" version="1" visible="true">\n')
            out.writelines(f'<nd ref="{ref}"/>\n' for ref in refs.tolist())
            out.writelines(f'<tag k="{k}" v="{v}"/>\n' for k, v in osm_tags(network, edge).items())
            out.write("</way>\n")
        out.write("</osm>\n")
