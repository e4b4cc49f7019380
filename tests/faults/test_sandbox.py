"""The recipe of docs/security.md for files that are truly hostile, as it stands there, where bubblewrap is there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from factory import make_raster, noise

from mapgen.results.verify import verify

ROOT = Path(__file__).parents[2]


def may_be_used():
    """Whether bubblewrap is there and the system lets it make a room of its own, which containers often do not."""
    if shutil.which("bwrap") is None:
        return False
    probe = ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"]
    return subprocess.run(probe, capture_output=True, timeout=20, check=False).returncode == 0


@pytest.mark.skipif(not may_be_used(), reason="no bubblewrap, or no room for it")
def test_the_recipe_maps_a_scene_where_nothing_else_can_be_reached(tmp_path):
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    recipe = re.search(r"    (bwrap .*?mapgen segment .*?)\n\n", text, re.DOTALL)
    assert recipe, "the recipe is no longer there"
    folder = Path(os.path.expanduser("~"), f".mapgen-sandbox-{os.getpid()}")  # the recipe hides /tmp
    (folder / "out").mkdir(parents=True)
    try:
        make_raster(folder / "scene.tif", noise(60, 60))
        command = recipe[1].replace("\\\n", " ").replace("$PWD", str(folder))
        words = shlex.split(command)
        at = words.index("mapgen")
        hidden = [path for path in {sys.prefix, sys.base_prefix, str(ROOT)} if path.startswith("/tmp/")]
        seen = [word for path in hidden for word in ("--ro-bind", path, path)]
        words[at : at + 1] = [
            *seen, "--chdir", str(folder), "--setenv", "PYTHONPATH", str(ROOT), sys.executable, "-m", "mapgen",
        ]  # fmt: skip
        done = subprocess.run(words, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode()
        assert verify(folder / "out" / "scene.mask.tif").whole
    finally:
        shutil.rmtree(folder)


def test_the_recipes_leave_no_network():
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    assert "--unshare-all" in text
    assert "--network none" in text
