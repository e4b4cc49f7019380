"""Journals: the finished parts of an output under way, kept so that a run that was killed goes on where it was.

A journal lies beside the output under a hidden name: a line of JSON that says what the parts were made from, then the
parts, each with its length and checksum. Whatever stops in the middle of a part leaves a part that is not whole; it and
all behind it count for nothing. A journal made from anything else is never used.
"""

from __future__ import annotations

import json
import os
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from mapgen.errors import Interrupted, NetworkError, OutputError, ResourceError
from mapgen.files.unfinished import Held, hidden_beside, resumable, take

SUFFIX = ".journal"

FORMAT = 1

_FRAME = struct.Struct("<4sIQI")
"""Before each part: mark, bytes of what is said of it, bytes of its data, CRC-32 of both."""

_MARK = b"PART"
_HEADER_LIMIT = 1 << 20
_SYNC_SECONDS = 1.0
"""A power cut costs at most the parts of this time; flushing each of many small ones would cost more than it saves."""

_WORTH_KEEPING = (Interrupted, NetworkError, OutputError, ResourceError, KeyboardInterrupt, MemoryError)
"""What a run may end with that another run of the same command may not meet: all else ends the journal too."""


def journal_path(output: Path) -> Path:
    """Where the journal of an output lies: beside it, under a name that is never too long."""
    return hidden_beside(output, SUFFIX)


def described(path: Path) -> dict[str, Any] | None:
    """What the first line of a journal says (`output`, `key`); None for what is no journal."""
    try:
        with open(path, "rb") as file:
            line = file.readline(_HEADER_LIMIT)
        said = json.loads(line)
    except (OSError, ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) and said.get("mapgen_journal") == FORMAT and "key" in said else None


class Journal:
    """The finished parts of `output`, made from what `key` says. A context: `with Journal(…) as journal`.

    First `parts` gives what an earlier run has left, then `append` adds to it. The file is made with the first part.
    When the block ends well the file goes; it stays where the block raises what another run may not meet.
    """

    def __init__(self, output: Path, key: Mapping[str, Any] | None, *, resume: bool = True) -> None:
        """`key` None: what the parts depend on cannot be told, so nothing is kept."""
        self.keeps = key is not None
        self.path = journal_path(output)
        head = {"mapgen_journal": FORMAT, "output": output.name, "key": key}
        self._head = json.dumps(head, sort_keys=True).encode() + b"\n"
        self._resume = resume
        self._file: BinaryIO | None = None
        self._synced = time.monotonic()
        self.place = ""
        """How far the parts reach, in words: empty where there are none."""

    def __enter__(self) -> Journal:
        self._told = resumable(lambda: self.place)
        self._told.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._told.__exit__(kind, exc, trace)
        if self._file is not None:
            with suppress(OSError):  # on a full disk what could not be written is tried once more, and said before
                self._file.close()
        if self.keeps and (exc is None or not isinstance(exc, _WORTH_KEEPING)):
            self.path.unlink(missing_ok=True)

    def parts(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """What is said of each whole part, and its data, in the order in which they were added."""
        if not (self._resume and self.keeps):
            self.path.unlink(missing_ok=True)
            return
        try:
            self._file = open(self.path, "r+b")  # noqa: SIM115 - closed with the journal
        except OSError:
            return
        if not self._mine():
            return
        if self._file.readline(_HEADER_LIMIT) != self._head:
            self._file.close()
            self._file = None
            self.path.unlink(missing_ok=True)
            return
        size = os.fstat(self._file.fileno()).st_size
        while True:
            end = self._file.tell()
            part = self._part(size - end)
            if part is None:
                break
            yield part
        self._file.seek(end)
        self._file.truncate()

    def _mine(self) -> bool:
        """Hold the open journal, so that it is not cleaned away; where another does, leave it and keep nothing."""
        assert self._file is not None
        if take(self._file.fileno()) is Held.OTHERS:
            self._file.close()
            self._file, self.keeps = None, False
        return self.keeps

    def _part(self, left: int) -> tuple[dict[str, Any], bytes] | None:
        """The next part; None where it is not whole. `left` bytes of the file are still to come."""
        assert self._file is not None
        frame = self._file.read(_FRAME.size)
        if len(frame) < _FRAME.size:
            return None
        mark, said, data, checksum = _FRAME.unpack(frame)
        if mark != _MARK or said + data > left - _FRAME.size:
            return None
        content = self._file.read(said + data)
        if zlib.crc32(content) != checksum:
            return None
        try:
            told = json.loads(content[:said])
        except (ValueError, RecursionError):
            return None
        return (told, content[said:]) if isinstance(told, dict) else None

    def append(self, said: Mapping[str, Any], data: bytes, *, sync: bool = False) -> None:
        """Add a part. It outlives the process at once, and a power cut once the system has flushed it: `sync`: now."""
        if not self.keeps:
            return
        if self._file is None:
            self._file = open(self.path, "a+b")  # noqa: SIM115 - closed with the journal
            if not self._mine():
                return
            self._file.truncate(0)
            self._file.write(self._head)
        content = json.dumps(said).encode()
        checksum = zlib.crc32(data, zlib.crc32(content))
        self._file.write(_FRAME.pack(_MARK, len(content), len(data), checksum) + content + data)
        self._file.flush()
        if sync or time.monotonic() - self._synced > _SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()
