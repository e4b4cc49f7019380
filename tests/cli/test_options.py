"""Every option of the command line has a test in which what comes out changes with it."""

from collections.abc import Iterator
from typing import Any

import typer.main
from named_tests import ROOT, missing, nodes_of

from mapgen.cli.app import app

SEGMENT, VECTORIZE, REPORTS = (
    "tests/inference/test_segment_options.py",
    "tests/layers/test_vectorize.py",
    "tests/cli/test_reports.py",
)
EVALUATE, BENCH = "tests/accuracy/test_evaluate.py", "tests/inference/test_bench.py"
COMPRESS = "tests/training/test_compress.py"
AREAS = "tests/results/test_areas.py"
IMPORT = "tests/model/test_models_options.py"
ROADS = "tests/roads/test_roads_options.py"
BATCHES = "tests/cli/test_batches.py"
MAP, MAP_FAULTS = "tests/results/test_map.py", "tests/results/test_map_faults.py"
TRAIN = "tests/training/test_train.py"
VIEW = "tests/results/test_view.py"
TILES = "tests/tiling/test_raster_tiles.py"
VECTOR_TILES = "tests/tiling/test_vector_tiles.py"

BOUNDS = "tests/faults/test_container_faults.py::test_what_a_raster_may_claim_can_be_bounded_more_tightly"

