"""The graph in a model file: it refers to the file's own tensors, so that no number is stored twice.

A graph of OpenVINO's is XML beside one block of numbers. Beside the tensors of a network a file holds the XML,
deflated, and the *rest*: the few numbers that are no weights. The block is put together anew on reading (`block`).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from xml.etree import ElementTree

import numpy as np

from mapgen.arrays import Array
from mapgen.model.graph import TEXT_LIMIT, NotAGraph

TEXT, REST = "graph.xml.zlib", "graph.rest"
"""The names of the two tensors, rows of bytes, among those of the network."""

_KEPT = ("self.", "__module.")
"""How OpenVINO's names of a network's tensors and of the layers of its modules begin."""

_ALIGNED = 8
"""Bytes: numbers of the rest begin at multiples of it, since some are 64 bits wide."""


def block(tensors: Mapping[str, Array], rest: bytes) -> bytes:
    """The block that a stored graph refers to: all floating-point tensors, by name, as float32, and the rest."""
    values = [tensors[name] for name in _floating(tensors)]
    whole = np.empty(4 * sum(value.size for value in values) + len(rest), np.uint8)  # joined bytes are copied twice
    end = whole.size - len(rest)
    numbers, start = whole[:end].view("<f4"), 0
    for value in values:
        numbers[start : start + value.size] = value.ravel()
        start += value.size
    whole[end:] = np.frombuffer(rest, np.uint8)
    return whole.tobytes()


def packed(text: bytes) -> bytes:
    """The XML as it is stored: a twentieth of its length."""
    return zlib.compress(text, 9)


def unpacked(data: bytes) -> bytes:
    """The XML of `packed`. Raises `NotAGraph` for other bytes, and for more XML than any graph needs."""
    unpack = zlib.decompressobj()
    try:
        text = unpack.decompress(data, TEXT_LIMIT + 1)
    except zlib.error as exc:
        raise NotAGraph(f"XML that cannot be unpacked ({exc})") from exc
    if len(text) > TEXT_LIMIT or not unpack.eof or unpack.unused_data:
        raise NotAGraph(f"XML that is cut off, or of more than {TEXT_LIMIT} bytes")
    return text


def named(text: bytes, numbers: bytes, tensors: Mapping[str, Array]) -> tuple[bytes, bytes]:
    """The graph of `text` and `numbers` with its constants in `block(tensors, rest)`: its new text, and the rest.

    A constant that OpenVINO calls `self.NAME` is the tensor NAME, if its bytes are the same. The text of a network is
    so the same whatever its weights.
    """
    places, start = _places(tensors)
    root = ElementTree.fromstring(text)
    rest, known = bytearray(), dict[bytes, int]()
    for layer in root.iterfind("layers/layer"):
        if not layer.attrib["name"].startswith(_KEPT):  # others are numbered as the process goes on
            layer.set("name", f"{layer.attrib['type']}_{layer.attrib['id']}")
        data = layer.find("data")
        if layer.attrib["type"] != "Const" or data is None:
            continue
        offset, size = int(data.attrib["offset"]), int(data.attrib["size"])
        value = numbers[offset : offset + size]
        name = layer.attrib["name"].removeprefix("self.")
        if name in places and _bytes(tensors[name]) == value:
            place = places[name]
        elif value in known:
            place = known[value]
        else:
            rest += bytes(-(start + len(rest)) % _ALIGNED)
            place = known[value] = start + len(rest)
            rest += value
        data.set("offset", str(place))
    result: bytes = ElementTree.tostring(root)
    return result, bytes(rest)


def _floating(tensors: Mapping[str, Array]) -> list[str]:
    return sorted(name for name, tensor in tensors.items() if tensor.dtype.kind == "f")


def _bytes(tensor: Array) -> bytes:
    return np.ascontiguousarray(tensor, "<f4").tobytes()


def _places(tensors: Mapping[str, Array]) -> tuple[dict[str, int], int]:
    """Where each tensor begins in the block, and where the last ends."""
    places, end = dict[str, int](), 0
    for name in _floating(tensors):
        places[name] = end
        end += 4 * tensors[name].size
    return places, end
