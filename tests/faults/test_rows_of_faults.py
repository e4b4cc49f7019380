"""Every fault and odd input that mapgen has an answer to, and the tests that show it."""

from named_tests import ROOT, missing

F = "tests/faults/test_"
CONTAINER, BANDS, PIXELS = f"{F}container_faults.py", f"{F}band_faults.py", f"{F}pixel_faults.py"
GRID, INDIRECTION, OUTPUT = f"{F}grid_faults.py", f"{F}indirection_faults.py", f"{F}output_faults.py"
PROCESS, MODEL, SWEEPS = f"{F}process_faults.py", f"{F}model_faults.py", f"{F}sweeps.py"
TWO, SURVIVE, USAGE = f"{F}two_runs.py", f"{F}inputs_survive.py", f"{F}usage_faults.py"
FUZZ, URLS, SPARSE = "tests/fuzz/test_byte_fuzz.py", "tests/files/test_urls.py", "tests/inference/test_sparse.py"
RESUME, MAP_RESUME = "tests/inference/test_resume.py", "tests/results/test_map_resume.py"
ONNX, JOBS, BATCHES = "tests/model/test_onnx_import.py", "tests/cli/test_jobs.py", "tests/cli/test_batches.py"
VECTORIZE, FORMATS, LABELS = (f"tests/layers/test_{name}.py" for name in ("vectorize", "formats", "labels"))
TRAIN, FIT, CONFIG = (f"tests/training/test_{name}.py" for name in ("train_faults", "fit", "config"))
SERVER, DATASET = "tests/results/test_view_server.py", "tests/dataset/test_dataset.py"

