"""What a file is, by its first bytes, before GDAL is let near it."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

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

_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._:$-]*")

_KNOWN = "GeoTIFF, JPEG 2000, Erdas Imagine, PNG or JPEG"


STORES = {"s3": "/vsis3/", "gs": "/vsigs/", "az": "/vsiaz/"}
"""Kinds of addresses in object stores, and what GDAL calls the file system of each."""

_STORED = tuple(f"{kind}://" for kind in STORES)
_TILED = ("xyz:http://", "xyz:https://", "wms:http://", "wms:https://")


def is_url(name: str) -> bool:
    """Whether a name is fetched over the network: by http(s), from an object store, or as tiles of a server."""
    return is_http(name) or name.lower().startswith((*_STORED, *_TILED))


def is_http(name: str) -> bool:
    """Whether a name is fetched by http or https."""
    return name.lower().startswith(("http://", "https://"))


def is_stored(name: str) -> bool:
    """Whether a name is an address in an object store, BUCKET/KEY behind one of `STORES`."""
    return name.lower().startswith(_STORED)


def is_tiled(name: str) -> bool:
    """Whether a name is a server of tiles, `xyz:` or `wms:` before its address."""
    return name.lower().startswith(_TILED)


def bucket_and_key(name: str) -> tuple[str, str]:
    """What an address in an object store names; the key as it is, whatever is in it."""
    bucket, _, key = name.split("://", 1)[1].partition("/")
    return bucket, key


def gdal_name(name: str) -> str:
    """What GDAL calls what lies behind an http(s) address or one in an object store."""
    if is_stored(name):
        return STORES[name.split(":", 1)[0].lower()] + "/".join(bucket_and_key(name))
    return f"/vsicurl/{quoted(name)}"


def quoted(url: str) -> str:
    """An http(s) address with what may not be in one, such as spaces, written as it may; what is written so stays."""
    return quote(url, safe="%/:=&?~#+!$,;'@()*[]")


def check_scheme(name: object) -> None:
    """Raise `InputError` for an address of a kind that is not read, such as ftp."""
    found = _SCHEME.match(str(name))
    if found and not is_url(str(name)) and not os.path.lexists(str(name)):
        address = f"{found[1]}://{str(name)[found.end() :].lstrip('/')}"
        problem = f"is an address of the kind {found[1]}://, which mapgen does not read"
        raise InputError(one_line(address), problem, "copy it to a file, or name it by http(s), s3, gs or az")


def beside(source: str, suffix: str, folder: Path | None = None) -> Path:
    """`NAME` + `suffix` for a source `NAME.tif`: beside it (a URL: in the current folder), or in `folder`."""
    place = folder if folder is not None else Path() if is_url(source) else Path(source).parent
    return place / f"{stem_of(source)}{suffix}"


def stem_of(source: str) -> str:
    """What the results of a source are called after: its file without the suffix, or the host of a server of tiles."""
    if is_tiled(source):
        return urlsplit(source[4:]).hostname or "tiles"
    return Path(source.split("?", 1)[0] if is_http(source) else source).stem


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a file or folder, all links followed, lies in a folder."""
    return path.resolve().is_relative_to(folder.resolve())


def public_name(name: object) -> str:
    """A name fit to be printed: on one line, without the password or the query (signatures, tokens) of a URL."""
    text = str(name)
    if is_tiled(text):
        return f"{text[:4].lower()}{public_name(text[4:])}"
    if is_stored(text):
        bucket, key = bucket_and_key(text)
        text = f"{text.split(':', 1)[0].lower()}://{bucket.rpartition('@')[2]}/{key}"
    if is_http(text):
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
    """Raise `InputError` unless the URL has a host and, if any, a port that can be, or a bucket and a key."""
    if is_stored(name):
        bucket, key = bucket_and_key(name)
        if not _BUCKET.fullmatch(bucket) or not key.strip("/") or key.endswith("/"):
            remedy = "write KIND://BUCKET/KEY; credentials come from the environment alone"
            raise InputError(public_name(name), "names no object in a store", remedy)
        return
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
            remedy = "name a local file (unpack an archive first) or an address: https, s3, gs or az"
            raise InputError(subject, problem, remedy) from exc
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
