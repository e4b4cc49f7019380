"""Outputs appear whole or not at all."""

import os

import pytest
from factory import make_model

from mapgen.errors import OutputError
from mapgen.files.commit import staged


def test_what_is_staged_appears_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "out.txt"
    with staged(path, overwrite=False) as temporary:
        temporary.write_text("new")
        temporary.with_name("out.txt.aux.xml").write_text("side-car")
        assert not path.exists()
    assert path.read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.txt", "out.txt.aux.xml"]


def test_a_block_that_raises_leaves_everything_as_it_was(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def fail():
        with staged(path, overwrite=True) as temporary:
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
    with staged(path, overwrite=True) as temporary:
        temporary.write_text("new")
    assert [p.name for p in tmp_path.iterdir()] == ["out.tif"]


def test_outputs_have_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    model = make_model(tmp_path / "model.safetensors")
    assert model.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_full_disk_is_said_to_be_full(tmp_path):
    def fail():
        with staged(tmp_path / "out.txt", overwrite=False):
            raise OSError(28, os.strerror(28))

    with pytest.raises(OutputError, match="disk is full; free some space"):
        fail()
    assert list(tmp_path.iterdir()) == []
