"""Fixtures: a model file, an engine that is no network, and the command line run in this process."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path

import pytest
from factory import Engines, Run, contents, make_model
from hypothesis import settings

import mapgen.model.openvino  # before a test imports OpenVINO: it keeps it from reporting its use
from mapgen.inference.segment import default_output

# The same examples in every run and on every machine; no deadlines, since other work may share the processor.
settings.register_profile("mapgen", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("mapgen")


@pytest.fixture
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file outside `tmp_path`, so that tests can compare all that lies there."""
    return make_model(tmp_path_factory.mktemp("model") / "fake.safetensors")


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    """Runs in this process use a `FakeEngine`; set `engines.rule` to choose what it does."""
    fakes = Engines()
    for user in ("inference.segment", "explain.run"):
        monkeypatch.setattr(f"mapgen.{user}.open_engine", fakes.open)
    return fakes


@pytest.fixture
def mapgen(capfd: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """`mapgen("segment", path, …)`: the command line in this process; what GDAL itself prints counts as stderr too."""
    from mapgen.cli.main import run

    def call(*arguments: object) -> Run:
        capfd.readouterr()
        code = copy_context().run(run, [str(a) for a in arguments])  # limits that it sets are its own
        out, err = capfd.readouterr()
        assert "Traceback" not in err, err
        return Run(code, out, err)

    return call


@pytest.fixture
def segment(mapgen: Callable[..., Run], model: Path, engines: Engines) -> Callable[..., Run]:
    """`segment(path, …)`: `mapgen segment --model` with the fake model and engine."""
    return lambda *arguments: mapgen("segment", "--model", model, *arguments)


@pytest.fixture
def refuses(segment: Callable[..., Run], tmp_path: Path) -> Callable[..., Run]:
    """`refuses(code, words, arguments…)`: segment ends with this exit code, one error line that holds all `words`
    (the file, the cause, the remedy), nothing on stdout, and everything in `tmp_path` as it was; with --overwrite an
    older map too."""

    def check(code: int, words: tuple[str, ...], *arguments: object, run: Callable[..., Run] = segment) -> Run:
        result = once(code, words, *arguments, run=run)
        old = older_map(arguments) if run is segment and code not in (2, 5) else None
        if old is not None:
            old.write_bytes(b"precious")
            once(code, words, *arguments, "--overwrite", run=run)
            old.unlink()
        return result

    def once(code: int, words: tuple[str, ...], *arguments: object, run: Callable[..., Run]) -> Run:
        before = contents(tmp_path)
        result = run(*arguments)
        assert (result.code, len(result.errors)) == (code, 1), result
        missing = [word for word in words if word not in result.errors[0]]
        assert not missing, f"{missing} not in {result.errors[0]!r}"
        assert result.out == ""
        assert contents(tmp_path) == before
        return result

    def older_map(arguments: tuple[object, ...]) -> Path | None:
        """Where the map of the scene named first would lie, if in `tmp_path` and nothing lies there."""
        path = default_output(str(arguments[0]))
        here = path.parent == tmp_path and len(path.name) < 255 and not path.exists()
        return path if here and not {"-o", "--overwrite"} & set(map(str, arguments)) else None

    return check
