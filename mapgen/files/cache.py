"""The user's folders: the cache (compiled kernels, safe to delete at any time) and the models."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path, user_data_path


def cache_folder(name: str) -> Path | None:
    """The folder `name` in mapgen's cache, created; None where nothing can be written (no HOME, a read-only one).

    MAPGEN_CACHE names another place.
    """
    chosen = os.environ.get("MAPGEN_CACHE")
    try:
        folder = (Path(chosen) if chosen else user_cache_path("mapgen", appauthor=False)) / name
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: no home directory is known
        return None
    return folder if os.access(folder, os.W_OK) else None


def models_folder() -> Path:
    """Where the user's models lie, by their names; it need not be there. MAPGEN_MODELS names another place."""
    chosen = os.environ.get("MAPGEN_MODELS")
    try:
        return Path(chosen) if chosen else user_data_path("mapgen", appauthor=False) / "models"
    except RuntimeError:  # no home directory is known
        return Path("mapgen-models")
