"""What a run reads it does not replace, under whatever name."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from mapgen.errors import OutputError
from mapgen.files.commit import Output, staged
from mapgen.files.inputs import is_input, note_folder, note_inputs, note_output, one_run


def write(path, text="new"):
    with staged(Output(path, overwrite=True)) as temporary:
        temporary.write_text(text)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "area.gpkg"
    path.write_text("precious")
    return path


@pytest.mark.parametrize("how", ["symlink_to", "hardlink_to"])
def test_an_input_is_known_by_every_name(tmp_path, file, how):
    other = tmp_path / "other.gpkg"
    getattr(other, how)(file)
    with one_run():
        note_inputs(file)
        assert is_input(other)
        with pytest.raises(OutputError, match=r"other.gpkg: the output is also an input; choose another name"):
            write(other)
    assert file.read_text() == "precious"


def test_what_was_opened_after_the_writing_began_is_not_replaced(tmp_path, file):
    def late():
        with staged(Output(file, overwrite=True)) as temporary:
            temporary.write_text("new")
            note_inputs(file)

    with one_run(), pytest.raises(OutputError, match="is also an input"):
        late()
    assert [p.name for p in tmp_path.iterdir()] == [file.name]
    assert file.read_text() == "precious"


@pytest.mark.parametrize("name", ["map.tif.aux.xml", "map.tif.ovr", "map.qml"])
@pytest.mark.parametrize("written", [True, False])
def test_an_input_in_the_place_of_a_side_car_stays(tmp_path, name, written):
    path, beside = tmp_path / "map.tif", tmp_path / name
    beside.write_text("precious")

    def run():
        with staged(Output(path, overwrite=True, beside={"map.qml": None})) as temporary:
            temporary.write_text("new")
            if written:
                temporary.with_name(name).write_text("new")

    with one_run():
        note_inputs(beside)
        with pytest.raises(OutputError, match=f"{name}: the output is also an input"):
            run()
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert beside.read_text() == "precious"


def test_what_a_run_made_itself_it_may_read_and_replace(tmp_path):
    path = tmp_path / "best.safetensors"
    with one_run():
        for text in ("first", "second"):
            with staged(Output(path, overwrite=True)) as temporary:
                temporary.write_text(text)
                note_inputs(temporary)  # read back, as every output is
            note_inputs(path)
    assert path.read_text() == "second"


def test_inputs_are_forgotten_when_the_run_ends(file):
    with one_run():
        with one_run():
            note_inputs(file)
        assert is_input(file)
    assert not is_input(file)
    write(file)
    assert file.read_text() == "new"


def test_what_another_thread_opens_is_an_input_of_the_run(file):
    with one_run(), ThreadPoolExecutor(1) as pool:
        pool.submit(note_inputs, file).result()
        assert is_input(file)


def test_two_runs_in_two_threads_have_inputs_of_their_own(tmp_path, file):
    def other():
        with one_run():
            return is_input(file)

    with one_run(), ThreadPoolExecutor(1) as pool:
        note_inputs(file)
        assert not pool.submit(other).result()
        assert is_input(file)


def test_all_in_a_folder_that_is_read_is_an_input(tmp_path):
    tile = tmp_path / "town" / "3" / "4" / "5.png"
    tile.parent.mkdir(parents=True)
    tile.write_text("tile")
    (tmp_path / "there").symlink_to(tmp_path / "town")
    with one_run():
        note_folder(tmp_path / "town")
        for path in (tile, tmp_path / "there" / "3" / "4" / "5.png"):
            with pytest.raises(OutputError, match="is also an input"):
                write(path)
        note_output(tmp_path / "town")
        write(tile)


def test_names_without_a_file_are_left_out(tmp_path):
    with one_run():
        note_inputs(None, "http://127.0.0.1/x.tif", tmp_path / "missing", "nul\0", "x" * 5000, os.devnull)
        assert not is_input(tmp_path / "missing")
