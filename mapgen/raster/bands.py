"""Which bands of a scene a model is given: by number, by name, or in order; for segment, training and tiles."""

from __future__ import annotations

from collections.abc import Sequence

from mapgen.errors import InputError, one_line, option
from mapgen.raster.scene import Scene


def choose_bands(scene: Scene, wanted: Sequence[str], given: Sequence[str] | None) -> tuple[int, ...]:
    """The band numbers of the scene for the model's bands: as `given`, by name, or all in order where the count fits.

    Raises `InputError` where that is not possible, with the names the model wants and what the file has.
    """
    names = scene.band_names
    wants = f"model needs {len(wanted)} bands ({', '.join(wanted)})"
    if given is not None:
        if len(given) != len(wanted):
            raise InputError(scene.name, f"{wants}, {option('bands')} names {len(given)}", "name one band for each")
        return tuple(_band(scene, one, names) for one in given)
    if all(names.count(name.casefold()) == 1 for name in wanted):
        return tuple(names.index(name.casefold()) + 1 for name in wanted)
    plain = [i for i in range(1, len(names) + 1) if i != scene.alpha]
    if len(plain) == len(wanted):
        return tuple(plain)
    if len(plain) > len(wanted):
        # Aerial cameras write red, green, blue and infrared; satellites begin with the shorter waves.
        example = list(range(1, len(wanted) + 1) if len(plain) < 5 else range(len(wanted) + 1, 1, -1))
        raise InputError(
            scene.name, f"{wants}, file has {len(plain)}", f"say which, such as {option('bands', example)}"
        )
    raise InputError(
        scene.name, f"{wants}, file has {len(plain)}", "use a model for these bands (`mapgen models list`)"
    )


def _band(scene: Scene, text: str, names: list[str]) -> int:
    text = text.strip()
    if text.isdigit() and 1 <= int(text) <= len(names):
        return int(text)
    if names.count(text.casefold()) == 1:
        return names.index(text.casefold()) + 1
    has = ", ".join(f"{i} {one_line(n)}" for i, n in enumerate(names, 1))
    raise InputError(
        scene.name,
        f"has no band {one_line(text)!r}; it has {has[:200]}",
        f"use a number or name of these in {option('bands')}",
    )
