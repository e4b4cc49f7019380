"""Configurations read from files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mapgen.errors import InputError, UsageError, one_line
from mapgen.training.config import TrainConfig, parse_config


def read_config(path: Path) -> TrainConfig:
    """The configuration in the TOML file at `path`, its data folder made absolute.

    A model to start from is looked for beside the file too. Raises `InputError` where the file cannot be read,
    `UsageError` for what it says.
    """
    subject = one_line(path)
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "is not a regular file" if path.exists() else "no such file"
        raise InputError(subject, problem, "name the TOML file of a training run")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise InputError(subject, f"cannot be read ({exc.strerror})", "check its permissions") from exc
    except UnicodeDecodeError as exc:
        raise UsageError(subject, f"is not UTF-8 text ({exc.reason})", "name the TOML file of a training run") from exc
    config = parse_config(text, subject)
    here = path.absolute().parent
    start = config.model.start
    beside = here / start
    if start not in ("scratch", "imagenet") and not Path(start).is_file() and beside.is_file():
        config = replace(config, model=replace(config.model, start=str(beside)))
    return replace(config, data=replace(config.data, folder=str(here / config.data.folder)))
