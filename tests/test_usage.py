"""What a provider counted."""

from __future__ import annotations

import msgspec
import pytest

from routerd.usage import Usage


def test_audio_and_images_are_counted_in_both_directions() -> None:
    usage = Usage(audio_input=1, audio_output=2, image_input=4, image_output=8)
    assert (usage.audio, usage.image) == (3, 12)


def test_nothing_counted_is_zero_and_no_cost() -> None:
    usage = Usage()
    assert (usage.prompt, usage.completion, usage.cost_picousd) == (0, 0, None)


def test_a_count_once_read_stays() -> None:
    with pytest.raises(AttributeError):
        Usage().prompt = 7  # type: ignore[misc]


def test_it_survives_being_written() -> None:
    usage = Usage(prompt=9, cached=3, searches=2, service_tier="flex", cost_picousd=5)
    assert msgspec.json.decode(msgspec.json.encode(usage), type=Usage) == usage
