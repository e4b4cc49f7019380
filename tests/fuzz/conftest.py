"""The files that are damaged, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from factory import Engines
from whole_files import make_all


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all files of `whole_files`; whoever damages one puts it back."""
    from mapgen.inference.segment import segment

    folder = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mapgen.inference.segment.open_engine", Engines().open)
        model = str(folder / "good" / "fake.safetensors")
        make_all(folder, lambda scene, output: segment(scene, output, model=model))
    return folder
