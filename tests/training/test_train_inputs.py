"""What a training run reads, it never replaces."""

from collections.abc import Callable
from pathlib import Path

import pytest
from factory import Run
from runs import config_text, make_scene

Runner = Callable[..., Run]


@pytest.mark.parametrize("kept", ["label", "scene", "config"])
@pytest.mark.parametrize("target", ["tiny.safetensors", "curves.png", "log.csv", "checkpoint.pt"])
def test_what_a_training_run_reads_stays(tmp_path: Path, mapgen: Runner, kept: str, target: str) -> None:
    scene = make_scene(tmp_path)
    config = tmp_path / "tiny.toml"
    config.write_text(config_text())
    source = {"label": tmp_path / "label" / "scene.tif", "scene": scene, "config": config}[kept]
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.toml").write_text(config_text())
    (folder / target).hardlink_to(source)
    before = source.read_bytes()
    run = mapgen("train", config, "-o", folder, "--overwrite")
    assert (run.code, len(run.errors)) == (5, 1), run
    assert f"{target}: the output is also an input" in run.errors[0]
    assert source.read_bytes() == before
