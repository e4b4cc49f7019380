"""The course of a batch: inputs from lists, reports that name what failed, a rerun of that alone."""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mapgen import __version__
from mapgen.errors import InputError, MapgenError, OutputError, UsageError, option
from mapgen.files.fingerprint import content_mark, fingerprint, parts_of
from mapgen.files.kind import suffix_of
from mapgen.files.machine import versions
from mapgen.files.vet import is_url, public_name
from mapgen.settings import Options


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input: `done`, `skipped`, `damaged`, `failed` or `interrupted`.

    `mark` is what a report keeps to know the output by.
    """

    status: str
    seconds: float
    record: dict[str, Any] = field(default_factory=dict)
    error: MapgenError | None = None
    mark: dict[str, str] | None = None


def inputs_of(names: Sequence[str], lists: Sequence[Path], only: str | None) -> list[str]:
    """The names, patterns among them expanded, and those in the lists; none twice."""
    if only is not None and not lists:
        raise UsageError(option("only"), "names no report", f"add {option('from', 'REPORT.jsonl')}")
    found = [one for name in names for one in _expanded(name)]
    for path in lists:
        found += _listed(path, only)
    return list(dict.fromkeys(found))


def scenes_among(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Imagery, and what mapgen itself has written beside it: of `*.tif` in a folder of scenes and their class maps.

    Where all are of mapgen's making, they are what was meant.
    """
    from mapgen.raster.seal import begins_as_ours

    own = [name for name in names if not is_url(name) and suffix_of(name) in (".tif", ".tiff")]
    own = [name for name in own if os.path.isfile(name) and begins_as_ours(Path(name))] if len(names) > 1 else []
    rest = [name for name in names if name not in set(own)]
    return (rest, own) if rest else (list(names), [])


def _expanded(name: str) -> list[str]:
    """The files of a pattern that the shell has left (in quotes, on Windows), sorted; any other name as it is."""
    if name == "-" or is_url(name) or not glob.has_magic(name) or os.path.lexists(name):
        return [name]
    return sorted(glob.glob(name, recursive=True)) or [name]


def _listed(path: Path, only: str | None) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as exc:
        raise InputError(option("from", path), f"cannot be read ({exc.strerror})", "check the path") from exc
    if not text.lstrip().startswith("{"):
        if only is not None:
            raise UsageError(option("only"), f"{path} is a list of names, not the report of a run", "leave it out")
        lines = text.split("\0") if "\0" in text else [line.rstrip("\r") for line in text.split("\n")]
        return [line for line in lines if line.strip()]
    last = {str(line["input"]): line.get("status") for line in records(text) if "input" in line}
    wanted = [name for name, status in last.items() if only is None or status == only]
    hidden = [name for name in wanted if "…" in name and is_url(name)]
    if hidden:
        raise UsageError(option("from", path), f"{hidden[0]} is without its secret", "name this address again yourself")
    return wanted


def records(text: str) -> Iterator[dict[str, Any]]:
    """The lines of a report; one that a power cut has torn is left out."""
    for line in text.split("\n"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield record


class Report:
    """Where a batch writes what became of each input: one JSON object a line, appended, so that nothing is lost."""

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        """Begin a run, said by `head`. Raises `OutputError` for a file that is no such report, or cannot be written."""
        self.path = path
        start = b""
        try:
            if path.exists():
                with open(path, "rb") as file:
                    start = file.read(1)
                    file.seek(max(0, path.stat().st_size - 1))
                    torn = file.read(1) not in (b"\n", b"")
                if start not in (b"{", b""):
                    raise OutputError(path, "is not the report of a run", f"name another file with {option('report')}")
                if torn:
                    self._write(b"\n")
        except OSError as exc:
            raise self._failed(exc) from exc
        self.line({"run": dict(head)})

    def line(self, record: Mapping[str, Any]) -> None:
        """Append a record with the time."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = json.dumps({"time": now} | dict(record), ensure_ascii=True, default=str)
        try:
            self._write(text.encode() + b"\n")
        except OSError as exc:
            raise self._failed(exc) from exc

    def _write(self, data: bytes) -> None:
        """In one call to the system, so that two runs that share a report mix no lines."""
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)

    def _failed(self, exc: OSError) -> OutputError:
        return OutputError(
            self.path, f"cannot be written ({exc.strerror})", f"name another file with {option('report')}"
        )

    def ended(self, source: str, output: Path, outcome: Outcome) -> None:
        """What became of an input."""
        error = outcome.error
        line: dict[str, Any] = {
            "input": public_name(source) if is_url(source) else source, "output": str(output),
            "status": outcome.status, "seconds": round(outcome.seconds, 3),
            "exit_code": error.exit_code if error else 0,
        }  # fmt: skip
        if error is not None:
            line |= {"error": str(error)}
        if outcome.mark:
            line |= {"mark": outcome.mark}
        self.line(line | ({"result": outcome.record} if outcome.record else {}))


_CHANGES_NOTHING = {"overwrite", "threads"}


class Marks:
    """What a batch knows outputs by that say nothing of their origin themselves: marks in its report, by output.

    A mark holds what the output was made from (command, version, options, content of the input and what lies beside
    it) and its own content. An output is done where both are what they were.
    """

    def __init__(self, report: Path | None, options: Options, command: str) -> None:
        self.kept: dict[str, dict[str, str]] = {}
        self.wanted = report is not None
        self.command = command
        given = {one.name: getattr(options, one.name) for one in fields(options)}  # type: ignore[arg-type]
        self.options = {k: str(v) for k, v in given.items() if k not in _CHANGES_NOTHING and not isinstance(v, Path)}
        self.read = [value for value in given.values() if isinstance(value, Path)]
        if report is not None and report.is_file():
            for line in records(report.read_bytes().decode("utf-8", "replace")):
                if isinstance(line.get("mark"), dict) and isinstance(line.get("output"), str):
                    self.kept[line["output"]] = line["mark"]

    def about(self) -> dict[str, Any]:
        """What the report says of the run: the command, every option that an output depends on, and versions."""
        options = self.options | {"files": [str(path) for path in self.read]}
        return {"command": self.command, "options": options, "versions": versions()}

    def made(self, source: str, output: Path) -> dict[str, str] | None:
        """The mark of an output that is there; None where nobody asks, or the input has no content of its own."""
        origin = self._origin(source) if self.wanted else ""
        return {"origin": origin, "content": content_mark(output)} if origin else None

    def known(self, output: Path) -> dict[str, str] | None:
        """The mark that the report has of an output."""
        return self.kept.get(str(output))

    def unlike(self, source: str, output: Path) -> str:
        """What tells an output that is there from the one that would be made; empty where nothing does."""
        mark = self.kept.get(str(output))
        if mark is None:
            return "exists, and the report does not say what it was made from"
        if mark.get("origin") != self._origin(source):
            return "exists, from another input or with other options"
        return "" if mark.get("content") == content_mark(output) else "exists and is not what the run has made"

    def _origin(self, source: str) -> str:
        """A hash of all that an output depends on; empty where that is not known."""
        if is_url(source):
            return ""
        files = [*parts_of(Path(source)), *self.read]
        found = {path.name: {k: v for k, v in fingerprint(path).items() if k != "mtime_ns"} for path in files}
        said = [self.command, __version__, self.options, found]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
