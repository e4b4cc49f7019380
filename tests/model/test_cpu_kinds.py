"""The default engine on other processors than this one: every type of pixels in every precision, abilities masked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from factory import make_raster, read_map

from mapgen.raster.scene import PATCH_TYPES

EXAMPLES = Path(__file__).parents[2] / "examples"

ABILITIES = ("ALL", "AVX512_CORE_VNNI", "AVX512_CORE", "AVX2")
"""What oneDNN may use at most, of what this processor has; OpenVINO itself looks at the processor, so a mask below AVX2
would make a processor that does not exist."""

CELLS = """
import json, sys
import numpy as np
from mapgen.errors import UsageError
from mapgen.model.engine import Setup
from mapgen.model.file import builtin_models, network_of, open_model
from mapgen.model.normalization import normalization
from mapgen.model.select import open_engine
from mapgen.settings import Scale

dtypes = sys.argv[1].split()
model = open_model(builtin_models()[0])
network = network_of(model)
pixels = np.random.default_rng(0).integers(0, 250, (1, 3, 64, 64))
for dtype in map(np.dtype, dtypes):
    for output, scale in (("classes", Scale()), ("classes", Scale("range", 0, 3000)), ("probabilities", Scale())):
        for precision in ("fp32", "bf16", "int8"):
            norm = normalization(model.card, scale, dtype)
            setup = Setup(norm, dtype, output, precision, threads=1)
            try:
                engine = open_engine(network, setup, "openvino", "cpu")
                ((_, result),) = engine.stream([(0, pixels.astype(dtype))])
                done = [list(result.shape), round(float(result.astype(np.float64).sum()))]
            except UsageError as exc:
                done = str(exc)
            print(json.dumps([dtype.name, str(scale), output, precision, done]))
"""


@pytest.mark.parametrize("abilities", ABILITIES)
def test_every_type_of_pixels_runs_in_every_precision(abilities):
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": abilities}
    command = [sys.executable, "-c", CELLS, " ".join(t.name for t in PATCH_TYPES)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    cells = {tuple(cell[:4]): cell[4] for cell in map(json.loads, run.stdout.splitlines())}
    assert len(cells) == len(PATCH_TYPES) * 3 * 3
    for (dtype, scale, output, precision), done in cells.items():
        if precision == "bf16" and isinstance(done, str):
            assert "does not compute in bf16" in done
            continue
        shape, total = done
        assert shape == ([1, 64, 64] if output == "classes" else [1, 5, 64, 64])
        assert done == cells["uint8", scale, output, precision], "the same values, whatever their type"
        assert total > 0, (dtype, scale, output)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32", "float32", "float64"])
def test_a_scene_of_any_type_is_mapped_at_the_defaults(mapgen, tmp_path, dtype):
    import rasterio

    with rasterio.open(EXAMPLES / "scene.tif") as dataset:
        pixels = np.minimum(dataset.read([1, 2, 3])[:, :128, :160], 127)
    scene = make_raster(tmp_path / "scene.tif", pixels.astype(dtype))
    run = mapgen("segment", scene, "--resolution", "native")
    assert run.code == 0, run
    plain = make_raster(tmp_path / "plain.tif", pixels)
    assert mapgen("segment", plain, "--resolution", "native").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), read_map(tmp_path / "plain.mask.tif"))
