"""What the benchmarks say of the machine and how they write their figures."""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[2] / "docs" / "benchmarks"
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "asimddp", "bf16")
"""What decides how fast a CPU runs a network, as Linux calls it."""


def cpu() -> tuple[str, tuple[str, ...]]:
    """The processor's name, and which of `FLAGS` it has."""
    name, flags = platform.processor() or platform.machine(), set()
    facts = Path("/proc/cpuinfo")
    for line in facts.read_text().splitlines() if facts.exists() else ():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        elif key.strip() in ("flags", "Features"):
            flags = set(value.split())
    return name, tuple(flag for flag in FLAGS if flag in flags)


def machine() -> str:
    """One line: architecture, processor, cores and what they can do."""
    name, flags = cpu()
    return ", ".join([platform.machine(), name, f"{os.cpu_count()} cores", " ".join(flags)]).removesuffix(", ")


def peak_mb() -> int:
    """The most memory this process has held. Linux counts the parent's into `ru_maxrss`, but not into VmHWM."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (2**20 if sys.platform == "darwin" else 1024)


def versions(*names: str) -> dict[str, str]:
    """The versions of those of these packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def load() -> str:
    """A note where other work took part of the machine when this was called; else an empty text."""
    busy = os.getloadavg()[0]
    return f"Other work ran meanwhile (load {busy:.1f} at the start)." if busy > 0.7 else ""


def record(
    title: str, command: str, packages: dict[str, str], threads: int, rows: Sequence[dict[str, Any]], notes: list[str]
) -> dict[str, Any]:
    """Figures in the form that docs/generate.py reads."""
    return {
        "title": title, "command": command, "machine": machine(), "versions": packages, "threads": threads,
        "rows": list(rows), "notes": [note for note in notes if note],
    }  # fmt: skip


def write(values: dict[str, Any], path: Path | None) -> None:
    """The figures on stdout, and in `path`."""
    text = json.dumps(values, indent=1, ensure_ascii=False)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    print(text)
