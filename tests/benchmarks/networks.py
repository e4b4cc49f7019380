"""Networks for the built-in model: forward rate beside accuracy at one small budget of training.

    python tests/benchmarks/networks.py DATA RUN [--json docs/benchmarks/networks.json]

DATA is the folder of examples/builtin_model/read.py. Each network is trained from scratch on the same crops, from the
same seed, into RUN/NAME, where a stopped run goes on from its checkpoint; `--train` stops after that. Rates are
those of mapgen's engine for CPUs, all networks and precisions in turn, the best of the rounds; int8 graphs are made by
`mapgen compress` from the training ground, where NNCF is installed.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import load, record, versions, write

EXAMPLE = Path(__file__).parents[2] / "examples" / "builtin_model"
sys.path.insert(0, str(EXAMPLE))

from ground import read_ground  # noqa: E402
from read import read_piece, read_recipe, total  # noqa: E402

from mapgen.inference.bench import engine_rate  # noqa: E402
from mapgen.legend import BUILTIN  # noqa: E402
from mapgen.model.card import ModelCard  # noqa: E402
from mapgen.model.engine import Engine, Setup  # noqa: E402
from mapgen.model.file import Model, int8_path, network_of, open_model  # noqa: E402
from mapgen.model.network import build  # noqa: E402
from mapgen.model.normalization import Normalization  # noqa: E402
from mapgen.model.openvino import native_precisions  # noqa: E402
from mapgen.model.select import open_engine  # noqa: E402
from mapgen.model.write import save_model  # noqa: E402
from mapgen.parallel import ahead  # noqa: E402
from mapgen.raster.patch import padded  # noqa: E402
from mapgen.settings import Precision  # noqa: E402
from mapgen.training.compress import compress  # noqa: E402
from mapgen.training.fit import fit, resume, start  # noqa: E402
from mapgen.training.losses import combined  # noqa: E402
from mapgen.training.measure import confusion, measure, scores  # noqa: E402
from mapgen.training.pace import Stage  # noqa: E402
from mapgen.training.samples import Piece, Sampler, statistics  # noqa: E402

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "LinkNet": ("Linknet", {}),
    "U-Net": ("Unet", {}),
    "FPN, narrow": ("FPN", {"decoder_pyramid_channels": 128, "decoder_segmentation_channels": 64}),
    "DeepLabV3+": ("DeepLabV3Plus", {}),
}
ENCODER, CLASSES = "resnet18", len(BUILTIN)
STEPS, COUNT, SIZE = 150, 8, 192
WINDOW = 512
ROUNDS, WINDOWS = 4, 8


def fresh_network(name: str) -> torch.nn.Module:
    """The network, freshly initialised from the recipe's seed."""
    architecture, parameters = NETWORKS[name]
    return build(architecture, ENCODER, 3, CLASSES, **parameters)


def products(network: torch.nn.Module, side: int = 256) -> float:
    """Multiplications of the network's convolutions for each pixel that it sees."""
    total = 0

    def count(layer: Any, given: Any, result: torch.Tensor) -> None:
        nonlocal total
        # A transposed convolution multiplies once for each pixel that it is given, a plain one for each that it makes.
        places = given[0] if isinstance(layer, torch.nn.ConvTranspose2d) else result
        total += layer.weight.numel() * places.shape[-1] * places.shape[-2]

    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d)
    ]
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return total / side**2


# --- accuracy --------------------------------------------------------------------------------------------------------


def train(name: str, folder: Path, training: list[Piece], scale: tuple[torch.Tensor, torch.Tensor]) -> torch.nn.Module:
    """The network's moving average after the small budget."""
    document, recipe, sampling = read_recipe(EXAMPLE / "recipe.toml")
    recipe = replace(recipe, steps=STEPS, stages=(Stage(0.0, COUNT, SIZE),), save_every=25, check_every=STEPS + 1)
    torch.manual_seed(recipe.seed)
    state = start(fresh_network(name).to(memory_format=torch.channels_last), recipe)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        resume(state, recipe, checkpoint)
    loss = combined(document["loss"]["shares"], document["loss"]["smoothing"])
    sampler = Sampler(training, CLASSES, sampling, recipe.seed)
    for progress in fit(state, recipe, sampler, loss, scale=scale, checkpoint=checkpoint, ahead=ahead):
        if progress.step % 10 == 0:
            print(name, progress.step, f"{progress.loss:.4f} {progress.seconds:.2f} s", file=sys.stderr, flush=True)
    return state.average


def accuracy(name: str, data: Path, run: Path) -> dict[str, float]:
    """mIoU and accuracy on the validation ground after training; kept in RUN/NAME/scores.json."""
    folder = run / name.replace(" ", "_")
    found = folder / "scores.json"
    if not found.exists():
        ground = read_ground(EXAMPLE / "ground.json")
        training = [read_piece(data, piece, weight) for piece, weight in ground.training.items()]
        mean, std = (torch.tensor(v) for v in statistics(training))
        average = train(name, folder, training, (mean, std))
        del training
        judged = [read_piece(data, piece) for piece in ground.validation]
        counts = total(measure(average, judged, CLASSES, mean, std, half=True))
        kept = {k: v for k, v in scores(counts).items() if k in ("miou", "accuracy")}
        torch.save({"weights": average.state_dict(), "mean": mean, "std": std}, folder / "trained.pt")
        found.write_text(json.dumps(kept))
    kept = json.loads(found.read_text())
    print(name, kept, file=sys.stderr, flush=True)
    return kept


