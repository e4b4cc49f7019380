"""Outputs appear whole or not at all."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Barrier

import pytest
from factory import contents, make_model

from mapgen.errors import OutputError
from mapgen.files.commit import Output, check_output, staged


def test_what_is_staged_appears_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "out.txt"
    with staged(Output(path)) as temporary:
        temporary.write_text("new")
        temporary.with_name("out.txt.aux.xml").write_text("side-car")
        assert not path.exists()
    assert path.read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.txt", "out.txt.aux.xml"]


def test_a_block_that_raises_leaves_everything_as_it_was(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def fail():
        with staged(Output(path, overwrite=True)) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]
    assert path.read_text() == "old"


def test_a_stale_side_car_goes_with_the_file_it_described(tmp_path):
    path = tmp_path / "out.tif"
    path.write_text("old")
    (tmp_path / "out.tif.ovr").write_text("overviews of the old one")
    with staged(Output(path, overwrite=True)) as temporary:
        temporary.write_text("new")
    assert [p.name for p in tmp_path.iterdir()] == ["out.tif"]


def test_outputs_have_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    model = make_model(tmp_path / "model.safetensors")
    assert model.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_full_disk_is_said_to_be_full(tmp_path):
    def fail():
        with staged(Output(tmp_path / "out.txt")):
            raise OSError(28, os.strerror(28))

    with pytest.raises(OutputError, match="disk is full; free some space"):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("links", [True, False])
def test_what_another_run_made_meanwhile_is_not_replaced(tmp_path, monkeypatch, links):
    """Of two runs that write the same output, the later is refused, also where the file system has no hard links."""
    if not links:
        monkeypatch.setattr("os.link", without_links)

    def slow():
        with staged(Output(tmp_path / "map.tif")) as temporary:
            temporary.write_text("mine")
            temporary.with_name("map.qml").write_text("mine")
            with staged(Output(tmp_path / "map.tif")) as other:
                other.write_text("theirs")

    with pytest.raises(OutputError, match=r"map.tif: was made by another run meanwhile; use overwrite=True"):
        slow()
    assert contents(tmp_path) == {"map.tif": b"theirs"}


@pytest.mark.parametrize("links", [True, False])
def test_names_are_claimed_all_or_none(tmp_path, monkeypatch, links):
    """The other run is quick enough to come between the last look and the first claim."""
    if not links:
        monkeypatch.setattr("os.link", without_links)
    monkeypatch.setattr("os.path.lexists", lambda path: False)
    (tmp_path / "map.tif.ovr").write_text("theirs")

    def late():
        with staged(Output(tmp_path / "map.tif")) as temporary:
            temporary.write_text("mine")
            temporary.with_name("map.tif.ovr").write_text("mine")

    with pytest.raises(OutputError, match=r"map.tif.ovr: was made by another run meanwhile"):
        late()
    assert contents(tmp_path) == {"map.tif.ovr": b"theirs"}


def test_of_many_runs_at_once_one_wins_even_where_no_lock_holds(tmp_path, monkeypatch):
    monkeypatch.setattr("mapgen.files.commit.lock", lambda path, inside: nullcontext())
    def run(number):
        try:
            with staged(Output(tmp_path / "map.tif")) as temporary:
                temporary.write_text(f"{number}")
                barrier.wait()
        except OutputError as exc:
            return str(exc)
        return number

    barrier = Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(run, range(8)))
    winners = [one for one in told if isinstance(one, int)]
    assert len(winners) == 1
    assert contents(tmp_path) == {"map.tif": b"%d" % winners[0]}
    assert all("was made by another run meanwhile" in one for one in told if isinstance(one, str))


@pytest.mark.parametrize("name", ["map.tif.aux.xml", "map.tif.msk", "map.qml"])
def test_a_foreign_side_car_beside_a_new_output_stays(tmp_path, name):
    """A style made by hand, an attribute table, statistics: nothing that is there goes without --overwrite."""
    (tmp_path / name).write_text("by hand")
    with pytest.raises(OutputError, match=f"{name}: exists and would belong to map.tif; use overwrite=True"):
        check_output(Output(tmp_path / "map.tif", beside={"map.qml": b"of the map"}))
    check_output(Output(tmp_path / "map.tif", overwrite=True, beside={"map.qml": b"of the map"}))
    assert contents(tmp_path) == {name: b"by hand"}


def test_a_side_car_left_over_from_a_deleted_output_is_no_loss(tmp_path):
    """Whoever deletes a map and makes it again is not refused because of what mapgen itself had put beside it."""
    (tmp_path / "map.qml").write_text("of the map")
    with staged(Output(tmp_path / "map.tif", beside={"map.qml": b"of the map"})) as temporary:
        temporary.write_text("map")
        temporary.with_name("map.qml").write_text("of the map")
    assert contents(tmp_path) == {"map.qml": b"of the map", "map.tif": b"map"}


def test_a_foreign_side_car_that_came_meanwhile_stays(tmp_path):
    def slow():
        with staged(Output(tmp_path / "map.tif", beside={"map.qml": b"of the map"})) as temporary:
            temporary.write_text("mine")
            (tmp_path / "map.qml").write_text("by hand")

    with pytest.raises(OutputError, match=r"map.qml: was made by another run meanwhile"):
        slow()
    assert contents(tmp_path) == {"map.qml": b"by hand"}


def without_links(*names):
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
