"""The rooms of the package and who may call whom, read from the imports themselves."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import mapgen

PACKAGE = Path(mapgen.__file__).parent
FOLDERS = {"cli", "tools", "io", "engines", "learn"}
MAY_IMPORT = {
    "cli": {"tools", "io", "engines", "learn", "top"},
    "tools": {"io", "engines", "learn", "top"},
    "io": {"top"},
    "engines": {"top"},
    "learn": {"top"},
    "top": {"top"},
}
EXCEPTIONS = {("mapgen.model.torch", "mapgen.model.network"), ("mapgen.__main__", "mapgen.cli.main")}
FACADE = "mapgen"  # mapgen/__init__.py names the public functions, wherever they live
WEIGHTY = {"torch": {"learn", "engines"}, "segmentation_models_pytorch": {"learn", "engines"}}
RIM = {"pyogrio", "socket", "urllib.request", "http.client", "sqlite3"}


@dataclass(frozen=True)
class Import:
    """One import statement: who imports what, and whether it happens when the module is loaded."""

    module: str
    name: str
    on_load: bool
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.module} imports {self.name}"


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FOLDERS else "top"


def imports() -> list[Import]:
    return [one for path in sorted(PACKAGE.rglob("*.py")) for one in imports_of(path)]


def imports_of(path: Path) -> Iterator[Import]:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    yield from _walked(ast.parse(path.read_text(encoding="utf-8")), module, True, False)


def _walked(node: ast.AST, module: str, on_load: bool, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(module, alias.name, on_load, typing_only)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{module}: imports are absolute here"
            for alias in child.names:
                yield Import(module, _full(child.module or "", alias.name), on_load, typing_only)
        else:
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            typing = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            yield from _walked(child, module, on_load and not function, typing_only or typing)


def _full(module: str, name: str) -> str:
    """`from package import module` names the module; anything else the module that it comes from."""
    inside = module.split(".")
    if inside[0] != "mapgen":
        return module
    folder = PACKAGE.joinpath(*inside[1:])
    return f"{module}.{name}" if (folder / f"{name}.py").exists() or (folder / name).is_dir() else module


def is_mapgen(name: str) -> bool:
    return name.split(".")[0] == "mapgen"


def test_rooms_import_downwards_only() -> None:
    wrong = [
        str(one)
        for one in imports()
        if is_mapgen(one.name) and one.module != FACADE and (one.module, one.name) not in EXCEPTIONS
        and room(one.name) != room(one.module) and room(one.name) not in MAY_IMPORT[room(one.module)]
    ]  # fmt: skip
    assert not wrong


def test_errors_know_nothing_of_the_rest() -> None:
    assert not [str(one) for one in imports() if one.module == "mapgen.errors" and is_mapgen(one.name)]


def test_only_the_entry_point_imports_the_command_line() -> None:
    wrong = [one for one in imports() if room(one.name) == "cli" and is_mapgen(one.name) and room(one.module) != "cli"]
    assert {(one.module, one.name) for one in wrong} == {("mapgen.__main__", "mapgen.cli.main")}


@pytest.mark.parametrize("package", sorted(WEIGHTY))
def test_torch_is_imported_by_learn_and_engines_alone(package: str) -> None:
    wrong = [str(one) for one in imports() if one.name.split(".")[0] == package]
    assert not [text for text in wrong if room(text.split()[0]) not in WEIGHTY[package]]


def test_the_package_itself_and_its_command_line_load_only_the_light_modules() -> None:
    light = {"typer", "mapgen"}
    foreign = {
        one.name.split(".")[0]
        for one in imports()
        if one.on_load and not one.typing_only and (one.module == FACADE or room(one.module) == "cli")
    }
    assert foreign - light <= sys.stdlib_module_names


def test_files_are_opened_in_io_only() -> None:
    wrong = [
        str(one) for one in imports() if (one.name in RIM or one.name.split(".")[0] in RIM) and room(one.module) != "io"
    ]
    wrong += [
        f"{path.relative_to(PACKAGE)}:{node.lineno} calls {call}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if "io" not in path.relative_to(PACKAGE).parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and (call := ast.unparse(node.func)) in ("rasterio.open", "open")
    ]
    assert not wrong


def test_modules_at_the_top_know_neither_files_nor_networks() -> None:
    heavy = {"rasterio", "pyogrio", "geopandas", "torch", "openvino", "segmentation_models_pytorch", "typer"}
    wrong = [
        str(one) for one in imports()
        if room(one.module) == "top" and one.module != FACADE and one.name.split(".")[0] in heavy
    ]  # fmt: skip
    assert not wrong


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent
