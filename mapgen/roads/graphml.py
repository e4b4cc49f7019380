"""Networks as GraphML: read by networkx and osmnx, all coordinates in the attributes."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from mapgen.roads.network import Network

_NODE = (("x", "double"), ("y", "double"), ("frame", "boolean"))
_EDGE = (
    ("length", "double"), ("width_m", "double"), ("width_min_m", "double"), ("confidence", "double"),
    ("bridged_m", "double"), ("area", "boolean"), ("geometry", "string"),
)  # fmt: skip


def write_graphml(path: Path, network: Network) -> None:
    """Write an undirected graph; parallel edges are told apart by their ids (`key`), as networkx reads them.

    The length of an edge is called `length`, as osmnx does; the line is WKT; the CRS is an attribute of the graph.
    """
    crs = "epsg:4326" if network.crs is None else network.crs
    keys = network.key
    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n')
        out.write('<key id="crs" for="graph" attr.name="crs" attr.type="string"/>\n')
        for kind, fields in (("node", _NODE), ("edge", _EDGE)):
            for name, form in fields:
                out.write(f'<key id="{kind}_{name}" for="{kind}" attr.name="{name}" attr.type="{form}"/>\n')
        out.write(f'<graph id={quoteattr(network.name)} edgedefault="undirected">\n')
        out.write(f'<data key="crs">{escape(crs)}</data>\n')
        for i in range(len(network.x)):
            place = (float(network.x[i]), float(network.y[i]), bool(network.frame[i]))
            out.write(f'<node id="{i}">{_data("node", _NODE, place)}</node>\n')
        for i in range(len(network)):
            values = (
                float(network.length[i]), float(network.width[i]), float(network.width_min[i]),
                float(network.confidence[i]), float(network.bridged[i]), bool(network.area[i]), _wkt(network, i),
            )  # fmt: skip
            ends = f'source="{network.u[i]}" target="{network.v[i]}"'
            out.write(f'<edge id="{keys[i]}" {ends}>{_data("edge", _EDGE, values)}</edge>\n')
        out.write("</graph>\n</graphml>\n")


def _data(kind: str, fields: tuple[tuple[str, str], ...], values: tuple[object, ...]) -> str:
    texts = ((name, _text(value)) for (name, _), value in zip(fields, values, strict=True))
    return "".join(f'<data key="{kind}_{name}">{text}</data>' for name, text in texts if text)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if np.isnan(value) else repr(value)
    return str(value)


def _wkt(network: Network, edge: int) -> str:
    part = slice(network.lines.offsets[edge], network.lines.offsets[edge + 1])
    points = zip(network.lines.x[part].tolist(), network.lines.y[part].tolist(), strict=True)
    return "LINESTRING (" + ", ".join(f"{x!r} {y!r}" for x, y in points) + ")"
