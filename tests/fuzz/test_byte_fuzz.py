"""Byte fuzz: whatever a file has become, one line or the work done; never a traceback, a hang, a wrong file, or an
older output lost.

On each run of the tests two seeds a file, in this process; MAPGEN_FUZZ_SEEDS=500 tries as many. A seed that fails is
named: run it alone with MAPGEN_FUZZ_SEED=N and -k FILE.
"""

import contextlib
import contextvars
import os
import resource
import shutil
import signal
import zlib
from pathlib import Path

import pytest
from damage import damaged
from whole_files import CHANGED, COMMANDS, JOURNAL, LOCK

from mapgen.files.commit import locked
from mapgen.files.unfinished import PREFIX
from mapgen.results.verify import verify

SEEDS = int(os.environ.get("MAPGEN_FUZZ_SEEDS", "2"))
SLOW = {"run.toml"}
"""Files whose commands take seconds: one seed, unless more are asked for."""
SECONDS = 20
"""That a command may take: it takes a few hundredths."""
KILOBYTES = 700_000
"""That all commands over one file may need beyond what was needed before."""

CODES = {0, 2, 3, 4, 5, 6, 8, 9, 10}
"""Exit codes of damaged files: neither a bug (1) nor the network (7)."""


@pytest.fixture(autouse=True)
def fake(engines):
    """Runs use a `FakeEngine`."""


def seeds(name):
    if one := os.environ.get("MAPGEN_FUZZ_SEED"):
        return [int(one)]
    first = zlib.crc32(name.encode()) % 1000  # other kinds of damage for other files
    return range(first, first + (1 if name in SLOW and SEEDS == 2 else SEEDS))


@contextlib.contextmanager
def within(seconds):
    """In the block, a `TimeoutError` is raised when it takes longer."""

    def late(number, frame):
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_damaged_file_is_read_or_refused_in_one_line_and_nothing_is_lost(ground, mapgen, monkeypatch, name):
    path = ground / name
    if not path.is_file():
        pytest.skip("what makes it is not installed")
    monkeypatch.chdir(ground)
    whole, times = path.read_bytes(), path.stat()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        for seed in seeds(name):
            data = damaged(whole, seed)
            for command in COMMANDS[name]:
                path.write_bytes(data)
                if name in (JOURNAL, LOCK):
                    os.utime(path, (0, 0))
                try_one(mapgen, command, name, f"seed {seed}: {' '.join(command)}")
                if name not in CHANGED:
                    assert path.read_bytes() == data, f"seed {seed}: {command} has changed its input"
    finally:
        path.write_bytes(whole)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < KILOBYTES


def try_one(mapgen, command, name, called):
    """One command over a damaged file, in the place of an older output."""
    target = Path(command[command.index("-o") + 1]) if "-o" in command else None
    for option in ("--inline", "--png"):
        target = Path(command[command.index(option) + 1]) if option in command else target
    words = [word.replace("{}", name) for word in command]
    kept = target is not None and target.suffix != "" and command[0] != "route"
    if kept:
        target.write_bytes(b"precious")
        words.append("--overwrite")
    with within(SECONDS):
        run = mapgen(*words)
    assert run.code in CODES, (called, run)
    assert run.errors or run.code in (0, 3), (called, run)
    assert all(line.startswith("mapgen: ") for line in run.err.splitlines()), (called, run.err)
    if kept and target.read_bytes() != b"precious":
        assert run.code in (0, 3), (called, run)
        assert target.suffix == ".html" or verify(target).whole, (called, verify(target))
    elif kept:
        assert run.code not in (0, 3), (called, run)
    left = [path.name for folder in ("out", "good") for path in Path(folder).iterdir() if path.name.startswith(PREFIX)]
    assert not left, called
    if kept:
        target.unlink()
    for path in Path("out").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


SEALED = "result/town.mask.tif"


def test_no_damage_to_a_class_map_is_called_whole(ground):
    whole = (ground / SEALED).read_bytes()
    assert verify(ground / SEALED).whole
    try:
        for seed in seeds("sealed"):
            data = damaged(whole, seed)
            (ground / SEALED).write_bytes(data)
            assert verify(ground / SEALED).whole == (data == whole), seed
    finally:
        (ground / SEALED).write_bytes(whole)


def test_whatever_a_journal_has_become_the_map_is_the_same(ground, mapgen, monkeypatch):
    """Process: what was left by a run that was killed is used where it is whole, and never else."""
    monkeypatch.chdir(ground)
    command = ("segment", "good/tall.tif", "--model", "good/fake.safetensors", "-o")
    assert mapgen(*command, "out/once.tif").code == 0
    expected, whole = Path("out/once.tif").read_bytes(), Path(JOURNAL).read_bytes()
    for seed in seeds("journal"):
        Path(JOURNAL).write_bytes(damaged(whole, seed))
        run = mapgen(*command, "hidden/map.tif", "--overwrite")
        assert (run.code, Path("hidden/map.tif").read_bytes() == expected) == (0, True), (seed, run)
    Path(JOURNAL).write_bytes(whole)
    run = mapgen(*command, "hidden/map.tif", "--overwrite")
    assert (run.code, "went on at row 1024" in run.err) == (0, True)
    assert Path("hidden/map.tif").read_bytes() == expected
    Path(JOURNAL).write_bytes(whole)


def test_a_damaged_lock_lets_nobody_else_in_and_nobody_out(ground, mapgen, monkeypatch):
    """Output: two runs at once: while another holds it the output is refused, whatever the file says."""
    monkeypatch.chdir(ground)
    command = ("vectorize", "good/town.mask.tif", "-o", "hidden/layer.gpkg", "--overwrite")
    whole = Path(LOCK).read_bytes()
    for seed in seeds("lock"):
        with locked(Path("hidden/layer.gpkg").absolute()):
            said = Path(LOCK).read_bytes()
            Path(LOCK).write_bytes(damaged(said, seed))
            run = contextvars.Context().run(mapgen, *command)
            assert (run.code, "is being written by" in run.err) == (5, True), (seed, run)
        Path(LOCK).write_bytes(damaged(said, seed))
        os.utime(LOCK, (0, 0))  # long silent, if the damage lets it look like one of another machine
        assert mapgen(*command).code == 0, seed
    Path(LOCK).write_bytes(whole)
