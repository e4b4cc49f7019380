"""Writing safely: an output appears under its name whole and verified, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mapgen.errors import OutputError, option
from mapgen.files.unfinished import unfinished

SIDECARS = (".aux.xml", ".msk", ".ovr", ".ovr.msk")
"""What GDAL reads beside a raster: left over from an older file of the same name, they would describe the new one."""

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is too large",
}


def check_output(path: Path, *, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Raise `OutputError` unless a file can be put at `path` without harm to anything that must stay.

    Refused: an existing file without `overwrite`, any of the `inputs` (also through links), a folder, a missing or
    read-only parent. Nothing is created.
    """
    with translated(path):
        _check_output(path, overwrite, inputs)


def _check_output(path: Path, overwrite: bool, inputs: Iterable[Path]) -> None:
    there = _identity(path)
    if there is not None and any(_identity(source) == there for source in inputs):
        raise OutputError(path, "the output is also an input", f"choose another name with {option('output')}")
    try:
        os.path.abspath(path).encode()
    except UnicodeEncodeError as exc:
        raise OutputError(
            path, "the name is not UTF-8, which GDAL needs", f"choose another name with {option('output')}"
        ) from exc
    if path.is_dir():
        raise OutputError(path, "is a folder", "name a file")
    if (path.exists() or path.is_symlink()) and not overwrite:
        raise OutputError(
            path, "exists", f"use {option('overwrite', True)}, or choose another name with {option('output')}"
        )
    if path.exists() and not path.is_file():
        raise OutputError(path, "is not a regular file", f"choose another name with {option('output')}")
    if not path.parent.is_dir():
        raise OutputError(path, f"the folder {path.parent} does not exist", "create it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(path, f"the folder {path.parent} is not writable", f"choose another with {option('output')}")


def _identity(path: Path) -> tuple[int, int] | None:
    """What is the same for all names and links of a file; None where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def staged(path: Path, *, overwrite: bool, inputs: Iterable[Path] = ()) -> Iterator[Path]:
    """A path to write to, in a hidden folder beside `path`; when the block ends well, all in it moves into place.

    The files are flushed to disk, the one called `path.name` is moved first, then the others (side-cars, parts of a
    shapefile) under their own names. When the block raises, or the process is interrupted, everything is removed and
    `path` is as it was. The caller verifies the file before it leaves the block. A disk that is full becomes an
    `OutputError`. The hidden folder is in the same directory because a move is atomic only within a file system.
    """
    check_output(path, overwrite=overwrite, inputs=inputs)
    with translated(path), unfinished(Path(tempfile.mkdtemp(prefix=".mapgen-", dir=path.parent))) as folder:
        yield folder / path.name
        _move(folder, path)


def _move(folder: Path, path: Path) -> None:
    made = sorted(folder.iterdir(), key=lambda p: (p.name != path.name, p.name))
    mode = _usual_mode(folder)
    for file in made:
        file.chmod(mode)
        with open(file, "rb") as stream:
            os.fsync(stream.fileno())
    names = {file.name for file in made}
    stale = [path.with_name(path.name + suffix) for suffix in SIDECARS if path.name + suffix not in names]
    for target in (*stale, *(path.with_name(name) for name in names)):
        if os.path.isdir(target) and not os.path.islink(target):  # before the first is moved, so all are or none
            raise OutputError(target, "is a folder where a file of the output belongs", "move it away")
    for file in filter(os.path.lexists, stale):  # false also for a name that is too long
        file.unlink()
    for file in made:
        os.replace(file, path.with_name(file.name))
    _sync_folder(path.parent)


def _usual_mode(folder: Path) -> int:
    """The permissions of a file made in the plain way; some writers (safetensors) give theirs to the owner alone."""
    probe = folder / ".mode"
    probe.touch()
    mode = stat.S_IMODE(probe.stat().st_mode)
    probe.unlink()
    return mode


def _sync_folder(folder: Path) -> None:
    """Make the new names themselves survive a power cut, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows cannot open a folder; the data are safe already
        return
    try:
        os.fsync(handle)
    except OSError:  # some network file systems refuse this
        pass
    finally:
        os.close(handle)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the system's errors of writing `path` into `OutputError`."""
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise OutputError(
                path, _FULL[exc.errno], f"free some space or write elsewhere with {option('output')}"
            ) from exc
        if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise OutputError(
                path, f"cannot be written ({exc.strerror})", f"choose another place with {option('output')}"
            ) from exc
        if exc.errno == errno.ENAMETOOLONG:
            raise OutputError(
                path, "the name is too long for the file system", f"choose a shorter one with {option('output')}"
            ) from exc
        raise


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written in `folder`."""
    return shutil.disk_usage(folder).free
