"""What may be continued, with which request, and how it is marked."""

from __future__ import annotations

import pytest

from routerd.needs import Needs
from routerd.routing.continuation import Told, continued, obstacle, rest, stage

TOLD = Told(text="Once upon a ")


@pytest.mark.parametrize(
    ("told", "needs", "why"),
    [
        (TOLD, Needs(), None),
        (TOLD, Needs(tools=True, parameters=frozenset({"tools"})), None),
        (Told(text="x", reasoning=True), Needs(), None),
        (Told(text="x", choices=2), Needs(), "several choices"),
        (Told(text="x", tool_calls=True), Needs(), "calls tools"),
        (Told(text="", reasoning=True), Needs(), "while thinking"),
        (Told(text=" \n"), Needs(), "no text"),
        (TOLD, Needs(output_modalities=frozenset({"text", "audio"})), "not only text"),
        (TOLD, Needs(parameters=frozenset({"response_format"})), "response_format asks"),
        (TOLD, Needs(parameters=frozenset({"logprobs", "top_logprobs"})), "logprobs, top_logprobs asks"),
    ],
)
def test_only_plain_text_can_be_continued(told: Told, needs: Needs, why: str | None) -> None:
    found = obstacle(needs, told)
    assert found is None if why is None else why in (found or "")


def test_the_text_so_far_is_the_beginning_of_the_answer() -> None:
    request = {"model": "m", "messages": [{"role": "user", "content": "Tell"}], "seed": 1}
    assert continued(request, TOLD) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Tell"}, {"role": "assistant", "content": "Once upon a"}],
        "seed": 1,
    }
    assert len(request["messages"]) == 1, "the request itself is as it was"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "begins", "shown"),
    [("a ", " time", "time"), ("a ", "time", "time"), ("a", " time", " time"), ("a\n\n", "\n\nb", "b"), ("a ", "", "")],
)
def test_space_that_the_client_has_already_is_not_sent_again(text: str, begins: str, shown: str) -> None:
    assert rest(Told(text=text), begins) == shown


def test_it_is_marked() -> None:
    found = stage("groq", "openai")
    assert found["name"] == "continuation"
    assert found["data"] == {"from": "groq", "to": "openai"}
