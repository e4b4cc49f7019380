"""Make a mapgen model of any network of segmentation_models_pytorch, then map a scene with it.

    python examples/bring_your_own_smp.py [SCENE] [--out FOLDER]

The network here is small and its weights are random, so its map means nothing. Yours comes from your own training:
build it with the same arguments and `net.load_state_dict(...)` before it is saved.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import segmentation_models_pytorch as smp
import torch

import mapgen

LEGEND = mapgen.Legend(
    (
        mapgen.Class(0, "other", "#d9d9d9", background=True),  # in the map, but not drawn as polygons
        mapgen.Class(1, "roof", "#c0504d"),
    )
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", nargs="?", type=Path, default=Path(__file__).with_name("scene.tif"))
    parser.add_argument("--out", type=Path, default=Path("out"), help="a folder, created if need be")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(1)
    parameters = {"encoder_depth": 3, "decoder_channels": [32, 16, 8]}
    net = smp.Unet("resnet18", encoder_weights=None, in_channels=3, classes=len(LEGEND), **parameters)
    card = mapgen.ModelCard(
        name="roofs",
        architecture="Unet",
        encoder="resnet18",
        parameters=parameters,
        bands=("red", "green", "blue"),
        mean=(123.7, 116.3, 103.5),  # in the units of the pixels, here 0 … 255
        std=(58.4, 57.1, 57.4),
        legend=LEGEND,
        resolution_m=1.0,
        window=512,
        halo=64,
        stride=8,  # three halvings
        domain="nothing yet: random weights",
    )
    model = mapgen.save_model(net, card, arguments.out / "roofs.safetensors", half=True, overwrite=True)
    print(f"{model}: {model.stat().st_size / 1e6:.1f} MB")

    result = mapgen.segment(arguments.scene, arguments.out / "roofs.mask.tif", model=str(model), overwrite=True)
    print(f"{result.output}: {result.windows} windows by {result.engine}, {result.seconds:.1f} s")


if __name__ == "__main__":
    main()
