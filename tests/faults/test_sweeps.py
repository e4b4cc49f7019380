"""A disk full at any size, an operation that fails at any time, a kill at any moment: the right file, or the old one,
never a bad one; then the same command makes it."""

import errno
import os
import resource
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from making import NAMES, Operations, failing, inputs, make

from mapgen.errors import OutputError
from mapgen.files.journal import journal_path
from mapgen.files.leftovers import leftovers, remove
from mapgen.results.verify import verify

KINDS = list(NAMES)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """What outputs are made from."""
    return inputs(tmp_path_factory.mktemp("given") / "in")


@pytest.fixture
def made(tmp_path, given, engines):
    """What is to be seen of an output of a kind; see `look`."""

    def once(kind):
        (tmp_path / "right").mkdir(exist_ok=True)
        make(kind, given, tmp_path / "right" / NAMES[kind])
        return look(tmp_path / "right" / NAMES[kind])

    return once


def look(path):
    """The bytes of an output; of a GeoPackage, in which times differ, their number."""
    if path.is_dir():
        return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}
    return path.stat().st_size if path.suffix == ".gpkg" else path.read_bytes()


def largest(path):
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    return max(p.stat().st_size for p in files)


def assert_old_or_right(target, old, right):
    """Nothing but what was there, or the output as it is to be, and the journal that the next run goes on from."""
    if old is None:
        assert not target.exists() or look(target) == right
    elif target.read_bytes() != old:
        assert look(target) == right
        assert verify(target).whole
    hidden = {p.name for p in target.parent.iterdir() if p.name.startswith(".")}
    assert hidden <= {journal_path(target).name}


def attempt(kind, given, target, act=None):
    """Whether it is made; what goes wrong is said as any error of writing, never as a bug."""
    try:
        with act.watched() if act else nullcontext():
            make(kind, given, target)
    except OutputError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_is_full_at_any_size_leaves_the_old_file_or_the_right_one(tmp_path, given, made, kind):
    """Output: disk full at any byte."""
    right = made(kind)
    target = tmp_path / "out" / NAMES[kind]
    target.parent.mkdir()
    size, before = largest(tmp_path / "right" / NAMES[kind]), resource.getrlimit(resource.RLIMIT_FSIZE)
    failed = 0
    for limit in np.linspace(0, size - 1, 12).astype(int).tolist():
        if kind != "folder":
            target.write_bytes(b"precious")
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            done = attempt(kind, given, target)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        failed += not done
        assert_old_or_right(target, None if kind == "folder" else b"precious", right)
    assert failed >= 10
    make(kind, given, target)
    assert look(target) == right


@pytest.mark.parametrize("kind", KINDS)
def test_any_operation_may_fail_until_a_run_succeeds(tmp_path, given, made, kind):
    """Output: the n-th opening, writing, flushing or moving fails, for every n, as SQLite tests itself."""
    right = made(kind)
    target = tmp_path / "out" / NAMES[kind]
    target.parent.mkdir()
    step = 7 if kind == "folder" else 1  # of hundreds of tiles not each
    for number in range(1, 2000, step):
        if kind != "folder":
            target.write_bytes(b"precious")
        operations = Operations(target.parent, failing(number))
        done = attempt(kind, given, target, operations)
        assert_old_or_right(target, None if kind == "folder" else b"precious", right)
        if operations.count < number:
            break
    else:
        pytest.fail("it never succeeds")
    assert done
    assert number > 5
    assert look(target) == right


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_may_be_killed_before_any_operation(tmp_path, given, made, kind):
    """Process: SIGKILL at any moment."""
    right = made(kind)
    program = Path(__file__).with_name("making.py")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    (tmp_path / "killed").mkdir()
    command = [sys.executable, "-W", "ignore", str(program), kind, str(given), str(tmp_path / "killed")]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    places = sorted((tmp_path / "killed").glob("[0-9]*"))
    assert len(places) >= 8
    left = 0
    for place in places:
        target = place / NAMES[kind]
        if kind != "folder":
            assert target.read_bytes() == b"precious" or look(target) == right
        found = list(leftovers(place))
        left += len(found)
        assert not [one.reason for one in found if one.reason]
        make(kind, given, target)
        assert look(target) == right
        for one in leftovers(place):
            remove(one)
        assert not [p.name for p in place.iterdir() if p.name.startswith(".")]
    assert left


def test_an_error_of_the_disk_is_no_bug(tmp_path, given, engines):
    """EIO as a dying disk gives it: it is not taken for a full one, nor for a fault of mapgen."""

    def act(count):
        if count == 4:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with Operations(tmp_path, act).watched(), pytest.raises(OSError, match="Input/output"):
        make("model", given, tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())
