"""Provenance: what was read, by which rules, by what code, and how to do it again."""

from __future__ import annotations

import pytest

from sweep.page.element import html
from sweep.page.sections.provenance import provenance
from tests.support.paper_run import ESCAPES, HOSTILE, document_of, feed_of, lead, made_run, tables, words


def pairs(section, caption):
    return dict(tables(section)[caption][1:])


def test_what_was_read():
    made = provenance(made_run())

    assert lead(made) == "Run 0123456789abcdef read 400 snapshots of 2 venues (1 tape, XYZ) and took 2.5 s."
    assert pairs(made, "What was read") == {
        "Source": "file: /data/day.csv",
        "Digest of the rows": "ab" * 32,
        "Symbol": "XYZ",
        "Window, UTC": "2025-03-12T14:30:00.000000000Z to 2025-03-12T14:32:00.000000000Z",
        "Quotes before it": "up to 300 s, which only build the book",
        "Venues (levels)": "XNAS (2): 1, ARCX (43): 10",
        "Counts": "400 snapshots, 500 rows, 0 trades",
    }


def test_a_topic_is_read_at_its_offsets():
    spans = [{"partition": 0, "start": 0, "end": 1200}, {"partition": 1, "start": 5, "end": 6}]
    feed = feed_of(source="kafka", topic="quotes", replay="r1", partitions=spans, messages=1198)
    read = pairs(provenance(made_run(document_of(feed=feed))), "What was read")

    assert read["Topic"] == "quotes"
    assert read["Replay"] == "r1"
    # the end of a span is not part of it
    assert read["Offsets by partition"] == "0: 0 to 1,199; 1: 5 to 5"
    assert read["Messages"] == "1,198"


def test_many_partitions_are_cut():
    spans = [{"partition": at, "start": 0, "end": 2} for at in range(100)]
    read = pairs(provenance(made_run(document_of(feed=feed_of(partitions=spans)))), "What was read")

    assert read["Offsets by partition"].endswith("39: 0 to 1; and 60 more partitions")


def test_rules_with_their_units():
    rules = {
        "conventions": "fair",
        "max_age_s": None,
        "latency_s": {"0": 0.0, "5ms": 0.005},
        "taker_fees": {"usual": {"default": 0.003, "43": -0.001}},
        "phi": [0.0, "neutral"],
        "uncross": True,
        "warmup_s": 300.0,
    }
    made = provenance(made_run(document_of(rules=rules)))
    shown = pairs(made, "Rules of the simulation, part 1 of 2") | pairs(made, "Rules of the simulation, part 2 of 2")

    assert shown == {
        "conventions": "fair",
        "max_age_s": "none",
        "latency_s": "0 0, 5ms 0.005 s",
        "taker_fees": "usual (default 0.003, ARCX (43) -0.001) $ per share",
        "phi": "0 or neutral",
        "uncross": "true",
        "warmup_s": "300 s",
    }


def test_code_and_machine():
    code = pairs(provenance(made_run()), "Code and machine")

    assert code["Hash of the question"] == "cd" * 32
    assert code["Hash of the sources"] == "ef" * 32
    assert code["Versions"] == "python 3.11.7, sor-sweep 0.1.0"
    assert code["Machine of the driver"] == "CPU, 2 CPUs, x86_64, Linux"
    assert code["Simulated"] == "8 rows in 2 chunks"
    assert tables(provenance(made_run()))["Files of the run"][1] == ["result.json", "01" * 32]
    assert tables(provenance(made_run()))["Seconds by phase"][1:] == [["sweep", "1.250"], ["total", "2.500"]]


def test_plug_ins_are_named_with_what_they_are():
    brought = {"kind": "policy", "name": "patient", "distribution": "desk", "version": "2.1", "sources": "0a" * 32}
    document = document_of()
    document["run"]["plugins"] = [brought]

    code = pairs(provenance(made_run(document)), "Code and machine")
    assert code["Plug-in, policy patient"] == f"desk 2.1, {'0a' * 32}"


def test_both_commands_can_be_copied():
    first, second = provenance(made_run(config={"order.size": 300})).iter("pre")

    assert first.text == "python -m sweep run \\\n    source=/data/day.csv \\\n    order.size=300"
    assert second.text == "python -m sweep verify /data/runs/0123456789abcdef"


@pytest.mark.parametrize(
    ("config", "manifest", "remark"),
    [
        ({"source": "-"}, {}, "The source was standard input"),
        ({"search": {"kind": "random", "seconds": 30, "combinations": 5}}, {}, "The search was limited by time"),
        ({}, {"revision": "12ab+"}, "Files of the checkout were changed since its commit"),
        ({"source": "memory:table"}, {}, "No command can ask this question"),
    ],
)
def test_what_a_command_cannot_say_is_said(config, manifest, remark):
    assert remark in words(provenance(made_run(config=config, manifest=manifest)))
    assert remark not in words(provenance(made_run()))


def test_tapes_are_listed():
    each = [feed_of(digest=f"{at:064x}") for at in range(50)]
    made = provenance(made_run(document_of(feed=feed_of(tapes=each))))
    rows = tables(made)["Tapes that were read"]

    assert len(rows) == 1 + 40
    assert rows[1] == ["XYZ 2025-03-12", "400", "500", "0", "0" * 16]
    assert "10 more tapes: in result.json, under feed.tapes." in words(made)


def test_an_old_document_lacks_parts():
    document = document_of(rules={})
    del document["run"]
    made = provenance(made_run(document, manifest={"host": {}, "revision": None}))

    assert lead(made).endswith("(1 tape, XYZ).")
    assert pairs(made, "Code and machine")["Machine of the driver"] == "none"


def test_hostile_names_do_nothing():
    feed = feed_of(source="kafka", topic=ESCAPES, place=HOSTILE, symbol=HOSTILE, replay=ESCAPES)
    document = document_of(feed=feed, rules={HOSTILE: HOSTILE, "venues": {ESCAPES: 1}})
    document["run"]["plugins"] = [
        dict.fromkeys(("kind", "name", "distribution", "version", "sources"), HOSTILE + ESCAPES)
    ]
    text = html(provenance(made_run(document, config={"source": HOSTILE, "symbol": ESCAPES})))

    assert "<img" not in text
    assert not set("\x1b\x07\u202e") & set(text)
