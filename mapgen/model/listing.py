"""`models`: what models there are and what their cards say."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mapgen.errors import ModelError, one_line
from mapgen.model.file import SUFFIX, Model, builtin_models, find_model, open_model, own_models


def listed() -> list[dict[str, Any]]:
    """The built-in models and those of the user's folder, one plain dictionary each, with the name that finds it."""
    return [_entry(path, builtin=True) for path in builtin_models()] + [
        _entry(path, builtin=False) for path in own_models()
    ]


def _entry(path: Path, *, builtin: bool) -> dict[str, Any]:
    """One model of the list; of a file that is no model its problem."""
    known = {"name": path.name.removesuffix(SUFFIX), "builtin": builtin, "file": str(path)}
    try:
        card = open_model(path).card
    except ModelError as exc:
        return known | {"problem": exc.problem}
    return known | {
        "resolution_m": card.resolution_m, "bands": list(card.bands), "classes": list(card.legend.names),
        "domain": card.domain, "license": card.license,
    }  # fmt: skip


def line_of(entry: Mapping[str, Any]) -> str:
    """A model of the list as a line of text."""
    if "problem" in entry:
        return f"{one_line(entry['name'])}  {one_line(entry['problem'])}"
    bands, classes = ",".join(entry["bands"]), ",".join(entry["classes"])
    return one_line(f"{entry['name']}  {entry['resolution_m']:g} m  {bands}  {classes}  {entry['domain']}")


def described(name: str) -> dict[str, Any]:
    """The whole card of a model, with its file, hash and size. Raises `ModelError`."""
    return describe(find_model(name))


def describe(model: Model) -> dict[str, Any]:
    """The whole card of an open model, with its file, hash and size."""
    builtin = model.path in builtin_models()
    own = model.path in own_models()
    compression = model.card.compression
    int8 = None if compression or model.int8 is None else open_model(model.int8)
    called = model.path.name.removesuffix(SUFFIX) if own else str(model.path)
    option = "" if builtin else f" --model {shlex.quote(called)}"
    return {
        "kind": "model",
        "file": str(model.path),
        "builtin": builtin,
        "sha256": model.sha256,
        "bytes": model.path.stat().st_size,
        "parameters_count": model.parameters,
        "card": json.loads(model.card.to_json()),
        "int8": None if int8 is None else _int8(int8),
        "int8_problem": model.int8_problem,
        "next": f"mapgen segment SCENE{option}{' --precision int8' if compression else ''}",
    }


def _int8(model: Model) -> dict[str, Any]:
    """The int8 graph of a model: its file and what was measured."""
    compression = json.loads(model.card.to_json())["compression"]
    return {"file": str(model.path), "bytes": model.path.stat().st_size, **compression}


def card_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """The description of a model as text, one fact a line. Card text is shown on one line, whatever is in it."""
    card = record["card"]
    legend = ", ".join(f"{c['id']} {one_line(c['name'])}" for c in card["legend"])
    origin = card.get("graph") or {}
    called = f"{card['architecture']} {card['encoder']}".strip() or origin.get("network") or "a graph"
    network = f"{called}, {record['parameters_count'] / 1e6:.1f} M parameters"
    yield f"{one_line(card['name'])} (version {one_line(card['version'])})"
    facts = {
        "file": record["file"], "sha256": record["sha256"], "size": f"{record['bytes'] / 1e6:.1f} MB",
        "domain": card["domain"], "network": network,
        "bands": ", ".join(card["bands"]), "values": card["data_type"],
        "resolution": f"{card['resolution_m']:g} m", "classes": legend,
        "window": f"{card['window']} pixels, halo {card['halo']}, stride {card['stride']}",
        "description": card["description"], "data": card["data"], "license": card["license"] or "not stated",
        "limits": card["limits"],
    }  # fmt: skip
    if origin:
        parts = [origin["source"], f"opset {origin['opset']}" if origin["opset"] else "", origin["tool"]]
        facts["comes from"] = f"{', '.join(filter(None, parts))}; it gave {origin['head']}"
    for name, value in facts.items():
        if value:
            yield f"  {name + ':':<13}{one_line(value)}"
    yield from _score_lines(card["scores"])
    int8, own = record["int8"], card.get("compression")
    if int8 is not None:
        yield f"  int8:        {one_line(int8['file'])}, {int8['bytes'] / 1e6:.1f} MB"
        yield from compression_lines(int8["measured"])
    if own is not None:
        yield f"  graph:       {one_line(own['precision'])} of {one_line(own['parent'])}"
        yield f"    method:    {one_line(own['method'])}"
        yield from compression_lines(own.get("measured", {}))
    if record["int8_problem"]:
        yield f"  int8:        not used: {one_line(record['int8_problem'])}"
    yield f"  next:        {one_line(record['next'])}"


def compression_lines(measured: Mapping[str, Any]) -> Iterator[str]:
    """What was measured of a compressed model: a line for each precision, then on what.

    The text of a card may be anything, so what is not as `compress` writes it is left out.
    """
    for precision, found in measured.items():
        if isinstance(found, Mapping) and isinstance(found.get("agreement"), float | int):
            parts = [f"{found['agreement']:.2%} of the pixels as in fp32"] if precision != "fp32" else []
            parts += [f"mIoU {found['miou']:.4f}"] if isinstance(found.get("miou"), float) else []
            if precision != "fp32" and isinstance(found.get("times_fp32"), float):
                parts.append(f"{found['times_fp32']:.1f} times as fast")
            yield f"    {one_line(precision) + ':':<11}{', '.join(parts)}"
    for name in ("ground", "machine"):
        if measured.get(name):
            yield f"    {name + ':':<11}{one_line(measured[name])}"


def _score_lines(scores: Mapping[str, Any], depth: int = 2) -> Iterator[str]:
    if scores and depth == 2:
        yield "  scores:"
        depth = 4
    for name, value in scores.items():
        if isinstance(value, Mapping):
            yield f"{' ' * depth}{one_line(name)}:"
            yield from _score_lines(value, depth + 2)
        else:
            shown = f"{value:.3f}" if isinstance(value, float) else one_line(value)
            yield f"{' ' * depth}{one_line(name)}: {shown}"
