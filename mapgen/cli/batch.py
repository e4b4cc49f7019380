"""Many inputs: where each result goes, and how the run ends when some of them fail."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mapgen.cli.console import console
from mapgen.cli.course import Report
from mapgen.errors import MapgenError, OutputError, PartialError, UsageError
from mapgen.files.inputs import note_inputs
from mapgen.files.vet import check_scheme, public_name


def expand(names: Sequence[str]) -> list[str]:
    """The inputs, with `-` replaced by the names on stdin. Raises `UsageError` where there are none.

    One a line, or with NUL between them as `find -print0` writes names that may hold line breaks.
    """
    result: list[str] = []
    for name in names:
        if name == "-":
            text = sys.stdin.read() if sys.stdin else ""
            lines = text.split("\0") if "\0" in text else [line.rstrip("\r") for line in text.split("\n")]
            result += [line for line in lines if line.strip()]
        else:
            result.append(name)
    if not result:
        raise UsageError("-", "no names came on stdin", "pipe in the paths of the inputs, one a line")
    for name in result:
        check_scheme(name)
    note_inputs(*result)  # before the first is worked on: its output must not replace one that waits its turn
    return result


def place(
    names: Sequence[str], output: str | None, default: Callable[[str, Path | None], Path]
) -> list[tuple[str, Path]]:
    """Each input with the path of its result: beside it, in the folder `output`, or at `output` itself.

    `output` is a folder if it is one, ends with a slash (it is then created), or there are several inputs. Raises
    `UsageError` where two inputs would have the same result.
    """
    if output is None:
        pairs = [(name, default(name, None)) for name in names]
    elif os.path.isdir(output) or output.endswith(("/", "\\")) or len(names) > 1:
        folder = _folder(Path(output), created=output.endswith(("/", "\\")))
        pairs = [(name, default(name, folder)) for name in names]
    else:
        return [(names[0], Path(output))]
    taken: dict[Path, str] = {}
    for name, path in pairs:
        if path in taken:
            raise UsageError("-o", f"{taken[path]} and {name} would both be written to {path}", "run them apart")
        taken[path] = name
    return pairs


def _folder(path: Path, *, created: bool) -> Path:
    if os.path.isdir(path):  # unlike pathlib's, it takes a name that is too long for one that is not there
        return path
    if os.path.exists(path):
        raise OutputError(path, "is a file, but there are several inputs", "name a folder with -o")
    if not created:
        raise OutputError(path, "the folder does not exist", f"create it, or write -o {path}/ to have it created")
    if not path.parent.is_dir():
        raise OutputError(path, f"the folder {path.parent} does not exist", "create it first")
    try:
        path.mkdir()
    except OSError as exc:
        raise OutputError(path, f"cannot be created ({exc.strerror})", "choose another folder with -o") from exc
    return path


def run_batch(
    pairs: Iterable[tuple[str, Path]],
    work: Callable[[str, Path], dict[str, Any]],
    *,
    silent: bool = False,
    stop: bool = False,
    report: Report | None = None,
) -> int:
    """Do `work` for each (input, output); print each result as it is done, unless `silent`; return the exit code.

    A failed input does not stop the others, unless `stop`: 0 if all are done, 3 if only some are, else the code of the
    first failure. The report, if any, gets a line for each input as it ends.
    """
    done, failures = 0, []
    for source, output in pairs:
        began = time.monotonic()
        try:
            record = work(source, output)
        except MapgenError as exc:
            status = "interrupted" if exc.exit_code in (130, 143) else "failed"
            if report is not None:
                report.ended(source, output, status, time.monotonic() - began, error=exc)
            if exc.exit_code in (1, 2, 6, 130, 143):  # not about this input: the others would fare no better
                raise
            failures.append(exc)
            console.error(exc)
            if console.as_json:
                console.result("", {"source": public_name(source), "error": str(exc), "exit_code": exc.exit_code})
            if stop:
                break
            continue
        done += 1
        damaged = record.get("damaged")
        if damaged:
            failures.append(PartialError(source, "has damaged blocks"))
        if report is not None:
            status = "damaged" if damaged else "skipped" if record.get("done_before") else "done"
            report.ended(source, output, status, time.monotonic() - began, record)
        if not silent:
            console.result(output, {**record, "exit_code": 3 if damaged else 0})
    code = 0 if not failures else 3 if done else failures[0].exit_code
    if console.as_json:
        console.result("", {"summary": {"done": done, "failed": len(failures), "exit_code": code}})
    if report is not None:
        report.line({"summary": {"done": done, "failed": len(failures), "exit_code": code}})
    return code
