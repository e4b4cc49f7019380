"""`models upgrade`: the files of earlier mapgens get the graph of their network, once, by torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapgen.errors import one_line, require
from mapgen.files.commit import Output, staged
from mapgen.files.inputs import note_output, one_run
from mapgen.model.file import INT8_SUFFIX, Model, find_model, int8_path, open_model, read_graph, read_tensors
from mapgen.model.write import save_graph, write_tensors


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What became of one file: its size before and after, and the int8 file that went along."""

    output: Path
    changed: bool
    bytes_before: int
    bytes: int
    int8: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return dataclasses.asdict(self) | {"output": str(self.output), "int8": self.int8 and str(self.int8)}


@one_run()
def upgrade(name: str, output: Path | None = None) -> Upgraded:
    """Write the model called `name` anew with its graph, in its own place or as `output`, which must not be there.

    Its weights stay as they are, bit by bit. An int8 file that goes with it goes along: it names the new file as its
    parent. A file that holds its graph already is left alone. Raises `ModelError`, `UsageError` without torch, or
    `OutputError`; then nothing is changed.
    """
    model = find_model(name)
    before = model.path.stat().st_size
    if model.has_graph or model.card.compression is not None:
        return Upgraded(model.path, False, before, before, None)
    require("torch", one_line(model.path), "making its graph")
    from mapgen.model.convert import graph_tensors

    tensors = read_tensors(model)
    tensors |= graph_tensors(None, model.card, tensors)
    int8 = model.int8
    target = model.path if output is None else output
    if output is None:
        note_output(model.path)  # it is opened as an input, and is what this run is to replace
    with staged(Output(target, overwrite=output is None)) as temporary:
        write_tensors(tensors, model.card, Output(temporary))
        renewed = open_model(temporary)
        if int8 is not None:
            _follow(int8, renewed, target)
    return Upgraded(target, True, before, target.stat().st_size, None if int8 is None else int8_path(target))


def _follow(int8: Path, parent: Model, target: Path) -> None:
    """Write the int8 file beside `target` so that it names the new parent. It does so before that has its name: after
    a crash between the two the upgrade can be run again."""
    old = open_model(int8)
    compression = old.card.compression
    assert compression is not None
    assert int8.name.endswith(INT8_SUFFIX)
    card = dataclasses.replace(old.card, compression=dataclasses.replace(compression, parent_sha256=parent.sha256))
    place = int8_path(target)
    same = place == int8
    if same:
        note_output(place)
    save_graph(*read_graph(old), card, Output(place, overwrite=same))
