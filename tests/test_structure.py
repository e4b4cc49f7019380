"""The house: which rooms there are, who may call whom, who may touch files, what is imported late, by the code."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import mapgen

PACKAGE = Path(mapgen.__file__).parent
FACADE = "mapgen"  # mapgen/__init__.py names the public functions, wherever they live
ENTRY = "mapgen.__main__"

ROOMS = (
    "ground", "files", "polygons", "raster", "model", "layers", "inference", "tiling", "accuracy", "dataset",
    "training", "roads", "explain", "results", "cli",
)  # fmt: skip
"""From the bottom to the top: a room imports only from those before it. *ground* is what lies at the top of the
package."""

RIM = {
    "cli.console", "kernels", "parallel",
    "files.commit", "files.parquet", "files.pictures", "files.vectors", "files.vet", "files.vrt", "files.webfiles",
    "raster.classmap", "raster.cog", "raster.legends", "raster.masks", "raster.open",
    "model.exporting", "model.file", "model.folders", "model.importing", "model.runtime", "model.select",
    "model.write",
    "layers.features", "layers.formats", "layers.write",
    "inference.bench", "inference.cluster", "inference.shard", "files.example",
    "tiling.containers.container", "tiling.containers.folder", "tiling.containers.mbtiles",
    "tiling.containers.pmtiles",
    "dataset.build", "dataset.mapped", "dataset.read",
    "roads.graphml", "roads.layers", "roads.lines", "roads.osm_pbf", "roads.osm_xml",
    "training.config", "training.fit", "training.runs",
    "results.preview", "results.report", "results.server", "results.parts", "results.record", "results.site",
    "explain.write",
    "cli.course", "files.lock", "files.unfinished", "files.fingerprint", "files.journal",
    "files.remote", "files.stores", "files.kind", "files.tiff", "layers.whole", "raster.seal", "results.verify",
}  # fmt: skip
"""The modules that may open, read or write files, or listen on sockets. All others are pure."""

HANDS = {"pyarrow", "pyogrio", "socket", "urllib.request", "http.client", "http.server", "sqlite3"}
"""Imports that reach for files or the network."""

CALLS = {
    "open", "rasterio.open", "read_text", "read_bytes", "write_text", "write_bytes", "torch.save", "torch.load",
    "ov.save_model", "os.open", "mmap", "np.load", "np.save", "np.memmap", "save_file", "load_file", "safe_open",
}  # fmt: skip
"""Calls that open, read or write files, by their whole name or the name of a method."""

LATE = {
    "torch": {"model.torch", "model.network", "model.convert", "training", "explain.gradients"},
    "segmentation_models_pytorch": {"model.network", "training"},
    "openvino": {"model.runtime"},
    "nncf": {"training"},
    "rasterio": set(),
    "geopandas": set(),
}
"""Packages that only these modules or rooms may import when they are loaded; where the set is empty, anyone may, but
nobody loads them with the command line."""

LOOSE = 12
"""Files at the top of the package, at most."""

ARROWS = 142
"""Arrows, at most, from rooms and loose files to those that they import from."""

LONG, MOST_LONG = 25, 60
"""Lines of a function: nine of ten have no more than the first, and none more than the second but the commands, which
declare their options."""


LONGEST = 400
"""Lines of a module, at most."""


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
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "ground"


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports() -> tuple[Import, ...]:
    return tuple(one for path in sources() for one in _walked(tree_of(path), module_of(path), True, False))


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


def is_one_of(module: str, names: set[str]) -> bool:
    short = module.removeprefix("mapgen.")
    return any(short == name or short.startswith(f"{name}.") for name in names)


def test_every_folder_is_a_room_of_the_list() -> None:
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders <= set(ROOMS)


def test_few_files_lie_loose_at_the_top() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= LOOSE


def arrows() -> set[tuple[str, str]]:
    """Who imports from whom, the loose files each for itself and every room as one."""

    def node(module: str) -> str:
        return module.split(".")[1] if module.count(".") else module

    pairs = {(node(one.module), node(one.name)) for one in imports() if is_mapgen(one.name)}
    return {(a, b) for a, b in pairs if a != b and FACADE not in (a, b) and a != "__main__"}


def test_few_arrows_run_between_the_rooms() -> None:
    assert len(arrows()) <= ARROWS


def test_modules_are_short() -> None:
    lengths = {module_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert not {module: n for module, n in lengths.items() if n > LONGEST}


def test_functions_are_short() -> None:
    lengths = {
        f"{module_of(path)}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in sources() for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }  # fmt: skip
    assert sorted(lengths.values())[int(0.9 * len(lengths))] <= LONG
    assert not {name: n for name, n in lengths.items() if n > MOST_LONG and not name.startswith("mapgen.cli.")}


def test_rooms_import_from_those_before_them_only() -> None:
    wrong = [
        str(one) for one in imports()
        if is_mapgen(one.name) and one.module not in (FACADE, ENTRY)
        and ROOMS.index(room(one.name)) > ROOMS.index(room(one.module))
    ]  # fmt: skip
    assert not wrong


def test_modules_do_not_import_each_other_in_a_circle_not_even_for_their_types() -> None:
    modules = {module_of(path) for path in sources()} - {FACADE}
    uses = {m: {one.name for one in imports() if one.module == m and one.name in modules} - {m} for m in modules}
    while leaves := {m for m, used in uses.items() if not used}:
        uses = {m: used - leaves for m, used in uses.items() if m not in leaves}
    assert not uses


def test_errors_know_nothing_of_the_rest() -> None:
    assert not [str(one) for one in imports() if one.module == "mapgen.errors" and is_mapgen(one.name)]


def test_only_the_entry_point_imports_the_command_line() -> None:
    wrong = [one for one in imports() if room(one.name) == "cli" and is_mapgen(one.name) and room(one.module) != "cli"]
    assert {(one.module, one.name) for one in wrong} == {(ENTRY, "mapgen.cli.main")}


@pytest.mark.parametrize("package", sorted(name for name, homes in LATE.items() if homes))
def test_weighty_packages_are_imported_where_they_belong(package: str) -> None:
    wrong = [
        str(one) for one in imports()
        if one.on_load and not one.typing_only and one.name.split(".")[0] == package
        and not is_one_of(one.module, LATE[package])
    ]  # fmt: skip
    assert not wrong


def test_torch_is_not_needed_to_read_what_a_training_run_is() -> None:
    light = {"training.config", "training.runs", "training.curves"}
    assert not [str(one) for one in imports() if is_one_of(one.module, light) and one.name.split(".")[0] == "torch"]


def test_the_package_itself_and_its_command_line_load_only_the_light_modules() -> None:
    light = {"typer", "mapgen"}
    foreign = {
        one.name.split(".")[0]
        for one in imports()
        if one.on_load and not one.typing_only and (one.module == FACADE or room(one.module) == "cli")
    }
    assert foreign - light <= sys.stdlib_module_names


def reaches() -> dict[str, set[str]]:
    """By module, without `mapgen.`, what it does that reaches for files or the network."""
    found: dict[str, set[str]] = {}
    for one in imports():
        if not one.typing_only and (one.name in HANDS or one.name.split(".")[0] in HANDS):
            found.setdefault(one.module.removeprefix("mapgen."), set()).add(f"imports {one.name}")
    for path in sources():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name in CALLS or (isinstance(node.func, ast.Attribute) and node.func.attr in CALLS - {"open"}):
                    found.setdefault(module_of(path).removeprefix("mapgen."), set()).add(f"calls {name}")
    return found


def test_files_are_touched_by_the_modules_of_the_list_only() -> None:
    wrong = {module: sorted(what) for module, what in reaches().items() if module not in RIM}
    assert not wrong


def test_the_list_names_no_module_that_touches_none() -> None:
    assert set(reaches()) >= RIM


def test_no_room_bears_the_name_of_a_public_function() -> None:
    """A loaded folder would shadow it: `mapgen.tiles` must stay what it says."""
    public = {"segment", "vectorize", "tiles", "map", "view", "evaluate", "train", "info", "polygonize"}
    assert not public & (set(ROOMS) | {p.stem for p in PACKAGE.glob("*.py")})


def test_every_module_says_what_it_is() -> None:
    silent = [str(path.relative_to(PACKAGE)) for path in sources() if not ast.get_docstring(tree_of(path))]
    assert not silent


def test_tests_lie_in_the_rooms_of_what_they_test() -> None:
    folders = {p.name for p in Path(__file__).parent.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders <= {*ROOMS, "benchmarks", "faults", "fuzz"}


def test_no_two_test_files_have_one_name() -> None:
    """pytest would import only the first; two halves of a run would not show it."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
