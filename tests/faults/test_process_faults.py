"""Processes: stopped at any moment nothing is left behind, and a closed or odd surrounding shows no traceback."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from factory import cells, contents, coordinates, make_raster, noise, read_map

from mapgen.cli.signals import interruption

ROOT = Path(__file__).parents[2]

# The command line with a fake engine. It says "running" on a pipe in the midst of its first window, then waits.
# A shell has what it runs in the background ignore SIGINT, which is inherited; these runs are to hear it.
WAITING = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {tests!r})
import factory, mapgen.inference.segment
def rule(pixels):
    os.write({pipe}, b"running")
    threading.Event().wait({wait})
    return factory.brightness(pixels)
mapgen.inference.segment.open_engine = factory.Engines(rule).open
from mapgen.cli.main import main
main(sys.argv[1:])
"""


def environment(**changes: str | None) -> dict[str, str]:
    """This process's environment with the checkout to import from, and changes; None takes a name out."""
    merged = {**os.environ, "PYTHONPATH": str(ROOT), **changes}
    return {name: value for name, value in merged.items() if value is not None}


def start(
    arguments: tuple[object, ...], wait: str = "60", prelude: str = "", **options: object
) -> tuple[subprocess.Popen[bytes], int]:
    """The command line in a process of its own, and the end of a pipe that hears when its first window runs."""
    heard, said = os.pipe()
    program = prelude + WAITING.format(tests=str(ROOT / "tests"), pipe=said, wait=wait)
    command = [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment()} | options
    process = subprocess.Popen(command, pass_fds=(said,), **pipes)
    os.close(said)
    return process, heard


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    """One run to its end, without waiting in the network."""
    process, heard = start(arguments, wait="0", **options)
    out, err = process.communicate(timeout=60)
    os.close(heard)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def hear(heard: int) -> None:
    assert os.read(heard, 7) == b"running", "the run ended before its first window"
    os.close(heard)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("old", [None, "precious"])
def test_a_run_that_is_stopped_leaves_nothing_and_says_so(tmp_path, model, number, code, old):
    make_raster(tmp_path / "scene.tif", noise(100, 100))
    if old:
        (tmp_path / "scene.mask.tif").write_text(old)
    before = contents(tmp_path)
    process, heard = start(("segment", "--model", model, tmp_path / "scene.tif", "--overwrite"))
    hear(heard)
    assert any(p.name.startswith(".mapgen-") for p in tmp_path.iterdir()), "nothing had been begun"
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, b"")
    lines = [line for line in err.splitlines() if line.startswith(b"mapgen: error:")]
    assert len(lines) == 1
    said = "stopped; the unfinished output was removed; run the same command again"
    assert lines[0].decode() == f"mapgen: error: {number.name}: {said}"
    assert b"Traceback" not in err
    assert contents(tmp_path) == before


def test_a_second_signal_does_not_stop_the_cleaning_up(tmp_path, model):
    """Ctrl-C twice, the second time while the unfinished output is removed."""
    make_raster(tmp_path / "scene.tif", noise(100, 100))
    before = contents(tmp_path)
    impatient = (
        "import os, shutil, signal; remove = shutil.rmtree\n"
        "shutil.rmtree = lambda *a, **o: (os.kill(os.getpid(), signal.SIGINT), remove(*a, **o))\n"
    )
    process, heard = start(("segment", "--model", model, tmp_path / "scene.tif"), prelude=impatient)
    hear(heard)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"SIGINT: stopped" in err
    assert contents(tmp_path) == before


# A call into a library that no signal interrupts and that lets other threads run: minutes of hashing.
STUCK = "import factory, hashlib; factory.brightness = lambda p: hashlib.pbkdf2_hmac('sha256', b'', b'', 1 << 30)\n"


@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT, signal.SIGTERM)],  # the system merges two of a kind
)
def test_a_run_that_is_stuck_in_a_library_ends_within_two_seconds_and_at_once_when_told_twice(tmp_path, model, numbers):
    make_raster(tmp_path / "scene.tif", noise(100, 100))
    before = contents(tmp_path)
    prelude = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r})\n{STUCK}"
    process, heard = start(("segment", "--model", model, tmp_path / "scene.tif"), wait="0", prelude=prelude)
    hear(heard)
    began = time.monotonic()
    for number in numbers:
        process.send_signal(number)
    _, err = process.communicate(timeout=60)
    seconds = time.monotonic() - began
    first = signal.Signals(process.returncode - 128)
    assert first in numbers
    assert err.decode().splitlines()[-1].startswith(f"mapgen: error: {first.name}: stopped; ")
    assert seconds < (2 if len(numbers) == 1 else 1)
    assert contents(tmp_path) == before


