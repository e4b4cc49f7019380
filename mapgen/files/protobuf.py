"""Protocol Buffers as far as mapgen writes and reads them: varints, and fields that hold them or bytes.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5
"""Wire types."""

_LONGEST = 70
"""Bits of a varint, the tenth byte and what it may hold too much included."""


class NotAMessage(ValueError):
    """The bytes are no message, or a part of one."""


Field = tuple[int, int, int | memoryview]
"""Number, wire type and value of a field: a number, or bytes."""


def fields(data: memoryview) -> Iterator[Field]:
    """The fields of a message, in order; nothing is copied. Raises `NotAMessage`."""
    at, end = 0, len(data)
    while at < end:
        key, at = read_varint(data, at)
        number, wire = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise NotAMessage(f"a field with the number {number}")
        if wire == VARINT:
            value, at = read_varint(data, at)
            yield number, wire, value
            continue
        if wire == BYTES:
            size, at = read_varint(data, at)
        elif wire in (DOUBLE, FLOAT):
            size = 8 if wire == DOUBLE else 4
        else:
            raise NotAMessage(f"a field of the type {wire}")
        if size > end - at:
            raise NotAMessage("a field that is cut off")
        yield number, wire, data[at : at + size]
        at += size


def read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number of 64 bits that begins at a place, and the place behind it. Raises `NotAMessage`."""
    value = shift = 0
    while shift < _LONGEST:
        if at >= len(data):
            raise NotAMessage("a number that is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, at
        shift += 7
    raise NotAMessage("a number that is too long")


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