# --- rates -----------------------------------------------------------------------------------------------------------


def packed(name: str, data: Path, run: Path) -> Model:
    """The trained network as a model file, with an int8 graph beside it where NNCF is installed."""
    path = run / name.replace(" ", "_") / "model.safetensors"
    kept = torch.load(path.with_name("trained.pt"), weights_only=True)
    architecture, parameters = NETWORKS[name]
    card = ModelCard(
        name=name, architecture=architecture, encoder=ENCODER, bands=("red", "green", "blue"), legend=BUILTIN,
        mean=tuple(kept["mean"].tolist()), std=tuple(kept["std"].tolist()), resolution_m=1.03, parameters=parameters,
    )  # fmt: skip
    if not path.exists():
        save_model(kept["weights"], card, path)
    if find_spec("nncf") and not int8_path(path).exists():
        names = [n for n, weight in read_ground(EXAMPLE / "ground.json").training.items() if weight == 1]
        compress(path, [data / f"{n}.jpg" for n in names], windows=32)
    return open_model(path)


def opened(model: Model, precision: Precision, threads: int) -> Engine:
    """OpenVINO, from bytes to classes."""
    scale = Normalization(model.card.mean, model.card.std)
    setup = Setup(scale, np.dtype("uint8"), "classes", precision, threads)
    return open_engine(network_of(model), setup, "openvino", "cpu")


def miou(engine: Engine, data: Path) -> float:
    """mIoU on the validation ground, each piece as one window."""
    pieces = [read_piece(data, name) for name in read_ground(EXAMPLE / "ground.json").validation]
    found = engine.stream((piece, padded(piece.image, 32)[None]) for piece in pieces)
    counts = [
        confusion(piece.label, classes[0, : piece.label.shape[0], : piece.label.shape[1]], CLASSES)
        for piece, classes in found
        if classes is not None
    ]
    return float(scores(sum(counts[1:], start=counts[0]))["miou"])


# --- the table -------------------------------------------------------------------------------------------------------


def main() -> None:
    """Train what is not trained yet, measure the rates, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--train", action="store_true", help="only train")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = {name: accuracy(name, options.data, options.run) for name in NETWORKS}
    if options.train:
        return
    note = load()
    rows = rates(found, options)
    command = "python tests/benchmarks/networks.py DATA RUN"
    packages = versions("mapgen", "openvino", "nncf", "torch", "segmentation_models_pytorch", "numpy")
    write(
        record("Networks for the built-in model", command, packages, options.threads, rows, [*NOTES, note]),
        options.json,
    )


NOTES = [
    f"All with a ResNet-18 encoder and five classes. Rates in Mpx/s of the engine alone on windows of {WINDOW}², bytes "
    "in, classes out, overlaps not counted off: the best of four rounds, all networks and precisions in turn. kMAC/px: "
    "thousands of multiplications of the convolutions for a pixel, whatever the machine.",
    f"Accuracy on the validation ground of examples/builtin_model after {STEPS} steps of {COUNT} crops of {SIZE}² "
    "pixels from scratch, the same crops, order and learning rates for all: a small budget, in which the order of the "
    "networks means something and the figures themselves do not.",
]


def rates(found: dict[str, dict[str, float]], options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row a network."""
    models = {name: packed(name, options.data, options.run) for name in found}
    pixels = [np.random.default_rng(0).integers(0, 256, (1, 3, WINDOW, WINDOW), np.uint8)] * WINDOWS
    engines = {
        (name, precision): opened(model, precision, options.threads)
        for name, model in models.items()
        for precision in (*native_precisions(), *(["int8"] if model.int8 else []))
    }
    best: dict[tuple[str, str], float] = {}
    for _ in range(ROUNDS):
        for key, engine in engines.items():
            engine_rate(engine, pixels[:1], 0)
            best[key] = max(best.get(key, 0.0), engine_rate(engine, pixels, 0) / 1e6)
    rows = []
    for name, kept in found.items():
        row: dict[str, Any] = {"network": name, "M parameters": round(models[name].parameters / 1e6, 1)}
        row["kMAC/px"] = round(products(fresh_network(name)) / 1e3, 1)
        row |= {f"{p} Mpx/s": round(best[name, p], 2) if (name, p) in best else None for p in ("fp32", "bf16", "int8")}
        row |= {"mIoU": round(kept["miou"], 3), "accuracy": round(kept["accuracy"], 3)}
        eighth = engines.get((name, "int8"))
        row |= {"mIoU int8": None if eighth is None else round(miou(eighth, options.data), 3)}
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    main()
