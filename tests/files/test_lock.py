"""Locks: of two runs on one output the second ends at once and says who; what is left over is no obstacle."""

import contextvars
import errno
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from factory import contents

from mapgen.errors import OutputError
from mapgen.files import lock as locks
from mapgen.files.commit import Output, locked, staged
from mapgen.files.lock import lock, lock_path
from mapgen.files.unfinished import remove_unfinished

ELSEWHERE = {"host": "node7", "boot": "another start"}

HOLDING = """
import sys
from pathlib import Path
from mapgen.files.lock import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read(1)
"""


def elsewhere(path):
    """A context of its own, as that of another run: locks held here are not its own."""

    def run():
        with lock(path):
            pass

    contextvars.Context().run(run)


def left(path, age=0.0, **changes):
    """The lock of a run that is no more, or somewhere else."""
    with lock(path):
        said = json.loads(lock_path(path).read_text())
    lock_path(path).write_text(json.dumps(said | changes))
    os.utime(lock_path(path), (time.time() - age,) * 2)
    return lock_path(path)


@pytest.fixture(params=["held by the system", "known by content alone"])
def kind(request, monkeypatch):
    """A file system with holds, and one of the network without."""
    if request.param != "held by the system":

        def unsupported(handle, how):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr("fcntl.flock", unsupported)
    return request.param


def test_the_second_run_on_an_output_ends_at_once_and_says_who_holds_it_and_since_when(tmp_path, kind):
    """Output: two runs at once on one output."""
    path = tmp_path / "map.tif"
    with lock(path):
        words = rf"map.tif: is being written by process {os.getpid()} on this machine since 20\d\d-.* UTC; wait until"
        with pytest.raises(OutputError, match=words) as caught:
            elsewhere(path)
        assert caught.value.exit_code == 5
        assert "choose another name with output" in caught.value.remedy
    elsewhere(path)
    assert contents(tmp_path) == {}


def test_another_process_is_named(tmp_path, kind):
    path = tmp_path / "map.tif"
    command = [sys.executable, "-c", HOLDING, str(path)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(OutputError, match=f"process {process.pid} on this machine"):
            elsewhere(path)
        process.kill()
        process.wait()
    elsewhere(path)  # what the kill has left is taken over
    assert contents(tmp_path) == {}


def test_one_run_may_write_in_its_own_lock(tmp_path, kind):
    with locked(tmp_path / "map.tif"):
        with staged(Output(tmp_path / "map.tif")) as temporary:
            temporary.write_text("map")
        assert lock_path(tmp_path / "map.tif").exists()
    assert contents(tmp_path) == {"map.tif": b"map"}


def test_nothing_is_left_of_a_lock_where_the_block_raises(tmp_path, kind):
    with pytest.raises(ZeroDivisionError), lock(tmp_path / "map.tif"):
        raise ZeroDivisionError
    assert contents(tmp_path) == {}


def test_nothing_is_left_of_a_lock_where_a_watcher_ends_the_process(tmp_path, kind):
    with lock(tmp_path / "map.tif"):
        remove_unfinished()
        assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": 1 << 30},
        {"started": "1"},
        {"boot": "before the machine was started anew"},
    ],
)
def test_a_lock_whose_process_is_gone_is_taken_over(tmp_path, kind, changes):
    path = tmp_path / "map.tif"
    left(path, **changes)
    elsewhere(path)
    assert contents(tmp_path) == {}


def test_a_process_on_another_machine_counts_as_there_while_it_gives_signs_of_life(tmp_path, kind):
    path = tmp_path / "map.tif"
    left(path, age=20, **ELSEWHERE)
    with pytest.raises(OutputError, match=r"on node7 since .*, last heard of 2\d s ago; after 300 s it counts as gone"):
        elsewhere(path)
    os.utime(lock_path(path), (time.time() - 301,) * 2)
    elsewhere(path)
    assert contents(tmp_path) == {}


def test_a_container_that_was_killed_on_this_machine_is_known_to_be_gone(tmp_path):
    """Another name of the host, the same start of the machine: its holds are known here."""
    path = tmp_path / "map.tif"
    left(path, host="f3a9c1")
    elsewhere(path)
    assert contents(tmp_path) == {}


def test_a_run_at_work_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "SIGN_SECONDS", 0.01)
    locks._signs_of_life.cache_clear()
    with lock(tmp_path / "map.tif"):
        os.utime(lock_path(tmp_path / "map.tif"), (0, 0))
        end = time.monotonic() + 10
        while lock_path(tmp_path / "map.tif").stat().st_mtime < 1000 and time.monotonic() < end:
            time.sleep(0.01)
        assert lock_path(tmp_path / "map.tif").stat().st_mtime > 1000


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"mapgen_lock": 1}', b'{"mapgen_lock": 1, "pid": "x"}'])
def test_a_lock_that_says_nothing_is_no_obstacle_for_long(tmp_path, kind, content):
    path = tmp_path / "map.tif"
    lock_path(path).write_bytes(content)
    os.utime(lock_path(path), (0, 0))
    elsewhere(path)
    assert contents(tmp_path) == {}


def test_of_many_that_come_at_once_one_gets_the_lock(tmp_path, kind):
    """Over and over, a lock that was left over before them."""
    path = tmp_path / "map.tif"

    def run(_):
        try:
            with lock(path):
                assert not busy
                busy.append(1)
                time.sleep(0.001)
                busy.clear()
        except OutputError:
            return 0
        return 1

    busy = []
    with ThreadPoolExecutor(6) as pool:
        for _ in range(20):
            if kind == "held by the system":  # without holds two may take over what is left at the very same moment
                left(path, pid=1 << 30)
            assert sum(pool.map(run, range(6))) >= 1
    assert contents(tmp_path) == {}


def test_outputs_of_one_name_in_other_folders_are_others(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "c").symlink_to(tmp_path / "a")
    with lock(tmp_path / "a" / "map.tif"):
        elsewhere(tmp_path / "b" / "map.tif")
        elsewhere(tmp_path / "a" / "map.png")
        with pytest.raises(OutputError, match="is being written"):
            elsewhere(tmp_path / "c" / "map.tif")


def test_a_full_or_read_only_disk_is_said_to_be_one(tmp_path, monkeypatch):
    def full(handle, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.write", full)
    with pytest.raises(OutputError, match="the disk is full; free some space"), locked(tmp_path / "map.tif"):
        pass
    assert contents(tmp_path) == {}
