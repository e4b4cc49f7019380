"""Protocol Buffers as far as mapgen writes them: varints, and fields that hold them or bytes.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

VARINT, DOUBLE, BYTES = 0, 1, 2
"""Wire types."""


def varint(number: int) -> bytes:
    """A number from 0 on, seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(number: int, wire: int) -> bytes:
    """What stands before the content of a field."""
    return varint(number << 3 | wire)


def number_field(number: int, value: int) -> bytes:
    """A field of a number from 0 on."""
    return tag(number, VARINT) + varint(value)


def bytes_field(number: int, data: bytes) -> bytes:
    """A field of bytes, a text or a message."""
    return tag(number, BYTES) + varint(len(data)) + data
