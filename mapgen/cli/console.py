"""What the commands say: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from mapgen.errors import MapgenError, OutputError, one_line, option
from mapgen.files.vet import public_name


class Console:
    """One run's voice. `verbosity` is -1 (quiet), 0, 1 (-v) or 2 (-vv); `as_json` makes results JSON objects."""

    verbosity = 0
    as_json = False
    progressing = False
    """Whether a line of progress stands on the terminal."""
    _log: TextIO | None = None

    def log_to(self, path: Path | None) -> None:
        """Append all that is said, and what a higher verbosity would say, to a file: JSON lines, times in UTC.

        Raises `OutputError` where the file cannot be written.
        """
        if self._log is not None:
            self._log.close()
        try:
            self._log = None if path is None else open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
        except OSError as exc:
            problem = f"cannot be written ({exc.strerror})"
            raise OutputError(path, problem, f"name another file with {option('log_file')}") from exc

    def _logged(self, level: str, text: object) -> None:
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
        self._err(f"mapgen: error: {one_line(error)}")

    def failure(self, text: str) -> None:
        """The one line of an error that is not about an input."""
        self._logged("error", one_line(text))
        self._err(f"mapgen: error: {one_line(text)}")

    def clear_line(self) -> None:
        """Take back the line of progress that stands on the terminal, so that nothing is glued to it."""
        if self.progressing and sys.stderr is not None:
            self.progressing = False
            with suppress(OSError):
                if sys.stderr.isatty():
                    sys.stderr.write("\r\x1b[K")
                    sys.stderr.flush()

    def _out(self, text: str) -> None:
        self.clear_line()
        if sys.stdout is None:  # the caller closed it
            return
        try:
            print(text, flush=True)
        except BrokenPipeError:
            # Nobody listens any more (| head): the work goes on, and Python must not complain again at exit.
            silence_stdout()
        except UnicodeEncodeError:  # LC_ALL=C: the bytes of the name itself
            sys.stdout.buffer.write(os.fsencode(text) + b"\n")
            sys.stdout.flush()

    def _err(self, text: str) -> None:
        self.clear_line()
        if sys.stderr is not None:
            with suppress(BrokenPipeError, UnicodeEncodeError):
                print(text, file=sys.stderr, flush=True)


console = Console()


def silence_stdout() -> None:
    """Send what is still to be written to stdout nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class ProgressBar:
    """Progress of one input: a line that moves on a terminal, else a line every tenth (no two in a second) or 30 s."""

    def __init__(self, name: str, *, shown: bool, stream: TextIO | None = None) -> None:
        self.stream = stream if stream is not None else sys.stderr
        self.name = public_name(name)
        self.shown = shown and self.stream is not None
        self.moving = self.shown and self.stream.isatty()
        self.start = self.last = time.monotonic()
        self.tenth = 0

    def __call__(self, done: int, total: int, text: str = "", begun: int = 0) -> None:
        """Say that `done` of `total` rows are written, where it is time to; `text` goes between share and time.

        `begun` rows had been done before the bar was made, and say nothing about the time that is left.
        """
        if not self.shown or not total:
            return
        now = time.monotonic()
        share = done / total
        left = (now - self.start) * (total - done) / max(done - begun, 1e-9)
        text = f"{self.name}: {share:4.0%}, {text}{duration(left)} left"
        if self.moving:
            if now - self.last > 0.1 or done == total:
                self.stream.write(f"\r\x1b[K{text if done < total else ''}")
                self.stream.flush()
                self.last = now
                console.progressing = done < total
        elif done < total and (now - self.last > 30 or (int(share * 10) > self.tenth and now - self.last > 1)):
            self.tenth, self.last = int(share * 10), now
            console.note(text)


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
