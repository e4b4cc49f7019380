"""Draw docs/img/house.svg: the rooms of the package and who imports from whom, from the imports themselves.

    python docs/draw_house.py [--check]

Rooms stand as high as the longest chain of imports below them. An arrow that follows from others (a room imports from
what one of its rooms imports from as well) is left out, as are the files at the ground, which everybody uses. With
`--check` nothing is written: exit 1 where the picture is not that of the imports.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "img" / "house.svg"
PACKAGE = ROOT / "mapgen"
GROUND = "ground"
WIDTH, HEIGHT, GAP_X, GAP_Y, LEFT, TOP = 148, 38, 34, 46, 24, 56
INK, GREY, PAPER, WALL = "#22252b", "#8a8f98", "#ffffff", "#eaf1f7"


def sources() -> Iterator[tuple[str, Path]]:
    """Every module's room and file; the ground is what lies loose."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).parts
        yield (parts[0] if len(parts) > 1 else GROUND), path


def imported(path: Path) -> set[str]:
    """The rooms that a module imports from, whenever that happens."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "mapgen" and len(parts) > 1:
                found.add(parts[1] if (PACKAGE / parts[1]).is_dir() else GROUND)
    return found


@cache
def house() -> dict[str, set[str]]:
    """Each room with those that it imports from; the two loose files that name others do not count."""
    rooms: dict[str, set[str]] = {}
    for room, path in sources():
        rooms.setdefault(room, set())
        if path.name not in ("__main__.py",) and path != PACKAGE / "__init__.py":
            rooms[room] |= imported(path) - {room}
    return rooms


@cache
def below(room: str) -> frozenset[str]:
    """All rooms that one reaches from a room."""
    return frozenset(house()[room]).union(*(below(other) for other in house()[room]))


@cache
def storey(room: str) -> int:
    """The longest chain of imports below a room."""
    return max((storey(other) + 1 for other in house()[room]), default=0)


def arrows() -> list[tuple[str, str]]:
    """The arrows that do not follow from others, without those to the ground."""
    rooms = house()
    return sorted(
        (room, other) for room, others in rooms.items() for other in others - {GROUND}
        if not any(other in below(third) for third in others - {other})
    )  # fmt: skip


def places() -> dict[str, tuple[int, int]]:
    """The upper left corner of each room but the ground."""
    floors: dict[int, list[str]] = {}
    for room in sorted(set(house()) - {GROUND}):
        floors.setdefault(storey(room), []).append(room)
    top = max(floors)
    widest = max(map(len, floors.values()))
    found = {}
    for level, rooms in floors.items():
        # A room stands over the middle of what it stands on, as far as the others let it.
        shift = (widest - len(rooms)) * (WIDTH + GAP_X) // 2
        for i, room in enumerate(sorted(rooms, key=lambda r: (_middle(r, found), r))):
            found[room] = (LEFT + shift + i * (WIDTH + GAP_X), TOP + (top - level) * (HEIGHT + GAP_Y))
    return found


def _middle(room: str, found: dict[str, tuple[int, int]]) -> float:
    xs = [found[other][0] for other in house()[room] if other in found]
    return sum(xs) / len(xs) if xs else 0.0


def picture() -> str:
    """The picture as SVG."""
    at = places()
    loose = " ".join(p.stem for room, p in sources() if room == GROUND and not p.stem.startswith("__"))
    right = max(x for x, _ in at.values()) + WIDTH + LEFT
    bottom = max(y for _, y in at.values()) + HEIGHT + GAP_Y
    lines = [_arrow(at[a], at[b]) for a, b in arrows()]
    lines += [_box(f"{room}/", x, y, WIDTH) for room, (x, y) in at.items()]
    lines.append(_box(loose, LEFT, bottom, right - 2 * LEFT))
    total = bottom + HEIGHT + TOP // 2
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{right}" height="{total}" viewBox="0 0 {right} {total}" '
        'font-family="sans-serif" role="img" aria-label="The rooms of mapgen">',
        f'<rect width="{right}" height="{total}" fill="{PAPER}"/>',
        f'<text x="{LEFT}" y="32" font-size="13" fill="{GREY}">A room imports from those that its arrows lead to, and '
        "from the ground.</text>",
        f'<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{GREY}"/></marker></defs>',
        *lines, "</svg>\n",
    ])  # fmt: skip


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    """A curve from the foot of one room to the head of another."""
    (x0, y0), (x1, y1) = (start[0] + WIDTH / 2, start[1] + HEIGHT), (end[0] + WIDTH / 2, end[1] - 1)
    bend = (y1 - y0) / 2
    curve = f"M{x0:g} {y0:g}C{x0:g} {y0 + bend:g} {x1:g} {y1 - bend:g} {x1:g} {y1:g}"
    return f'<path d="{curve}" fill="none" stroke="{GREY}" stroke-width="1.4" marker-end="url(#tip)"/>'


def _box(text: str, x: int, y: int, width: int) -> str:
    size = 15 if width == WIDTH else 12
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{HEIGHT}" rx="5" fill="{WALL}" stroke="{INK}"/>'
        f'<text x="{x + width / 2:g}" y="{y + HEIGHT / 2 + 5:g}" font-size="{size}" text-anchor="middle" '
        f'fill="{INK}">{escape(text)}</text>'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the picture is another")
    if parser.parse_args().check:
        sys.exit(not OUT.exists() or OUT.read_text(encoding="utf-8") != picture())
    OUT.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
