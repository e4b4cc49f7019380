"""`verify`: whether an output is whole, re-read from the first byte to the last, and what cannot be known of it."""

from __future__ import annotations

import csv
import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mapgen.errors import InputError, MapgenError, one_line
from mapgen.files.fingerprint import digest
from mapgen.files.gdal import environment, gdal_errors
from mapgen.files.inputs import looked_at
from mapgen.files.kind import PICTURE_SUFFIXES, REPORT, TILEJSON, is_lines, kind_of
from mapgen.files.untrusted import parsed_json
from mapgen.layers.whole import layer_faults
from mapgen.legend import Legend
from mapgen.model.file import int8_path, open_model, read_graph, read_tensors, require_int8
from mapgen.raster.classmap import class_map_output
from mapgen.raster.open import opened_dataset
from mapgen.raster.seal import NONE, TAG, is_marked, is_sealed, unpack
from mapgen.results.report import read_report
from mapgen.tiling.containers.container import READING, checksum_of, open_tiles, summed

NO_CHECKSUM = "whether a bit has changed that can be read all the same: it carries no checksum"


@dataclasses.dataclass(slots=True)
class Verdict:
    """What re-reading an output has shown."""

    path: Path
    kind: str
    """In the words of `info`; empty where it is nothing that is known."""
    faults: list[str] = dataclasses.field(default_factory=list)
    unknown: list[str] = dataclasses.field(default_factory=list)
    """What may be wrong without showing."""
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong that could be seen."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return dataclasses.asdict(self) | {"path": str(self.path), "whole": self.whole}


def verify(path: str | Path) -> Verdict:
    """Whether the output at `path` is whole: a class map or other raster, a layer or network, a set of tiles, a folder
    of results with all that its report names, a model, a training run.

    Everything is read. What is missing or cannot be read is a fault of the verdict, not an error.
    """
    path = Path(path)
    verdict = Verdict(path, _kind(path))
    try:
        with looked_at(), environment():
            _LOOK[verdict.kind](path, verdict)
    except MapgenError as exc:
        verdict.faults.append(exc.problem)
    except OSError as exc:
        verdict.faults.append(f"cannot be read ({exc.strerror or exc})")
    except (ValueError, IndexError) as exc:  # pyogrio's, of names that are no UTF-8, or of a file without layers
        verdict.faults.append(f"cannot be read ({one_line(exc)[:100]})")
    return verdict


def _kind(path: Path) -> str:
    """What a path is by its name, of a folder by what lies in it."""
    kind, suffix = str(kind_of(str(path))), path.suffix.lower()
    if kind == "folder":
        return "training run" if (path / "config.toml").exists() else ""
    if path.name == REPORT or path.name.endswith("stac.json"):
        return "record"
    if kind == "raster" and is_lines(str(path)):
        return "layer"
    if kind == "raster":
        return "picture" if suffix in PICTURE_SUFFIXES else "page" if suffix == ".html" else kind
    return kind.replace("tiles", "tile set")


def _nothing(path: Path, verdict: Verdict) -> None:
    verdict.faults.append(f"is a folder without {REPORT}, {TILEJSON} or config.toml: nothing that mapgen writes")


def _raster(path: Path, verdict: Verdict) -> None:
    """Class maps and rasters of scores carry a hash of their own bytes; what GDAL wrote has its tiles alone."""
    try:
        with opened_dataset(path) as (_, dataset):
            tags, bands = dataset.tags(), dataset.descriptions
            verdict.kind = "class map" if "MAPGEN_LEGEND" in tags and not any(bands) else "raster"
            stated = tags.get(TAG)
            sealed = stated not in (None, NONE) and is_sealed(path, stated)
            levels = [None, *range(len(dataset.overviews(1)))]
            if not sealed:
                unpack(path, dataset)
            dataset.close()
        if not sealed:
            for level in levels[1:]:
                with opened_dataset(path, overview_level=level) as (_, dataset):
                    for _, window in dataset.block_windows(1):
                        dataset.read(window=window)
                    dataset.close()
    except _damage() as exc:
        verdict.faults.append(f"a tile of it cannot be read ({one_line(exc)[:100]})")
        return
    if stated not in (None, NONE) and not sealed:
        verdict.faults.append(
            "its bytes are not those of its checksum, though all its tiles can be read: "
            "a program has edited it, or a bit outside of them has changed"
        )
    elif stated is None and is_marked(path):
        verdict.faults.append("its checksum is missing: its tags are damaged, or it is of an older mapgen")
    elif not sealed:
        verdict.unknown.append(NO_CHECKSUM)
    if verdict.kind == "class map":
        _beside(path, tags, verdict)


def _damage() -> tuple[type[Exception], ...]:
    return (ValueError, *gdal_errors())


def _beside(path: Path, tags: Mapping[str, str], verdict: Verdict) -> None:
    """The side-cars of a class map: no loss, since its tags hold the classes too, and programs write into them."""
    from mapgen.files.commit import Output

    with suppress(ValueError, KeyError, TypeError, MapgenError):
        legend = Legend.from_json(parsed_json(tags["MAPGEN_LEGEND"]))
        for name in class_map_output(Output(path), legend).beside:
            if not path.with_name(name).is_file():
                verdict.notes.append(f"{name} is not beside it; the classes are in the file as well")


def _layer(path: Path, verdict: Verdict) -> None:
    faults, unknown = layer_faults(path)
    verdict.faults += faults
    verdict.unknown += unknown


