"""What mapgen says is plain English: phrases that must not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import mapgen

BANNED = re.compile(
    r"(?<!there )\b(is|are) no (?!longer|more|larger|smaller|wider|other|better|such)"
    r"|\bsay it\b|\banew\b|\bcannot be had\b|Of outputs without a name|\bnobody any more\b"
)


def said() -> Iterator[str]:
    """Every text of the package that is not a docstring."""
    for path in Path(mapgen.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                yield f"{path.name}: {node.value}"


def test_no_phrase_comes_back() -> None:
    assert not [text for text in said() if BANNED.search(text)]