def test_of_two_signals_at_once_one_gives_both_the_line_and_the_exit_code(monkeypatch):
    """The system runs the handler of the last of them first, Python that of the lowest number."""
    monkeypatch.setattr("mapgen.cli.signals._first", {})
    said = [interruption(number) for number in (signal.SIGTERM, signal.SIGINT)]
    assert [(str(error).split(":")[0], error.exit_code) for error in said] == [("SIGTERM", 143)] * 2


def test_no_file_stays_open(tmp_path, segment):
    """A thousand scenes in one run must not need a thousand descriptors."""
    for name in "abcd":
        make_raster(tmp_path / f"{name}.tif", noise(30, 30), nodata=0)
    (tmp_path / "e.tif").write_bytes(b"II*\0\x08\0")
    segment(tmp_path / "a.tif")  # what is opened once and kept is open by now
    before = len(os.listdir("/proc/self/fd"))
    assert segment(*(tmp_path / f"{name}.tif" for name in "abcde"), "--overwrite").code == 3
    assert len(os.listdir("/proc/self/fd")) == before


def test_few_files_that_may_be_open_are_no_bug_and_lose_nothing(tmp_path, segment):
    """Process: low `ulimit -n`: from none that may be opened on, until a run succeeds."""
    path = make_raster(tmp_path / "scene.tif", noise(60, 50))
    assert segment(path).code == 0  # what is loaded once is loaded by now
    target = tmp_path / "scene.mask.tif"
    right, before, codes = target.read_bytes(), resource.getrlimit(resource.RLIMIT_NOFILE), []
    while 0 not in codes and len(codes) < 40:
        target.write_bytes(b"precious")
        used = set(map(int, os.listdir("/proc/self/fd")))
        free = [number for number in range(max(used) + 50) if number not in used]
        resource.setrlimit(resource.RLIMIT_NOFILE, (free[len(codes)], before[1]))
        try:
            run = segment(path, "--overwrite")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        codes.append(run.code)
        assert run.code in (0, 4, 5, 6, 8), run
        assert len(run.errors) == (run.code != 0)
        assert target.read_bytes() == (b"precious" if run.code else right)
        assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".mapgen-")]
    assert codes[-1] == 0
    assert len(codes) > 3


def test_scenes_that_were_done_before_a_run_is_stopped_stay(tmp_path, model):
    make_raster(tmp_path / "a.tif", np.zeros((3, 20, 20), "uint8"), nodata=0)  # empty, so the engine is not asked
    make_raster(tmp_path / "b.tif", noise(100, 100))
    process, heard = start(("segment", "--model", model, tmp_path / "a.tif", tmp_path / "b.tif"))
    hear(heard)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == os.fsencode(tmp_path / "a.mask.tif") + b"\n"
    assert read_map(tmp_path / "a.mask.tif").shape == (20, 20)
    assert not (tmp_path / "b.mask.tif").exists()


@pytest.fixture
def odd_scene(tmp_path):
    """A scene in a folder of a name that is no ASCII."""
    (tmp_path / "Straße 地図").mkdir()
    return make_raster(tmp_path / "Straße 地図" / "scene.tif", noise(30, 30))


