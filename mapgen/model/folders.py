"""Networks in folders: those of segmentation_models_pytorch's `save_pretrained`, and what a STAC item points to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mapgen.errors import ModelError, one_line, require
from mapgen.files.inputs import note_inputs
from mapgen.legend import numbered
from mapgen.model.card import ModelCard, Origin
from mapgen.model.file import plain_tensors
from mapgen.model.foreign import ImportOptions, Source
from mapgen.model.onnx_keys import Said

_LIMIT = 10_000_000
"""Bytes of a JSON file, at most."""

_NOT_OF_THE_NETWORK = ("encoder_weights", "activation", "aux_params", "in_channels", "classes", "encoder_name")
"""Arguments that say where weights came from, or what would come behind the scores."""


def opened_folder(path: Path, options: ImportOptions) -> Source:
    """The network of a folder (or of the `model.safetensors` in it) that smp's `save_pretrained` wrote.

    Raises `ModelError` for another folder, `UsageError` without torch, which makes its graph.
    """
    folder = path if path.is_dir() else path.parent
    subject = one_line(path)
    config, weights = folder / "config.json", folder / "model.safetensors"
    if not config.is_file() or not weights.is_file():
        remedy = "name an ONNX file, or such a folder"
        raise ModelError(subject, "holds no config.json and model.safetensors as save_pretrained writes them", remedy)
    entries = _object(config)
    kind, encoder = entries.get("_model_class"), entries.get("encoder_name")
    bands, classes = entries.get("in_channels", 3), entries.get("classes", 1)
    if not isinstance(kind, str) or not isinstance(encoder, str):
        raise ModelError(subject, "is not a network of segmentation_models_pytorch", "its config.json names none")
    if not all(isinstance(n, int) and 0 < n < 256 for n in (bands, classes)):
        raise ModelError(subject, f"has {bands!r} bands and {classes!r} classes", "get the files again")
    require("torch", subject, "making the graph of a network")
    from mapgen.model.convert import converted
    from mapgen.model.heads import Brought
    from mapgen.model.network import build, stride_of
    from mapgen.model.runtime import core
    from mapgen.model.torch import with_weights

    note_inputs(config, weights)
    parameters = {k: v for k, v in entries.items() if k not in _NOT_OF_THE_NETWORK and not k.startswith("_")}
    net = build(kind, encoder, bands, classes, **parameters)
    card = ModelCard(
        name="network", architecture=kind, encoder=encoder, bands=tuple(map(str, range(bands))), mean=(0.0,) * bands,
        std=(1.0,) * bands, legend=numbered(range(classes)), resolution_m=1.0, window=256, halo=0,
        stride=stride_of(net, bands),
    )  # fmt: skip
    net = with_weights(net, plain_tensors(weights), card, subject)
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    origin = Origin("smp", sha256, tool="segmentation_models_pytorch", network=f"{kind} {encoder}")
    brought = Brought(core().read_model(*converted(net, card)), subject, options.head, weights.stat().st_size)
    return Source(folder.resolve().name, origin, Said(), brought, scaled=False)


def opened_item(path: Path, opened: Callable[[Path], Source]) -> Source:
    """The network that a STAC item of the Machine Learning Model extension points to, as `opened` opens it."""
    subject = one_line(path)
    note_inputs(path)
    item = _object(path)
    facts, assets = item.get("properties"), item.get("assets")
    if not isinstance(facts, dict) or not isinstance(assets, dict) or not any(k.startswith("mlm:") for k in facts):
        raise ModelError(subject, "is not a STAC item of a model", "name an ONNX file, or a folder of save_pretrained")
    targets = [
        a["href"] for a in assets.values()
        if isinstance(a, dict) and "mlm:model" in (a.get("roles") or []) and isinstance(a.get("href"), str)
    ]  # fmt: skip
    if len(targets) != 1:
        raise ModelError(subject, f"names {len(targets)} models", "name the model's file itself")
    if "://" in targets[0]:
        raise ModelError(subject, "names a model at an address", f"download {one_line(targets[0])} first")
    target = path.parent / targets[0]
    if target.suffix.lower() == ".json":
        raise ModelError(subject, "names another item as its model", "name the model's file itself")
    source = opened(target)
    return replace(source, said=_with_item(source.said, facts))


def _with_item(said: Said, facts: Mapping[str, Any]) -> Said:
    """What the file itself says, and what its item says besides."""
    names: tuple[str, ...] = ()
    for output in facts.get("mlm:output") or []:
        found = output.get("classification:classes") if isinstance(output, dict) else None
        if isinstance(found, list) and all(isinstance(c, dict) and isinstance(c.get("name"), str) for c in found):
            names = tuple(c["name"] for c in found)
    metres = facts.get("gsd")
    known = isinstance(metres, int | float) and 0 < metres < 1e5
    return replace(
        said,
        classes=said.classes or ((names,) if names else ()),
        resolution_m=said.resolution_m or (float(metres) if known else None),  # type: ignore[arg-type]
    )


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    subject = one_line(path)
    try:
        if path.stat().st_size > _LIMIT:
            raise ModelError(subject, f"has {path.stat().st_size} bytes", "get the file again")
        found = json.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise ModelError(subject, f"cannot be read ({exc.strerror})", "check the path and its permissions") from exc
    except (ValueError, RecursionError) as exc:
        raise ModelError(subject, "is not JSON", "get the file again") from exc
    if not isinstance(found, dict):
        raise ModelError(subject, "is not a JSON object", "get the file again")
    return found
