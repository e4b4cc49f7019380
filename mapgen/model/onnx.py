"""ONNX files, looked at before any library sees them: an own reader of their outline.

An ONNX file is a protocol buffer: fields with a number and a type, some of which are messages in turn. Only the parts
that can do harm or are of use are read; nothing is allocated that the file does not hold.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import prod

import numpy as np

from mapgen.errors import ModelError, one_line
from mapgen.files.protobuf import NotAMessage, bytes_field, fields, read_varint

SIZE_LIMIT = 1 << 31
"""Bytes of a file; beyond it protocol buffers themselves end."""

NODE_LIMIT = 20_000

KEY_LIMIT = 1 << 20
"""Bytes of a key or its value."""

DOMAINS = ("", "ai.onnx")
"""Of operators that ONNX itself defines."""

_TYPES = {
    1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "?", 10: "f2", 11: "f8", 12: "u4", 13: "u8",
}  # fmt: skip
"""Of tensors that are taken: what numpy calls the types that ONNX numbers."""

_REMEDY = "do not use this file; export the network again, as one ONNX file for plain inference"


@dataclass(frozen=True, slots=True)
class Outline:
    """What an ONNX file says of itself."""

    opset: int
    tool: str
    keys: dict[str, str] = field(default_factory=dict)
    """Its metadata."""
    operators: Counter[str] = field(default_factory=Counter)


class _Broken(ValueError):
    """What is wrong with the bytes."""


def outline(data: bytes, subject: str) -> Outline:
    """The outline of an ONNX file that is plain: one graph of ONNX's own operators, its numbers in the file and finite.

    Raises `ModelError`, and nothing else, whatever the bytes are.
    """
    try:
        if len(data) >= SIZE_LIMIT:
            raise _Broken(f"has {len(data)} bytes, the limit is {SIZE_LIMIT}")
        return _model(memoryview(data))
    except NotAMessage as exc:
        raise ModelError(subject, f"is cut off, or not an ONNX file ({exc})", _REMEDY) from exc
    except _Broken as exc:
        raise ModelError(subject, one_line(exc), _REMEDY) from exc


def with_keys(data: bytes, keys: dict[str, str]) -> bytes:
    """The file with these keys behind its own: the fields of a message may come in any order."""
    entries = (bytes_field(1, name.encode()) + bytes_field(2, text.encode()) for name, text in keys.items())
    return data + b"".join(bytes_field(14, entry) for entry in entries)


# The messages -------------------------------------------------------------------------------------------------------


def _model(data: memoryview) -> Outline:
    parts: dict[int, list[int | memoryview]] = {}
    for number, _, value in fields(data):
        parts.setdefault(number, []).append(value)
    for number, what in ((20, "training steps"), (25, "functions of its own"), (26, "a configuration of devices")):
        if number in parts:
            raise _Broken(f"holds {what}, which are not taken")
    if len(parts.get(7, [])) != 1 or not 1 <= _int(parts.get(1, [0])[-1]) <= 100:
        raise _Broken("is not an ONNX file")
    opsets = dict(_opset(_bytes(value)) for value in parts.get(8, []))
    foreign = sorted(set(opsets) - set(DOMAINS))
    if foreign:  # a file may only declare what its nodes use; those are looked at in turn
        opsets = {name: version for name, version in opsets.items() if name in DOMAINS}
    keys: dict[str, str] = {}
    for value in parts.get(14, []):
        key, text = _entry(_bytes(value))
        if key in keys:
            raise _Broken(f"holds the key {key[:60]!r} twice")
        keys[key] = text
    tool = " ".join(_text(_bytes(parts[n][-1])) for n in (2, 3) if n in parts)[:100]
    return Outline(max(opsets.values(), default=1), tool, keys, _graph(_bytes(parts[7][0])))


def _opset(data: memoryview) -> tuple[str, int]:
    name, version = "", 0
    for number, _, value in fields(data):
        if number == 1:
            name = _text(_bytes(value))
        elif number == 2:
            version = _int(value)
    return name, version


def _entry(data: memoryview) -> tuple[str, str]:
    texts = {1: "", 2: ""}
    for number, _, value in fields(data):
        if number in texts:
            texts[number] = _text(_bytes(value))
    return texts[1], texts[2]


def _graph(data: memoryview) -> Counter[str]:
    operators = Counter[str]()
    for number, _, value in fields(data):
        if number == 1:
            operators[_node(_bytes(value))] += 1
            if operators.total() > NODE_LIMIT:
                raise _Broken(f"has more than {NODE_LIMIT} nodes")
        elif number == 5:
            _tensor(_bytes(value))
        elif number == 15:
            raise _Broken("holds sparse tensors, which are not taken")
    return operators


def _node(data: memoryview) -> str:
    """The operator of a node."""
    kind, domain, attributes = "", "", []
    for number, _, value in fields(data):
        if number == 4:
            kind = _text(_bytes(value))
        elif number == 7:
            domain = _text(_bytes(value))
        elif number == 5:
            attributes.append(_bytes(value))
    if domain not in DOMAINS:
        raise _Broken(f"uses the operator {kind[:40]!r} of {domain[:40]!r}, which is not ONNX's own")
    for attribute in attributes:
        _attribute(attribute, kind)
    return kind


def _attribute(data: memoryview, kind: str) -> None:
    for number, _, value in fields(data):
        if number in (6, 11):
            raise _Broken(f"has a graph within its {kind[:40]}, such as a loop or a branch, which is not taken")
        if number in (22, 23):
            raise _Broken("holds sparse tensors, which are not taken")
        if number in (5, 10):
            _tensor(_bytes(value))


def _tensor(data: memoryview) -> None:
    """Raise `_Broken` unless the tensor's numbers lie in it, are as many as its shape says, and finite."""
    sides: list[int] = []
    kind, raw, held, name = 0, None, 0, ""
    for number, wire, value in fields(data):
        if number == 13 or (number == 14 and value != 0):
            raise _Broken("has weights in other files, which are not read")
        if number == 1:
            sides += _varints(_bytes(value)) if wire == 2 else [_int(value)]
        elif number == 2:
            kind = _int(value)
        elif number == 8:
            name = _text(_bytes(value))
        elif number == 9:
            raw = _bytes(value)
        elif number in (4, 5, 7, 10, 11):
            held += len(value) if isinstance(value, memoryview) else 8
            if number in (4, 10) and isinstance(value, memoryview):
                _check_finite(value, "f4" if number == 4 else "f8", name)
    if kind not in _TYPES or any(side < 0 for side in sides) or len(sides) > 8:
        raise _Broken(f"has a tensor of type {kind} and shape {sides[:8]}, which is not taken")
    dtype, count = np.dtype(_TYPES[kind]), prod(sides)
    if raw is None:
        if count > max(held, 0):
            raise _Broken(f"has a tensor of {count} numbers in {held} bytes")
    elif len(raw) != count * dtype.itemsize:
        raise _Broken(f"has a tensor of {count} numbers in {len(raw)} bytes")
    elif dtype.kind == "f":
        _check_finite(raw, dtype.str, name)


def _check_finite(data: memoryview, kind: str, name: str) -> None:
    whole = len(data) // np.dtype(kind).itemsize * np.dtype(kind).itemsize
    if not np.isfinite(np.frombuffer(data[:whole], kind)).all():
        raise _Broken(f"has weights that are not finite ({name[:60]})")


# Values --------------------------------------------------------------------------------------------------------------


def _varints(data: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = read_varint(data, at)
        values.append(_signed(value))
    return values


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _int(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise _Broken("is not an ONNX file")
    return _signed(value)


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _Broken("is not an ONNX file")
    return value


def _text(data: memoryview) -> str:
    if len(data) > KEY_LIMIT:
        raise _Broken(f"has a text of {len(data)} bytes, the limit is {KEY_LIMIT}")
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as exc:
        raise _Broken("has a text that is not UTF-8") from exc
