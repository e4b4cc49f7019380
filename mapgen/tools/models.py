"""`models`: what models there are and what their cards say."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from mapgen.errors import one_line
from mapgen.io.models import Model, builtin_models, find_model, open_model


def listed() -> list[dict[str, Any]]:
    """The built-in models, one plain dictionary each."""
    cards = [open_model(path).card for path in builtin_models()]
    return [
        {
            "name": card.name,
            "resolution_m": card.resolution_m,
            "bands": list(card.bands),
            "classes": list(card.legend.names),
            "domain": card.domain,
        }
        for card in cards
    ]


def described(name: str) -> dict[str, Any]:
    """The whole card of a model, with its file, hash and size. Raises `ModelError`."""
    return describe(find_model(name))


def describe(model: Model) -> dict[str, Any]:
    """The whole card of an open model, with its file, hash and size."""
    builtin = model.path in builtin_models()
    return {
        "kind": "model",
        "file": str(model.path),
        "builtin": builtin,
        "sha256": model.sha256,
        "bytes": model.path.stat().st_size,
        "parameters_count": model.parameters,
        "card": json.loads(model.card.to_json()),
        "next": f"mapgen segment SCENE{'' if builtin else f' --model {shlex.quote(str(model.path))}'}",
    }


def card_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """The description of a model as text, one fact a line. Card text is shown on one line, whatever is in it."""
    card = record["card"]
    legend = ", ".join(f"{c['id']} {one_line(c['name'])}" for c in card["legend"])
    network = f"{card['architecture']} {card['encoder']}, {record['parameters_count'] / 1e6:.1f} M parameters"
    yield f"{one_line(card['name'])} (version {one_line(card['version'])})"
    facts = {
        "file": record["file"], "sha256": record["sha256"], "size": f"{record['bytes'] / 1e6:.1f} MB",
        "domain": card["domain"], "network": network,
        "bands": ", ".join(card["bands"]), "values": card["data_type"],
        "resolution": f"{card['resolution_m']:g} m", "classes": legend,
        "window": f"{card['window']} pixels, halo {card['halo']}, stride {card['stride']}",
        "description": card["description"], "data": card["data"], "license": card["license"], "limits": card["limits"],
    }  # fmt: skip
    for name, value in facts.items():
        if value:
            yield f"  {name + ':':<13}{one_line(value)}"
    yield from _score_lines(card["scores"])
    yield f"  next:        {one_line(record['next'])}"


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
