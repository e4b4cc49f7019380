"""Fuzz one of mapgen's own parsers, guided by what the bytes reach in it.

    pip install atheris
    python tests/fuzz/with_atheris.py pmtiles [-max_total_time=600] [MORE OF LIBFUZZER'S OPTIONS]

It begins with a whole file and some damaged ones. An input that a parser does not take as
it should is written to `crash-…` in the current folder.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]


def make_examples(name: str, corpus: Path) -> None:
    """Write a whole file for the target `name`, and some damaged ones."""
    import targets
    from damage import damaged
    from factory import Engines
    from whole_files import make_all

    import mapgen.inference.segment as segmenting

    segmenting.open_engine = Engines().open
    folder = Path(tempfile.mkdtemp(prefix="mapgen-files-"))
    model = str(folder / "good" / "fake.safetensors")
    make_all(folder, lambda scene, output: segmenting.segment(scene, output, model=model))
    whole = targets.examples(folder)[name]
    for seed in range(30):
        (corpus / str(seed)).write_bytes(damaged(whole, seed) if seed else whole)


def main(name: str, options: list[str]) -> None:
    """Run until the time that `options` give is over, or something is found."""
    import atheris

    corpus = tempfile.mkdtemp(prefix="mapgen-corpus-")
    # In a process of its own: numba does not compile what atheris has changed to be watched.
    subprocess.run([sys.executable, __file__, "--examples", name, corpus], check=True)
    with atheris.instrument_imports(include=["mapgen"]):
        import targets
    target, _ = targets.TARGETS[name]
    atheris.Setup([sys.argv[0], *options, corpus], target)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--examples"]:
        make_examples(sys.argv[2], Path(sys.argv[3]))
    elif len(sys.argv) < 2:
        sys.exit("name a target of targets.py")
    else:
        main(sys.argv[1], sys.argv[2:])
