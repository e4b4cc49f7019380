"""Write the pages that follow from the code: docs/cli.md from the command line, docs/python.md from the package,
docs/training_keys.md from the configuration of a training run, docs/benchmarks.md from its figures.

    python docs/generate.py            write them
    python docs/generate.py --check    exit 1 where one is stale
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
NOTICE = "<!-- Written by docs/generate.py; edit that, the commands, or the figures instead. -->"


def pages() -> dict[Path, str]:
    """The generated pages by their path."""
    return {
        DOCS / "cli.md": cli_page(),
        DOCS / "python.md": python_page(),
        DOCS / "benchmarks.md": benchmarks_page(),
        DOCS / "training_keys.md": training_page(),
    }


# --- the command line ------------------------------------------------------------------------------------------------

CLI_HEAD = """# Commands

Every command prints results on stdout and everything else on stderr, ends with one of the [exit codes](errors.md), and
refuses to replace a file unless told `--overwrite`. An input called `-` stands for the names on stdin, one a line, so
commands can be joined by pipes. `--json` turns each result into one JSON object a line; commands that take several
inputs end with a summary.
"""


def cli_page() -> str:
    """The reference of all commands, read from the app itself."""
    from typer.main import get_command

    from mapgen.cli.app import app

    return "\n".join([NOTICE, "", CLI_HEAD, *_command("mapgen", get_command(app))]).rstrip() + "\n"


def _command(path: str, command: Any) -> Iterator[str]:
    from mapgen.cli.group import panels

    commands = getattr(command, "commands", {})
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    headed = panels(command.params)
    usage = " ".join([path, "[OPTIONS]", *(_argument(p) for p in arguments), *(["COMMAND"] if commands else [])])
    yield from (f"## {path}", "", f"    {usage}", "", _paragraphs(command.help or ""), "")
    for p in arguments:
        yield f"- `{p.metavar or p.name.upper()}`: {_sentence(p.help or '')}"
    for name, options in headed.items():
        if len(headed) > 1:
            yield from ("", f"**{name}**", "")
        yield from map(_option, options)
    yield "- `-h, --help`: Show the help and exit."
    if command.epilog:
        yield ""
        yield from (f"    {line.strip()}" for line in command.epilog.splitlines()[2:])
    if commands:
        yield ""
        yield "Commands: " + ", ".join(f"[{path} {name}](#{_anchor(f'{path} {name}')})" for name in commands) + "."
    yield ""
    for name, child in commands.items():
        yield from _command(f"{path} {name}", child)


def _argument(p: Any) -> str:
    name = p.metavar or p.name.upper()
    return f"{name}{'...' if p.nargs == -1 else ''}" if p.required else f"[{name}]"


def _option(p: Any) -> str:
    names = ", ".join([*p.opts, *p.secondary_opts])
    plain = p.is_flag or getattr(p, "count", False)
    value = "" if plain else f" {p.metavar or p.type.name.upper()}"
    text, default = _split_default(p.help or "")
    if default is None and not plain and p.default not in (None, (), []):
        default = f"`{p.default}`"
    notes = (["May be given several times."] if p.multiple else []) + ([f"Default: {default}."] if default else [])
    return " ".join([f"- `{names}{value}`:", _sentence(text), *notes])


def _split_default(text: str) -> tuple[str, str | None]:
    """A help text and the default that it names itself, as `[default: …]`."""
    found = re.search(r"\s*\[default: (.*?)\]", text)
    return (text.replace(found.group(), ""), found.group(1)) if found else (text, None)


def _sentence(text: str) -> str:
    """The text with Markdown's signs made plain."""
    return re.sub(r"([*_<>|])", r"\\\1", text.strip())


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")


# --- Python ----------------------------------------------------------------------------------------------------------

PYTHON_HEAD = """# Python

The verbs of the [command line](cli.md) are functions of the package, and their options its keywords:

```python
import mapgen

made = mapgen.map("scene.tif", "out", simplify="1.5px", zoom="10-16")
print(made, made.files["layer"])
print(made.to_dataframe())  # pixels, share, m², ha, km² and polygons of each class
polygons = made.to_geodataframe()
mask = mapgen.segment("scene.tif", max_memory="800MB", overwrite=True)
layer = mapgen.vectorize(mask.output, "roads.gpkg", classes=["road"], simplify="1m")
figures = mapgen.evaluate(mask.output, "truth.gpkg", fail_under={"miou": 0.6}).to_json()
mapgen.view("out", "map.png")
```

Sizes are text with a unit (`"8px"`, `"20m2"`) or a number of pixels, paths are text or `pathlib.Path`, lists are lists
or text with commas. What makes no sense is refused as an error before anything is read. Every error that its caller can
cure is a `mapgen.MapgenError` with `subject`, `problem`, `remedy`, `exit_code` and, where an option is at fault, its
`key`; the [kinds of errors](errors.md) are those of the command line. Nothing heavy is imported before it is used.
Options that several calls share can be kept: `mapgen.SegmentOptions(window=512)` is checked when it is made.

In a notebook a cell that ends with the result of `mapgen.map` shows a picture of the map and the table of its areas;
`made.show()`, and `mapgen.show("out")` for any folder, class map or layer, show the page to move and to click in.
"""

