"""How long the command line takes to answer: writes docs/benchmarks/cli_start.json.

python tests/benchmarks/cli_start.py [NOTE]
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

OUT = Path(__file__).parents[2] / "docs" / "benchmarks" / "cli_start.json"
RUNS = 15
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "mapgen --help": ["-m", "mapgen", "--help"],
    "mapgen segment --help": ["-m", "mapgen", "segment", "--help"],
    "mapgen segment x.tif --window wide": ["-m", "mapgen", "segment", "x.tif", "--window", "wide"],
}


def seconds(arguments: list[str]) -> float:
    """The wall time of one run in a new interpreter."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    return time.perf_counter() - start


def main() -> None:
    rows = []
    for name, arguments in COMMANDS.items():
        seconds(arguments)  # warms the file cache
        times = [seconds(arguments) for _ in range(RUNS)]
        rows.append({"command": name, "median s": round(statistics.median(times), 3), "best s": round(min(times), 3)})
    record = {
        "title": "How long the command line takes to answer",
        "command": "python tests/benchmarks/cli_start.py",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {"Python": platform.python_version(), "typer": version("typer")},
        "threads": 1,
        "rows": rows,
        "notes": [f"Wall time of a new process, {RUNS} runs each after one that warms the file cache.", *sys.argv[1:]],
    }
    OUT.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {OUT.name}; now run python docs/generate.py")


if __name__ == "__main__":
    main()
