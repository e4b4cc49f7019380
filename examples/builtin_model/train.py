"""Train the built-in model: python train.py DATA RUN [--steps N] [--threads N].

DATA is the folder with tile4 … tile8 of "Semantic segmentation of aerial imagery", parts as partK.jpg and partK.png.
RUN receives log.csv and checkpoint.pt; started again with the same arguments, the run goes on from its checkpoint.
--steps N ends a run at step N instead of where it was to end; the checkpoint and the log record it.
"""

from __future__ import annotations

import argparse
import csv
import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import rasterio
import torch

from mapgen.learn.augment import Geometry, Light
from mapgen.learn.fit import Progress, Recipe, Stage, fit, resume, start
from mapgen.learn.ground import Ground, read_ground
from mapgen.learn.losses import IGNORE, combined
from mapgen.learn.measure import Counts, measure, scores
from mapgen.learn.network import build
from mapgen.learn.samples import Piece, Sampler, Sampling, ahead, statistics
from mapgen.legend import BUILTIN

HERE = Path(__file__).parent


def read_piece(data: Path, name: str, weight: float = 1.0) -> Piece:
    """One part: RGB, and its palette image's ids 1…5 as channels 0…4, all else ignored."""
    with rasterio.open(data / f"{name}.jpg") as image, rasterio.open(data / f"{name}.png") as label:
        channel = np.full(256, IGNORE, np.uint8)
        channel[list(BUILTIN.ids)] = range(len(BUILTIN))
        return Piece(name, image.read(), channel[label.read(1)], weight)


def read_recipe(path: Path) -> tuple[dict, Recipe, Sampling]:
    """The TOML document, and the loop's and the sampler's part of it."""
    document = tomllib.loads(path.read_text())
    run, sampling = document["run"], document["sampling"]
    recipe = Recipe(**{**run, "stages": tuple(Stage(**s) for s in run["stages"])})
    geometry = Geometry(**{**sampling["geometry"], "zoom": tuple(sampling["geometry"]["zoom"])})
    return document, recipe, Sampling(sampling["balance"], geometry, Light(**sampling["light"]))


def total(counts: dict[str, Counts]) -> Counts:
    return sum(counts.values(), start=np.zeros((len(BUILTIN), len(BUILTIN)), np.int64))


def record(log: Path, progress: Progress, note: str) -> None:
    """Append a step to the log."""
    fresh = not log.exists()
    row = {
        "step": progress.step,
        "loss": round(progress.loss, 5),
        "rate": f"{progress.rate:.3e}",
        "seconds": round(progress.seconds, 2),
        "time": datetime.now(UTC).strftime("%H:%M:%S"),
        "check": note,
    }
    with log.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def trim(log: Path, step: int) -> None:
    """Forget the logged steps from `step` on: a run that goes on from its checkpoint does them again."""
    if log.exists():
        head, *rows = log.read_text().splitlines(keepends=True)
        log.write_text(head + "".join(r for r in rows if int(r.split(",")[0]) < step))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.run.mkdir(parents=True, exist_ok=True)

    document, recipe, sampling = read_recipe(HERE / "recipe.toml")
    ground: Ground = read_ground(HERE / "ground.json")
    training = [read_piece(args.data, name, weight) for name, weight in ground.training.items()]
    judged = [read_piece(args.data, name) for name in ground.validation]
    mean, std = (torch.tensor(v) for v in statistics(training))
    print("mean", mean.tolist(), "std", std.tolist(), flush=True)

    torch.manual_seed(recipe.seed)
    network = build(**document["model"], in_channels=3, classes=len(BUILTIN)).to(memory_format=torch.channels_last)
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    state = start(network, recipe)
    checkpoint, log = args.run / "checkpoint.pt", args.run / "log.csv"
    if checkpoint.exists():
        resume(state, recipe, checkpoint)
    trim(log, state.step)
    if args.steps and args.steps != state.pace.end:
        state.pace = state.pace.until(state.step, args.steps)
    print("from step", state.step, "pace", state.pace.knots, flush=True)

    def check(average: torch.nn.Module) -> dict:
        return scores(total(measure(average, judged, len(BUILTIN), mean, std, half=recipe.half)))

    sampler = Sampler(training, len(BUILTIN), sampling, recipe.seed)
    loss = combined(document["loss"]["shares"], document["loss"]["smoothing"])
    steps = fit(state, recipe, sampler, loss, scale=(mean, std), checkpoint=checkpoint, check=check, ahead=ahead)
    for progress in steps:
        found = progress.check
        record(log, progress, json.dumps({k: np.round(v, 4).tolist() for k, v in found.items()}) if found else "")
        if found or progress.step % 10 == 0:
            print(progress.step, f"{progress.loss:.4f}", f"{progress.seconds:.2f} s", found or "", flush=True)


if __name__ == "__main__":
    main()
