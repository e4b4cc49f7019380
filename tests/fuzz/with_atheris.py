"""Fuzz one of mapgen's own parsers, guided by what the bytes reach in it.

    pip install atheris
    python tests/fuzz/with_atheris.py pmtiles [-max_total_time=600] [MORE OF LIBFUZZER'S OPTIONS]

Without a name it lists them. It begins with a whole file and some damaged ones. An input that a parser does not take as
it should is written to `crash-…` in the current folder.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

with atheris.instrument_imports(include=["mapgen"]):
    import targets


def main(name: str, options: list[str]) -> None:
    """Run until the time that `options` give is over, or something is found."""
    from damage import damaged
    from factory import Engines
    from whole_files import make_all

    import mapgen.inference.segment as segmenting

    segmenting.open_engine = Engines().open
    folder = Path(tempfile.mkdtemp(prefix="mapgen-corpus-"))
    (folder / "files").mkdir()
    model = str(folder / "files" / "good" / "fake.safetensors")
    make_all(folder / "files", lambda scene, output: segmenting.segment(scene, output, model=model))
    whole = targets.examples(folder / "files")[name]
    corpus = folder / "corpus"
    corpus.mkdir()
    for seed in range(30):
        (corpus / str(seed)).write_bytes(damaged(whole, seed) if seed else whole)
    target, _ = targets.TARGETS[name]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in targets.TARGETS:
        sys.exit(f"name one of: {', '.join(targets.TARGETS)}")
    main(sys.argv[1], sys.argv[2:])