ROWS: dict[str, dict[str, list[str]]] = {
    "everything": {
        "one line, the right code, no traceback, nothing lost": [
            f"{FUZZ}::test_a_damaged_file_is_read_or_refused_in_one_line_and_nothing_is_lost",
        ],
        "an input and its folder stay as they are": [f"{SURVIVE}::test_an_input_in_the_place_of_an_output_stays"],
    },
    "containers of rasters": {
        "empty, text, a web page, another format": [f"{CONTAINER}::test_what_is_no_raster_is_refused_by_what_it_is"],
        "a picture that is named .tif": [f"{CONTAINER}::test_a_png_named_tif_is_read_as_the_png_it_is"],
        "cut off in the header or behind it": [
            f"{CONTAINER}::test_a_truncated_file_is_refused", f"{CONTAINER}::test_a_truncated_picture_is_refused",
        ],
        "one damaged tile": [
            f"{CONTAINER}::test_a_damaged_tile_is_named_by_row_and_column",
            f"{CONTAINER}::test_a_damaged_tile_becomes_nodata_where_that_is_asked_for",
        ],
        "a damaged JPEG tile": [
            f"{CONTAINER}::test_a_damaged_jpeg_tile_is_noticed",
            f"{CONTAINER}::test_a_damaged_jpeg_tile_becomes_nodata_where_that_is_asked_for",
        ],
        "no pixels": [f"{CONTAINER}::test_an_image_without_pixels_is_refused"],
        "billions of pixels a side, one giant block": [
            f"{CONTAINER}::test_what_would_exhaust_the_memory_is_refused_before_it_is_allocated",
            f"{CONTAINER}::test_dimensions_beyond_what_gdal_counts_are_refused",
            f"{CONTAINER}::test_what_a_raster_may_claim_can_be_bounded_more_tightly",
        ],
        "complex numbers": [
            f"{CONTAINER}::test_complex_pixels_are_refused",
            f"{CONTAINER}::test_complex_integers_that_numpy_does_not_know_are_refused",
        ],
        "inks, palettes, single bits": [
            f"{CONTAINER}::test_inks_are_not_read_as_light",
            f"{CONTAINER}::test_a_palette_is_not_read_as_intensities",
            f"{CONTAINER}::test_single_bits_are_not_read_as_grey",
        ],
        "a folder, a pipe, a link to itself": [
            f"{CONTAINER}::test_a_folder_is_refused", f"{CONTAINER}::test_a_pipe_is_refused_without_waiting_for_it",
            f"{CONTAINER}::test_a_link_to_itself_is_refused",
        ],
    },
    "pixels": {
        "no numbers become nodata and do not bleed": [
            f"{PIXELS}::test_pixels_without_data_are_nodata_and_no_others",
            f"{PIXELS}::test_what_is_no_number_never_reaches_the_network",
        ],
        "scenes without data": [f"{PIXELS}::test_a_scene_without_data_gives_a_map_without_data"],
        "nodata as a value, NaN, alpha, internal mask, side-car": [
            f"{PIXELS}::test_pixels_without_data_are_nodata_and_no_others",
            f"{PIXELS}::test_pixels_without_data_are_nodata_when_the_network_sees_another_resolution",
        ],
        "a black collar": [
            f"{PIXELS}::test_a_black_collar_is_warned_of_with_its_remedy",
            f"{PIXELS}::test_the_remedy_for_a_black_collar_works",
        ],
        "constant scenes": [f"{PIXELS}::test_a_constant_scene_is_one_class"],
        "16 bits, signed, floats": [f"{PIXELS}::test_the_same_values_in_any_type_give_the_same_map"],
        "scale and offset": [f"{PIXELS}::test_scale_and_offset_are_applied"],
        "values that disagree with the card": [
            f"{PIXELS}::test_values_that_disagree_with_the_card_are_warned_of",
            f"{PIXELS}::test_the_remedy_for_values_within_0_and_1_gives_the_map_of_the_original",
        ],
    },
    "bands": {
        "too many, too few": [
            f"{BANDS}::test_too_many_bands_are_refused_with_an_example",
            f"{BANDS}::test_too_few_bands_are_refused_with_a_way_on",
        ],
        "names and colour interpretation help": [
            f"{BANDS}::test_band_names_help_by_themselves", f"{BANDS}::test_colour_interpretation_helps_by_itself",
        ],
    },
    "grids": {
        "one pixel, one row, smaller than a window, prime sizes": [f"{GRID}::test_any_size_is_mapped_pixel_by_pixel"],
        "strips, BigTIFF, big-endian, planar": [f"{GRID}::test_the_same_pixels_give_the_same_map_in_any_container"],
        "south-up, rotated, feet, degrees, antimeridian, polar, compound": [
            f"{GRID}::test_the_map_lies_exactly_where_the_scene_lies", f"{GRID}::test_the_network_sees_true_metres",
        ],
        "pixels that are points": [f"{GRID}::test_pixels_that_are_points_are_not_shifted"],
        "no CRS, or control points alone": [
            f"{GRID}::test_without_a_crs_the_map_has_none_either_and_that_is_said",
            f"{GRID}::test_control_points_alone_give_a_map_in_pixel_space_that_has_them_too",
            f"{GRID}::test_rational_polynomials_alone_give_a_map_in_pixel_space_and_that_is_said",
        ],
        "layers and tiles of what has no place": [
            f"{GRID}::test_layers_and_tiles_need_a_place_on_the_ground",
            f"{GRID}::test_where_the_crs_alone_is_missing_it_may_be_assumed",
        ],
        "singular transforms": [f"{GRID}::test_a_transform_that_gives_pixels_no_area_is_refused"],
        "sparse giants": [
            f"{GRID}::test_empty_windows_of_a_sparse_scene_are_skipped",
            f"{SPARSE}::test_windows_without_a_block_are_not_read",
            f"{SPARSE}::test_the_map_of_a_sparse_scene_is_sparse",
        ],
    },
    "files that stand for others": {
        "VRTs under another name": [f"{INDIRECTION}::test_a_vrt_under_another_name_is_refused"],
        "sources that are missing, or itself": [
            f"{INDIRECTION}::test_a_missing_source_is_named", f"{INDIRECTION}::test_a_vrt_of_itself_is_refused",
        ],
        "raw bytes, Python, the network": [
            f"{INDIRECTION}::test_a_vrt_that_does_more_than_arrange_local_rasters_is_refused",
        ],
        "archives and chains of virtual files": [
            f"{INDIRECTION}::test_an_archive_is_refused_with_the_way_in",
            f"{INDIRECTION}::test_chains_of_virtual_files_are_refused_with_a_hint",
        ],
    },
    "the network": {
        "a server that hangs": [f"{URLS}::test_a_server_that_hangs_is_given_up_within_the_time_that_was_given"],
        "429, 5xx, resets": [
            f"{URLS}::test_a_server_that_is_busy_is_asked_again", f"{URLS}::test_a_server_that_stays_busy_is_given_up",
        ],
        "401, 403, 404, a log-in page": [f"{URLS}::test_what_a_server_refuses_is_told_apart_and_asked_once"],
        "no ranges": [f"{URLS}::test_a_server_that_knows_no_ranges_gives_the_map_or_says_what_it_lacks"],
        "an object that changes meanwhile": [f"{URLS}::test_a_scene_that_changes_while_it_is_read_gives_no_map"],
    },
    "outputs": {
        "exists": [f"{OUTPUT}::test_an_output_that_exists_is_refused"],
        "the same as an input, also through links": [
            f"{OUTPUT}::test_an_input_is_never_the_output",
            f"{OUTPUT}::test_another_input_of_the_run_is_never_an_output",
        ],
        "a folder that is missing or read-only": [
            f"{OUTPUT}::test_a_missing_folder_is_refused", f"{OUTPUT}::test_a_read_only_folder_is_refused",
        ],
        "a folder in the place of a file": [f"{OUTPUT}::test_a_folder_is_no_output_file"],
        "a disk that is full at any byte": [
            f"{SWEEPS}::test_a_disk_that_is_full_at_any_size_leaves_the_old_file_or_the_right_one",
            f"{SWEEPS}::test_any_operation_may_fail_until_a_run_succeeds",
            f"{BATCHES}::test_a_disk_without_room_is_seen_before_the_first_input",
        ],
        "two runs at once": [
            f"{TWO}::test_a_map_that_another_run_is_making_is_refused_before_the_first_window",
            f"{TWO}::test_every_kind_of_output_belongs_to_one_run_at_a_time",
        ],
        "any name": [f"{OUTPUT}::test_any_name_is_written", f"{OUTPUT}::test_any_name_is_read"],
    },
    "processes": {
        "SIGINT, SIGTERM": [
            f"{PROCESS}::test_a_run_that_is_stopped_leaves_nothing_and_says_so",
            f"{PROCESS}::test_a_run_that_is_stuck_in_a_library_ends_within_two_seconds_and_at_once_when_told_twice",
            f"{BATCHES}::test_a_batch_that_is_stopped_names_the_command_that_goes_on",
        ],
        "SIGKILL at any moment; the next run goes on with the same bytes": [
            f"{SWEEPS}::test_a_process_may_be_killed_before_any_operation",
            f"{RESUME}::test_a_run_that_is_killed_goes_on_with_the_same_bytes_and_redoes_at_most_a_strip",
            f"{MAP_RESUME}::test_a_map_that_is_killed_goes_on_with_the_same_bytes",
        ],
        "a worker that dies": [f"{JOBS}::test_a_process_that_is_lost_costs_its_input_alone"],
        "few open files": [f"{PROCESS}::test_few_files_that_may_be_open_are_no_bug_and_lose_nothing"],
        "no home, a plain locale": [
            f"{PROCESS}::test_a_user_without_a_home_can_work", f"{PROCESS}::test_a_plain_locale_is_no_obstacle",
        ],
        "closed stdout, | head": [
            f"{PROCESS}::test_closed_standard_streams_are_no_obstacle",
            f"{PROCESS}::test_a_reader_that_goes_away_stops_no_work",
        ],
        "threads, batch, jobs, an interruption: the same bytes": [
            "tests/inference/test_same_bytes.py::test_threads_batches_jobs_and_an_interruption_change_no_pixel",
        ],
        "a bug exits 1, never 4": [
            f"{PROCESS}::test_a_bug_of_ours_is_called_one",
            f"{PROCESS}::test_a_bug_in_reading_is_a_bug_and_no_bad_input",
        ],
        "another model, input or option": [
            f"{RESUME}::test_another_option_model_or_file_reuses_nothing",
            f"{MAP_RESUME}::test_what_differs_is_never_gone_on_with",
        ],
    },
    "models": {
        "pickles": [
            f"{MODEL}::test_a_raw_pickle_is_refused_and_never_unpickled",
            f"{MODEL}::test_a_zipped_pickle_is_refused_and_never_unpickled",
        ],
        "cut off, overlapping": [
            f"{MODEL}::test_a_truncated_model_is_refused", f"{MODEL}::test_overlapping_tensors_are_refused",
        ],
        "another architecture, another number of classes": [
            f"{MODEL}::test_weights_that_do_not_fit_the_card_are_refused_with_counts",
        ],
        "weights that are not finite": [f"{MODEL}::test_weights_that_are_no_numbers_are_refused"],
        "hostile text in the card": [f"{MODEL}::test_hostile_card_text_stays_text"],
        "ONNX with data elsewhere": [f"{ONNX}::test_hostile_files_are_refused_and_nothing_is_written"],
    },
    "masks": {
        "empty": [f"{FORMATS}::test_an_empty_layer_has_its_schema"],
        "one class, islands, corners, spirals": [f"{VECTORIZE}::test_every_shape_of_map_becomes_a_valid_layer"],
        "a checkerboard": [f"{VECTORIZE}::test_a_checkerboard_of_131072_polygons_takes_little_memory"],
        "floats": [f"{VECTORIZE}::test_rasters_that_are_no_class_maps_are_refused"],
        "nodata is no feature": [
            f"{VECTORIZE}::test_what_is_background_or_nodata_is_not_written_and_that_is_said",
            "tests/layers/test_polygonize.py::test_nodata_is_never_a_polygon_and_leaves_its_place_empty",
        ],
    },
    "labels": {
        "bow-ties and nulls": [f"{LABELS}::test_bow_ties_are_repaired_nulls_left_out_and_all_is_counted"],
        "the wrong CRS": [f"{LABELS}::test_coordinates_that_are_not_lon_lat_are_noticed_and_their_crs_can_be_said"],
        "classes that nobody knows": [
            f"{DATASET}::test_values_that_no_class_lists_are_named_with_their_number",
            "tests/accuracy/test_evaluate.py::test_names_that_the_map_does_not_know_are_listed_and_count_as_errors",
        ],
        "empty, lines or points among polygons": [f"{LABELS}::test_faulty_labels_are_refused"],
    },
    "training": {
        "one sample, one class, all ignored": [
            f"{TRAIN}::test_one_sample_is_enough", f"{TRAIN}::test_one_class_that_is_labelled_is_a_warning",
            f"{TRAIN}::test_ground_that_is_all_ignored_is_exit_4",
        ],
        "a loss that is no number": [
            f"{TRAIN}::test_a_loss_that_is_not_finite_is_exit_6_and_the_last_checkpoint_stays",
            f"{FIT}::test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step",
        ],
        "killed while saving": [f"{FIT}::test_killed_while_saving_the_previous_checkpoint_survives"],
        "gone on with": [
            f"{FIT}::test_a_resumed_run_gives_the_same_curve",
            "tests/training/test_train.py::test_a_killed_run_goes_on_to_the_same_log_and_the_same_weights",
        ],
    },
    "configuration": {
        "an unknown key, a wrong type, out of range": [
            f"{CONFIG}::test_what_is_wrong_is_named_with_its_key_and_a_remedy",
            f"{USAGE}::test_wrong_options_are_refused_with_the_right_ones",
            f"{USAGE}::test_wrong_commands_are_refused_with_the_right_ones",
        ],
    },
    "the server of the page": {
        "this machine alone": [f"{SERVER}::test_it_listens_on_loopback_alone"],
        "other hosts": [
            f"{SERVER}::test_another_host_is_refused", f"{SERVER}::test_no_host_and_two_hosts_are_refused",
        ],
        "other methods": [f"{SERVER}::test_only_get_and_head_are_answered"],
        "paths of files": [f"{SERVER}::test_what_is_not_listed_is_not_there"],
        "ranges without end": [
            f"{SERVER}::test_a_range_is_bounded", f"{SERVER}::test_ranges_beyond_the_file_are_refused_with_its_size",
        ],
    },
}  # fmt: skip
"""By what is at fault, each fault, and its tests."""


def test_every_fault_names_tests_and_they_exist():
    named = [test for group in ROWS.values() for tests in group.values() for test in tests]
    assert not missing(named)
    assert all(tests for group in ROWS.values() for tests in group.values())


def test_every_module_of_faults_has_a_row():
    """What is tested as a fault stands in the table, so that it tells all that there is."""
    named = {test.split("::")[0] for group in ROWS.values() for tests in group.values() for test in tests}
    others = {"tests/faults/test_rows_of_faults.py", "tests/faults/test_sandbox.py"}
    here = {str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "faults").glob("test_*.py")}
    assert here - others <= named
