"""Many inputs: what they are, where each result goes, and how the run goes over them when some of them fail."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import typer

from mapgen.cli import jobs
from mapgen.cli.console import console
from mapgen.cli.course import Marks, Outcome, Report, inputs_of, scenes_among
from mapgen.cli.progress import Progress, ProgressBar, duration
from mapgen.errors import InputError, MapgenError, OutputError, PartialError, UsageError, option
from mapgen.files.commit import free_bytes
from mapgen.files.inputs import note_inputs
from mapgen.files.unfinished import run_again
from mapgen.files.vet import check_scheme, public_name
from mapgen.settings import Options, choice

Work = Callable[[str, Path, Progress], dict[str, Any]]
"""What is done with one input: its output and how far it is; the record of what was made."""

Unlike = Callable[[str, Path], str]
"""What tells an output that is there from the one that would be made of an input; empty where nothing does."""

_OF_THE_RUN = {
    "engine", "device", "precision", "window", "halo", "format", "crs", "append", "threads", "creation_options",
}  # fmt: skip
"""Options that are wrong for all inputs where they are for one."""


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


def imagery_of(names: Sequence[str]) -> list[str]:
    """The names without what mapgen itself has written, and a note of these."""
    scenes, own = scenes_among(names)
    if own:
        more = f" and {len(own) - 1} more" if len(own) > 1 else ""
        console.note(f"{own[0]}{more}: left out, since mapgen wrote it and it is not imagery")
    return scenes


# Where results go ---------------------------------------------------------------------------------------------------


def place(
    names: Sequence[str], output: str | None, default: Callable[[str, Path | None], Path], suffix: str
) -> list[tuple[str, Path]]:
    """Each input with the path of its result: beside it, in the folder `output`, or at `output` itself.

    `output` is a folder if it is one, ends with a slash (it is then created), or there are several inputs; anything
    else is a file and has a suffix, such as `suffix`. Raises `UsageError` where it does not, or where two inputs would
    have the same result.
    """
    if output is None:
        pairs = [(name, default(name, None)) for name in names]
    elif os.path.isdir(output) or output.endswith(("/", "\\")) or len(names) > 1:
        folder = _folder(Path(output), created=output.endswith(("/", "\\")))
        pairs = [(name, default(name, folder)) for name in names]
    else:
        check_suffix(output, suffix)
        return [(names[0], Path(output))]
    taken: dict[Path, str] = {}
    for name, path in pairs:
        if path in taken:
            raise UsageError("-o", f"{taken[path]} and {name} would both be written to {path}", "run them apart")
        taken[path] = name
    return pairs


def check_suffix(output: str, suffix: str, *, folders: bool = True) -> None:
    """Raise `UsageError` for the name of a file without a suffix: maybe a folder was meant, and it is not there.

    `suffix` is what the remedy offers, `folders` whether it also offers a folder.
    """
    if output == "-":
        raise UsageError("-o -", "stdout carries names, not files", f"name a file, such as x{suffix}")
    if not Path(output).suffix:
        folder = f", or {output}/ for a folder" if folders else ""
        problem = "has no suffix and is not a folder that exists"
        raise UsageError(f"-o {output}", problem, f"name {output}{suffix}{folder}")


def check_folder(output: str | Path) -> None:
    """Raise `UsageError` for a folder that is to be made and has the name of a file."""
    path = Path(output)
    if path.suffix.lower() in _FILES and not path.is_dir():
        raise UsageError(f"-o {path}", f"names a folder, and ends in {path.suffix}", f"name it {path.with_suffix('')}")


_FILES = {".tif", ".tiff", ".gpkg", ".geojson", ".json", ".fgb", ".shp", ".parquet", ".pmtiles", ".mbtiles", ".png",
          ".html", ".safetensors", ".toml"}  # fmt: skip


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


# The run over them --------------------------------------------------------------------------------------------------


class Batch:
    """The inputs of one run of a command, and how it goes over them: what the options of `bundles.Batch` say."""

    def __init__(self, named: Sequence[str], given: Mapping[str, Any], argument: str, *, imagery: bool = False) -> None:
        """Read the inputs that are named, `argument` being what the command calls one, and those of lists.

        Of several pieces of `imagery` those are left out that mapgen has made of others. Raises `UsageError` where
        there are none; ends the run well where a report names none that failed.
        """
        self.stop = choice("on_error", given["on_error"], ("skip", "fail")) == "fail"
        if given["only"] is not None:
            choice("only", given["only"], ("failed",))
        self.skip_done: bool = given["skip_done"]
        self.overwrite: bool = given["overwrite"]
        self.report: Path | None = given["report"]
        self.jobs: int = given["jobs"]
        self.largest, self.share = 0, 0.0
        self.made: list[tuple[str, dict[str, Any]]] = []
        """The inputs that are done, and the record of each."""
        self.names = jobs.served() or self._read(named, given, argument)
        if imagery and not jobs.served():
            self.names = imagery_of(self.names)
        note_inputs(*jobs.served())

    def _read(self, named: Sequence[str], given: Mapping[str, Any], argument: str) -> list[str]:
        names = inputs_of(named, given["from_"] or [], given["only"])
        if not names and given["only"] is not None:
            console.note("no input of the report failed")
            raise typer.Exit(0)
        if not names:
            raise UsageError(argument, "no input is named", f"name files, or a list of them with {option('from')}")
        return expand(names)

    def place(
        self, output: str | None, default: Callable[[str, Path | None], Path], suffix: str
    ) -> list[tuple[str, Path]]:
        """See `place`. A process that helps another is told where each result goes."""
        return [] if jobs.served() else place(self.names, output, default, suffix)

    def marks(self, options: Options, command: str) -> Marks:
        """What a report keeps of outputs that have no mark of what they were made from in themselves.

        Raises `UsageError` for --skip-done without a report.
        """
        if self.skip_done and self.report is None:
            problem = f"{command} knows by its report what is done"
            raise UsageError(option("skip_done", True), problem, f"add {option('report', 'run.jsonl')}")
        return Marks(self.report, options, command)

    def run(
        self,
        pairs: Iterable[tuple[str, Path]],
        work: Work,
        *,
        unit: str = "",
        about: Mapping[str, Any] | None = None,
        unlike: Unlike | None = None,
        marks: Marks | None = None,
        share: float = 0.0,
        silent: bool = False,
    ) -> int:
        """Do `work` for each (input, output); print each result in order, unless `silent`; return the exit code.

        A failed input does not stop the others, unless `--on-error fail`: 0 if all are done, 3 if only some are, else
        the code of the first failure. `unlike` is what --skip-done goes by; `about` is what the report says of the run.
        `unit` is what the progress of one input counts. `share` is what an output takes at least of the bytes of its
        input, for the look at the disk before the first. Raises what is not about one input.
        """
        pairs, self.share = list(pairs), share

        def attempt(source: str, target: Path, progress: Progress) -> Outcome:
            return self._attempt(source, target, progress, work, unlike or (marks.unlike if marks else None), marks)

        if jobs.served():
            jobs.serve(attempt)
            return 0
        report = None
        if self.report is not None:
            report = Report(self.report, {"inputs": len(pairs), **(about or (marks.about() if marks else {}))})
        many = min(self.jobs, len(pairs))
        outcomes = jobs.outcomes(pairs, self.names, many, unit) if many > 1 else _one_by_one(pairs, attempt, unit)
        count = dict.fromkeys(("done", "skipped", "damaged", "failed"), 0)
        knows = bool(unlike) or (marks is not None and self.report is not None)
        with closing(outcomes), run_again(lambda: "" if silent else self._how(count, knows)):
            return self._told(pairs, outcomes, report, silent, count)

    def _how(self, count: Mapping[str, int], knows: bool) -> str:
        """How the same command is to be run again once it has made outputs; `knows`: it can tell what is done."""
        if not count["done"] + count["damaged"] or self.skip_done:
            return ""
        if knows:
            return f"with {option('skip_done', True)}, which leaves what is done"
        return "" if self.overwrite else f"with {option('overwrite', True)}, which makes again what is done"

    def _told(
        self,
        pairs: Sequence[tuple[str, Path]],
        outcomes: Iterable[Outcome],
        report: Report | None,
        silent: bool,
        count: dict[str, int],
    ) -> int:
        """Say what became of each input as it ends, in order, and of all of them at the end; `count` them."""
        began, failures = time.monotonic(), list[MapgenError]()
        bar = ProgressBar("in all", "inputs") if len(pairs) > 1 else None
        if bar:
            bar(0, len(pairs))
        for number, ((source, target), outcome) in enumerate(zip(pairs, outcomes, strict=False)):
            if report is not None:
                report.ended(source, target, outcome)
            if outcome.error is not None and not _is_about(outcome.error):
                raise outcome.error
            count[outcome.status] += 1
            if outcome.error is not None:
                error = _own(outcome.error, source, alone=len(pairs) == 1)
                failures.append(error)
                console.error(error)
                if console.as_json:
                    record = {"source": public_name(source), "error": str(error), "exit_code": error.exit_code}
                    console.result("", record)
                if self.stop:
                    break
            else:
                self.made.append((source, outcome.record))
                if outcome.status == "damaged":
                    failures.append(PartialError(source, "has damaged blocks"))
                if not silent:
                    console.result(target, {**outcome.record, "exit_code": 3 if outcome.status == "damaged" else 0})
            if bar:
                bar(number + 1, len(pairs), f"{count['failed']} failed" if count["failed"] else "")
        done = count["done"] + count["skipped"] + count["damaged"]
        code = 0 if not failures else 3 if done else failures[0].exit_code
        summary = {"summary": {"done": done, "failed": len(failures), "exit_code": code}}
        if console.as_json:
            console.result("", summary)
        if report is not None:
            report.line(summary)
        if bar:
            rest = ", ".join(f"{n} {what}" for what, n in count.items() if n and what != "done")
            told = f"{count['done']} of {len(pairs)} done" + (f", {rest}" if rest else "")
            console.note(f"{told}, {duration(time.monotonic() - began)}")
        return code

    def _attempt(
        self, source: str, target: Path, progress: Progress, work: Work, unlike: Unlike | None, marks: Marks | None
    ) -> Outcome:
        """One input; what is wrong with it is part of the outcome."""
        began = time.monotonic()
        try:
            if self.skip_done and unlike is not None and self._is_done(source, target, unlike):
                before = {"source": public_name(source), "output": str(target), "done_before": True}
                return Outcome("skipped", time.monotonic() - began, before, mark=marks.known(target) if marks else None)
            self._check_room(source, target)
            record = work(source, target, progress)
            size = target.stat().st_size if target.is_file() else int(record.get("bytes", 0))  # of a folder of tiles
            self.largest = max(self.largest, size)
            mark = marks.made(source, target) if marks else None
        except MapgenError as exc:
            status = "interrupted" if exc.exit_code in (130, 143) else "failed"
            return Outcome(status, time.monotonic() - began, error=exc)
        return Outcome("damaged" if record.get("damaged") else "done", time.monotonic() - began, record, mark=mark)

    def _is_done(self, source: str, target: Path, unlike: Unlike) -> bool:
        """Whether the output is there and as it would be made. Raises `OutputError` where it must not be replaced."""
        if not os.path.lexists(target):
            return False
        why = unlike(source, target)
        if not why:
            console.note(f"{public_name(source)}: {target} is done already")
        elif not self.overwrite:
            remedy = f"use {option('overwrite', True)} to make it again, or choose another name with {option('output')}"
            raise OutputError(target, why, remedy)
        return not why

    def _check_room(self, source: str, target: Path) -> None:
        """Raise `OutputError` where the disk has no room for as much as the largest output so far, and its copy.

        Before there is any it is to have room for what an output takes at least of the bytes of its input.
        """
        if not target.parent.is_dir():
            return
        free = free_bytes(target.parent)
        if not self.largest:
            needed = self.share * os.path.getsize(source) if os.path.isfile(source) else 0
            problem = f"may take {needed / 1e6:.0f} MB and more, and the disk has {free / 1e6:.0f} MB left"
        else:
            needed = 2 * self.largest
            problem = f"outputs have taken up to {self.largest / 1e6:.0f} MB, and the disk has no room for two of these"
        if free < needed:
            raise OutputError(target, problem, f"free some space or write elsewhere with {option('output')}")


def _one_by_one(
    pairs: Iterable[tuple[str, Path]], attempt: Callable[[str, Path, Progress], Outcome], unit: str
) -> Generator[Outcome]:
    for source, target in pairs:
        bar = ProgressBar(source, unit)
        outcome = attempt(source, target, bar)
        bar.close()
        yield outcome


def _is_about(error: MapgenError) -> bool:
    """Whether an error is about the input that it came with: then the others may fare better."""
    if isinstance(error, UsageError):
        return error.key not in _OF_THE_RUN
    return error.exit_code not in (1, 6, 130, 143)


def _own(error: MapgenError, source: str, *, alone: bool) -> MapgenError:
    """The error as that of its input: among several, an option that does not fit one is no wrong usage."""
    if alone or not isinstance(error, UsageError):
        return error
    name = public_name(source)
    problem = error.problem if error.subject == name else f"{error.subject}: {error.problem}"
    return InputError(name, problem, error.remedy)