OPTION_TESTS = {
    ("", "--version"): f"{REPORTS}::test_version_prints_the_version",
    ("", "--show-completion"): f"{REPORTS}::test_show_completion_prints_a_script_for_the_shell",
    ("", "--install-completion"): f"{REPORTS}::test_install_completion_writes_a_script_for_the_shell",
    ("segment", "--output"): f"{SEGMENT}::test_output_names_the_map",
    ("segment", "--model"): f"{SEGMENT}::test_model_chooses_the_model",
    ("segment", "--bands"): f"{SEGMENT}::test_bands_choose_and_order_the_bands",
    ("segment", "--nodata"): f"{SEGMENT}::test_nodata_names_the_value_without_data",
    ("segment", "--scale"): f"{SEGMENT}::test_scale_brings_a_range_to_the_models",
    ("segment", "--resolution"): f"{SEGMENT}::test_resolution_is_what_the_network_sees",
    ("segment", "--window"): f"{SEGMENT}::test_window_is_the_size_that_the_network_sees",
    ("segment", "--halo"): f"{SEGMENT}::test_halo_hides_what_a_window_cannot_see",
    ("segment", "--stitch"): f"{SEGMENT}::test_stitch_blend_averages_where_windows_disagree",
    ("segment", "--batch"): f"{SEGMENT}::test_batch_is_how_many_windows_run_together",
    ("segment", "--engine"): f"{SEGMENT}::test_engine_is_the_one_that_was_asked_for",
    ("segment", "--tta"): f"{SEGMENT}::test_tta_averages_over_mirrored_and_turned_windows",
    ("segment", "--precision"): f"{SEGMENT}::test_precision_is_the_one_that_was_asked_for",
    ("segment", "--threads"): f"{SEGMENT}::test_threads_reach_the_engine",
    ("segment", "--max-memory"): f"{SEGMENT}::test_max_memory_decides_the_window",
    ("segment", "--probabilities"): f"{SEGMENT}::test_probabilities_and_confidence_lie_beside_the_map",
    ("segment", "--confidence"): f"{SEGMENT}::test_probabilities_and_confidence_lie_beside_the_map",
    ("segment", "--device"): f"{SEGMENT}::test_device_is_the_one_that_was_asked_for",
    ("segment", "--aoi"): f"{SEGMENT}::test_aoi_cuts_the_map_to_its_polygons",
    ("segment", "--bbox"): f"{SEGMENT}::test_bbox_cuts_the_map_to_a_box",
    ("segment", "--on-read-error"): f"{SEGMENT}::test_on_read_error_decides_what_becomes_of_damage",
    ("segment", "--co"): f"{SEGMENT}::test_creation_options_reach_the_file",
    ("segment", "--dry-run"): f"{SEGMENT}::test_dry_run_says_what_it_would_take_and_writes_nothing",
    ("segment", "--no-resume"): "tests/inference/test_resume.py::test_another_option_model_or_file_reuses_nothing",
    ("segment", "--net-timeout"): (
        "tests/files/test_urls.py::test_a_server_that_hangs_is_given_up_within_the_time_that_was_given"
    ),
    ("map", "--no-resume"): f"{MAP}::test_options_of_the_run_are_known_to_map",
    ("map", "--net-timeout"): f"{MAP}::test_options_of_the_run_are_known_to_map",
    ("view", "--layer"): f"{VIEW}::test_of_several_layers_one_can_be_chosen",
    ("tiles", "--base-url"): "tests/tiling/test_tile_containers.py::test_urls_are_below_the_base_that_is_given",
    ("segment", "--from"): f"{BATCHES}::test_patterns_and_lists_name_scenes_none_twice",
    ("segment", "--only"): f"{BATCHES}::test_the_failed_scenes_of_a_report_are_run_again_alone",
    ("segment", "--on-error"): f"{BATCHES}::test_the_first_failure_ends_the_run_where_that_is_wanted",
    ("segment", "--skip-done"): f"{BATCHES}::test_what_is_done_is_left_by_its_content",
    ("segment", "--report"): f"{BATCHES}::test_the_failed_scenes_of_a_report_are_run_again_alone",
    ("segment", "--log-file"): f"{BATCHES}::test_the_log_says_all_with_times_and_no_secret",
    ("vectorize", "--from"): f"{BATCHES}::test_lists_patterns_and_reports_serve_every_command",
    ("vectorize", "--only"): f"{BATCHES}::test_lists_patterns_and_reports_serve_every_command",
    ("vectorize", "--report"): f"{BATCHES}::test_lists_patterns_and_reports_serve_every_command",
    ("vectorize", "--on-error"): f"{BATCHES}::test_the_first_failure_ends_every_run_where_that_is_wanted",
    ("vectorize", "--skip-done"): f"{BATCHES}::test_what_the_report_knows_as_done_is_left",
    ("vectorize", "--jobs"): f"{BATCHES}::test_every_command_takes_jobs",
    ("tiles", "--from"): f"{BATCHES}::test_lists_patterns_and_reports_serve_every_command",
    ("tiles", "--only"): f"{BATCHES}::test_lists_patterns_and_reports_serve_every_command",
    ("tiles", "--report"): f"{BATCHES}::test_lists_patterns_and_reports_serve_every_command",
    ("tiles", "--on-error"): f"{BATCHES}::test_the_first_failure_ends_every_run_where_that_is_wanted",
    ("tiles", "--skip-done"): f"{BATCHES}::test_what_the_report_knows_as_done_is_left",
    ("tiles", "--jobs"): f"{BATCHES}::test_every_command_takes_jobs",
    ("roads", "--from"): f"{BATCHES}::test_lists_patterns_and_reports_serve_every_command",
    ("roads", "--only"): f"{BATCHES}::test_lists_patterns_and_reports_serve_every_command",
    ("roads", "--report"): f"{BATCHES}::test_lists_patterns_and_reports_serve_every_command",
    ("roads", "--on-error"): f"{BATCHES}::test_the_first_failure_ends_every_run_where_that_is_wanted",
    ("roads", "--skip-done"): f"{BATCHES}::test_what_the_report_knows_as_done_is_left",
    ("roads", "--jobs"): f"{BATCHES}::test_every_command_takes_jobs",
    ("segment", "--jobs"): f"{BATCHES}::test_two_jobs_map_as_one_does",
    ("roads", "--sieve"): f"{ROADS}::test_the_sieve_absorbs_specks",
    ("roads", "--min-hole"): f"{ROADS}::test_small_holes_are_filled",
    ("roads", "--max-width"): f"{ROADS}::test_what_is_wider_gets_a_line_around_it",
    ("roads", "--spur"): f"{ROADS}::test_short_spurs_are_left_out",
    ("roads", "--bridge"): f"{ROADS}::test_gaps_are_bridged_up_to_a_price",
    ("roads", "--min-length"): f"{ROADS}::test_short_parts_are_left_out",
    ("roads", "--simplify"): f"{ROADS}::test_simplify_leaves_out_corners",
    ("roads", "--classes"): f"{ROADS}::test_classes_say_what_is_a_road",
    ("roads", "--probabilities-raster"): f"{ROADS}::test_probabilities_and_their_threshold_make_the_roads",
    ("roads", "--threshold"): f"{ROADS}::test_probabilities_and_their_threshold_make_the_roads",
    ("roads", "--clip"): f"{ROADS}::test_clip_keeps_the_roads_inside",
    ("roads", "--output"): f"{ROADS}::test_output_format_layer_name_and_crs_are_those_asked_for",
    ("roads", "--format"): f"{ROADS}::test_output_format_layer_name_and_crs_are_those_asked_for",
    ("roads", "--layer-name"): f"{ROADS}::test_output_format_layer_name_and_crs_are_those_asked_for",
    ("roads", "--crs"): f"{ROADS}::test_output_format_layer_name_and_crs_are_those_asked_for",
    ("roads", "--assume-crs"): f"{ROADS}::test_a_map_without_a_crs_needs_one_assumed",
    ("roads", "--threads"): f"{ROADS}::test_threads_overwrite_json_and_voice",
    ("roads", "--overwrite"): f"{ROADS}::test_threads_overwrite_json_and_voice",
    ("roads", "--json"): f"{ROADS}::test_threads_overwrite_json_and_voice",
    ("roads", "--quiet"): f"{ROADS}::test_threads_overwrite_json_and_voice",
    ("roads", "--verbose"): f"{ROADS}::test_threads_overwrite_json_and_voice",
    ("route", "--min-width"): f"{ROADS}::test_width_and_bridges_decide_which_way_is_taken",
    ("route", "--no-bridges"): f"{ROADS}::test_width_and_bridges_decide_which_way_is_taken",
    ("route", "--layer"): f"{ROADS}::test_the_layer_of_lines_is_named",
    ("route", "--assume-crs"): f"{ROADS}::test_a_network_without_a_crs_needs_one_assumed",
    ("route", "--output"): f"{ROADS}::test_the_way_is_written_said_and_told",
    ("route", "--overwrite"): f"{ROADS}::test_the_way_is_written_said_and_told",
    ("route", "--json"): f"{ROADS}::test_the_way_is_written_said_and_told",
    ("route", "--quiet"): f"{ROADS}::test_the_way_is_written_said_and_told",
    ("route", "--verbose"): f"{ROADS}::test_the_way_is_written_said_and_told",
    ("areas", "--output"): f"{AREAS}::test_the_table_is_text_on_stdout_and_csv_in_a_file",
    ("areas", "--overwrite"): f"{AREAS}::test_the_table_is_text_on_stdout_and_csv_in_a_file",
    ("areas", "--zones"): f"{AREAS}::test_zones_are_called_by_an_attribute_of_a_layer",
    ("areas", "--zone-name"): f"{AREAS}::test_zones_are_called_by_an_attribute_of_a_layer",
    ("areas", "--layer"): f"{AREAS}::test_zones_are_called_by_an_attribute_of_a_layer",
    ("areas", "--json"): f"{AREAS}::test_zones_are_called_by_an_attribute_of_a_layer",
    ("areas", "--quiet"): f"{AREAS}::test_quiet_and_verbose_are_those_of_every_command",
    ("areas", "--verbose"): f"{AREAS}::test_quiet_and_verbose_are_those_of_every_command",
    ("models import", "--resolution"): f"{IMPORT}::test_what_a_file_does_not_say_is_said_by_options",
    ("models import", "--classes"): f"{IMPORT}::test_what_a_file_does_not_say_is_said_by_options",
    ("models import", "--background"): f"{IMPORT}::test_what_a_file_does_not_say_is_said_by_options",
    ("models import", "--bands"): f"{IMPORT}::test_what_a_file_does_not_say_is_said_by_options",
    ("models import", "--data-type"): f"{IMPORT}::test_what_a_file_does_not_say_is_said_by_options",
    ("models import", "--colors"): f"{IMPORT}::test_what_a_file_does_not_say_is_said_by_options",
    ("models import", "--name"): f"{IMPORT}::test_what_a_file_does_not_say_is_said_by_options",
    ("models import", "--license"): f"{IMPORT}::test_what_a_file_does_not_say_is_said_by_options",
    ("models import", "--scale"): f"{IMPORT}::test_scale_says_what_the_network_takes",
    ("models import", "--head"): f"{IMPORT}::test_head_gives_and_threshold_choose_the_output_and_its_meaning",
    ("models import", "--gives"): f"{IMPORT}::test_head_gives_and_threshold_choose_the_output_and_its_meaning",
    ("models import", "--threshold"): f"{IMPORT}::test_head_gives_and_threshold_choose_the_output_and_its_meaning",
    ("models import", "--output"): f"{IMPORT}::test_import_writes_where_it_is_told_and_replaces_only_when_asked",
    ("models import", "--overwrite"): f"{IMPORT}::test_import_writes_where_it_is_told_and_replaces_only_when_asked",
    ("models import", "--json"): f"{IMPORT}::test_import_writes_where_it_is_told_and_replaces_only_when_asked",
    ("models import", "--check"): f"{IMPORT}::test_check_maps_a_scene_and_draws_it_beside_the_model",
    ("models import", "--quiet"): f"{IMPORT}::test_import_is_quiet_or_verbose_as_any_command",
    ("models import", "--verbose"): f"{IMPORT}::test_import_is_quiet_or_verbose_as_any_command",
    ("models export", "--to"): f"{IMPORT}::test_export_writes_the_format_the_place_and_the_windows_that_are_asked_for",
    ("models export", "--output"): (
        f"{IMPORT}::test_export_writes_the_format_the_place_and_the_windows_that_are_asked_for"
    ),
    ("models export", "--window"): (
        f"{IMPORT}::test_export_writes_the_format_the_place_and_the_windows_that_are_asked_for"
    ),
    ("models export", "--overwrite"): (
        f"{IMPORT}::test_export_writes_the_format_the_place_and_the_windows_that_are_asked_for"
    ),
    ("models export", "--json"): (
        f"{IMPORT}::test_export_writes_the_format_the_place_and_the_windows_that_are_asked_for"
    ),
    ("models export", "--quiet"): f"{IMPORT}::test_export_is_quiet_or_verbose_as_any_command",
    ("models export", "--verbose"): f"{IMPORT}::test_export_is_quiet_or_verbose_as_any_command",
    ("models upgrade", "--output"): (
        "tests/model/test_stored_graph.py::test_upgrade_writes_elsewhere_and_replaces_nothing_there"
    ),
    ("models upgrade", "--json"): f"{BATCHES}::test_a_model_is_upgraded_to_a_file_with_a_suffix",
    ("models upgrade", "--quiet"): f"{BATCHES}::test_a_model_is_upgraded_to_a_file_with_a_suffix",
    ("models upgrade", "--verbose"): f"{BATCHES}::test_a_model_is_upgraded_to_a_file_with_a_suffix",
    ("verify", "--json"): (
        "tests/results/test_verify.py::test_the_command_prints_what_is_whole_and_exits_9_where_something_is_not"
    ),
    ("verify", "--quiet"): "tests/results/test_verify.py::test_the_command_is_quiet_or_verbose_as_any_other",
    ("verify", "--verbose"): "tests/results/test_verify.py::test_the_command_is_quiet_or_verbose_as_any_other",
    ("map", "--roads"): "tests/results/test_map_roads.py::test_the_network_is_that_of_the_command_and_whole",
    ("map", "--square"): f"{VECTORIZE}::test_square_gives_buildings_right_angles_and_map_does_too",
    ("vectorize", "--square"): f"{VECTORIZE}::test_square_gives_buildings_right_angles_and_map_does_too",
    ("map", "--no-page"): f"{MAP}::test_each_part_can_be_turned_off",
    ("map", "--log-file"): f"{MAP}::test_options_of_the_run_are_known_to_map",
    ("clean", "--dry-run"): "tests/cli/test_clean.py::test_what_a_killed_run_has_left_is_removed_and_said",
    ("clean", "--recursive"): "tests/cli/test_clean.py::test_folders_within_are_cleaned_where_that_is_wanted",
    ("clean", "--json"): "tests/cli/test_clean.py::test_folders_within_are_cleaned_where_that_is_wanted",
    ("clean", "--quiet"): "tests/cli/test_clean.py::test_folders_within_are_cleaned_where_that_is_wanted",
    ("clean", "--verbose"): "tests/cli/test_clean.py::test_folders_within_are_cleaned_where_that_is_wanted",
    ("doctor", "--json"): "tests/cli/test_clean.py::test_the_doctor_says_what_there_is_and_runs_a_window",
    ("doctor", "--quiet"): "tests/cli/test_clean.py::test_the_doctor_is_quiet_or_verbose_as_any_command",
    ("doctor", "--verbose"): "tests/cli/test_clean.py::test_the_doctor_is_quiet_or_verbose_as_any_command",
    ("segment", "--max-pixels"): BOUNDS,
    ("segment", "--max-block-memory"): BOUNDS,
    ("map", "--max-pixels"): BOUNDS,
    ("map", "--max-block-memory"): BOUNDS,
    ("vectorize", "--max-pixels"): BOUNDS,
    ("vectorize", "--max-block-memory"): BOUNDS,
    ("tiles", "--max-pixels"): BOUNDS,
    ("tiles", "--max-block-memory"): BOUNDS,
    ("roads", "--max-pixels"): BOUNDS,
    ("roads", "--max-block-memory"): BOUNDS,
    ("segment", "--overwrite"): f"{SEGMENT}::test_overwrite_replaces_an_older_map",
    ("segment", "--json"): f"{SEGMENT}::test_json_prints_one_object_for_each_scene_and_a_summary",
    ("segment", "--quiet"): f"{SEGMENT}::test_quiet_says_nothing_but_the_result",
    ("segment", "--verbose"): f"{SEGMENT}::test_verbose_twice_shows_the_traceback",
    ("vectorize", "--output"): f"{VECTORIZE}::test_several_maps_by_name_and_from_stdin_go_to_a_folder",
    ("vectorize", "--format"): f"{VECTORIZE}::test_several_maps_by_name_and_from_stdin_go_to_a_folder",
    ("vectorize", "--classes"): f"{VECTORIZE}::test_classes_are_chosen_by_name_or_number_and_stay_as_they_were",
    ("vectorize", "--background"): f"{VECTORIZE}::test_background_is_left_out",
    ("vectorize", "--sieve"): f"{VECTORIZE}::test_the_sieve_leaves_no_small_region_and_no_gap",
    ("vectorize", "--min-area"): f"{VECTORIZE}::test_areas_choose_polygons",
    ("vectorize", "--max-area"): f"{VECTORIZE}::test_areas_choose_polygons",
    ("vectorize", "--min-hole"): f"{VECTORIZE}::test_small_holes_are_filled",
    ("vectorize", "--simplify"): f"{VECTORIZE}::test_simplify_takes_pixels_or_metres",
    ("vectorize", "--method"): f"{VECTORIZE}::test_method_and_smooth_change_the_borders",
    ("vectorize", "--smooth"): f"{VECTORIZE}::test_method_and_smooth_change_the_borders",
    ("vectorize", "--dissolve"): f"{VECTORIZE}::test_dissolve_writes_one_multipolygon_for_each_class",
    ("vectorize", "--clip"): f"{VECTORIZE}::test_clip_keeps_the_pixels_inside",
    ("vectorize", "--confidence-raster"): f"{VECTORIZE}::test_confidence_adds_mean_and_minimum",
    ("vectorize", "--crs"): f"{VECTORIZE}::test_crs_moves_the_layer",
    ("vectorize", "--assume-crs"): f"{VECTORIZE}::test_a_map_without_a_crs_needs_one_assumed",
    ("vectorize", "--decimals"): (
        f"{VECTORIZE}::test_precision_sets_the_decimals_but_not_below_what_keeps_borders_apart"
    ),
    ("vectorize", "--layer-name"): f"{VECTORIZE}::test_layer_names_the_layer",
    ("vectorize", "--append"): "tests/layers/test_formats.py::test_append_adds_to_a_geopackage",
    ("vectorize", "--threads"): f"{VECTORIZE}::test_threads_are_as_many_as_asked_for",
    ("vectorize", "--overwrite"): f"{VECTORIZE}::test_an_output_that_exists_is_replaced_only_when_asked",
    ("vectorize", "--json"): f"{VECTORIZE}::test_json_reports_each_class_with_its_drift",
    ("vectorize", "--quiet"): f"{VECTORIZE}::test_quiet_says_nothing",
    ("vectorize", "--verbose"): f"{REPORTS}::test_vectorize_verbose_twice_shows_the_traceback",
    ("map", "--output"): f"{MAP}::test_all_parts_are_what_the_separate_commands_make",
    ("map", "--name"): f"{MAP}::test_name_is_that_of_the_results",
    ("map", "--model"): f"{MAP}::test_model_chooses_the_model",
    ("map", "--bands"): f"{MAP}::test_segment_options_reach_the_network",
    ("map", "--nodata"): f"{MAP}::test_segment_options_reach_the_network",
    ("map", "--scale"): f"{MAP}::test_segment_options_reach_the_network",
    ("map", "--resolution"): f"{MAP}::test_segment_options_reach_the_network",
    ("map", "--engine"): f"{MAP}::test_segment_options_reach_the_network",
    ("map", "--device"): f"{MAP}::test_segment_options_reach_the_network",
    ("map", "--precision"): f"{MAP}::test_segment_options_reach_the_network",
    ("map", "--threads"): f"{MAP}::test_segment_options_reach_the_network",
    ("map", "--max-memory"): f"{MAP}::test_segment_options_reach_the_network",
    ("map", "--aoi"): f"{MAP}::test_aoi_cuts_the_map",
    ("map", "--bbox"): f"{MAP}::test_segment_options_reach_the_network",
    ("map", "--on-read-error"): f"{MAP_FAULTS}::test_a_damaged_block_that_is_let_pass_ends_with_3",
    ("map", "--confidence"): f"{MAP}::test_confidence_lies_beside_the_map_and_with_its_polygons",
    ("map", "--format"): f"{MAP}::test_format_sieve_and_simplify_shape_the_layer",
    ("map", "--window"): f"{MAP}::test_windows_are_those_of_segment",
    ("map", "--halo"): f"{MAP}::test_windows_are_those_of_segment",
    ("map", "--stitch"): f"{MAP}::test_windows_are_those_of_segment",
    ("map", "--tta"): f"{MAP}::test_windows_are_those_of_segment",
    ("map", "--batch"): f"{MAP}::test_windows_are_those_of_segment",
    ("map", "--probabilities"): f"{MAP}::test_probabilities_lie_beside_the_map",
    ("map", "--co"): f"{MAP}::test_probabilities_lie_beside_the_map",
    ("map", "--dry-run"): f"{MAP}::test_dry_run_says_what_it_would_take_and_makes_nothing",
    ("map", "--classes"): f"{MAP}::test_the_layer_takes_what_vectorize_takes",
    ("map", "--background"): f"{MAP}::test_the_layer_takes_what_vectorize_takes",
    ("map", "--min-area"): f"{MAP}::test_the_layer_takes_what_vectorize_takes",
    ("map", "--max-area"): f"{MAP}::test_the_layer_takes_what_vectorize_takes",
    ("map", "--min-hole"): f"{MAP}::test_the_layer_takes_what_vectorize_takes",
    ("map", "--method"): f"{MAP}::test_the_layer_takes_what_vectorize_takes",
    ("map", "--smooth"): f"{MAP}::test_the_layer_takes_what_vectorize_takes",
    ("map", "--dissolve"): f"{MAP}::test_the_layer_takes_what_vectorize_takes",
    ("map", "--crs"): f"{MAP}::test_the_layer_takes_what_vectorize_takes",
    ("map", "--decimals"): f"{MAP}::test_the_layer_takes_what_vectorize_takes",
    ("map", "--sieve"): f"{MAP}::test_format_sieve_and_simplify_shape_the_layer",
    ("map", "--simplify"): f"{MAP}::test_format_sieve_and_simplify_shape_the_layer",
    ("map", "--zoom"): f"{MAP}::test_zoom_says_which_tiles",
    ("map", "--assume-crs"): f"{MAP_FAULTS}::test_without_a_crs_there_is_a_class_map_but_no_layer_and_no_tiles",
    ("map", "--no-layer"): f"{MAP}::test_each_part_can_be_turned_off",
    ("map", "--no-tiles"): f"{MAP}::test_each_part_can_be_turned_off",
    ("map", "--no-preview"): f"{MAP}::test_each_part_can_be_turned_off",
    ("map", "--no-stac"): f"{MAP}::test_each_part_can_be_turned_off",
    ("map", "--overwrite"): f"{MAP}::test_overwrite_replaces_an_older_map_and_tells_what_is_left_of_it",
    ("map", "--json"): f"{MAP}::test_json_is_the_report_and_a_summary",
    ("map", "--quiet"): f"{MAP}::test_quiet_says_nothing_but_the_results",
    ("map", "--verbose"): f"{MAP}::test_verbose_twice_shows_the_traceback",
    ("train", "--output"): f"{TRAIN}::test_output_is_by_default_named_after_the_model",
    ("train", "--check"): f"{TRAIN}::test_check_surveys_the_ground_and_trains_nothing",
    ("train", "--steps"): f"{TRAIN}::test_steps_end_a_run_sooner_or_later",
    ("train", "--overwrite"): f"{TRAIN}::test_overwrite_begins_a_run_anew",
    ("train", "--json"): f"{TRAIN}::test_json_is_one_object",
    ("train", "--quiet"): f"{TRAIN}::test_quiet_says_nothing_but_the_model_and_what_may_spoil_it",
    ("train", "--verbose"): f"{TRAIN}::test_verbose_twice_shows_the_traceback",
    ("tiles", "--output"): f"{TILES}::test_output_names_the_set_and_its_container",
    ("tiles", "--format"): f"{TILES}::test_container_is_that_of_outputs_without_a_name",
    ("tiles", "--zoom"): f"{TILES}::test_zoom_says_what_is_written",
    ("tiles", "--tile-size"): f"{TILES}::test_tile_size_is_the_side_of_a_tile",
    ("tiles", "--vector"): f"{VECTOR_TILES}::test_vector_makes_polygons_of_classes",
    ("tiles", "--simplify"): f"{VECTOR_TILES}::test_simplify_is_a_tolerance_in_pixels",
    ("tiles", "--layer-name"): f"{VECTOR_TILES}::test_layer_names_the_layer",
    ("tiles", "--confidence-raster"): f"{VECTOR_TILES}::test_confidence_adds_an_attribute",
    ("tiles", "--tile-format"): f"{TILES}::test_format_is_that_of_the_tiles",
    ("tiles", "--layer"): "tests/tiling/test_layer_job.py::test_of_several_layers_one_must_be_named",
    ("tiles", "--quality"): f"{TILES}::test_quality_is_that_of_lossy_formats",
    ("tiles", "--kind"): f"{TILES}::test_kind_says_what_a_raster_is",
    ("tiles", "--resampling"): f"{TILES}::test_resampling_nearest_takes_one_of_the_four",
    ("tiles", "--bands"): f"{TILES}::test_bands_choose_the_colours",
    ("tiles", "--nodata"): f"{TILES}::test_nodata_names_the_value_without_data",
    ("tiles", "--stretch"): f"{TILES}::test_scale_says_what_is_black_and_white",
    ("tiles", "--scheme"): f"{TILES}::test_scheme_counts_the_rows_of_a_folder",
    ("tiles", "--tms"): f"{TILES}::test_tms_chooses_the_grid_of_tiles",
    ("tiles", "--assume-crs"): f"{TILES}::test_assume_crs_places_a_map_that_names_none",
    ("tiles", "--threads"): f"{TILES}::test_threads_are_as_many_as_asked_for",
    ("tiles", "--overwrite"): f"{TILES}::test_overwrite_replaces_an_older_set",
    ("tiles", "--json"): f"{TILES}::test_json_reports_zooms_tiles_and_classes",
    ("tiles", "--quiet"): f"{TILES}::test_quiet_says_nothing",
    ("tiles", "--verbose"): f"{TILES}::test_verbose_twice_shows_the_traceback",
    ("view", "--compare"): f"{VIEW}::test_compare_shows_two_results",
    ("view", "--imagery"): f"{VIEW}::test_imagery_lies_below_the_map",
    ("view", "--inline"): f"{VIEW}::test_inline_holds_the_class_map_with_the_area_of_each_class",
    ("view", "--png"): f"{VIEW}::test_png_shows_classes_in_their_colours_beside_their_legend",
    ("view", "--size"): f"{VIEW}::test_size_is_that_of_the_longer_side",
    ("view", "--opacity"): f"{VIEW}::test_opacity_lets_the_imagery_through",
    ("view", "--port"): f"{VIEW}::test_a_port_that_is_taken_ends_with_5_and_sigterm_with_143",
    ("view", "--open"): f"{VIEW}::test_open_opens_the_page_in_a_browser_and_no_open_does_not",
    ("view", "--overwrite"): f"{VIEW}::test_overwrite_quiet_and_verbose",
    ("view", "--quiet"): f"{VIEW}::test_overwrite_quiet_and_verbose",
    ("view", "--verbose"): f"{VIEW}::test_verbose_twice_shows_the_traceback",
    ("evaluate", "--attribute"): f"{EVALUATE}::test_attribute_may_hold_names_or_ids",
    ("evaluate", "--class"): f"{EVALUATE}::test_class_makes_all_features_one_class_and_outside_names_the_rest",
    ("evaluate", "--outside"): f"{EVALUATE}::test_class_makes_all_features_one_class_and_outside_names_the_rest",
    ("evaluate", "--priority"): f"{EVALUATE}::test_priority_decides_where_features_overlap",
    ("evaluate", "--layer"): f"{EVALUATE}::test_layer_names_the_layer_of_a_vector_truth",
    ("evaluate", "--match"): f"{EVALUATE}::test_match_name_goes_by_the_names_of_both_files",
    ("evaluate", "--ignore"): f"{EVALUATE}::test_ignored_classes_do_not_count",
    ("evaluate", "--assume-crs"): f"{EVALUATE}::test_assume_crs_places_a_truth_that_names_none",
    ("evaluate", "--boundary"): f"{EVALUATE}::test_boundary_is_a_tolerance_in_metres",
    ("evaluate", "--objects"): f"{EVALUATE}::test_objects_are_compared_for_the_classes_that_are_named",
    ("evaluate", "--block"): f"{EVALUATE}::test_block_is_in_metres_and_too_few_give_no_intervals",
    ("evaluate", "--seed"): f"{EVALUATE}::test_seed_changes_the_intervals_and_nothing_else",
    ("evaluate", "--worst"): f"{EVALUATE}::test_worst_is_a_picture_of_map_truth_and_what_is_wrong",
    ("evaluate", "--worst-count"): f"{EVALUATE}::test_worst_count_is_how_many_places_are_shown",
    ("evaluate", "--fail-under"): f"{EVALUATE}::test_fail_under_exits_9_and_names_what_falls_short",
    ("evaluate", "--overwrite"): f"{EVALUATE}::test_overwrite_replaces_an_older_picture",
    ("evaluate", "--json"): f"{EVALUATE}::test_json_is_one_object",
    ("evaluate", "--quiet"): f"{EVALUATE}::test_quiet_says_nothing_but_the_report",
    ("evaluate", "--verbose"): f"{EVALUATE}::test_verbose_twice_shows_the_traceback",
    ("bench", "--model"): f"{BENCH}::test_model_is_the_one_that_was_asked_for",
    ("bench", "--engine"): f"{BENCH}::test_engine_device_and_precision_are_those_that_were_asked_for",
    ("bench", "--device"): f"{BENCH}::test_engine_device_and_precision_are_those_that_were_asked_for",
    ("bench", "--precision"): f"{BENCH}::test_engine_device_and_precision_are_those_that_were_asked_for",
    ("bench", "--window"): f"{BENCH}::test_window_is_the_side_of_the_windows",
    ("bench", "--stitch"): f"{BENCH}::test_stitch_is_the_one_that_was_asked_for",
    ("bench", "--threads"): f"{BENCH}::test_windows_are_those_that_were_asked_for",
    ("bench", "--halo"): f"{BENCH}::test_windows_are_those_that_were_asked_for",
    ("bench", "--tta"): f"{BENCH}::test_windows_are_those_that_were_asked_for",
    ("bench", "--batch"): f"{BENCH}::test_windows_are_those_that_were_asked_for",
    ("bench", "--size"): f"{BENCH}::test_size_is_the_side_of_the_noise",
    ("bench", "--json"): f"{BENCH}::test_json_holds_the_figures_and_they_fit_together",
    ("bench", "--quiet"): f"{BENCH}::test_quiet_says_nothing_but_the_table",
    ("bench", "--verbose"): f"{BENCH}::test_verbose_twice_shows_the_traceback",
    ("info", "--model"): f"{REPORTS}::test_info_model_is_the_one_that_the_scene_is_compared_with",
    ("info", "--json"): f"{REPORTS}::test_info_json_holds_the_same_as_values",
    ("compress", "--to"): f"{COMPRESS}::test_what_makes_no_sense_is_refused_and_nothing_written",
    ("compress", "--calibrate"): f"{COMPRESS}::test_calibrate_takes_several_scenes_and_sees_all_of_them",
    ("compress", "--windows"): f"{COMPRESS}::test_windows_is_how_many_it_calibrates_on_and_the_check_sees_others",
    ("compress", "--evaluate"): f"{COMPRESS}::test_evaluate_and_truth_measure_miou_before_and_after",
    ("compress", "--truth"): f"{COMPRESS}::test_evaluate_and_truth_measure_miou_before_and_after",
    ("compress", "--ignore"): f"{COMPRESS}::test_ignored_classes_of_the_truth_do_not_count",
    ("compress", "--bands"): f"{COMPRESS}::test_bands_nodata_and_scale_are_those_of_segment",
    ("compress", "--nodata"): f"{COMPRESS}::test_bands_nodata_and_scale_are_those_of_segment",
    ("compress", "--scale"): f"{COMPRESS}::test_bands_nodata_and_scale_are_those_of_segment",
    ("compress", "--output"): f"{COMPRESS}::test_output_names_the_file_or_its_folder",
    ("compress", "--overwrite"): f"{COMPRESS}::test_an_output_that_exists_is_replaced_only_when_asked",
    ("compress", "--json"): f"{COMPRESS}::test_json_holds_what_was_measured",
    ("compress", "--quiet"): f"{COMPRESS}::test_quiet_says_nothing_but_the_path_and_what_may_spoil_the_result",
    ("compress", "--verbose"): f"{COMPRESS}::test_verbose_twice_shows_the_traceback",
    ("info", "--quiet"): f"{REPORTS}::test_quiet_and_verbose_are_options_of_every_command",
    ("info", "--verbose"): f"{REPORTS}::test_quiet_and_verbose_are_options_of_every_command",
    ("models list", "--quiet"): f"{REPORTS}::test_quiet_and_verbose_are_options_of_every_command",
    ("models list", "--verbose"): f"{REPORTS}::test_quiet_and_verbose_are_options_of_every_command",
    ("models show", "--quiet"): f"{REPORTS}::test_quiet_and_verbose_are_options_of_every_command",
    ("models show", "--verbose"): f"{REPORTS}::test_quiet_and_verbose_are_options_of_every_command",
    ("models list", "--json"): f"{REPORTS}::test_models_list_json_holds_one_object_a_line",
    ("models show", "--json"): f"{REPORTS}::test_models_show_json_holds_the_card",
}  # fmt: skip