def _tiles(path: Path, verdict: Verdict) -> None:
    """The tiles as a whole, against the number and sum that the set says of them; those of vector tiles in folders by
    number only, since they are packed anew, and a packer of another version packs otherwise."""
    try:
        with open_tiles(path) as tiles:
            stated, loose = tiles.info.checksum, path.is_dir() and tiles.info.format == "mvt"
            found = checksum_of(*summed(tiles))
    except READING as exc:
        reason = exc.problem if isinstance(exc, InputError) else f"a tile of it cannot be read ({one_line(exc)[:100]})"
        verdict.faults.append(reason)
        return
    if loose:
        stated, found = stated.partition("-")[0], found.partition("-")[0]
    if stated and stated != found:
        number, there = stated.partition("-")[0], found.partition("-")[0]
        fewer = f"it was written with {number} tiles, {there} are there"
        verdict.faults.append(fewer if number != there else "its tiles are not those that it was written with")
    if loose or not stated:
        verdict.unknown.append(NO_CHECKSUM)


def _model(path: Path, verdict: Verdict) -> None:
    model = open_model(path)
    if model.card.compression is not None or model.has_graph:
        read_graph(model)
    if model.card.compression is None:
        read_tensors(model)
        if int8_path(path).exists():
            require_int8(model)
    verdict.notes.append(f"sha256 {model.sha256}")
    verdict.unknown.append("whether a weight has changed: compare its sha256 with that of where it is from")


def _run(path: Path, verdict: Verdict) -> None:
    """The configuration, the log, the model and, of a run that is not done, the checkpoint."""
    try:
        name = str(tomllib.loads((path / "config.toml").read_text(encoding="utf-8"))["name"])
    except (ValueError, KeyError) as exc:
        verdict.faults.append(f"config.toml cannot be read ({one_line(exc)[:100]})")
        return
    log, model, checkpoint = path / "log.csv", path / f"{Path(name).name}.safetensors", path / "checkpoint.safetensors"
    if not checkpoint.is_file() and not log.exists():
        verdict.notes.append("nothing was trained yet")
        return
    for part, look in ((log, _log), (model, _model), (checkpoint, _checkpoint)):
        _part(part, look, verdict)


def _log(path: Path, verdict: Verdict) -> None:
    text = path.read_text(encoding="utf-8")
    steps = [row.get("step") or "" for row in csv.DictReader(text.splitlines())]
    if not text.endswith("\n") or not all(step.isdigit() for step in steps):
        verdict.faults.append("its last line is cut off, or a line says no step")
    elif [int(step) for step in steps] != sorted({int(step) for step in steps}):
        verdict.faults.append("its steps do not follow on each other")


def _checkpoint(path: Path, verdict: Verdict) -> None:
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except SafetensorError as exc:
        verdict.faults.append(f"cannot be read ({one_line(exc)[:100]})")
        return
    if not all(np.isfinite(t).all() for t in tensors.values() if t.dtype.kind == "f"):
        verdict.faults.append("a number in it is not finite")


def _part(path: Path, look: Callable[[Path, Verdict], None], verdict: Verdict) -> None:
    """One file of a folder: its faults are those of the folder, under its name."""
    part = Verdict(path, "")
    try:
        if not path.exists():
            part.faults.append("is missing")
        else:
            look(path, part)
    except MapgenError as exc:
        part.faults.append(exc.problem)
    except (OSError, ValueError) as exc:
        part.faults.append(f"cannot be read ({one_line(exc)[:100]})")
    name = path.name
    verdict.faults += [f"{name}: {text}" for text in part.faults]
    verdict.unknown += [f"{name}: {text}" for text in part.unknown]


def _result(folder: Path, verdict: Verdict) -> None:
    """A folder of results: the report has the hash of every file; one that differs is looked at for itself."""
    report = read_report(folder)
    stated = report.get("sha256") or {}
    for name in map(str, report["files"].values()):
        path = folder / name
        if Path(name).name != name or name in ("", ".."):
            verdict.faults.append(f"{one_line(name)}: the report names a file outside of its folder")
        elif not path.exists():
            verdict.faults.append(f"{one_line(name)}: is missing")
        elif name not in stated or stated[name] != digest(path):
            _changed(path, verdict, known=name in stated)
    if not stated:
        verdict.unknown.append("whether files are those of this report: it is of an older mapgen and has no checksums")


def _changed(path: Path, verdict: Verdict, *, known: bool) -> None:
    part = verify(path)
    verdict.faults += [f"{path.name}: {text}" for text in part.faults]
    verdict.unknown += [f"{path.name}: {text}" for text in part.unknown]
    if known and part.whole and path.suffix.lower() == ".gpkg":  # QGIS writes into every GeoPackage that it opens
        verdict.notes.append(f"{path.name} was changed since, and can be read; QGIS does that when it opens one")
    elif known and part.whole:
        verdict.faults.append(f"{path.name}: it is not as it was written, though it can be read")


def _record(path: Path, verdict: Verdict) -> None:
    try:
        parsed_json(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        verdict.faults.append(f"it is not JSON ({one_line(exc)[:100]})")
    verdict.unknown.append(NO_CHECKSUM)


def _page(path: Path, verdict: Verdict) -> None:
    if not path.read_bytes().rstrip().endswith(b"</html>"):
        verdict.faults.append("it is cut off")
    verdict.unknown.append(NO_CHECKSUM)


def _picture(path: Path, verdict: Verdict) -> None:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as exc:
        verdict.faults.append(f"cannot be read ({one_line(exc)[:100]})")
    if path.suffix.lower() != ".png":  # which has checksums
        verdict.unknown.append(NO_CHECKSUM)


_LOOK: dict[str, Callable[[Path, Verdict], None]] = {
    "": _nothing, "raster": _raster, "layer": _layer, "tile set": _tiles, "model": _model, "training run": _run,
    "result": _result, "record": _record, "page": _page, "picture": _picture,
}  # fmt: skip
