"""Inputs on http(s) servers: what an address leads to, asked before GDAL is, with patience that ends.

GDAL says of a failure only that there was one, knows no total time, and reads a log-in page as a broken raster.
"""

from __future__ import annotations

import base64
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from mapgen import __version__
from mapgen.errors import InputError, MapgenError, NetworkError, one_line
from mapgen.files.stores import stored_version
from mapgen.files.vet import is_stored, public_name, quoted

if TYPE_CHECKING:
    from urllib.error import HTTPError
    from urllib.request import Request

TOTAL = 60.0
"""Seconds that one question to a server may take with all that is tried again."""

TRIES = 4
AGAIN = {408, 425, 429, 500, 502, 503, 504}
"""Answers of a server that may answer otherwise in a while."""

_total: ContextVar[float] = ContextVar("net_timeout", default=TOTAL)
_LONGEST_WAIT = 20.0


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one content behind an address from another; empty where the server says nothing."""

    etag: str
    modified: str
    size: int | None

    @property
    def known(self) -> bool:
        """Whether a change could be seen at all."""
        return bool(self.etag or self.modified)


def set_net_timeout(seconds: float | None) -> None:
    """From now on one question to a server takes no longer; None: than usual."""
    _total.set(TOTAL if seconds is None else seconds)


def gdal_options() -> dict[str, str]:
    """GDAL's own patience, so that each of its reads keeps to the total too, tries and pauses included."""
    each = max(1, int(_total.get() / TRIES) - 1)
    return {
        "GDAL_HTTP_TIMEOUT": str(each), "GDAL_HTTP_CONNECTTIMEOUT": str(min(10, each)),
        "GDAL_HTTP_MAX_RETRY": str(TRIES - 1), "GDAL_HTTP_RETRY_DELAY": "0.5",
        "GDAL_HTTP_RETRY_CODES": ",".join(map(str, sorted(AGAIN))),
        "CPL_VSIL_CURL_USE_HEAD": "NO", "GDAL_HTTP_USERAGENT": f"mapgen/{__version__}",
    }  # fmt: skip


def ask(url: str) -> Version:
    """What lies behind an address now: asked for its first bytes, as GDAL will; of an object store what it says of it.

    Raises `InputError` where it is a web page, `NetworkError` where the server refuses (401, 403), has no such file
    (404, 410), or gives no other answer within the total time, 429, 5xx and broken connections tried again.
    """
    from http.client import HTTPException  # late, since these cost a start of the command line its time
    from urllib.error import HTTPError

    if is_stored(url):
        said = stored_version(url)
        return Version("", "", None) if said is None else Version(**said)
    subject, end, pause = public_name(url), time.monotonic() + _total.get(), 0.25
    for left in reversed(range(TRIES)):
        try:
            return _asked(url, subject, max(0.1, end - time.monotonic()) / (left + 1))
        except HTTPError as exc:
            exc.close()
            problem = f"the server answers {exc.code} ({one_line(exc.reason)[:60]})"
            wait = max(pause, _asked_to_wait(exc))
            if exc.code not in AGAIN:
                raise _refused(subject, exc.code) from exc
        except (OSError, HTTPException) as exc:  # URLError, time-outs and resets are OSErrors
            reason = getattr(exc, "reason", exc)
            problem, wait = f"the network gives no answer ({one_line(reason or type(exc).__name__)[:80]})", pause
        if not left or time.monotonic() + wait > end:
            break
        time.sleep(wait)
        pause *= 2
    raise NetworkError(subject, f"{problem}, asked {TRIES - left} times", "check the address, try again later")


def answers_head(url: str) -> bool:
    """Whether a server tells the size of a file when asked for its head alone, which those of signed addresses refuse.

    Where it does not, GDAL has to ask for the whole file to learn its size, and hang up.
    """
    from http.client import HTTPException
    from urllib.request import urlopen

    request = _request(url)
    request.method = "HEAD"
    request.remove_header("Range")
    try:
        with urlopen(request, timeout=_total.get() / TRIES) as answer:
            return answer.headers.get("Content-Length", "").isdecimal()
    except (OSError, HTTPException):
        return False


@dataclass(frozen=True, slots=True)
class Remote:
    """An address, and what lay behind it when it was opened."""

    url: str
    version: Version

    def check_unchanged(self) -> None:
        """Raise `NetworkError` where the address leads to another content now."""
        if self.version.known and ask(self.url) != self.version:
            problem = "changed on the server while it was read"
            raise NetworkError(public_name(self.url), problem, "run the same command again")


def _asked(url: str, subject: str, seconds: float) -> Version:
    from urllib.request import urlopen

    request = _request(url)
    with urlopen(request, timeout=seconds) as answer:  # http and https only: `is_url` says so
        head, start = answer.headers, answer.read(512)
    text = start.lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        problem = "is a web page, not a raster (a log-in page of the server?)"
        raise InputError(subject, problem, "log in, or use an address that needs none")
    length = head.get("Content-Range", "").rpartition("/")[2] or head.get("Content-Length", "")
    size = int(length) if length.isdecimal() else None
    return Version(head.get("ETag", ""), head.get("Last-Modified", ""), size)


def _request(url: str) -> Request:
    """The first 512 bytes, the name and password of the address as curl sends them."""
    from urllib.request import Request

    headers = {"Range": "bytes=0-511", "User-Agent": f"mapgen/{__version__}"}
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if at:
        headers["Authorization"] = "Basic " + base64.b64encode(unquote(user).encode()).decode()
        url = urlunsplit(parts._replace(netloc=host))
    return Request(quoted(url), headers=headers)


def _asked_to_wait(exc: HTTPError) -> float:
    """Seconds that the server wants to be left alone, within reason."""
    wanted = exc.headers.get("Retry-After", "") if exc.headers else ""
    return min(_LONGEST_WAIT, float(wanted)) if wanted.isdecimal() else 0.0


def _refused(subject: str, code: int) -> MapgenError:
    if code == 401:
        remedy = "give them: https://NAME:PASSWORD@…"
        return NetworkError(subject, "the server wants a name and a password (401)", remedy)
    if code == 403:
        remedy = "ask for access, or for a fresh address where this one has run out"
        return NetworkError(subject, "the server forbids it (403)", remedy)
    if code in (404, 410):
        return NetworkError(subject, f"the server has no such file ({code})", "check the address")
    return NetworkError(subject, f"the server answers {code}", "check the address, try again later")
