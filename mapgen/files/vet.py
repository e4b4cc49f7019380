"""What a file is, by its first bytes, before GDAL is let near it."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from mapgen.errors import InputError, one_line
from mapgen.files.inputs import note_inputs
from mapgen.files.vrt import vet_vrt

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"II*\0", "GTiff"), (b"MM\0*", "GTiff"), (b"II+\0", "GTiff"), (b"MM\0+", "GTiff"),
    (b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JP2OpenJPEG"), (b"\xff\x4f\xff\x51", "JP2OpenJPEG"),
    (b"EHFA_HEADER_TAG", "HFA"),
)  # fmt: skip
"""First bytes and the GDAL driver that reads what begins so."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")  # of one letter it is a drive of Windows

_KNOWN = "GeoTIFF, JPEG 2000, Erdas Imagine, PNG or JPEG"


def is_url(name: str) -> bool:
    """Whether a name is fetched over the network."""
    return name.lower().startswith(("http://", "https://"))


def check_scheme(name: object) -> None:
    """Raise `InputError` for an address of another kind than http(s), such as that of an object store."""
    found = _SCHEME.match(str(name))
    if found and not is_url(str(name)) and not os.path.lexists(str(name)):
        address = f"{found[1]}://{str(name)[found.end() :].lstrip('/')}"
        problem = f"is an address of the kind {found[1]}://, which mapgen does not read"
        raise InputError(one_line(address), problem, "copy it to a file, or name it by http(s)")


def beside(source: str, suffix: str, folder: Path | None = None) -> Path:
    """`NAME` + `suffix` for a source `NAME.tif`: beside it (a URL: in the current folder), or in `folder`."""
    name = Path(source.split("?", 1)[0]) if is_url(source) else Path(source)
    place = folder if folder is not None else Path() if is_url(source) else name.parent
    return place / f"{name.stem}{suffix}"


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a file or folder, all links followed, lies in a folder."""
    return path.resolve().is_relative_to(folder.resolve())


def public_name(name: object) -> str:
    """A name fit to be printed: on one line, without the password or the query (signatures, tokens) of a URL."""
    text = str(name)
    if is_url(text):
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:  # what is wrong may be the very part that must not be shown
            return f"{text.split(':')[0].lower()}://…"
        host = parts.hostname or ""
        netloc = f"{host}:{port}" if port else host
        text = urlunsplit((parts.scheme, netloc, parts.path, "…" if parts.query else "", ""))
    return one_line(text)


def check_url(name: str) -> None:
    """Raise `InputError` unless the URL has a host and, if any, a port that can be."""
    try:
        parts = urlsplit(name)
        valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise InputError(public_name(name), "is not a valid URL", "check the address")


def driver_of(path: Path) -> str:
    """The GDAL driver for the raster at `path`.

    Raises `InputError` at once for what is no regular file (reading a pipe would hang), is empty, or is no raster.
    GDAL itself would try every driver it has, and some of them read other files or the network.
    """
    check_scheme(path)
    subject = one_line(path)
    try:
        os.path.abspath(path).encode()
    except UnicodeEncodeError as exc:
        raise InputError(subject, "the name is not UTF-8, which GDAL needs", "rename it") from exc
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise InputError(subject, "is a folder", "name the raster files in it")
        if not stat.S_ISREG(mode):
            raise InputError(subject, "is not a regular file", "copy its content to a file first")
        with open(path, "rb") as stream:
            start = stream.read(512)
    except OSError as exc:
        if str(path).startswith("/vsi"):
            problem = "names a file of GDAL's virtual file systems, which mapgen does not read"
            raise InputError(subject, problem, "name a local file (unpack an archive first) or an http(s) URL") from exc
        raise InputError(subject, *_system_problem(exc)) from exc
    note_inputs(path)
    for signature, driver in SIGNATURES:
        if start.startswith(signature):
            return driver
    if path.suffix.lower() == ".vrt" and start.lstrip().startswith(b"<VRTDataset"):
        vet_vrt(path, driver_of)
        return "VRT"
    raise InputError(subject, *_foreign_problem(start))


def _system_problem(exc: OSError) -> tuple[str, str]:
    if exc.errno == errno.ENOENT:
        return "no such file", "check the path"
    if exc.errno == errno.ELOOP:
        return "is a symbolic link that leads back to itself", "repair the link"
    return f"cannot be read ({exc.strerror})", "check the path and its permissions"


def _foreign_problem(start: bytes) -> tuple[str, str]:
    head = start.lstrip().lower()
    if not start:
        return "is empty", "get the file again"
    if start.startswith(b"PK\x03\x04"):
        return "is a zip archive", "unpack it and name the raster inside"
    if head.startswith((b"<!doctype html", b"<html")):
        return "is a web page, not a raster (a log-in page of the server?)", "download the file again"
    if head.startswith(b"<vrtdataset"):
        return "is a VRT under another name", "rename it to .vrt"
    if start.startswith((b"GIF8", b"RIFF", b"SQLite", b"\x89HDF", b"CDF")):
        remedy = f"convert it: a raster to {_KNOWN} with gdal_translate, polygons to GeoPackage with ogr2ogr"
        return "is of a format that mapgen does not read", remedy
    remedy = f"mapgen reads {_KNOWN}; gdal_translate converts others, such as ASCII grids and ENVI, to GeoTIFF"
    return "is not a raster that mapgen knows", remedy
