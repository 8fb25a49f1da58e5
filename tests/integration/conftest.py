"""What tests on the embedded broker share."""

import pytest

from feed.broker import EmbeddedBroker


@pytest.fixture(scope="module")
def broker():
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture
def topic(broker, request):
    """The SOURCE of a topic of the test's own."""
    return broker.source("".join(letter if letter.isalnum() else "-" for letter in request.node.name))
