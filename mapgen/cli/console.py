"""What the commands say: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TextIO

from mapgen.errors import MapgenError, OutputError, one_line, option
from mapgen.files.vet import public_name


class Screen(Protocol):
    """Bars at the foot of a terminal."""

    def pause(self) -> None:
        """Leave the terminal as if there were no bars."""

    def resume(self) -> None:
        """Show the bars again, if there are any."""

    def clear(self) -> None:
        """Take all bars away."""


class Console:
    """One run's voice. `verbosity` is -1 (quiet), 0, 1 (-v) or 2 (-vv); `as_json` makes results JSON objects."""

    verbosity = 0
    as_json = False
    screen: Screen | None = None
    """The bars that stand on the terminal."""
    relay: Callable[..., None] | None = None
    """Who is told everything instead, in a process that helps another: see `replay`."""
    _log: TextIO | None = None

    def log_to(self, path: Path | None) -> None:
        """Append all that is said, and what a higher verbosity would say, to a file: JSON lines, times in UTC.

        Raises `OutputError` where the file cannot be written.
        """
        if self.relay is not None:  # the log is kept by whoever this process helps
            return
        if self._log is not None:
            self._log.close()
        try:
            self._log = None if path is None else open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
        except OSError as exc:
            problem = f"cannot be written ({exc.strerror})"
            raise OutputError(path, problem, f"name another file with {option('log_file')}") from exc

    def _logged(self, level: str, text: object) -> None:
        if self.relay is not None:
            self.relay("_logged", level, str(text))
        if self._log is None:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"time": now, "level": level, "process": os.getpid(), "text": str(text)})
        with suppress(OSError):  # a log that fails must not end what it is the log of
            self._log.write(line + "\n")

    def result(self, path: object, record: dict[str, Any] | None = None) -> None:
        """A finished output: its path, or its record as one JSON object, one a line."""
        self._logged("result", path)
        self._out(
            json.dumps(record, ensure_ascii=False, default=str) if self.as_json and record is not None else str(path)
        )

    def text(self, text: str) -> None:
        """Text that was asked for (a report, a list)."""
        self._out(text)

    def note(self, text: str, verbosity: int = 0) -> None:
        """Something good to know."""
        self._logged("debug" if verbosity > 0 else "info", one_line(text))
        if self.verbosity >= verbosity:
            self._err(f"mapgen: {one_line(text)}")

    def warning(self, subject: object, text: str) -> None:
        """Something that may spoil the result; also said when quiet."""
        self._logged("warning", f"{public_name(subject)}: {one_line(text)}")
        self._err(f"mapgen: warning: {public_name(subject)}: {one_line(text)}")

    def error(self, error: MapgenError) -> None:
        """The one line of an error."""
        self._logged("error", one_line(error))
        self.clear_screen()
        self._err(f"mapgen: error: {one_line(error)}")

    def failure(self, text: str) -> None:
        """The one line of an error that is not about an input."""
        self._logged("error", one_line(text))
        self.clear_screen()
        self._err(f"mapgen: error: {one_line(text)}")

    def replay(self, said: Iterable[tuple[str, ...]]) -> None:
        """Say what a process that helps this one would have said."""
        for how, *texts in said:
            getattr(self, how)(*texts)

    def clear_screen(self) -> None:
        """Take the bars off the terminal, so that nothing is glued to them."""
        if self.screen is not None:
            with suppress(OSError):
                self.screen.clear()

    @contextmanager
    def _above(self) -> Iterator[None]:
        """While the block writes, the bars are gone; after it they stand below what it wrote."""
        if self.screen is None:
            yield
            return
        with suppress(OSError):
            self.screen.pause()
        yield
        with suppress(OSError):
            self.screen.resume()

    def _out(self, text: str) -> None:
        if self.relay is not None:
            self.relay("_out", text)
            return
        if sys.stdout is None:  # the caller closed it
            return
        try:
            with self._above():
                print(text, flush=True)
        except BrokenPipeError:
            # Nobody listens any more (| head): the work goes on, and Python must not complain again at exit.
            silence_stdout()
        except UnicodeEncodeError:  # LC_ALL=C: the bytes of the name itself
            sys.stdout.buffer.write(os.fsencode(text) + b"\n")
            sys.stdout.flush()

    def _err(self, text: str) -> None:
        if self.relay is not None:
            self.relay("_err", text)
        elif sys.stderr is not None:
            with suppress(BrokenPipeError, UnicodeEncodeError), self._above():
                print(text, file=sys.stderr, flush=True)


console = Console()


def silence_stdout() -> None:
    """Send what is still to be written to stdout nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
