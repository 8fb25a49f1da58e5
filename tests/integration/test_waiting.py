"""A reader that starts before the replay, and follows it to its end record."""

import threading
import time

import pytest

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.kafka.consumer import plan_replay
from feed.kafka.producer import replay
from feed.options import ReadOptions
from feed.source import read_source
from feed.tape import same
from tests.support.kafka.handmade import end_item, messages, put, tape

pytestmark = pytest.mark.kafka
WAIT = ReadOptions(wait=20.0)


class Steps:
    """Stands for sleeping: does the next thing each time, and knows what time it is."""

    def __init__(self, *things):
        self.now, self.things = 0.0, list(things)

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        if self.things:
            self.things.pop(0)()


def follow(topic, *things, wait=20.0, **options):
    steps = Steps(*things)
    plan = plan_replay(topic, ReadOptions(wait=wait, **options), clock=steps.clock, sleep=steps.sleep)
    return plan, steps


def read(plan):
    ((got, _),) = plan.merge([part.read() for part in plan.ranges])
    return got


def test_a_topic_that_is_not_there_yet(topic):
    sent = tape()
    plan, _ = follow(topic, lambda: None, lambda: replay(sent, topic))
    assert same(read(plan), sent)


def test_a_replay_that_comes_in_pieces(topic):
    stream = tape()
    items = messages(stream)
    put(topic, items[:100])
    ended = end_item(stream, items)
    plan, steps = follow(
        topic, *(lambda part=part: put(topic, part) for part in (items[100:300], items[300:], [ended]))
    )
    assert same(read(plan), stream)
    assert steps.things == []


def test_nothing_that_comes_is_an_error_after_the_wait(topic):
    stream = tape()
    put(topic, messages(stream)[:100])
    steps = Steps()
    with pytest.raises(FeedCorrupt, match=r"incomplete: .*hand \(100 messages\)"):
        plan_replay(topic, WAIT, clock=steps.clock, sleep=steps.sleep)
    assert 20 <= steps.now < 21
    with pytest.raises(FeedUnavailable, match="there is no topic"):
        plan_replay(topic.replace("?", "-absent?"), WAIT, clock=steps.clock, sleep=steps.sleep)


def test_what_comes_prolongs_the_wait(topic):
    stream = tape()
    items = messages(stream)
    put(topic, items[:1])
    slow = [lambda: None] * 30
    things = [*slow, lambda: put(topic, items[1:50]), *slow, lambda: put(topic, [*items[50:], end_item(stream, items)])]
    plan, steps = follow(topic, *things)
    assert steps.now > 30
    assert same(read(plan), stream)


def test_a_replay_on_its_way_is_followed_although_an_older_one_is_whole(topic):
    older, newer = tape(1), tape(2)
    replay(older, topic, partition="spread", replay_id="older")
    plan, steps = follow(topic)
    assert (plan.end.replay, steps.now) == ("older", 0.0)
    items = messages(newer, "newer")
    put(topic, items[:200])
    # it stands still: the one that is whole is read, and says what was passed over
    plan, steps = follow(topic)
    assert (plan.end.replay, steps.now) == ("older", 20.0)
    assert plan.notes == ("newer and incomplete, passed over: replays there: newer",)
    start = plan_replay(topic).end.partitions[0].end + 1
    ended = end_item(newer, items, name="newer", start=start)
    plan, _ = follow(topic, lambda: put(topic, [*items[200:], ended]))
    assert plan.end.replay == "newer"
    assert same(read(plan), newer)


def test_one_that_is_named_is_waited_for(topic):
    replay(tape(1), topic, replay_id="monday")
    sent = tape(2)
    plan, _ = follow(topic, lambda: None, lambda: replay(sent, topic, replay_id="tuesday"), replay="tuesday")
    assert same(read(plan), sent)


def test_a_reader_and_a_producer_at_the_same_time(topic):
    sent = tape()
    later = threading.Thread(target=lambda: (time.sleep(1), replay(sent, topic, speed=2)))
    later.start()
    try:
        assert same(read_source(topic, WAIT)[0], sent)
    finally:
        later.join()
