"""Which files of tests run one after the other where tests run in several processes."""

from __future__ import annotations

TOGETHER = {
    "hosts": ("autoscaler", "hosts", "namespaces", "ports"),
    "kafka": (
        *("brokers", "foreign", "kafka_broker_lost", "kafka_incomplete", "kafka_secure", "kafka_topics", "kafka_whole"),
        *("partitions", "replays", "waiting", "message_examples", "foreign_shapes"),
    ),
    "ray": (
        "killed",
        "kafka_sweep",
        "default_run",
        "documented",
        "ray",
        "ray_ended",
        "recovery",
        "frames",
        "extensions",
    ),
    "browser": ("report_browser",),
    "clusters": ("cluster", "cluster_sweep", "cluster_yaml"),
}
"""What a machine should have one of at a time: names of files of tests that run one after the other, longest first."""
GROUP = {f"test_{name}.py": group for group, names in TOGETHER.items() for name in names}
