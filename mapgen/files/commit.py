"""Writing safely: an output appears under its name whole and verified, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from mapgen.errors import OutputError, one_line, option
from mapgen.files.inputs import is_input, note_output
from mapgen.files.lock import lock
from mapgen.files.unfinished import PREFIX, unfinished

SIDECARS = (".aux.xml", ".msk", ".ovr", ".ovr.msk", "-journal", "-wal", "-shm")
"""What GDAL and SQLite read beside a file: left over from an older one of the same name, they would describe the new
one."""

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is too large",
}
_NO_ROOM = 1 << 20
"""Bytes: with fewer left a disk counts as full."""

_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL}


@dataclass(frozen=True, slots=True)
class Output:
    """A file or folder to be written: its path, whether what is there may be replaced, and what belongs to it.

    `beside` are the names of files in the same folder that are part of it, written or not: its side-cars, with their
    content where it is settled beforehand. Without `overwrite` none of them may be there, unless with that very
    content; with it those that are not written anew are removed.
    """

    path: Path
    overwrite: bool = False
    beside: Mapping[str, bytes | None] = field(default_factory=dict)

    @property
    def belongings(self) -> dict[Path, bytes | None]:
        """The side-cars that it may have."""
        names = dict.fromkeys(self.path.name + suffix for suffix in SIDECARS) | dict(self.beside)
        return {self.path.with_name(name): content for name, content in names.items() if name != self.path.name}


def _another() -> str:
    return f"choose another name with {option('output')}"


def _remedy() -> str:
    return f"use {option('overwrite', True)}, or {_another()}"


def check_output(output: Output) -> None:
    """Raise `OutputError` unless a file can be put at the path without harm to anything that must stay.

    Refused: whatever this run reads (see `mapgen.files.inputs`), a file or side-car that exists unless `overwrite`, a
    folder, a missing or read-only parent. Nothing is created.
    """
    with translated(output.path):
        _check_name(output.path)
        _check_place(output)


def _check_name(path: Path) -> None:
    _check_no_input(path)
    try:
        os.path.abspath(path).encode()
    except UnicodeEncodeError as exc:
        raise OutputError(path, "the name is not UTF-8, which GDAL needs", _another()) from exc


def _check_place(output: Output) -> None:
    path = output.path
    if path.is_dir():
        raise OutputError(path, "is a folder", "name a file")
    if os.path.lexists(path) and not output.overwrite:
        raise OutputError(path, "exists", _remedy())
    if path.exists() and not path.is_file():
        raise OutputError(path, "is not a regular file", f"choose another name with {option('output')}")
    if not path.parent.is_dir():
        raise OutputError(path, f"the folder {path.parent} does not exist", "create it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(path, f"the folder {path.parent} is not writable", f"choose another with {option('output')}")
    for one, content in output.belongings.items():
        _check_no_input(one)
        if os.path.lexists(one) and not output.overwrite and not _holds(one, content):
            raise OutputError(one, f"exists and would belong to {path.name}", _remedy())


def _holds(path: Path, content: bytes | None) -> bool:
    """Whether a file is there with this content: left over from an output that was deleted, it is no loss."""
    if content is None or not os.path.isfile(path) or path.stat().st_size != len(content):
        return False
    return path.read_bytes() == content


def _check_no_input(path: Path) -> None:
    if is_input(path):
        raise OutputError(path, "the output is also an input", _another())


@contextmanager
def locked(*paths: Path, inside: bool = False) -> Iterator[None]:
    """No other run may write these outputs while the block runs. Raises `OutputError` where one does, and says which.

    Whoever works long before it writes takes the lock before it begins; `staged` takes it in any case. `inside`: the
    outputs are folders that files are put into, one by one.
    """
    with ExitStack() as stack:
        for path in paths:
            with translated(path):
                stack.enter_context(lock(path, inside=inside))
        yield


@contextmanager
def staged(output: Output) -> Iterator[Path]:
    """A path to write to, in a hidden folder beside the output; when the block ends well, all in it moves into place.

    The files are flushed to disk, the one called `path.name` is moved first, then the others (side-cars, parts of a
    shapefile) under their own names. When the block raises, or the process is interrupted, everything is removed and
    the output is as it was. Without `overwrite` nothing is replaced, also not what another run has made meanwhile.
    Meanwhile no other run can begin to write it. The caller verifies the file before it leaves the block. A disk that
    is full becomes an `OutputError`. The hidden folder is in the same directory because a move is atomic only within a
    file system.
    """
    check_output(output)
    path = output.path
    with locked(path), translated(path):
        check_output(output)  # another run may have made it between the look and the lock
        with unfinished(Path(tempfile.mkdtemp(prefix=PREFIX, dir=path.parent))) as folder:
            yield folder / path.name
            _move(folder, output)


def write_once(path: Path, text: str) -> bool:
    """Write a text in UTF-8 unless there is a file; of several that try at once, one does. Returns whether it did."""
    with translated(path), unfinished(Path(tempfile.mkdtemp(prefix=PREFIX, dir=path.parent))) as folder:
        file = folder / path.name
        file.write_text(text, encoding="utf-8", newline="")
        file.chmod(_usual_mode(folder))
        with open(file, "rb") as stream:
            os.fsync(stream.fileno())
        try:
            _claim_one(file, path)
        except FileExistsError:
            return False
        _sync_folder(path.parent)
    return True


def write_whole(output: Output, content: str | bytes) -> None:
    """Write bytes, or a text in UTF-8, whole or not at all. Raises `OutputError`."""
    data = content.encode() if isinstance(content, str) else content
    with staged(output) as temporary:
        temporary.write_bytes(data)
        if temporary.read_bytes() != data:
            raise OutputError(output.path, "did not read back as written (a full or failing disk?)", "free some space")


def _move(folder: Path, output: Output) -> None:
    path = output.path
    made = sorted(folder.iterdir(), key=lambda p: (p.name != path.name, p.name))
    mode = _usual_mode(folder)
    for file in made:
        file.chmod(mode)
        with open(file, "rb") as stream:
            os.fsync(stream.fileno())
    targets = [path.with_name(file.name) for file in made]
    alike = {one for one, content in output.belongings.items() if not output.overwrite and _holds(one, content)}
    for target in (*targets, *output.belongings):  # before the first is moved, so all are or none
        _check_no_input(target)  # it may have been opened since the start
        if os.path.isdir(target) and not os.path.islink(target):
            raise OutputError(target, "is a folder where a file of the output belongs", "move it away")
        if os.path.lexists(target) and not output.overwrite and target not in alike:
            raise _made_meanwhile(target)
    if output.overwrite:
        for file in filter(os.path.lexists, output.belongings):  # false also for a name that is too long
            if file not in targets:
                file.unlink()
        for file, target in zip(made, targets, strict=True):
            os.replace(file, target)
    else:
        _claim([file for file in made if path.with_name(file.name) not in alike])
    for target in targets:
        note_output(target)
    _sync_folder(path.parent)


def _made_meanwhile(path: Path) -> OutputError:
    return OutputError(path, "was made by another run meanwhile", _remedy())


def _claim(files: list[Path]) -> None:
    """Move files up into the folder above, where nobody may have their names; all of them or none."""
    targets = [file.parent.with_name(file.name) for file in files]
    for i, (file, target) in enumerate(zip(files, targets, strict=True)):
        try:
            _claim_one(file, target)
        except BaseException as exc:
            for done in targets[:i]:
                done.unlink(missing_ok=True)
            if isinstance(exc, FileExistsError):
                raise _made_meanwhile(target) from exc
            raise


def _claim_one(file: Path, target: Path) -> None:
    """A move that fails where the name is taken, atomically. Raises `FileExistsError`."""
    try:
        os.link(file, target)
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        # A file system without hard links (FAT, some of the network): an empty file takes the name first.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            os.replace(file, target)
        except BaseException:
            with suppress(OSError):
                target.unlink()
            raise
    else:
        file.unlink()


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


def unwritten(path: Path, reason: object) -> OutputError:
    """The error of an output that a library could not write; it seldom says that the disk is full."""
    if free_bytes(path.parent) < _NO_ROOM:
        return OutputError(path, _FULL[errno.ENOSPC], f"free some space or write elsewhere with {option('output')}")
    return OutputError(path, f"could not be written ({one_line(reason)[:160]})", "check the folder and the disk")


def make_folder(folder: Path) -> bool:
    """Make sure that there is a folder to write to; whether it was made. Raises `OutputError`."""
    if folder.is_dir():
        return False
    if os.path.lexists(folder):
        raise OutputError(folder, "is a file, the results need a folder", f"choose another with {option('output')}")
    if not folder.absolute().parent.is_dir():
        raise OutputError(folder, f"the folder {folder.absolute().parent} does not exist", "create it first")
    try:
        folder.mkdir()
    except OSError as exc:
        raise OutputError(
            folder, f"cannot be created ({exc.strerror})", f"choose another with {option('output')}"
        ) from exc
    return True


def leave_folder(folder: Path) -> None:
    """Remove a folder that nothing was written to."""
    with suppress(OSError):
        folder.rmdir()


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written in `folder`."""
    return shutil.disk_usage(folder).free
