"""Presets: how they are named, and what of them goes into a request."""

from __future__ import annotations

from typing import Any

import pytest

from routerd.errors import InvalidRequest, UnknownModel
from routerd.routing.presets import Preset, merged, named

PRESETS = {
    "mail": Preset(slug="mail", fields={"model": "a/b", "temperature": 0, "provider": {"sort": "price"}}),
    "off": Preset(slug="off", fields={"model": "a/b"}, active=False),
    "bare": Preset(slug="bare", fields={"temperature": 1}),
}


@pytest.mark.parametrize(
    ("model", "parts"),
    [("@preset/mail", ("", "mail")), ("a/b@preset/mail", ("a/b", "mail")), ("a/b", ("a/b", None)), ("", ("", None))],
)
def test_a_preset_stands_in_the_place_of_a_model_or_behind_it(model: str, parts: tuple[str, str | None]) -> None:
    assert named(model) == parts


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        ({"model": "@preset/mail"}, {"model": "a/b", "temperature": 0, "provider": {"sort": "price"}}),
        ({"model": "c/d@preset/mail"}, {"model": "c/d", "temperature": 0, "provider": {"sort": "price"}}),
        ({"model": "c/d", "preset": "mail"}, {"model": "c/d", "temperature": 0, "provider": {"sort": "price"}}),
        ({"preset": "@preset/mail"}, {"model": "a/b", "temperature": 0, "provider": {"sort": "price"}}),
        (
            {"model": "@preset/mail", "temperature": 1, "provider": {"zdr": True}},
            {"model": "a/b", "temperature": 1, "provider": {"zdr": True}},
        ),
        ({"models": ["x"], "preset": "bare"}, {"models": ["x"], "temperature": 1}),
    ],
)
def test_the_request_wins_over_its_preset_field_by_field(request_: dict[str, Any], found: dict[str, Any]) -> None:
    assert merged(request_, PRESETS) == found


def test_a_request_without_a_preset_is_the_same_object() -> None:
    request = {"model": "a/b", "preset": None}
    assert merged(request, PRESETS) is request


def function(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


def test_tools_are_merged_by_what_they_are_and_the_requests_win() -> None:
    search, fetch = {"type": "openrouter:web_search"}, {"type": "openrouter:web_fetch"}
    below = [function("a", strict=False), function("b"), search, {"type": "x", "parameters": {"name": "1"}}, "odd"]
    above = [function("a", strict=True), {**search, "max_uses": 1}, fetch, {"type": "x", "parameters": {"name": "2"}}]
    presets = {"p": Preset(slug="p", fields={"model": "m", "tools": below})}
    found = merged({"model": "@preset/p", "tools": above}, presets)["tools"]
    assert found == [function("b"), {"type": "x", "parameters": {"name": "1"}}, "odd", *above]


def test_responses_tools_have_their_name_on_top() -> None:
    presets = {"p": Preset(slug="p", fields={"model": "m", "tools": [{"type": "function", "name": "a"}]})}
    own = [{"type": "function", "name": "a", "strict": True}]
    assert merged({"model": "@preset/p", "tools": own}, presets)["tools"] == own


def test_tools_that_are_no_list_are_the_requests_own_affair() -> None:
    presets = {"p": Preset(slug="p", fields={"model": "m", "tools": [function("a")]})}
    assert merged({"model": "@preset/p", "tools": "x"}, presets)["tools"] == "x"


def test_a_preset_that_is_not_there_or_is_off_is_refused() -> None:
    with pytest.raises(UnknownModel, match='no preset is called "mial"; there are: bare, mail, off'):
        merged({"model": "@preset/mial"}, PRESETS)
    with pytest.raises(InvalidRequest, match="switched off"):
        merged({"model": "@preset/off"}, PRESETS)
    with pytest.raises(InvalidRequest, match="names no model"):
        merged({"model": "@preset/bare"}, PRESETS)
