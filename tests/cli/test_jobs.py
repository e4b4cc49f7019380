"""Several inputs at once: the same outcomes in the same order, and a process that is lost costs what it was at."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import typer

from mapgen.cli import jobs
from mapgen.cli.console import console
from mapgen.cli.course import Outcome
from mapgen.errors import InputError
from mapgen.parallel import Progress, share, threads


def entry(pipe: Connection, arguments: list[str], names: list[str], count: int) -> None:
    """A worker whose inputs say what is to happen."""
    del arguments
    jobs.begin(pipe, names, count)
    jobs.serve(attempt)
    jobs.end(0)


def attempt(source: str, target: Path, progress: Progress) -> Outcome:
    if source == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if source == "wait":
        target.read_bytes()  # until somebody writes to the pipe
    if source == "free":
        target.write_bytes(b"go on")
    if source == "bad":
        return Outcome("failed", 0.0, error=InputError("bad", "is damaged", "get it again"))
    progress(1, 2)
    console.note(f"{source} of {len(jobs.served())}")
    return Outcome("done", 0.0, {"threads": threads(4)})


def refused(pipe: Connection, arguments: list[str], names: list[str], count: int) -> None:
    """A worker that cannot begin."""
    jobs.begin(pipe, names, count)
    console.failure("out of something")
    jobs.end(6)


def statuses(sources: list[str], target: Path, count: int = 2) -> list[Outcome]:
    return list(jobs.outcomes([(source, target) for source in sources], sources, count))


@pytest.fixture(autouse=True)
def _entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "entry", entry)
    monkeypatch.setattr(console, "verbosity", 0)


def test_outcomes_come_in_the_order_of_the_inputs_with_what_was_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = statuses(["wait", "free", "bad", "last"], tmp_path / "pipe")
    assert [one.status for one in found] == ["done", "done", "failed", "done"]
    assert found[0].record == {"threads": 2}  # its share of four
    error = found[2].error
    assert isinstance(error, InputError)
    assert (str(error), error.exit_code) == ("bad: is damaged; get it again", 4)
    assert capfd.readouterr().err.splitlines() == [f"mapgen: {name} of 4" for name in ("wait", "free", "last")]


def test_a_process_that_is_lost_costs_its_input_alone(tmp_path: Path) -> None:
    found = statuses(["a", "die", "b", "c"], tmp_path)
    assert [one.status for one in found] == ["done", "failed", "done", "done"]
    error = found[1].error
    assert error is not None
    assert (error.exit_code, "ended by SIGKILL" in str(error), "fewer --jobs" in str(error)) == (8, True, False)


def test_what_keeps_a_process_from_beginning_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jobs, "entry", refused)
    with pytest.raises(typer.Exit) as ended:
        statuses(["a", "b"], tmp_path)
    assert ended.value.exit_code == 6
    assert capfd.readouterr().err == "mapgen: error: out of something\n"


def test_whoever_stops_early_leaves_no_process_behind(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    running = jobs.outcomes([("a", tmp_path), ("wait", tmp_path / "pipe")], ["a", "wait"], 2)
    assert next(running).status == "done"
    running.close()
    assert not multiprocessing.active_children()


def test_jobs_share_the_threads() -> None:
    try:
        share(3)
        assert [threads(n) for n in (1, 3, 8)] == [1, 1, 2]
    finally:
        share(1)
    assert threads(8) == 8
