"""Datasets: imagery and labels read, brought to one grid and kind, split, and laid down as plain arrays.

The arrays lie in files of a folder and are mapped into memory, so that ground of any size can be sampled: of the disk
they take bands × bytes + 1 for each pixel, and as much again for validation blocks cut out of training images; of the
memory one strip of an image. The folder is used again as long as configuration and files stay the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.dataset.build import Laying
from mapgen.dataset.config import DataConfig
from mapgen.dataset.cuts import unlisted_problem
from mapgen.dataset.dataset import Dataset, Piece
from mapgen.dataset.mapped import mapped
from mapgen.dataset.pairs import Pair, find_pairs
from mapgen.errors import InputError
from mapgen.files.commit import translated
from mapgen.files.untrusted import json_object
from mapgen.grid import Window
from mapgen.schema import table_of

_VERSION = 1  # of what lies in the folder
_INDEX = "index.json"


def read_dataset(data: DataConfig, folder: Path, *, lenient: bool = False) -> Dataset:
    """The ground that a configuration names, laid down in `folder` (which is created), split and measured.

    Laws: a training piece holds no pixel of validation ground, in image or label, from whatever file; what is labelled
    in training keeps the guard to it; labels of invalid pixels are `IGNORE`. With `lenient`, label values that no class
    lists are reported and not an error. Progress is kept nowhere: a folder that was not finished is begun anew.

    Raises `UsageError` for what the configuration says wrongly, `InputError` for files that are missing, broken or do
    not fit, `OutputError` where the folder cannot be written.
    """
    pairs = find_pairs(data)
    key = _key(data, pairs)
    with translated(folder):
        folder.mkdir(parents=True, exist_ok=True)
    record = _recorded(folder, key)
    if record is None:
        with translated(folder):
            (folder / _INDEX).unlink(missing_ok=True)  # first of all: it must not vouch for what is half overwritten
        record = Laying(data, pairs, folder).record() | {"key": key}
        with translated(folder), open(folder / (_INDEX + ".part"), "w", encoding="utf-8") as stream:
            json.dump(record, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(folder / (_INDEX + ".part"), folder / _INDEX)
    problem = unlisted_problem(record["report"]["unlisted"])
    if problem and data.unlisted == "error" and not lenient:
        raise InputError(*problem)
    return _dataset(data, folder, record)


def _key(data: DataConfig, pairs: list[Pair]) -> str:
    """A key of all that the arrays depend on: the configuration and the files, by name, size and time of change."""
    files = {path for pair in pairs for path in (pair.image, *(p for p, _ in pair.labels))}
    facts = [(str(p), s.st_size, s.st_mtime_ns) for p in sorted(files) for s in (p.stat(),)]
    text = json.dumps([_VERSION, table_of(data), facts, [p.name for p in pairs]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _recorded(folder: Path, key: str) -> dict[str, Any] | None:
    try:
        record = json_object((folder / _INDEX).read_text(encoding="utf-8"))
        whole = all((folder / name).stat().st_size == size for name, size in record["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if whole and record.get("key") == key else None


def _dataset(data: DataConfig, folder: Path, record: dict[str, Any]) -> Dataset:
    """The dataset of arrays that lie in the folder."""
    dtype, bands = np.dtype(record["dtype"]), len(record["bands"])
    stores = {
        "images": (mapped(folder / "images.bin", dtype), mapped(folder / "labels.bin", np.dtype(np.uint8))),
    }
    if "blocks.bin" in record["files"]:
        stores["blocks"] = (
            mapped(folder / "blocks.bin", dtype),
            mapped(folder / "block_labels.bin", np.dtype(np.uint8)),
        )

    def piece(entry: dict[str, Any]) -> Piece:
        pixels, labels = stores[entry["file"]]
        (height, width), first = entry["shape"], entry["first"]
        last = first + height * width
        window = Window(*entry["window"])
        part = window.slices(Window(0, 0, height, width))
        image = pixels[first * bands : last * bands].reshape(bands, height, width)[:, *part]
        return Piece(entry["name"], image, labels[first:last].reshape(height, width)[part], entry["weight"])

    measured = record["measured"]
    training = measured["training"]
    whole = dtype == np.uint8
    high = 255.0 if whole else max(training["high"])
    half = max(high / 2, 1e-3)
    return Dataset(
        training=tuple(piece(e) for e in record["training"]),
        validation=tuple(piece(e) for e in record["validation"]),
        legend=data.legend,
        bands=tuple(record["bands"]),
        data_type=dtype.name,
        resolution_m=record["resolution_m"],
        mean=(half,) * bands if data.scale == "range" else tuple(training["mean"]),
        std=(half,) * bands if data.scale == "range" else tuple(training["std"]),
        low=0.0 if whole else min(training["low"]),
        high=high,
        pixels={side: tuple(measured[side]["classes"]) for side in ("training", "validation")},
        report=record["report"]
        | {
            "measured": measured,
            "pieces": {
                side: [{k: e[k] for k in ("name", "image", "place")} for e in record[side]] for side in measured
            },
        },
        warnings=tuple(record["warnings"]),
        unlabelled=tuple(piece(e) for e in record.get("unlabelled", ())),  # which older folders do not name
        key=record["key"],
    )
