"""mapgen beside its neighbours: the same weights on the same scene, each program in processes of its own, in turn.

    python tests/benchmarks/peers.py --python PEERS/bin/python --sources PEERS/src --json docs/benchmarks/peers.json

PEERS is a virtual environment for the neighbours, so that theirs cannot disturb mapgen's; made once by

    python -m venv PEERS
    PEERS/bin/pip install torch torchvision segmentation-models-pytorch rasterio scikit-image scikit-learn matplotlib \
        onnx onnxruntime
    PEERS/bin/pip install --no-deps geodeep omnicloudmask classcounter
    PEERS/bin/pip download --no-deps --python-version 3.12 --only-binary=:all: -d PEERS/src geoai-py terratorch
    cd PEERS/src && for wheel in *.whl; do python -m zipfile -e $wheel ${wheel%%-*}; done

(geoai and terratorch want far more than their inference uses, so that alone is loaded.) Without `--python` only mapgen
runs. The scene is a mosaic of towns drawn by examples/make_scene.py, or of real imagery with `--imagery DATA`, the
folder of examples/builtin_model/read.py; the network, smp's Unet with a ResNet-18 encoder and five classes, is trained
on it for some minutes from a seed. Both are made once and kept, with the reference, in `--folder`.

Every program first maps a small scene in the same process, so that imports, loading and compiling do not count in its
seconds; for GeoDeep, which loads its model in each call, the time of that is taken off. What they take together is the
start: the wall time of a whole process for a scene of 512².
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from machine import load, peak_mb, record, versions, write

CLASSES = 5
WINDOW, OVERLAP = 512, 64
CELL = 1024
TOWNS, STEPS = 4, 150
MEAN, STD = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)
NODATA_SIDE = 512
WARM_SIDE = 576
EPSG, RESOLUTION = 32640, 1.0

Run = Callable[[str, str], float]
"""Map a scene to a file; the seconds of loading a model that were part of it."""


@dataclass(frozen=True)
class Program:
    """One row of the table: a worker of `WORKERS` with its options, and how often it is measured on which scenes."""

    name: str
    worker: str
    options: dict[str, Any]
    rounds: int = 2
    large: bool = False
    """Also on the large scene."""
    comparable: bool = True
    """Whether its network sees the pixels as the others' do."""


