"""The course of a batch: inputs from lists, reports that name what failed, a rerun of that alone."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.errors import InputError, MapgenError, OutputError, UsageError, option
from mapgen.files.vet import is_url, public_name

From = Annotated[
    list[Path] | None,
    typer.Option("--from", metavar="LIST", help="Inputs from a file: names, one a line, or the report of a run."),
]
Only = Annotated[
    str | None,
    typer.Option("--only", metavar="failed", help="Of a report that --from names, the inputs that failed last."),
]
OnError = Annotated[
    str, typer.Option("--on-error", metavar="skip|fail", help="A failed input lets the others go on, or ends the run.")
]
SkipDone = Annotated[
    bool,
    typer.Option("--skip-done", help="Leave outputs that are whole and were made from the same, by their content."),
]
ReportTo = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE.jsonl", help="Append a line of JSON for each input as it ends."),
]


def inputs_of(names: Sequence[str], lists: Sequence[Path], only: str | None) -> list[str]:
    """The names, patterns among them expanded, and those in the lists; none twice."""
    if only is not None and not lists:
        raise UsageError(option("only"), "names no report", f"add {option('from', 'REPORT.jsonl')}")
    found = [one for name in names for one in _expanded(name)]
    for path in lists:
        found += _listed(path, only)
    return list(dict.fromkeys(found))


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

    def ended(
        self, source: str, output: Path, status: str, seconds: float, record: Mapping[str, Any] | None = None,
        error: MapgenError | None = None,
    ) -> None:  # fmt: skip
        """What became of an input: done, skipped, damaged, failed or interrupted."""
        line: dict[str, Any] = {"input": public_name(source), "output": str(output), "status": status,
                                "seconds": round(seconds, 3), "exit_code": error.exit_code if error else 0}  # fmt: skip
        if not is_url(source):
            line["input"] = source
        if error is not None:
            line |= {"error": str(error)}
        self.line(line | ({"result": dict(record)} if record else {}))
