"""The error tree: what went wrong, for whom, and what to do about it.

Every error that a user can cause or cure is a `MapgenError`; anything else that escapes is a bug in mapgen and exits 1.
The exit codes are a contract with scripts (see docs/errors.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec


class Key(str):
    """An option as whoever gave it calls it (`--simplify`, `simplify`, `layer.simplify`), and its `key`."""

    __slots__ = ("key",)
    key: str


Words = Callable[[str, object], str]
"""How an option is called: of its key and the value it is to have, None where only the option is meant."""


def in_python(key: str, value: object) -> str:
    """`simplify`, or `simplify='8px'`; a word in capitals stands for what somebody has to fill in."""
    if value is None:
        return key
    return f"{key}={value}" if isinstance(value, str) and value.isalpha() and value.isupper() else f"{key}={value!r}"


_everywhere: Words = in_python
_here: ContextVar[Words | None] = ContextVar("_here", default=None)


def option(key: str, value: object = None) -> Key:
    """The option `key` for a message, alone or with a value to give it, in the words of whoever is listening."""
    said = Key((_here.get() or _everywhere)(key, value))
    said.key = key
    return said


@contextmanager
def speaking(words: Words, *, everywhere: bool = False) -> Iterator[None]:
    """In the block, messages call options as `words` does; `everywhere`: those of other threads too."""
    global _everywhere
    before, token = _everywhere, _here.set(words)
    _everywhere = words if everywhere else before
    try:
        yield
    finally:
        _here.reset(token)
        if everywhere:
            _everywhere = before


class MapgenError(Exception):
    """A fault a user can act on: `subject: problem; remedy`.

    `subject` is the file, option or model at fault; `problem` says what is wrong with it, with its value and what was
    expected; `remedy` says what to do, as an imperative. `key` is that of the option at fault, None where it is no
    option's fault; all three texts call options as `speaking` has them called.
    """

    exit_code = 1
    key: str | None = None

    def __init__(self, subject: object, problem: str, remedy: str = "") -> None:
        self.key = subject.key if isinstance(subject, Key) else None
        self.subject = str(subject)
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{self.subject}: {problem}" + (f"; {remedy}" if remedy else ""))

    def __reduce__(self) -> tuple[type[MapgenError], tuple[str, str, str], dict[str, object]]:
        """How it goes from one process to another."""
        return type(self), (self.subject, self.problem, self.remedy), self.__dict__


class UsageError(MapgenError):
    """Wrong options or configuration; nothing was started."""

    exit_code = 2


class PartialError(MapgenError):
    """Some inputs failed, the others are done."""

    exit_code = 3


class InputError(MapgenError):
    """An input is missing, unreadable, unsupported, or does not fit the model."""

    exit_code = 4


class CrsError(InputError):
    """PROJ cannot read a CRS, or knows no way from it to another."""


class OutputError(MapgenError):
    """The output exists, cannot be written, or did not survive its verification."""

    exit_code = 5


class ModelError(MapgenError):
    """A model file is refused or broken."""

    exit_code = 6


class NetworkError(MapgenError):
    """A remote source failed, after retries."""

    exit_code = 7


class ResourceError(MapgenError):
    """Out of memory, too large, or a worker was lost."""

    exit_code = 8


class CheckError(MapgenError):
    """A check that the user asked for failed."""

    exit_code = 9


class NoWayError(MapgenError):
    """There is no way between two points of a network."""

    exit_code = 10


class Interrupted(MapgenError):
    """The run was stopped by SIGINT (130) or SIGTERM (143)."""

    def __init__(self, subject: object, problem: str, remedy: str = "", *, exit_code: int = 130) -> None:
        super().__init__(subject, problem, remedy)
        self.exit_code = exit_code


EXTRAS = {
    "torch": ("torch", "torchvision", "segmentation_models_pytorch"),
    "compress": ("nncf",),
    "prune": ("torch_pruning",),
    "export": ("onnx",),
    "cluster": ("dask", "distributed", "cryptography"),
}
"""What each extra of the installation brings that a command may ask for."""


def require(extra: str, subject: str, purpose: str) -> None:
    """Raise `UsageError` with the line to type unless all of an extra is installed; nothing is imported."""
    for package in EXTRAS[extra]:
        if find_spec(package) is None:
            problem = f"{purpose} needs {package}, which is not installed"
            raise UsageError(subject, problem, f"pip install 'mapgen[{extra}]'")


def one_line(text: object) -> str:
    """The text on one line: control characters (a newline in a file name, an escape in a card) shown, not obeyed."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table, columns as wide as their widest entry, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
