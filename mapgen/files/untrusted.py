"""What others have written, taken apart within bounds: JSON, and packed bytes. All that is wrong is a `ValueError`."""

from __future__ import annotations

import json
import zlib
from typing import Any

UNPACKED_LIMIT = 1 << 26
"""Bytes that a directory, a text or a tile may have; a few kilobytes of zeros would unpack to gigabytes."""

_EITHER = 32 + zlib.MAX_WBITS
"""zlib or gzip, as the first bytes say."""


def parsed_json(text: str | bytes) -> Any:
    """The value of a JSON text; one that nests too deeply for Python is none."""
    try:
        return json.loads(text)
    except RecursionError as exc:
        raise ValueError("JSON that nests too deeply") from exc


def json_object(text: str | bytes) -> dict[str, Any]:
    """The object of a JSON text."""
    found = parsed_json(text)
    if not isinstance(found, dict):
        raise ValueError(f"a JSON {type(found).__name__}, not an object")
    return found


def unpacked(data: bytes, limit: int = UNPACKED_LIMIT) -> bytes:
    """What zlib or gzip has packed, to its end and of `limit` bytes at most."""
    content = b""
    while True:  # gzip may have several parts
        unpack = zlib.decompressobj(_EITHER)
        try:
            content += unpack.decompress(data, limit + 1 - len(content))
        except zlib.error as exc:
            raise ValueError(str(exc)) from exc
        if len(content) > limit:
            raise ValueError(f"packed data of more than {limit} bytes")
        if not unpack.eof:
            raise ValueError("packed data that are cut off")
        data = unpack.unused_data
        if not data:
            return content
