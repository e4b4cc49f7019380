"""`mapgen bench`: what it measures, what its options change, and what it refuses."""

import json

import numpy as np
import pytest
import rasterio
from factory import card, contents, make_model, make_raster, noise
from hypothesis import given
from hypothesis import strategies as st

from mapgen.inference.bench import STAGES, Stopwatch, engine_rate, write_specimen

# --- the stopwatch ---------------------------------------------------------------------------------------------------


class Clock:
    """A clock that moves only when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def stage(watch, clock, name, inner, seconds):
    """A stage that takes items from `inner` and needs `seconds[i]` for the i-th."""

    def work():
        for item, spent in zip(inner, seconds, strict=True):
            clock.now += spent
            yield item

    return watch.over(name, work())


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 3), max_size=8), st.integers(0, 9))
def test_each_stage_is_charged_for_its_own_work_alone(items, rest):
    clock = Clock()
    watch = Stopwatch(clock)
    chain = iter(range(len(items)))
    for name, spent in zip("abc", list(zip(*items, strict=True)) or [()] * 3, strict=True):
        chain = stage(watch, clock, name, chain, spent)
    with watch.stage("all"):
        assert list(chain) == list(range(len(items)))
        clock.now += rest
    own = {name: float(sum(item[at] for item in items)) for at, name in enumerate("abc")}
    assert watch.seconds == {**own, "all": float(rest)}
    assert sum(watch.seconds.values()) == clock.now


def test_what_happens_between_two_items_is_not_charged_to_the_stage():
    clock = Clock()
    watch = Stopwatch(clock)
    for _ in stage(watch, clock, "a", range(3), [1, 1, 1]):
        clock.now += 100
    assert watch.seconds == {"a": 3.0}


def test_an_error_passes_through_and_the_outer_stage_goes_on():
    clock = Clock()
    watch = Stopwatch(clock)

    def broken():
        clock.now += 2
        yield 1
        raise KeyError("lost")

    with watch.stage("all"):
        with pytest.raises(KeyError, match="lost"):
            list(watch.over("a", broken()))
        clock.now += 5
    assert watch.seconds == {"a": 2.0, "all": 5.0}


# --- the noise -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_the_noise_suits_the_model(tmp_path, kind):
    wanted = card(data_type=kind, bands=("nir", "red"), mean=(90.0, 40.0), std=(20.0, 10.0), resolution_m=2.5)
    with rasterio.open(write_specimen(tmp_path / "noise.tif", wanted, 700)) as scene:
        pixels = scene.read()
        assert (scene.shape, scene.descriptions, scene.res) == ((700, 700), ("nir", "red"), (2.5, 2.5))
        assert scene.dtypes[0] == kind
    assert pixels.mean((1, 2)) == pytest.approx((90, 40), abs=5)
    assert pixels.std((1, 2)) == pytest.approx((20, 10), rel=0.15)
    assert pixels.min() > 0 or kind == "float32"


def test_the_noise_is_the_same_for_the_same_seed_and_another_for_another(tmp_path):
    paths = [write_specimen(tmp_path / f"{i}.tif", card(), 600, seed) for i, seed in enumerate((0, 0, 1))]
    one, same, other = (rasterio.open(path).read() for path in paths)
    assert np.array_equal(one, same)
    assert (one != other).mean() > 0.9


# --- the engine's rate -----------------------------------------------------------------------------------------------


class Counting:
    """An engine that counts pixels; each batch takes a second of its own clock."""

    def __init__(self, clock):
        self.clock, self.batches = clock, 0

    def stream(self, batches):
        for tag, _ in batches:
            self.clock.now += 1
            self.batches += 1
            yield tag, None


@pytest.mark.parametrize("seconds", [0, 5, 20])
def test_the_rate_is_pixels_over_time_and_takes_every_batch_at_least_once(monkeypatch, seconds):
    clock = Clock()
    monkeypatch.setattr("mapgen.inference.bench.time.perf_counter", clock)
    engine = Counting(clock)
    batches = [np.zeros((2, 3, 10, 20), np.uint8)] * 7
    assert engine_rate(engine, batches, seconds) == 400
    assert engine.batches == max(7, seconds)


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """The engine alone is measured by one pass over the samples."""
    monkeypatch.setattr("mapgen.inference.bench._SECONDS", 0)
    monkeypatch.setattr("mapgen.inference.bench.engine_rate.__defaults__", (0,))


@pytest.fixture
def bench(mapgen, model, engines, quick):
    """`bench(…)`: `mapgen bench --model` with the fake model and engine on little noise; a later option counts."""
    return lambda *arguments: mapgen("bench", "--model", model, "--size", "150", *arguments)


def figures(done):
    assert done.code == 0, done
    return json.loads(done.out)


def test_the_table_names_every_stage_and_the_shares_add_up(bench):
    done = bench("-q")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.out.splitlines() if "|" in line]
    stages = {row[0].split()[0]: row for row in rows if len(row) == 3}
    assert list(stages)[2:] == [*STAGES, "all"]
    assert sum(int(stages[name][2].rstrip("%")) for name in STAGES[1:]) == pytest.approx(100, abs=2)
    assert {row[0] for row in rows if len(row) == 2} >= {"map, end to end", "windows, engine alone", "efficiency"}


def test_json_holds_the_figures_and_they_fit_together(bench):
    found = figures(bench("--json"))
    assert (found["width"], found["height"], found["engine"], found["stitch"]) == (150, 150, "fake", "crop")
    assert sum(found["stages"][name] for name in STAGES[1:]) == pytest.approx(found["seconds"], abs=0.005)
    assert all(found["stages"][name] >= 0 for name in STAGES)
    assert found["stages"]["write"] > 0
    assert found["rate"] == pytest.approx(150 * 150 / 1e6 / found["seconds"], rel=0.05, abs=0.001)
    alone = found["window_pixels"] / 1e6 / found["engine_rate"]
    assert found["efficiency"] == pytest.approx(alone / found["seconds"], rel=0.05, abs=0.002)


def test_a_scene_is_measured_and_nothing_is_left_beside_it(bench, tmp_path):
    scene = make_raster(tmp_path / "scene.tif", noise(90, 130))
    before = contents(tmp_path)
    found = figures(bench(scene, "--json"))
    assert (found["scene"], found["width"], found["height"]) == (str(scene), 130, 90)
    assert contents(tmp_path) == before


def test_size_is_the_side_of_the_noise(bench):
    assert figures(bench("--size", "200", "--json"))["width"] == 200


def test_window_is_the_side_of_the_windows(bench, engines):
    found = figures(bench("--window", "96", "--json"))
    assert found["window"] == 96
    assert max(shape[-1] for shape in engines.seen) == 96


def test_windows_are_those_that_were_asked_for(bench, engines):
    figures(bench("--window", "64", "--halo", "16", "--batch", "3", "--tta", "flip", "--threads", "2", "--json"))
    assert engines.opened[-1].setup.threads == 2
    assert {shape[0] for shape in engines.seen} >= {3}
    wide = len(engines.seen)
    figures(bench("--window", "64", "--halo", "0", "--batch", "3", "--json"))
    assert len(engines.seen) - wide < wide, "fewer windows, each seen once"


def test_stitch_is_the_one_that_was_asked_for(bench):
    assert figures(bench("--stitch", "blend", "--json"))["stitch"] == "blend"


def test_model_is_the_one_that_was_asked_for(bench, tmp_path):
    other = make_model(tmp_path / "other.safetensors", name="other", bands=("nir",), mean=(9.0,), std=(2.0,))
    found = figures(bench("--model", other, "--json"))
    assert found["model"] == "other"


@pytest.mark.parametrize(("option", "value"), [("--engine", "torch"), ("--device", "cuda"), ("--precision", "bf16")])
def test_engine_device_and_precision_are_those_that_were_asked_for(bench, option, value):
    assert figures(bench(option, value, "--json"))[option.removeprefix("--")] == value


def test_quiet_says_nothing_but_the_table(bench):
    assert bench("-q").err == ""


def test_verbose_twice_shows_the_traceback(mapgen, model, engines, tmp_path, capfd):
    from mapgen.cli.main import run

    missing = tmp_path / "missing.tif"
    assert run(["bench", "--model", str(model), str(missing), "-vv"]) == 4
    assert "Traceback" in capfd.readouterr().err


def test_a_scene_without_data_is_refused(bench, tmp_path):
    empty = make_raster(tmp_path / "empty.tif", np.zeros((3, 80, 80), np.uint8), nodata=0)
    done = bench(empty)
    assert done.code == 4
    assert "no valid pixel" in done.errors[0]
    assert "another scene" in done.errors[0]


def test_size_below_the_least_is_refused(bench):
    assert bench("--size", "10").code == 2