@pytest.mark.parametrize(
    "changes",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_plain_locale_is_no_obstacle(odd_scene, model, changes, more):
    done = run("segment", "--model", model, odd_scene, *more, env=environment(**changes))
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    result = odd_scene.with_name("scene.mask.tif")
    printed = json.loads(done.stdout.splitlines()[0])["output"] if more else os.fsdecode(done.stdout.rstrip(b"\n"))
    assert printed == str(result)
    assert result.exists()


def test_an_error_in_a_plain_locale_is_still_said(odd_scene, model):
    plain = environment(LC_ALL="C", PYTHONIOENCODING="ascii:strict")
    done = run("segment", "--model", model, odd_scene.with_name("gone.tif"), env=plain)
    assert done.returncode == 4
    assert b"mapgen: error:" in done.stderr
    assert b"no such file" in done.stderr


def test_a_user_without_a_home_can_work(odd_scene, model):
    homeless = environment(HOME=None, XDG_CACHE_HOME=None, MAPGEN_CACHE=None)
    done = run("segment", "--model", model, odd_scene, env=homeless)
    assert (done.returncode, done.stderr.count(b"error")) == (0, 0)


def test_a_home_that_cannot_be_written_is_no_obstacle(odd_scene, model):
    done = run("segment", "--model", model, odd_scene, env=environment(HOME="/proc/nowhere", XDG_CACHE_HOME=None))
    assert (done.returncode, done.stderr.count(b"error")) == (0, 0)


@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_closed_standard_streams_are_no_obstacle(odd_scene, model, closed):
    number = ("stdin", "stdout", "stderr").index(closed)
    done = run("segment", "--model", model, odd_scene, preexec_fn=lambda: os.close(number))
    assert done.returncode == 0
    assert b"Traceback" not in (done.stderr or b"")
    assert read_map(odd_scene.with_name("scene.mask.tif")).shape == (30, 30)


@pytest.mark.parametrize("more", [(), ("--json",), ("--dry-run",)])
def test_a_reader_that_goes_away_stops_no_work(tmp_path, model, more):
    """`mapgen segment … | head -0`: nobody reads the names, the maps are made all the same."""
    for name in "ab":
        make_raster(tmp_path / f"{name}.tif", noise(30, 30))
    reader, writer = os.pipe()
    os.close(reader)
    done = run("segment", "--model", model, tmp_path / "a.tif", tmp_path / "b.tif", *more, stdout=writer)
    os.close(writer)
    assert done.returncode == 0
    assert b"rror" not in done.stderr
    assert b"Traceback" not in done.stderr
    assert (tmp_path / "b.mask.tif").exists() == ("--dry-run" not in more)


@pytest.mark.parametrize("error", [ZeroDivisionError("division by zero"), IndexError("a\nb"), OSError(5, "odd")])
def test_a_bug_of_ours_is_called_one(tmp_path, refuses, engines, error):
    def broken(pixels):
        raise error

    engines.rule = broken
    make_raster(tmp_path / "scene.tif", noise(30, 30))
    make_raster(tmp_path / "other.tif", noise(30, 30))
    words = ("a bug in mapgen", type(error).__name__, "-vv")
    refuses(1, words, tmp_path / "scene.tif", tmp_path / "other.tif")


def test_a_bug_in_reading_is_a_bug_and_no_bad_input(tmp_path, refuses, monkeypatch):
    monkeypatch.setattr("mapgen.raster.scene.RasterScene._is_nodata", lambda *arguments: 1 // 0)
    make_raster(tmp_path / "scene.tif", noise(30, 30))
    refuses(1, ("a bug in mapgen", "ZeroDivisionError"), tmp_path / "scene.tif")


def test_a_bug_in_writing_is_a_bug_and_no_bad_output(tmp_path, refuses, monkeypatch):
    monkeypatch.setattr("mapgen.raster.classmap.pam_xml", lambda legend: 1 // 0)
    make_raster(tmp_path / "scene.tif", noise(30, 30))
    refuses(1, ("a bug in mapgen", "ZeroDivisionError"), tmp_path / "scene.tif")


def test_memory_that_runs_out_is_told_from_a_bug(tmp_path, refuses, engines):
    def hungry(pixels):
        raise MemoryError

    engines.rule = hungry
    make_raster(tmp_path / "scene.tif", noise(30, 30))
    refuses(8, ("out of memory", "--window", "--batch"), tmp_path / "scene.tif")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_from_a_bug(tmp_path, refuses, monkeypatch, code):
    def full(*arguments, **options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.fsync", full)
    make_raster(tmp_path / "scene.tif", noise(30, 30))
    refuses(5, ("scene.mask.tif", "free some space"), tmp_path / "scene.tif")


def test_a_traceback_is_shown_where_it_is_asked_for_alone(tmp_path, model, engines, capfd):
    from mapgen.cli.main import run as run_here

    path = make_raster(tmp_path / "scene.tif", noise(30, 30))
    engines.rule = lambda pixels: 1 // 0
    for flags, shown in (((), False), (("-v",), False), (("-vv",), True)):
        assert run_here(["segment", "--model", str(model), str(path), *flags]) == 1
        assert ("Traceback" in capfd.readouterr().err) == shown


def test_batches_and_order_of_runs_change_no_byte(tmp_path, segment, engines):
    engines.rule = cells
    path = make_raster(tmp_path / "scene.tif", coordinates(150, 130))
    made = []
    for batch in (1, 3, 7):
        assert segment(path, "--batch", batch, "--overwrite").code == 0
        made.append((tmp_path / "scene.mask.tif").read_bytes())
    assert made[0] == made[1] == made[2]
