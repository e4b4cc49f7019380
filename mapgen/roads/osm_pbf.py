"""Networks as OpenStreetMap PBF: read by Valhalla, GraphHopper, OSRM, osmium. Written by the format's description."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mapgen.files.protobuf import bytes_field, number_field, varint
from mapgen.roads.network import Network
from mapgen.roads.osm_xml import osm_nodes, osm_tags, osm_ways

GROUP = 8000
"""Nodes or ways in one block."""


def write_osm_pbf(path: Path, network: Network) -> None:
    """Write a network in longitude and latitude; sorted, dense nodes, without times; the same network, the same bytes.

    Field numbers are those of fileformat.proto and osmformat.proto (OSM-binary 1.5).
    """
    lat, lon, number = osm_nodes(network)
    with open(path, "wb") as out:
        out.write(_blob(b"OSMHeader", _header()))
        for first in range(0, len(lat), GROUP):
            part = slice(first, first + GROUP)
            ids = np.arange(first + 1, first + 1 + len(lat[part]))
            dense = bytes_field(1, _packed(_deltas(ids))) + bytes_field(8, _packed(_deltas(lat[part])))
            dense += bytes_field(9, _packed(_deltas(lon[part])))
            out.write(_blob(b"OSMData", _block([b""], bytes_field(2, dense))))
        ways = list(osm_ways(network, number))
        for first in range(0, len(ways), GROUP):
            strings: dict[str, int] = {"": 0}
            group = b"".join(
                bytes_field(3, _way(i, refs.tolist(), osm_tags(network, edge), strings))
                for i, (edge, refs) in enumerate(ways[first : first + GROUP], first + 1)
            )
            out.write(_blob(b"OSMData", _block([s.encode() for s in strings], group)))


def _header() -> bytes:
    features = [(4, b"OsmSchema-V0.6"), (4, b"DenseNodes"), (5, b"Sort.Type_then_ID"), (16, b"mapgen")]
    return b"".join(bytes_field(number, text) for number, text in features)


def _block(strings: list[bytes], group: bytes) -> bytes:
    """A primitive block; granularity and offsets are the defaults, so coordinates are in units of 1e-7 degrees."""
    return bytes_field(1, b"".join(bytes_field(1, s) for s in strings)) + bytes_field(2, group)


def _way(number: int, refs: list[int], tags: dict[str, str], strings: dict[str, int]) -> bytes:
    keys, values = ([strings.setdefault(text, len(strings)) for text in texts] for texts in (tags, tags.values()))
    out = number_field(1, number)
    out += bytes_field(2, b"".join(map(varint, keys))) + bytes_field(3, b"".join(map(varint, values)))
    return out + bytes_field(8, _packed(_deltas(np.array(refs))))


def _blob(kind: bytes, data: bytes) -> bytes:
    body = number_field(2, len(data)) + bytes_field(3, zlib.compress(data, 6))
    header = bytes_field(1, kind) + number_field(3, len(body))
    return len(header).to_bytes(4, "big") + header + body


def _deltas(values: Iterable[int]) -> Iterator[int]:
    before = 0
    for value in np.asarray(values).tolist():
        yield value - before
        before = value


def _packed(values: Iterable[int]) -> bytes:
    """Signed numbers in zigzag coding, small ones short."""
    return b"".join(varint(value << 1 if value >= 0 else (-value << 1) - 1) for value in values)