def main() -> None:
    """Make what is not there yet, run all programs in turn, write the table."""
    options = arguments()
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    make_material(folder, options.imagery)
    sides = {"small": min(options.sides), "large": max(options.sides)}
    for side in {WARM_SIDE, NODATA_SIDE, *options.sides}:
        make_scene(folder, side)
    programs = list(chosen(options, folder))
    truth = reference(folder, sides["small"], options)
    if options.prepare:
        return
    note = load()
    rows = []
    for side in sorted(set(options.sides)):
        entrants = [p for p in programs if p.large or side == sides["small"]]
        rows += measured(entrants, side, folder, truth if side == sides["small"] else None, options)
    names = ("mapgen", "openvino", "torch", "rasterio", "numpy")
    packages = versions(*names) | peer_versions(options)
    title = "mapgen and its neighbours: the same weights on the same scene"
    write(record(title, command(), packages, options.threads, rows, [*notes(options), note]), options.json)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=os.environ.get("PEERS_PYTHON"), help="of the neighbours' environment")
    parser.add_argument("--sources", default=os.environ.get("PEERS_SOURCES"), help="folder with geoai_py, terratorch")
    parser.add_argument("--folder", type=Path, help="where scenes and weights are kept; by default mapgen's cache")
    parser.add_argument("--imagery", type=Path, help="labelled imagery instead of drawn towns")
    parser.add_argument("--prepare", action="store_true", help="only make scenes, weights and the reference")
    parser.add_argument("--sides", type=int, nargs="+", default=[4096, 8192], help="of the scenes, in pixels")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="programs whose name holds one of these")
    parser.add_argument("--rounds", type=int, help="of the fast programs; the slow ones run once")
    parser.add_argument("--geoai-large", action="store_true", help="geoai on the large scene too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.folder is None:
        from mapgen.files.cache import cache_folder

        options.folder = (cache_folder("benchmarks") or Path("benchmarks")) / "peers"
    if options.imagery:
        options.folder = options.folder / "imagery"
    return options


def command() -> str:
    """The command without the places of this machine."""
    stands_for = {"--python": "PEERS/bin/python", "--sources": "PEERS/src", "--imagery": "DATA"}
    words, before = ["python tests/benchmarks/peers.py"], ""
    for word in sys.argv[1:]:
        if "--folder" not in (word, before) and "--json" not in (word, before):
            words.append(stands_for.get(before, word))
        before = word
    return " ".join(words)


def chosen(options: argparse.Namespace, folder: Path) -> Iterator[Program]:
    """The programs that can run here and were asked for."""
    for program in [*ours(folder, options), *neighbours(options)]:
        if not options.only or any(word.lower() in program.name.lower() for word in options.only):
            yield replace(program, rounds=options.rounds) if options.rounds and program.rounds > 1 else program


def ours(folder: Path, options: argparse.Namespace) -> Iterator[Program]:
    """mapgen in each precision, at the neighbours' windows and at its own."""
    from mapgen.model.openvino import native_precisions

    model = str(folder / "unet.safetensors")
    same = {"model": model, "window": WINDOW, "halo": OVERLAP // 2}
    int8 = ["int8"] if make_int8(folder, min(options.sides)) else []
    for precision in (*native_precisions(), *int8):
        told, slow = {**same, "precision": precision}, precision == "fp32"
        yield Program(f"mapgen, crop, {precision}", "mapgen", told, rounds=1 if slow else 2, large=not slow)
        if not slow:
            yield Program(f"mapgen, blend, {precision}", "mapgen", {**told, "stitch": "blend"})
    yield Program("mapgen at its defaults", "mapgen", {"model": model}, large=True)


def neighbours(options: argparse.Namespace) -> Iterator[Program]:
    """The other programs, as far as their environment was given."""
    if not options.python:
        return
    yield Program("GeoDeep", "geodeep", {}, large=True)
    yield Program("OmniCloudMask", "omnicloudmask", {}, rounds=1, comparable=False)
    if options.sources:
        yield Program("terratorch", "terratorch", {}, rounds=1)
        yield Program("geoai", "geoai", {"overlap": OVERLAP}, rounds=1, large=options.geoai_large)
        yield Program("geoai, its own overlap", "geoai", {"overlap": WINDOW // 2}, rounds=1)


def notes(options: argparse.Namespace) -> list[str]:
    """What the table means."""
    imagery = "labelled satellite imagery of cities" if options.imagery else "towns drawn by examples/make_scene.py"
    return [
        f"smp's Unet with a ResNet-18 encoder and five classes, {STEPS} steps of training from a seed, on a mosaic of "
        f"{imagery}: RGB, uint8, DEFLATE in blocks of 512². Windows of {WINDOW}² that overlap by {OVERLAP} pixels "
        "unless the row says otherwise. The large scene is the small one repeated.",
        "Seconds are from opening the scene to the finished file, mapgen's with COG, overviews and verification; the "
        "best of two runs in turn with the others, of one for the slow: mapgen in fp32, OmniCloudMask, terratorch and "
        "geoai. Start is a whole process for a scene of 512², imports, loading and compiling included, graphs cached.",
        "Agreement is the share of pixels whose class is that of the network over the whole image in torch, float32. "
        "Right place: the map has the scene's size, CRS and transform. Nodata: in a scene with a declared nodata value "
        "exactly its pixels are declared nodata in the map. OmniCloudMask and terratorch return arrays, which the "
        "benchmark puts in their place; OmniCloudMask scales each window by its own statistics, so its classes cannot "
        "be compared.",
    ]


# --- scenes and weights ----------------------------------------------------------------------------------------------


def make_material(folder: Path, imagery: Path | None) -> None:
    """Cells of imagery and a network trained on them, unless `folder` has them."""
    if (folder / "unet.safetensors").exists():
        return
    sys.path.insert(0, str(EXAMPLES / "builtin_model"))
    pieces, cells = labelled(imagery) if imagery else drawn()
    np.save(folder / "cells.npy", cells)
    train(pieces, folder)


EXAMPLES = Path(__file__).parents[2] / "examples"


def drawn() -> tuple[list[Any], np.ndarray]:
    """Towns as labelled pieces, and as sixteen cells (16, 3, CELL, CELL): each town turned in four ways."""
    sys.path.insert(0, str(EXAMPLES))
    from make_scene import draw_scene

    from mapgen.training.samples import Piece

    pieces = []
    for seed in range(1, TOWNS + 1):
        print(f"drawing town {seed} of {TOWNS}", file=sys.stderr, flush=True)
        picture, truth = draw_scene(CELL, CELL, seed)
        pieces.append(Piece(f"town {seed}", np.moveaxis(picture, 2, 0).copy(), (truth - 1).astype(np.uint8)))
    cells = [np.rot90(p.image, (turn + at) % 4, (1, 2)) for turn in range(4) for at, p in enumerate(pieces)]
    return pieces, np.stack(cells)


def labelled(data: Path) -> tuple[list[Any], np.ndarray]:
    """Training ground of the built-in model, and sixteen cells of it, none of them twice."""
    from ground import read_ground
    from read import HERE, read_piece

    pieces = [read_piece(data, name, weight) for name, weight in read_ground(HERE / "ground.json").training.items()]
    cells = [
        p.image[:, row : row + CELL, col : col + CELL]
        for p in pieces
        if p.weight == 1
        for row in range(0, p.image.shape[1] - CELL + 1, CELL)
        for col in range(0, p.image.shape[2] - CELL + 1, CELL)
    ]
    spread = np.linspace(0, len(cells) - 1, 16).round().astype(int)
    return pieces, np.stack([cells[i] for i in spread])


def train(pieces: list[Any], folder: Path) -> None:
    """Weights of a short training: unet.pt for torch, unet.safetensors for mapgen."""
    import torch
    from read import HERE, read_recipe

    from mapgen.legend import Class, Legend
    from mapgen.model.card import ModelCard
    from mapgen.model.network import build
    from mapgen.model.write import save_model
    from mapgen.parallel import ahead
    from mapgen.training.fit import fit, start
    from mapgen.training.losses import combined
    from mapgen.training.pace import Stage
    from mapgen.training.samples import Sampler

    document, recipe, sampling = read_recipe(HERE / "recipe.toml")
    recipe = replace(recipe, steps=STEPS, stages=(Stage(0.0, 8, 192),), check_every=STEPS + 1)
    torch.manual_seed(recipe.seed)
    network = build("Unet", "resnet18", 3, CLASSES).to(memory_format=torch.channels_last)
    state = start(network, recipe)
    scale = torch.tensor(MEAN), torch.tensor(STD)
    loss = combined(document["loss"]["shares"], document["loss"]["smoothing"])
    for progress in fit(state, recipe, Sampler(pieces, CLASSES, sampling), loss, scale=scale, ahead=ahead):
        if progress.step % 10 == 0:
            print(f"training, step {progress.step}: {progress.loss:.3f}", file=sys.stderr, flush=True)
    weights = {k: v.contiguous() for k, v in state.average.state_dict().items()}
    torch.save(weights, folder / "unet.pt")
    names = ("building", "land", "road", "vegetation", "water")
    legend = Legend(tuple(Class(i, name, f"#{40 * i + 40:02x}8080") for i, name in enumerate(names)))
    card = ModelCard(
        name="unet", architecture="Unet", encoder="resnet18", bands=("red", "green", "blue"), mean=MEAN, std=STD,
        legend=legend, resolution_m=RESOLUTION,
    )  # fmt: skip
    save_model(weights, card, folder / "unet.safetensors", overwrite=True)


def make_scene(folder: Path, side: int) -> None:
    """The scene of this side, unless it is there: cells in rows of four, repeated; the small ones are its corner.

    That of `NODATA_SIDE` has a black corner and says that black is nodata.
    """
    import rasterio
    from rasterio.transform import Affine

    path = scene_path(folder, side)
    if path.exists():
        return
    cells = np.load(folder / "cells.npy", mmap_mode="r")
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": 3, "height": side, "width": side, "crs": f"EPSG:{EPSG}",
        "transform": Affine(RESOLUTION, 0, 290_400, 0, -RESOLUTION, 2_631_800), "tiled": True, "blockxsize": 512,
        "blockysize": 512, "compress": "DEFLATE", "interleave": "pixel", "photometric": "RGB",
    }  # fmt: skip
    if side == NODATA_SIDE:
        profile["nodata"] = 0
    part = path.with_suffix(".part")
    with rasterio.open(part, "w", **profile) as dataset:
        for row in range(0, side, CELL):
            for col in range(0, side, CELL):
                cell = np.maximum(cells[row // CELL % 4 * 4 + col // CELL % 4], 1)  # so that black is nodata alone
                cell = cell[:, : side - row, : side - col]
                if side == NODATA_SIDE:
                    cell[:, collar(side)] = 0
                place = ((row, row + cell.shape[1]), (col, col + cell.shape[2]))
                dataset.write(cell, window=place)
    part.rename(path)


def scene_path(folder: Path, side: int) -> Path:
    """Where the scene of this side is."""
    return folder / f"scene{side}.tif"


def collar(side: int) -> np.ndarray:
    """The pixels (side, side) of the corner without data."""
    rows, cols = np.mgrid[0:side, 0:side]
    return np.asarray(rows + cols < side // 3)


def make_int8(folder: Path, side: int) -> bool:
    """Whether the int8 graph of the weights, calibrated on the scene, is beside them or could be made."""
    path = folder / "unet.safetensors"
    if path.with_name("unet.int8.safetensors").exists():
        return True
    told = ["compress", str(path), "--to", "int8", "--calibrate", str(scene_path(folder, side))]
    done = subprocess.run([sys.executable, "-m", "mapgen", *told], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"no int8: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr, flush=True)
    return done.returncode == 0


# --- measuring -------------------------------------------------------------------------------------------------------


def measured(
    programs: list[Program], side: int, folder: Path, truth: np.ndarray | None, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One row a program: rounds in turn, then starts and checks."""
    best: dict[str, dict[str, Any]] = {}
    for turn in range(max(p.rounds for p in programs)):
        for program in programs:
            if turn < program.rounds:
                found = work(program, side, folder, options, warm=True)
                print(f"{side}² {program.name}: {found}", file=sys.stderr, flush=True)
                kept = best.setdefault(program.name, found)
                kept["seconds"] = min(kept["seconds"], found["seconds"])
                kept["peak"] = max(kept["peak"], found["peak"])
    rows = []
    for program in programs:
        found, out = best[program.name], out_path(folder, program, side)
        row: dict[str, Any] = {"scene": f"{side}²", "program": program.name, "seconds": round(found["seconds"], 2)}
        row |= {"Mpx/s": round(side * side / 1e6 / found["seconds"], 2)}
        compared = truth is not None and program.comparable
        row |= {"agreement %": round(100 * agreement(out, truth), 2) if compared else None}
        row |= {"peak MB": found["peak"], "start s": None, "right place": placed(out, scene_path(folder, side))}
        if truth is not None:
            starts = [work(program, NODATA_SIDE, folder, options, warm=False)["wall"] for _ in range(program.rounds)]
            row |= {"start s": round(min(starts), 2), "nodata": keeps_nodata(out_path(folder, program, NODATA_SIDE))}
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
    return rows


def out_path(folder: Path, program: Program, side: int) -> Path:
    """Where a program writes its map."""
    return folder / "out" / f"{program.name.replace(', ', '-').replace(' ', '_')}-{side}.tif"


def work(program: Program, side: int, folder: Path, options: argparse.Namespace, *, warm: bool) -> dict[str, Any]:
    """Figures of one process: seconds and peak that it reports itself, and its wall time."""
    out = out_path(folder, program, side)
    out.parent.mkdir(exist_ok=True)
    out.unlink(missing_ok=True)
    task = {
        "worker": program.worker, "options": program.options, "folder": str(folder), "out": str(out),
        "scene": str(scene_path(folder, side)), "warm": str(scene_path(folder, WARM_SIDE)) if warm else None,
        "threads": options.threads, "sources": options.sources,
    }  # fmt: skip
    python = sys.executable if program.worker in ("mapgen", "whole") else options.python
    return in_process(python, task)


def in_process(python: str, task: dict[str, Any]) -> dict[str, Any]:
    """What the worker of a task reports, from a process that computes on `threads` cores."""
    threads = str(task["threads"])
    environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    began = time.perf_counter()
    done = subprocess.run(
        [python, __file__, "--task", json.dumps(task)], capture_output=True, text=True, env=environment, check=False
    )
    wall = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{task['worker']} failed:\n{done.stderr}")
    return {**json.loads(done.stdout.splitlines()[-1]), "wall": wall}


def reference(folder: Path, side: int, options: argparse.Namespace) -> np.ndarray:
    """Classes (side, side) of the whole image in torch, kept beside the scene."""
    path = folder / f"whole{side}.tif"
    if not path.exists():
        whole = Program("whole", "whole", {})
        work(whole, side, folder, options, warm=False)
        out_path(folder, whole, side).rename(path)
    return read(path)


def read(path: Path) -> np.ndarray:
    """The first band."""
    import rasterio

    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read(1))


def agreement(path: Path, truth: np.ndarray) -> float:
    """The share of pixels of the map that have the class of `truth`."""
    mask = read(path)
    return float((mask == truth).mean()) if mask.shape == truth.shape else 0.0


def placed(path: Path, scene: Path) -> bool:
    """Whether the map lies where the scene lies."""
    import rasterio

    with rasterio.open(path) as one, rasterio.open(scene) as two:
        return bool(one.shape == two.shape and one.crs == two.crs and one.transform.almost_equals(two.transform))


def keeps_nodata(path: Path) -> bool:
    """Whether just the pixels without data in the scene of `NODATA_SIDE` have none in its map."""
    import rasterio

    with rasterio.open(path) as dataset:
        return bool(np.array_equal(dataset.read_masks(1) == 0, collar(NODATA_SIDE)))


def peer_versions(options: argparse.Namespace) -> dict[str, str]:
    """Versions of the neighbours and of what they compute with."""
    if not options.python:
        return {}
    code = "import json, sys; from machine import versions; print(json.dumps(versions(*sys.argv[1:])))"
    names = ["geodeep", "onnxruntime", "omnicloudmask", "segmentation_models_pytorch"]
    done = subprocess.run(
        [options.python, "-c", code, *names], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    found: dict[str, str] = json.loads(done.stdout)
    for facts in sorted(Path(options.sources).glob("*/*.dist-info")) if options.sources else ():
        name, _, number = facts.name.removesuffix(".dist-info").partition("-")
        found[name] = number
    return found


# --- the programs, each in a process of its own ----------------------------------------------------------------------


def report(task: dict[str, Any]) -> None:
    """Do a task and print its figures. Nothing of mapgen is imported but by its own worker."""
    if hasattr(os, "sched_setaffinity"):  # some programs take all cores they see
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task["threads"]])
    run = WORKERS[task["worker"]](task)
    if task["warm"]:
        warm = Path(task["out"]).with_suffix(".warm.tif")
        run(task["warm"], str(warm))
        warm.unlink()
    began = time.perf_counter()
    loading = run(task["scene"], task["out"])
    print(json.dumps({"seconds": time.perf_counter() - began - loading, "peak": peak_mb()}))


def by_mapgen(task: dict[str, Any]) -> Run:
    """mapgen, as `mapgen segment` runs it."""
    from mapgen.inference.options import SegmentOptions
    from mapgen.inference.segment import Segmenter

    segmenter = Segmenter(SegmentOptions(**task["options"], overwrite=True))

    def run(scene: str, out: str) -> float:
        segmenter(scene, Path(out))
        return 0.0

    return run


def by_geodeep(task: dict[str, Any]) -> Run:
    """GeoDeep, whose model is an ONNX file that says its own resolution and overlap."""
    import geodeep.segmentation
    from geodeep import inference, segment

    spent = 0.0
    create = inference.create_session

    def timed(*arguments: Any, **named: Any) -> Any:
        nonlocal spent
        began = time.perf_counter()
        session = create(*arguments, **named)
        spent += time.perf_counter() - began
        return session

    for module in [m for name, m in list(sys.modules.items()) if name.startswith("geodeep")]:
        if getattr(module, "create_session", None) is create:
            module.create_session = timed  # type: ignore[attr-defined]
    model = str(Path(task["folder"]) / "unet.onnx")
    if not Path(model).exists():
        in_process(sys.executable, {**task, "worker": "onnx", "warm": None, "out": model})

    def run(scene: str, out: str) -> float:
        nonlocal spent
        spent = 0.0
        mask = segment(scene, model, max_threads=task["threads"])
        geodeep.segmentation.save_mask_to_raster(scene, mask, out)
        return spent

    return run


def to_onnx(task: dict[str, Any]) -> Run:
    """The ONNX file for GeoDeep, with the metadata that it shares with QGIS Deepness."""
    import onnx
    import torch

    net = network(task, softmax=True)

    def run(scene: str, out: str) -> float:
        del scene
        example = (torch.zeros(1, 3, WINDOW, WINDOW),)
        names = {"input_names": ["images"], "output_names": ["out"]}
        torch.onnx.export(net, example, out, opset_version=17, dynamo=False, **names)
        model = onnx.load(out)
        facts = {
            "model_type": '"Segmentor"', "class_names": json.dumps({str(i): f"c{i}" for i in range(CLASSES)}),
            "resolution": str(100 * RESOLUTION), "tiles_overlap": str(100 * OVERLAP / WINDOW), "seg_thresh": "0",
            "seg_small_segment": "0",
        }  # fmt: skip
        for key, value in facts.items():
            entry = model.metadata_props.add()
            entry.key, entry.value = key, value
        onnx.save(model, out)
        return 0.0

    return run


def by_omnicloudmask(task: dict[str, Any]) -> Run:
    """OmniCloudMask's inference on an array, with a network of one's own."""
    import torch

    sys.modules["gdown"] = types.ModuleType("gdown")  # only its downloads want it
    from omnicloudmask import predict_from_array

    net = network(task)

    def run(scene: str, out: str) -> float:
        with torch.inference_mode():
            found = predict_from_array(
                pixels(scene).astype("float32"), patch_size=WINDOW, patch_overlap=OVERLAP, batch_size=4,
                inference_device="cpu", custom_models=net, pred_classes=CLASSES, no_data_value=0,
                apply_no_data_mask=True,
            )  # fmt: skip
        save(found[0], scene, out)
        return 0.0

    return run


def by_terratorch(task: dict[str, Any]) -> Run:
    """terratorch's tiled inference, which takes and gives tensors."""
    import torch

    for name in ("terratorch", "terratorch.models", "terratorch.models.utils"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["terratorch.models.utils"].pad_images = None  # type: ignore[attr-defined]
    path = Path(task["sources"]) / "terratorch" / "terratorch" / "tasks" / "tiled_inference.py"
    spec = importlib.util.spec_from_file_location("tiled_inference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiled_inference"] = module
    spec.loader.exec_module(module)
    net = network(task)

    def run(scene: str, out: str) -> float:
        with torch.inference_mode():
            scores = module.tiled_inference(
                net, torch.from_numpy(pixels(scene)).float()[None] / 255, crop=WINDOW, stride=WINDOW - OVERLAP,
                delta=8, batch_size=4, padding="reflect",
            )  # fmt: skip
            save(scores.argmax(1)[0].numpy(), scene, out)
        return 0.0

    return run


def by_geoai(task: dict[str, Any]) -> Run:
    """geoai's semantic inference, from GeoTIFF to GeoTIFF."""
    import torch

    package = types.ModuleType("geoai")
    package.__path__ = [str(Path(task["sources"]) / "geoai_py" / "geoai")]
    shared = types.ModuleType("geoai.utils")
    shared.get_device = lambda: torch.device("cpu")  # type: ignore[attr-defined]
    shared.download_model_from_hf = None  # type: ignore[attr-defined]
    sys.modules.update({"geoai": package, "geoai.utils": shared})
    from geoai.train import semantic_inference_on_geotiff

    net = network(task)

    def run(scene: str, out: str) -> float:
        semantic_inference_on_geotiff(
            net, scene, out, window_size=WINDOW, overlap=task["options"]["overlap"], batch_size=4, num_channels=3,
            num_classes=CLASSES, device=torch.device("cpu"), quiet=True,
        )  # fmt: skip
        return 0.0

    return run


def by_torch(task: dict[str, Any]) -> Run:
    """The reference: the network over the whole image, in parts that see 256 pixels beyond what they decide."""
    import torch

    net = network(task)
    keep, margin = 2048, 256

    def run(scene: str, out: str) -> float:
        image = pixels(scene)
        height, width = image.shape[1:]
        mask = np.zeros((height, width), np.uint8)
        for row in range(0, height, keep):
            for col in range(0, width, keep):
                top, left = max(0, row - margin), max(0, col - margin)
                part = image[:, top : row + keep + margin, left : col + keep + margin]
                with torch.inference_mode():
                    best = net(torch.from_numpy(part).float()[None] / 255).argmax(1)[0].numpy()
                mask[row : row + keep, col : col + keep] = best[row - top :, col - left :][:keep, :keep]
        save(mask, scene, out)
        return 0.0

    return run


WORKERS: dict[str, Callable[[dict[str, Any]], Run]] = {
    "mapgen": by_mapgen, "geodeep": by_geodeep, "onnx": to_onnx, "omnicloudmask": by_omnicloudmask,
    "terratorch": by_terratorch, "geoai": by_geoai, "whole": by_torch,
}  # fmt: skip


def network(task: dict[str, Any], *, softmax: bool = False) -> Any:
    """The network with its scaling, for pixels in 0…1 as the neighbours feed them."""
    import segmentation_models_pytorch as smp
    import torch

    torch.set_num_threads(task["threads"])

    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = smp.Unet("resnet18", encoder_weights=None, classes=CLASSES)
            self.net.load_state_dict(torch.load(Path(task["folder"]) / "unet.pt", weights_only=True))
            self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1) / 255)
            self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1) / 255)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores = self.net((x - self.mean) / self.std)
            return scores.softmax(1) if softmax else scores

    return Scaled().eval()


def pixels(scene: str) -> np.ndarray:
    """The bands (3, H, W) of a scene."""
    import rasterio

    with rasterio.open(scene) as dataset:
        return np.asarray(dataset.read([1, 2, 3]))


def save(mask: np.ndarray, scene: str, out: str) -> None:
    """A map on the scene's grid, for programs that only return arrays."""
    import rasterio

    with rasterio.open(scene) as dataset:
        grid = {key: dataset.profile[key] for key in ("height", "width", "crs", "transform")}
    told = {"driver": "GTiff", "count": 1, "dtype": "uint8", "compress": "deflate", "tiled": True, "nodata": 255}
    with rasterio.open(out, "w", **told, **grid) as dataset:
        dataset.write(mask.astype(np.uint8), 1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        report(json.loads(sys.argv[2]))
    else:
        main()
