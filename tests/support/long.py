"""Which tests are left to `make soak`, beside those that are marked so where they stand.

Each takes long with Ray, brokers or hosts. Most have another variant, or a neighbour without hosts, in `make test`;
where a machine is slow, all of them do not fit into the time that a change may wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

LONG: dict[str, tuple[str, ...]] = {
    "test_autoscaler.py": ("TestTheCluster",),
    "test_brokers.py": ("test_it_serves_until_its_end_and_nothing_is_left[15-143]",),
    "test_cluster.py": (
        "test_a_client_whose_process_on_the_cluster_crashed_at_its_start_asks_again",
        "test_worker_processes_that_another_job_ends_are_not_ours",
        "test_a_node_that_is_silent_is_given_up_within_seconds",
        "test_a_task_longer_than_a_sign_of_life_is_awaited_by_a_driver_that_set_nothing",
        "test_a_worker_that_cannot_import_the_project_is_refused_by_name",
    ),
    "test_compiling.py": (
        "test_kernels_that_are_not_compiled_give_the_same_rows",
        "test_what_is_loaded_is_what_is_called_and_a_caller_is_loaded_without_what_it_calls",
    ),
    "test_default_run.py": (
        "test_an_interrupt_ends_everything_that_was_started[15-143-False-combinations,-0]",
        "test_an_interrupt_ends_everything_that_was_started[15-143-False-embedded broker-3.0]",
        "test_an_interrupt_ends_everything_that_was_started[2-130-True-replayed-0]",
        "test_below_uv_run_workers_run_in_the_environment_of_the_driver",
    ),
    "test_documented.py": tuple(
        f"test_they_run[{page}.md]"
        for page in ("kafka", "model", "orders", "plan", "router", "runs", "search", "simulation")
    ),
    "test_foreign_shapes.py": ("test_a_mapping_that_does_not_fit_is_one_line_each",),
    "test_fuzzing.py": ("test_nothing_is_found_in_seconds[plain-8]",),
    "test_hftbacktest.py": ("test_the_restatement_does_what_hftbacktest_does",),
    "test_hosts.py": (
        "test_a_driver_that_is_killed_half_way",
        "test_a_cable_that_is_cut_and_put_back",
        "test_a_host_without_power",
        "test_a_host_that_joins_late",
        "test_a_host_without_power_between_tapes",
        "test_the_only_host_that_has_the_book_without_power",
    ),
    "test_kafka_broker_lost.py": (
        "test_a_broker_that_dies_in_a_replay_and_comes_back[json-1-confluent]",
        "test_a_broker_that_dies_in_a_replay_and_comes_back[json-1-kafka-python]",
        "test_the_leader_dies_in_a_replay_and_the_others_go_on[arrow-4-confluent]",
        "test_the_leader_dies_in_a_read_and_the_others_go_on[json-1]",
    ),
    "test_kafka_incomplete.py": (
        "test_a_producer_killed_half_way_leaves_an_incomplete_replay[arrow-4]",
        "test_an_older_complete_replay_is_read_although_a_newer_producer_was_killed[arrow-4]",
    ),
    "test_kafka_secure.py": ("test_the_commands_take_the_settings_and_nobody_hears_the_secret[file]",),
    "test_kafka_sweep.py": (
        "test_a_topic_gives_the_document_of_the_file_that_filled_it[ray, waiting for an exact fit]",
        "test_a_topic_of_two_symbols_is_two_tapes",
        "test_ten_levels_come_through_a_topic_and_a_reader_of_one_takes_the_first[json]",
        "test_what_is_tolerated_is_counted_and_put_into_a_file[ray]",
        "test_a_malformed_message_is_one_line_from_a_task_on_ray_too",
    ),
    "test_kafka_whole.py": (
        "test_a_day_through_kafka_is_the_day_of_the_file[three-json-4-taq_day]",
        "test_a_day_through_kafka_is_the_day_of_the_file[one-json-1-l1_day]",
        "test_a_day_through_kafka_is_the_day_of_the_file[three-arrow-4-l1_day]",
        "test_two_producers_at_once_are_two_whole_replays[arrow-4]",
    ),
    "test_killed.py": (
        "test_a_driver_that_is_ended_half_way_is_resumed_and_repeats_no_more_than_was_in_flight[2]",
        "test_a_driver_that_is_killed_between_tapes_goes_on_in_the_tape_where_it_was",
        "test_a_run_goes_on_with_the_replay_that_it_began_with",
    ),
    "test_ports.py": (
        "TestOfACluster",
        "TestOfASingleNode",
        "test_the_firewall_of_the_readme_leaves_22_only",
        "test_a_call_that_ends_the_gcs_is_why_the_token_is_not_enough",
    ),
    "test_ray.py": (
        "test_rows_are_byte_identical_inline_and_on_one_and_two_workers[orders0-workers0]",
        "test_rows_are_byte_identical_inline_and_on_one_and_two_workers[orders2-workers2]",
        "test_days_of_a_directory_are_byte_identical_inline_and_on_ray",
    ),
    "test_ray_ended.py": (
        "test_a_server_of_ray_that_is_killed_is_one_line_and_the_run_is_resumed[raylet]",
        "test_workers_that_something_ends_each_time_as_they_begin_are_a_standstill",
    ),
}
"""File names to names of classes or tests: all variants of a test, or the one whose id is given, too."""


def is_long(item: pytest.Item) -> bool:
    """Whether this test is among them."""
    names = {item.name, item.name.partition("[")[0], *(parent.name for parent in item.listchain())}
    return not names.isdisjoint(LONG.get(item.path.name, ()))