VERBS = ("map", "segment", "join", "vectorize", "tiles", "view", "evaluate", "sample", "info", "areas", "verify",
         "train", "compress", "polygonize")
"""Functions in the order of the page."""


def python_page() -> str:
    """The public functions with their signatures, and the options of each option class."""
    import inspect

    import mapgen

    lines = [NOTICE, "", PYTHON_HEAD]
    for name in VERBS:
        function = getattr(mapgen, name)
        own = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
        kind = getattr(mapgen, f"{name.capitalize()}Options", None)
        if kind is None:
            own = list(inspect.signature(function).parameters.values())
        more = [f"**{kind.__name__}"] if kind is not None else []
        result = inspect.signature(function).return_annotation
        lines += [
            f"## mapgen.{name}",
            "",
            f"    mapgen.{name}({', '.join([*map(_parameter, own), *more])}) -> {result}",
            "",
        ]
        lines += [_paragraphs(inspect.getdoc(function) or ""), ""]
        if kind is not None:
            lines += [*_option_table(kind), ""]
    return "\n".join(lines).rstrip() + "\n"


def _parameter(p: Any) -> str:
    return f"{p.name}: {p.annotation}" + ("" if p.default is p.empty else f" = {_plain_default(p.default)}")


def _option_table(kind: type[Any]) -> Iterator[str]:
    import inspect

    defaults = inspect.signature(kind).parameters
    yield "| option | default | meaning |"
    yield "|---|---|---|"
    for name, about in _meanings(kind).items():
        cells = (f"`{name}`", f"`{_plain_default(defaults[name].default)}`", " ".join(about.split()))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _meanings(kind: type[Any]) -> dict[str, str]:
    """What each field of an option class is about: the text below it, in the order of the fields."""
    import ast
    import inspect
    import textwrap

    found: dict[str, str] = {}
    for one in reversed(kind.__mro__[:-2]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        assert isinstance(tree, ast.ClassDef)
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[ast.unparse(field.target)] = str(text.value.value)
    return found


def _plain_default(value: Any) -> Any:
    plain = value is None or isinstance(value, bool | int | float | str | tuple)
    return repr(value) if plain else repr(str(value))


# --- the configuration of a training run ----------------------------------------------------------------------------

TRAINING_HEAD = """# Keys of a training configuration

What the TOML file of a [training run](training.md) may say: every key, its default, and what it means. A key of any
other name or type, or a value out of range, is refused with the nearest that fits. `[[x]]` may be given several times.
"""


def training_page() -> str:
    """The reference of all keys, read from the schema itself."""
    from mapgen.schema import entries
    from mapgen.training.config import TrainConfig

    lines, table = [NOTICE, "", TRAINING_HEAD], None
    for entry in entries(TrainConfig):
        if entry.table != table:
            table = entry.table
            head = f"## `[{table}]`" if table else "## At the top"
            lines += ["", head, "", "| key | takes | default | meaning |", "|---|---|---|---|"]
        default = f"`{entry.default}`" if entry.default not in ("", "required") else entry.default or "–"
        cells = (f"`{entry.name}`", entry.kind, default, entry.about)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines).rstrip() + "\n"


# --- the figures -----------------------------------------------------------------------------------------------------

BENCHMARKS_HEAD = """# Benchmarks

Each table comes from one JSON file in [benchmarks/](benchmarks/), written by the command named above it. Figures are
from one machine and one run unless the notes say otherwise: ratios within a table mean more than its seconds.
"""


def benchmarks_page() -> str:
    """One section for each file of figures, by name."""
    parts = [NOTICE, "", BENCHMARKS_HEAD]
    for path in sorted((DOCS / "benchmarks").glob("*.json")):
        parts += _section(json.loads(path.read_text(encoding="utf-8")), path)
    return "\n".join(parts).rstrip() + "\n"


KEYS = ("title", "command", "machine", "versions", "threads", "rows", "notes")


def _section(record: dict[str, Any], path: Path) -> Iterator[str]:
    missing = [key for key in KEYS if key not in record]
    if missing:
        raise SystemExit(f"{path}: lacks {', '.join(missing)}")
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    yield from (f"## {record['title']}", "", f"    {record['command']}", "")
    threads = f"{record['threads']} thread{'' if record['threads'] == 1 else 's'}"
    yield f"{record['machine']}; {threads}; {versions}."
    yield ""
    yield from _table(record["rows"])
    notes = record["notes"]
    for note in [notes] if isinstance(notes, str) else notes:
        if note:
            yield from ("", note)
    yield ""


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    numeric = {c for c in columns if all(isinstance(row.get(c, 0), int | float | None) for row in rows)}
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "|".join("--:" if c in numeric else "---" for c in columns) + "|"
    for row in rows:
        yield "| " + " | ".join(_cell(row.get(c, "")) for c in columns) + " |"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` name the stale ones; the exit code."""
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if "--check" in arguments:
            print(f"docs/{path.name} is stale: run python docs/generate.py", file=sys.stderr)
        else:
            path.write_text(pages()[path], encoding="utf-8")
            print(f"wrote docs/{path.name}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
