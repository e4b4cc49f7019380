"""The entry point: one line and the right exit code for everything that can happen."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from mapgen.cli.console import console, silence_stdout
from mapgen.cli.options import in_shell
from mapgen.cli.signals import listen, say
from mapgen.cli.spellings import modern
from mapgen.errors import Interrupted, MapgenError, speaking
from mapgen.files.inputs import one_run
from mapgen.files.unfinished import remove_stuck

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

BROKEN_PIPE = 141
"""What a shell reports for a program that SIGPIPE ended: 128 + 13."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    listen()
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """The exit code of one run of the command line; every error is said in one line on stderr."""
    console.verbosity, console.as_json = 0, False
    with speaking(in_shell, everywhere=True):
        code = _answered(modern(arguments))
    remove_stuck()
    return code


def _answered(arguments: list[str]) -> int:
    try:
        with one_run():
            code = _run(arguments)
        console.clear_screen()
        return code
    except Interrupted as exc:
        say(exc)
        return _failed(exc, exc.exit_code)
    except MapgenError as exc:
        console.error(exc)
        return _failed(exc, exc.exit_code)
    except BrokenPipeError:
        silence_stdout()
        return BROKEN_PIPE
    except MemoryError as exc:
        console.failure("out of memory; use a smaller --window or --batch")
        return _failed(exc, 8)
    except Exception as exc:  # noqa: BLE001 - the last resort: whatever gets here is a bug of ours, and is called one
        if isinstance(exc, OSError) and exc.errno in (errno.EMFILE, errno.ENFILE):
            console.failure("the system lets this process open no more files; allow it more, such as ulimit -n 1024")
            return _failed(exc, 8)
        console.failure(f"a bug in mapgen: {type(exc).__name__}: {exc}; run again with -vv and report what it prints")
        return _failed(exc, 1)


def _run(arguments: list[str]) -> int:
    from typer.exceptions import TyperException

    import mapgen.files.gdal  # noqa: F401 - cleans the environment before anything loads GDAL

    os.environ.setdefault("CPL_LOG", os.devnull)  # what GDAL has to say is asked for; else it is no line of ours
    from mapgen.cli import jobs
    from mapgen.cli.app import app

    jobs.arguments, jobs.entry = list(arguments), help_another
    try:
        result = app(arguments, prog_name="mapgen", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except TyperException as exc:  # wrong usage, found while parsing
        return _usage(exc, arguments)
    except SystemExit as exc:  # typer's own --install-completion and --show-completion
        return exc.code if isinstance(exc.code, int) else 0


def help_another(pipe: Connection, arguments: list[str], names: list[str], count: int) -> None:
    """The life of a process that helps another: the same command, over inputs that it is told."""
    from mapgen.cli import jobs

    jobs.begin(pipe, names, count)
    listen(jobs.PATIENCE)
    jobs.end(run(arguments))


def _failed(error: BaseException, code: int) -> int:
    if console.verbosity > 1:
        traceback.print_exception(error)
    return code


def _usage(exc: Exception, arguments: list[str]) -> int:
    text = exc.format_message() if hasattr(exc, "format_message") else str(exc)
    context = getattr(exc, "ctx", None)
    if type(exc).__name__ == "NoArgsIsHelpError":  # typer has the help as the message
        print(text, file=sys.stderr)
        return 2
    command = context.command_path if context is not None else " ".join(["mapgen", *arguments[:1]])
    console.failure(f"{text.rstrip('.')}{_given(exc, arguments)}; see {command} --help")
    return 2


def _given(exc: Exception, arguments: list[str]) -> str:
    """The value that an option was given, which typer leaves out."""
    names = getattr(getattr(exc, "param", None), "opts", [])
    for at, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in names:
            value = value if equals else " ".join(arguments[at + 1 : at + 2])
            return f", not {value!r}" if value else ""
    return ""


if __name__ == "__main__":
    main()
