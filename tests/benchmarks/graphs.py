"""How far the graphs in model files are from torch: networks of segmentation_models_pytorch at two sizes.

    python tests/benchmarks/graphs.py --json docs/benchmarks/graphs.json

Weights are random, drawn with a seed. Each network is saved as a model file, its graph read back and run by OpenVINO in
float32, and its scores compared with torch's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import record, versions, write

from mapgen.legend import BUILTIN
from mapgen.model.card import ModelCard
from mapgen.model.file import open_model, read_graph
from mapgen.model.graph import load_graph
from mapgen.model.network import build, stride_of
from mapgen.model.runtime import ov
from mapgen.model.stored import TEXT
from mapgen.model.write import save_model

NETWORKS = (
    ("Unet", "resnet18"), ("UnetPlusPlus", "resnet18"), ("FPN", "mobilenet_v2"), ("DeepLabV3Plus", "resnet18"),
    ("DeepLabV3", "resnet18"), ("MAnet", "resnet18"), ("PAN", "resnet18"), ("PSPNet", "resnet18"),
    ("UPerNet", "resnet18"), ("Linknet", "tu-tf_efficientnet_lite0"), ("Segformer", "mit_b0"),
    ("Unet", "efficientnet-b0"), ("Unet", "tu-convnext_atto"), ("Unet", "vgg11"), ("Unet", "inceptionv4"),
)  # fmt: skip


def main() -> None:
    """Measure, print, and write the JSON that the documentation is made from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for architecture, encoder in NETWORKS:
            rows.append(measured(architecture, encoder, Path(folder) / "model.safetensors"))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    packages = versions("mapgen", "openvino", "torch", "segmentation_models_pytorch", "timm")
    notes = ["Difference: the largest of a score from torch's, as a share of the highest score, at two sizes."]
    command = "python tests/benchmarks/graphs.py"
    found = record("Graphs in model files, compared with torch", command, packages, 2, rows, notes)
    write(found, arguments.json)


def measured(architecture: str, encoder: str, path: Path) -> dict[str, Any]:
    """One network: how far its graph is from torch, and what it adds to the file."""
    torch.manual_seed(0)
    net = build(architecture, encoder, 3, len(BUILTIN)).eval()
    stride = stride_of(net, 3)
    card = ModelCard(
        name="network", architecture=architecture, encoder=encoder, bands=("red", "green", "blue"), mean=(0.0,) * 3,
        std=(1.0,) * 3, legend=BUILTIN, resolution_m=1.0, stride=stride, window=8 * stride, halo=0,
    )  # fmt: skip
    model = open_model(save_model(net, card, path, overwrite=True))
    graph, worst = read_graph(model), 0.0
    side = max(32, stride)
    for height, width in ((2 * side, 5 * side), (6 * side, 3 * side)):
        pixels = np.random.default_rng(height).normal(size=(1, 3, height, width)).astype(np.float32)
        with torch.inference_mode():
            wanted = net(torch.from_numpy(pixels)).numpy()
        core = ov.Core()
        loaded = load_graph(core, *graph, card, "it")
        loaded.reshape(list(pixels.shape))
        got = core.compile_model(loaded, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(pixels)[0]
        worst = max(worst, float(np.abs(got - wanted).max() / max(1.0, np.abs(wanted).max())))
    return {
        "network": f"{architecture} {encoder}", "stride": stride, "difference": float(f"{worst:.1e}"),
        "graph, kB": round(model.tensors[TEXT][0] / 1e3, 1), "file, MB": round(path.stat().st_size / 1e6, 1),
    }  # fmt: skip


if __name__ == "__main__":
    main()
