"""The docs say what the code does: commands that exist, generated pages that are fresh, nothing left out."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import mapgen
from mapgen import errors
from mapgen.model.card import ModelCard

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
ABSENT = re.compile(
    r"(?<![\w.:/])/(?:work|root|home|tmp|opt|mnt)/|\.\./shared|pypi\.|pythonhosted|"
    r"\bissue #?\d|#\d+\b|\bsessions?\b|TODO|FIXME",
    re.IGNORECASE,
)
"""What belongs to one machine or to the making of the project, not into its docs."""


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = loaded(ROOT / "docs" / "generate.py")


def mapgen_commands(text: str) -> list[list[str]]:
    """The words of each `mapgen …` command in the shell blocks of a page, without pipes and redirections."""
    lines = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    parts = [part for line in lines for part in re.split(r"&&|\||;", line)]
    words = [shlex.split(part, comments=True) for part in parts]
    return [w[1:] for w in words if w and w[0].rpartition("/")[2] == "mapgen"]


def inline_commands(text: str) -> list[list[str]]:
    """The words of each `mapgen …` command quoted in a sentence."""
    return [shlex.split(found)[1:] for found in re.findall(r"`(mapgen [^`]+)`", BLOCK.sub("", text))]


def options_of(words: list[str]) -> tuple[set[str], list[str]]:
    """The options that the command of these words has, and those that the words use."""
    from typer.main import get_command

    from mapgen.cli.app import app

    command: Any = get_command(app)
    rest = list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    assert command.params or not rest, f"no such command: {words}"
    if getattr(command, "commands", None) and rest and not rest[0].startswith("-"):
        raise AssertionError(f"no such command: mapgen {' '.join(words)}")
    known = {name for p in command.params for name in [*p.opts, *p.secondary_opts]} | {"-h", "--help"}
    return known, [word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)]


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_commands_in_the_docs_and_their_options_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for words in mapgen_commands(text) + inline_commands(text):
        known, used = options_of(words)
        assert set(used) <= known, words


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_python_in_the_docs_parses_and_names_what_there_is(path: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        compile(block, shown(path), "exec")
    for name in re.findall(r"\bmapgen\.([A-Za-z]\w*)", path.read_text(encoding="utf-8")):
        assert hasattr(mapgen, name) or importlib.util.find_spec(f"mapgen.{name}"), name


def test_the_readme_opens_with_two_commands_of_one_line_each() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first, second = BLOCK.findall(text)[:2]
    for block in (first, second):
        assert len(block.strip().splitlines()) == 1
        assert block.startswith("python3 -m venv .venv && ")
    assert "mapgen map examples/scene.tif -o out" in first
    assert "pytest" in second
    assert text.index(second) < 900  # before anything that a stranger would have to scroll past


@pytest.mark.parametrize("path", generate.pages(), ids=lambda p: p.name)
def test_generated_pages_are_fresh(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generate.pages()[path], "run python docs/generate.py"


def test_the_check_of_the_generated_pages_names_the_stale_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(generate, "pages", lambda: {tmp_path / "cli.md": "new"})
    assert generate.main(["--check"]) == 1
    assert "cli.md is stale" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def test_the_picture_of_the_house_is_that_of_the_imports() -> None:
    run = subprocess.run([sys.executable, ROOT / "docs" / "draw_house.py", "--check"])
    assert run.returncode == 0, "run python docs/draw_house.py"


def test_a_table_of_figures_keeps_the_order_of_its_columns_and_rounds() -> None:
    record = {
        "title": "Tries", "command": "python tries.py", "machine": "a box", "versions": {"mapgen": "0.1.0"},
        "threads": 2, "notes": ["Once."],
        "rows": [{"what": "a|b", "seconds": 1.23456}, {"what": "c", "seconds": 12345.6, "ok": True}],
    }  # fmt: skip
    assert list(generate._section(record, Path("tries.json"))) == [
        "## Tries", "", "    python tries.py", "", "a box; 2 threads; mapgen 0.1.0.", "",
        "| what | seconds | ok |", "|---|--:|--:|", "| a\\|b | 1.235 |  |", "| c | 12346 | yes |", "", "Once.", "",
    ]  # fmt: skip


def test_figures_without_their_command_are_refused() -> None:
    with pytest.raises(SystemExit, match="lacks command"):
        list(generate._section({k: "" for k in generate.KEYS if k != "command"}, Path("x.json")))


def test_every_error_and_exit_code_is_documented() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.MapgenError)]
    assert len(kinds) > 5
    rows = re.findall(r"^\| ([\d, ]+) \| `(\w+)` \|", text, re.MULTILINE)
    documented = {name: {int(c) for c in codes.split(",")} for codes, name in rows}
    for kind in kinds:
        codes = {130, 143} if kind is errors.Interrupted else {kind.exit_code}
        assert documented.get(kind.__name__) == codes, kind.__name__
    for code in (0, 141):
        assert re.search(rf"^\| {code} \|", text, re.MULTILINE)


def test_every_field_of_the_card_is_documented() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "card.md").read_text(encoding="utf-8"), re.MULTILINE)
    documented = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(documented) == sorted(f.name for f in dataclasses.fields(ModelCard))


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in LINK.findall(text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(path: Path) -> set[str]:
    """The anchors that a forge makes of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_the_docs_name_no_place_of_ours(path: Path) -> None:
    assert not ABSENT.findall(path.read_text(encoding="utf-8"))


def test_every_page_is_linked_from_the_readme_or_a_page_that_is() -> None:
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        seen.add(page)
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            file = (page.parent / target.partition("#")[0]).resolve()
            found = sorted(file.glob("*.md")) if file.is_dir() else [file] if file.suffix == ".md" else []
            todo += [f for f in found if f not in seen and f not in todo]
    assert not {p for p in PAGES if "docs" in p.relative_to(ROOT).parts} - seen


def test_scripts_in_the_examples_explain_themselves() -> None:
    for script in sorted((ROOT / "examples").glob("*.py")):
        done = subprocess.run(
            [sys.executable, str(script), "--help"], capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"usage: {script.name}"), script.name
