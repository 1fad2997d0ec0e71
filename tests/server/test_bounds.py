from __future__ import annotations

from routerd.dialects import doors
from routerd.server import bounds
from routerd.wire.sse import fields, split


def test_what_a_waiting_client_hears_is_one_whole_event_that_says_nothing() -> None:
    """A comment: an SSE client waits on, and a strict one has nothing to decode."""
    assert split(doors.WAITING) == [doors.WAITING]
    assert fields(doors.WAITING) == (None, None)


def test_a_stream_counts_as_begun_long_before_an_answer_counts_as_too_large() -> None:
    """Else a provider that only sends comments would be read until memory is short."""
    assert bounds.MOST_REFUSAL < bounds.MOST_HELD < bounds.MOST_ANSWER
