"""Compiled kernels: where they are kept, and that compiling is said."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import numba
import pytest

from mapgen import kernels
from mapgen.kernels import announced, cache_folder

PACKAGE = Path(kernels.__file__).parent
SOURCE = PACKAGE / "polygons" / "simplify.py"


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
    assert Path(cache_folder(SOURCE)).is_relative_to(tmp_path / "kernels")
    assert Path(cache_folder(SOURCE)).is_dir()
    monkeypatch.setenv("NUMBA_CACHE_DIR", "elsewhere")
    assert cache_folder(SOURCE) == "elsewhere"


def test_kernels_are_compiled_anew_when_one_that_they_are_built_from_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """numba looks at a kernel's own file only: `simplify` calls kernels of `clearance`, which knows nothing of it."""
    monkeypatch.setenv("MAPGEN_CACHE", str(tmp_path))
    real = kernels._text_of

    def mark(source: Path, changed: Path | None = None) -> str:
        kernels._mark_of.cache_clear()
        monkeypatch.setattr(kernels, "_text_of", lambda path: real(path) + ("#" if path == changed else ""))
        return Path(cache_folder(source)).name

    called, stranger = PACKAGE / "polygons" / "clearance.py", PACKAGE / "raster" / "warp.py"
    assert mark(SOURCE) == mark(SOURCE, stranger)
    assert mark(SOURCE) != mark(SOURCE, called)
    assert mark(called) == mark(called, SOURCE)


def test_a_foreign_kernel_keeps_the_cache_that_it_chose() -> None:
    before = numba.config.CACHE_DIR
    kernels.kernel(kernels._Announcer.on_end)
    assert before == numba.config.CACHE_DIR


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are those of POSIX")
def test_without_a_place_to_write_a_private_folder_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("MAPGEN_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    folder = Path(cache_folder(SOURCE))
    assert folder.parent == tmp_path / "tmp"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert Path(cache_folder(SOURCE)) == folder


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are those of POSIX")
def test_a_folder_that_others_could_write_to_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MAPGEN_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = Path(cache_folder(SOURCE))
    folder.chmod(0o777)
    assert Path(cache_folder(SOURCE)) != folder
