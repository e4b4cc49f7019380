"""Compiled kernels: where they are kept, and that compiling is said."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import numba
import pytest

from mapgen.kernels import announced, cache_folder


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NUMBA_CACHE_DIR", "MAPGEN_CACHE"):
        monkeypatch.delenv(name, raising=False)


def test_compiling_is_announced_once_and_loading_not_at_all() -> None:
    said: list[str] = []
    one, other = numba.njit(lambda x: x + 1), numba.njit(lambda x: x + 2)
    with announced(said.append):
        assert (one(1), other(1), one(2)) == (2, 3, 3)
    assert len(said) == 1
    with announced(said.append):
        assert one(3) == 4
    assert len(said) == 1


def test_kernels_lie_in_the_cache_of_mapgen_unless_numba_is_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAPGEN_CACHE", str(tmp_path))
    assert Path(cache_folder()).is_relative_to(tmp_path / "kernels")
    assert Path(cache_folder()).is_dir()
    monkeypatch.setenv("NUMBA_CACHE_DIR", "elsewhere")
    assert cache_folder() == "elsewhere"


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are those of POSIX")
def test_without_a_place_to_write_a_private_folder_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("MAPGEN_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    folder = Path(cache_folder())
    assert folder.parent == tmp_path / "tmp"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert Path(cache_folder()) == folder


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are those of POSIX")
def test_a_folder_that_others_could_write_to_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MAPGEN_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = Path(cache_folder())
    folder.chmod(0o777)
    assert Path(cache_folder()) != folder
