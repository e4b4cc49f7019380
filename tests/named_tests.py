"""Tests by name: whether a test that a table names is there."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


@cache
def nodes_of(path: str) -> dict[str, ast.FunctionDef]:
    """The functions of a file by name."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def missing(tests: Iterable[str]) -> list[str]:
    """Those of `path::name` that are not there."""
    named = {test: test.split("::") for test in tests}
    return [test for test, (path, name) in named.items() if not (ROOT / path).is_file() or name not in nodes_of(path)]
