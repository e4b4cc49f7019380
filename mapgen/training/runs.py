"""Run folders: what a training run leaves on the disk, and who may go on with it."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapgen.errors import OutputError, UsageError, option
from mapgen.files.commit import locked, translated
from mapgen.files.inputs import is_input
from mapgen.files.unfinished import PREFIX
from mapgen.schema import table_of
from mapgen.training.config import TrainConfig, content_key, parse_config, resolved

FOLDER = "runs"
"""The folder, in the current one, of runs that are not given their own."""

OLD_CHECKPOINT = "checkpoint.pt"
"""What an earlier mapgen wrote, by torch's own serialisation, which is no longer read."""

OLD_LOCK = "lock"
"""What an earlier mapgen left in the folder of every run."""

_KEPT = (
    "config.toml", "log.csv", "curves.png", "contact.png", "checkpoint.safetensors", "checkpoint.safetensors.part",
    "judged.json", OLD_CHECKPOINT, OLD_LOCK,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """The folder of a run and the files in it."""

    path: Path
    name: str

    @property
    def config(self) -> Path:
        """The configuration with every default filled in, TOML."""
        return self.path / "config.toml"

    @property
    def log(self) -> Path:
        """A line for each step, CSV."""
        return self.path / "log.csv"

    @property
    def curves(self) -> Path:
        """The log drawn, PNG."""
        return self.path / "curves.png"

    @property
    def checkpoint(self) -> Path:
        """Where a killed run goes on."""
        return self.path / "checkpoint.safetensors"

    @property
    def model(self) -> Path:
        """The best model up to now."""
        return self.path / f"{self.name}.safetensors"

    @property
    def contact(self) -> Path:
        """The contact sheet of `--check`, PNG."""
        return self.path / "contact.png"

    @property
    def folds(self) -> Path:
        """The folder of the runs that judge this one, each with a part of the ground left out."""
        return self.path / "folds"

    @property
    def judged(self) -> Path:
        """What a comparison has counted of its model, JSON."""
        return self.path / "judged.json"

    @property
    def ground(self) -> Path:
        """The folder of pixels and labels laid down for training."""
        return self.path / "ground"


@contextmanager
def open_run(folder: Path | None, config: TrainConfig, *, overwrite: bool = False) -> Iterator[Run]:
    """The folder of this run, by default `runs/NAME`: made and locked; `begin` makes it that of the configuration.

    A folder that holds a run of the same configuration, or of none that was trained for a step, may be gone on with;
    with `overwrite` any run in it may be replaced, and is not yet.
    Raises `OutputError` for a folder of something else, of another run, in use, or not writable. When the block raises
    before there is a checkpoint, what was made here is removed.
    """
    path = folder if folder is not None else Path(FOLDER) / config.name
    run = Run(path, config.name)
    made = make_folder(path, default=folder is None)
    strange = sorted(p.name for p in path.iterdir() if p.name != OLD_LOCK and not p.name.startswith(PREFIX))
    if strange and not run.config.is_file():
        raise OutputError(
            path, f"is a folder with other files ({strange[0]})", f"choose another with {option('output')}"
        )
    finished = False
    try:
        with locked(path, inside=True), translated(path):
            _check_config(run, config, overwrite)
            for left in path.glob(f"{PREFIX}*/"):  # by a run that was killed while it wrote a file
                shutil.rmtree(left, ignore_errors=True)
            if not run.config.is_file():
                _write_config(run, config)
            yield run
            finished = True
    finally:
        if not finished and not run.checkpoint.exists() and not run.folds.exists():
            for one in reversed(made):
                _removed(one, run)


@contextmanager
def open_comparison(folder: Path | None, name: str, text: str) -> Iterator[Path]:
    """The folder of a comparison, by default `runs/compare-NAME`: made and locked; `text` is what says it, TOML.

    Raises `OutputError` for a folder of something else, in use, or not writable.
    """
    path = folder if folder is not None else Path(FOLDER) / f"compare-{name}"
    make_folder(path, default=folder is None)
    mark = path / "comparison.toml"
    strange = sorted(p.name for p in path.iterdir() if not p.name.startswith(PREFIX))
    if strange and not mark.is_file():
        raise OutputError(
            path, f"is a folder with other files ({strange[0]})", f"choose another with {option('output')}"
        )
    with locked(path, inside=True), translated(path):
        if is_input(mark):
            raise OutputError(mark, "the output is also an input", "choose another folder with -o")
        _replace_text(mark, text)
        yield path


def holds(path: Path, config: TrainConfig) -> bool:
    """Whether a folder holds a run of this very configuration that may be gone on with."""
    run = Run(path, config.name)
    try:
        theirs = parse_config(run.config.read_text(encoding="utf-8"), str(run.config))
    except (OSError, UsageError, UnicodeDecodeError):
        return False
    return run.checkpoint.exists() and content_key(theirs) == content_key(config)


def seconds_of(run: Run) -> float:
    """Seconds that the steps of a run have taken."""
    rows = csv.DictReader(run.log.read_text(encoding="utf-8", errors="replace").splitlines())
    return sum(float(row["seconds"]) for row in rows if row.get("seconds"))


def read_judged(run: Run, mark: str) -> Any:
    """What was counted of a run's model before, if it has this mark; else None."""
    try:
        record = json.loads(run.judged.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record.get("counts") if isinstance(record, dict) and record.get("mark") == mark else None


def write_judged(run: Run, mark: str, counts: Any) -> None:
    """Keep what was counted of a run's model."""
    _replace_text(run.judged, json.dumps({"mark": mark, "counts": counts}))


def begin(run: Run, config: TrainConfig, *, overwrite: bool = False) -> None:
    """Make the folder that of a run of this configuration; with `overwrite` what an earlier run left is removed."""
    for path in (run.model, *(run.path / name for name in _KEPT[1:])):
        if is_input(path):
            raise OutputError(path, "the output is also an input", "choose another folder with -o")
    if overwrite:
        _emptied(run)
    _write_config(run, config)


def _write_config(run: Run, config: TrainConfig) -> None:
    if not is_input(run.config):  # it is the very file that the run was started with: nothing is to be added
        _replace_text(run.config, resolved(config))


def make_folder(path: Path, default: bool = False) -> list[Path]:
    """Make the folder where it is not there; the folders that were made, the outer first."""
    missing = [p for p in ([path.parent] if default else []) + [path] if not p.exists()]
    if path.exists() and not path.is_dir():
        raise OutputError(path, "is a file", f"name a folder with {option('output')}")
    if not path.parent.is_dir() and path.parent not in missing:
        raise OutputError(path, f"the folder {path.parent} does not exist", "create it first")
    for one in missing:
        with translated(one):
            one.mkdir()
    return missing


def _removed(folder: Path, run: Run) -> None:
    """Remove a folder that was made here, if nothing but ours is in it."""
    with suppress(OSError):
        if folder == run.path:
            shutil.rmtree(folder)
        else:
            folder.rmdir()


def _check_config(run: Run, config: TrainConfig, overwrite: bool) -> None:
    """Raise `OutputError` where the folder holds a run that may be neither gone on with nor replaced."""
    if overwrite:
        return
    if not run.checkpoint.exists():
        if (run.path / OLD_CHECKPOINT).exists():
            problem = f"holds {OLD_CHECKPOINT} of an older mapgen, which is no longer read"
            raise OutputError(
                run.path, problem, f"start over with {option('overwrite', True)}, or end the run with that mapgen"
            )
        return
    try:
        theirs = parse_config(run.config.read_text(encoding="utf-8"), str(run.config))
    except (UsageError, UnicodeDecodeError):
        theirs = None
    if theirs is None or content_key(theirs) != content_key(config):
        changed = "which this mapgen cannot read" if theirs is None else _difference(theirs, config)
        remedy = f"choose another folder with {option('output')}, or use {option('overwrite', True)} to start over"
        raise OutputError(run.path, f"holds a run of another configuration ({changed})", remedy)


def _difference(theirs: TrainConfig, ours: TrainConfig) -> str:
    """The first key in which two configurations differ, with both values."""
    old, new = (dict(_flat("", table_of(c))) for c in (theirs, ours))
    for name in (*new, *old):
        if old.get(name) != new.get(name) and name != "data.folder":
            return f"{name} was {_shown(old.get(name))}, is {_shown(new.get(name))}"
    return "its data"


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _flat(f"{path}.{name}" if path else str(name), one)
    else:
        yield path, value


def _shown(value: Any) -> str:
    text = "not set" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _emptied(run: Run) -> None:
    """Remove what an earlier run left; foreign files stay."""
    names = {run.name}
    with suppress(OSError, ValueError):
        names.add(Path(str(tomllib.loads(run.config.read_text(encoding="utf-8")).get("name"))).name)
    for path in (run.path / name for name in (*_KEPT, *(f"{n}.safetensors" for n in names))):
        if not is_input(path):
            path.unlink(missing_ok=True)


def _replace_text(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="")
    os.replace(part, path)


class Log:
    """The log of a run as a table: a row for each step, the figures of a check on the rows of steps that had one."""

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self.path, self.columns = path, columns
        self.rows: list[dict[str, str]] = []

    def resume(self, step: int) -> None:
        """Take up the rows before `step` and forget the others, which a resumed run does again."""
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()  # a killed run may have left half a line
        rows = [r for r in csv.DictReader(lines) if set(r) == set(self.columns)]
        self.rows = [row for row in rows if row["step"].isdigit() and int(row["step"]) < step]
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, self.columns)
        writer.writeheader()
        writer.writerows(self.rows)
        _replace_text(self.path, table.getvalue())

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; columns it does not name stay empty."""
        texts = {name: str(row.get(name, "")) for name in self.columns}
        with open(self.path, "a", encoding="utf-8", newline="") as stream:
            csv.DictWriter(stream, self.columns).writerow(texts)
        self.rows.append(texts)

    def points(self, column: str) -> list[tuple[float, float]]:
        """(step, value) of a column, where it has one."""
        return [(int(r["step"]), float(r[column])) for r in self.rows if r.get(column)]
