from __future__ import annotations

import time
from typing import Any

import pytest

from routerd.dialects.needs import needs
from routerd.needs import Needs
from routerd.spend.tokens import estimate

USER = {"role": "user", "content": "hello"}


def words(text: str) -> int:
    return len(text.split())


def needed(*messages: Any, kind: str = "chat", **members: Any) -> Needs:
    return needs({"model": "m", "messages": list(messages) or [USER], **members}, estimate=words, kind=kind)


def test_parameters_are_named_as_openrouter_names_them() -> None:
    schema = {"type": "json_schema", "json_schema": {}}
    said = needed(
        tools=[{"type": "function", "function": {"name": "f"}}],
        tool_choice="auto",
        response_format=schema,
        reasoning_effort="low",
        max_completion_tokens=9,
        temperature=0,
        seed=None,
        stream=True,
        own=1,
    )
    assert said.parameters == {
        *("tools", "tool_choice", "response_format", "structured_outputs", "reasoning", "max_tokens", "temperature")
    }
    assert said.tools
    assert said.max_tokens == 9


def test_no_tools_are_no_parameter() -> None:
    said = needed(tools=[], tool_choice="none", response_format={"type": "json_object"})
    assert said.parameters == {"response_format"}
    assert not said.tools


@pytest.mark.parametrize(
    ("kind", "modality"),
    [("image_url", "image"), ("input_audio", "audio"), ("file", "file"), ("video_url", "video"), ("odd", None)],
)
def test_parts_that_are_no_text_are_modalities(kind: str, modality: str | None) -> None:
    said = needed({"role": "user", "content": [{"type": "text", "text": "a b"}, {"type": kind, kind: {}}]})
    assert said.input_modalities == {"text", modality} - {None}
    assert said.images is (modality == "image")
    assert said.prompt_tokens == 2


def test_what_is_to_come_out() -> None:
    assert needed(modalities=["text", "audio"]).output_modalities == {"text", "audio"}
    assert needed(modalities=3).output_modalities == needed().output_modalities == {"text"}


def test_marks_for_caching_are_seen_wherever_they_stand() -> None:
    mark: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}
    assert needed({**USER, **mark}).cache_marked
    assert needed({"role": "user", "content": [{"type": "text", "text": "a", **mark}]}).cache_marked
    assert needed(tools=[{"type": "function", "function": {}, **mark}]).cache_marked
    assert needed(**mark).cache_marked
    assert not needed().cache_marked


def test_a_conversation_keeps_its_digest_as_it_grows() -> None:
    system = {"role": "system", "content": "be brief"}
    answer = {"role": "assistant", "content": "hello yourself"}
    first = needed(system, USER)
    assert first.conversation == needed(system, USER, answer, {"role": "user", "content": "and?"}).conversation
    assert first.conversation != needed(USER).conversation
    assert first.conversation != needed(system, {"role": "user", "content": "good day"}).conversation
    assert needed(system).conversation is None


def test_texts_of_calls_and_tools_count() -> None:
    call = {"id": "x", "function": {"name": "f", "arguments": '{"city": "Paris"}'}}
    assert needed(USER, {"role": "assistant", "content": None, "tool_calls": [call]}).prompt_tokens > 2
    assert needed(tools=[{"type": "function", "function": {"description": "look it up"}}]).prompt_tokens > 4


def test_other_doors_have_their_texts_elsewhere() -> None:
    embedding = needs({"model": "m", "input": ["a b", "c"]}, estimate=words, kind="embedding")
    assert (embedding.kind, embedding.prompt_tokens, embedding.conversation) == ("embedding", 3, None)
    rerank = needs({"query": "a", "documents": ["b c", {"text": "d"}]}, estimate=words, kind="rerank")
    assert rerank.prompt_tokens == 5  # the member's name is one
    assert needs({"prompt": "a b"}, estimate=words, kind="completion").prompt_tokens == 2


@pytest.mark.parametrize("odd", [None, 3, "x", [], {}, [3], [[]], True])
def test_wrong_types_are_survived(odd: Any) -> None:
    said = needed(odd, tools=odd, modalities=odd, max_tokens=odd, service_tier=odd, response_format=odd)
    assert said.max_tokens in {None, 3}
    assert needs({"messages": odd}, estimate=words).prompt_tokens == 0


def test_the_service_tier_is_told() -> None:
    assert needed(service_tier="flex").service_tier == "flex"


def test_a_long_prompt_is_sampled_and_counted_about_right() -> None:
    text = "the quick brown fox jumps over the lazy dog " * 20_000
    [*many] = [{"role": "user", "content": text[:880]} for _ in range(1000)]
    for messages in ([{"role": "user", "content": text}], many):
        begun = time.perf_counter()
        counted = needs({"messages": messages}, estimate=estimate).prompt_tokens
        assert time.perf_counter() - begun < 0.25
        assert abs(counted - estimate(text)) < 0.1 * estimate(text)