def options(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(command, option) for every option of the app, the option by its longest name."""
    for param in command.params:
        if param.param_type_name == "option":
            yield " ".join(path), max(param.opts, key=len)
    for name, child in getattr(command, "commands", {}).items():
        yield from options(child, (*path, name))


def test_every_option_names_its_test_and_no_other_is_named():
    every = set(options(typer.main.get_command(app)))
    assert set(OPTION_TESTS) == every


def test_every_test_that_is_named_exists():
    assert not missing(OPTION_TESTS.values())


def test_every_test_that_is_named_uses_its_option():
    """By either name, in the function or what its parameters hold; a Python keyword for those called from Python."""
    assert not [(option, test) for (_, option), test in OPTION_TESTS.items() if not mentions(test, option)]


def mentions(test: str, option: str) -> bool:
    """Whether the source of a test, its decorators included, mentions the option by one of its names."""
    path, name = test.split("::")
    source = (ROOT / path).read_text(encoding="utf-8")
    node = nodes_of(path)[name]
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    text = "\n".join(source.splitlines()[first - 1 : node.end_lineno])
    plain = option.removeprefix("--")
    shorts = {"--output": '"-o"', "--bands": '"-b"', "--quiet": '"-q"', "--verbose": '"-v', "--format": '"-f"'}
    return any(
        word in text for word in (option, shorts.get(option, option), f"{plain.replace('-', '_')}=", f"{plain}=")
    )
