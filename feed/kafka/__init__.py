"""Quotes in Kafka: replay them into a topic, find replays there, and read one.

parse_address : read the address of a topic.
settings_of, check_fit : how a topic is set; refuse one that would not take or keep a replay.
replay, Replayed : put tapes into a topic; what was put there.
list_replays, render : find the replays of a topic; write them as a table.
ends_of : the offsets that a topic holds.
NoTopic : raised where there is none.
plan_replay : the plan that reads a replay.
plan_foreign : the plan that reads a topic that others filled.
EmbeddedBroker : a broker on loopback.
"""

from typing import TYPE_CHECKING

from feed.lazy import exports

if TYPE_CHECKING:
    from feed.kafka.address import parse_address
    from feed.kafka.client import NoTopic
    from feed.kafka.consumer import plan_replay
    from feed.kafka.embedded import EmbeddedBroker
    from feed.kafka.foreign import plan_foreign
    from feed.kafka.inventory import ends_of, list_replays, render
    from feed.kafka.producer import Replayed, replay
    from feed.kafka.topic import check_fit, settings_of
else:
    __getattr__ = exports(  # the embedded broker needs no client
        __name__,
        {
            "address": ("parse_address",),
            "client": ("NoTopic",),
            "consumer": ("plan_replay",),
            "embedded": ("EmbeddedBroker",),
            "foreign": ("plan_foreign",),
            "inventory": ("ends_of", "list_replays", "render"),
            "producer": ("Replayed", "replay"),
            "topic": ("check_fit", "settings_of"),
        },
    )

__all__ = [
    "EmbeddedBroker",
    "NoTopic",
    "Replayed",
    "check_fit",
    "ends_of",
    "list_replays",
    "parse_address",
    "plan_foreign",
    "plan_replay",
    "render",
    "replay",
    "settings_of",
]
