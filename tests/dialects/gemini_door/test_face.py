"""The door as a whole: Gemini's own answers through it and back, and other vendors' reasoning through its clients."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import chats, types

from routerd.dialects.gemini import face as gemini
from routerd.dialects.gemini_door import face as gemini_door
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.shape import Origin
from routerd.errors import CoolingDown
from tests.dialects.gemini_corpus import Said, events_of, gemini_cases, said

Json = dict[str, Any]
ORIGIN = Origin(id="gen-1", model="google/gemini-2.5-flash", created=1)


@pytest.mark.parametrize(
    ("path", "query", "found"),
    [
        ("/v1beta/models/gemini-2.5-flash:generateContent", "", ("gemini-2.5-flash", "generateContent", False)),
        ("/v1/models/m:streamGenerateContent", "alt=sse", ("m", "streamGenerateContent", True)),
        ("/models/m:streamGenerateContent", "key=k", ("m", "streamGenerateContent", False)),
        ("/v1beta/models/m:countTokens", "", ("m", "countTokens", False)),
        (
            "/v1beta/models/anthropic/claude-sonnet-4.5:generateContent",
            "",
            ("anthropic/claude-sonnet-4.5", "generateContent", False),
        ),
        ("/v1beta/models/anthropic%2Fclaude:generateContent", "", ("anthropic/claude", "generateContent", False)),
        ("/v1/models/ollama/llama3.2:1b:generateContent", "", ("ollama/llama3.2:1b", "generateContent", False)),
        ("/v1beta1/publishers/google/models/m:generateContent", "", ("m", "generateContent", False)),
        ("/v1beta/models/models/m:generateContent", "", ("m", "generateContent", False)),
        ("/v1beta/models/m:embedContent", "", None),
        ("/v1beta/models/m", "", None),
        ("/v1beta/models/:generateContent", "", None),
        ("/v1/chat/completions", "", None),
    ],
)
def test_the_path_says_model_and_method(path: str, query: str, found: tuple[str, str, bool] | None) -> None:
    assert gemini_door.route(path, query) == found


def strict(event: Json) -> Json:
    """The event, all of whose members Google's SDK knows but for what OpenRouter adds to usage."""
    metadata = {k: v for k, v in event.get("usageMetadata", {}).items() if k not in ("cost", "cost_details", "is_byok")}
    read = types.GenerateContentResponse.model_validate({**event, "usageMetadata": metadata})
    assert chats._validate_response(read)  # else a chat of the SDK's leaves the turn out of its history
    return event


def comparable(read: Said, *, streamed: bool) -> tuple[Any, ...]:
    calls = [(name, arguments) for _, name, arguments in read.calls]
    counts = (read.prompt, read.completion, read.reasoning, read.cached)
    signatures = sorted(read.signatures)
    return (read.text, read.thoughts, calls, read.finish, counts, signatures, read.sources if not streamed else None)


def test_googles_answers_mean_the_same_behind_the_door() -> None:
    for case in gemini_cases("gemini.generate"):
        completion = gemini.decode(case.body)
        assert not isinstance(completion, ProviderError)
        answer = strict(json.loads(gemini_door.answer(completion, ORIGIN)))
        assert (answer["responseId"], answer["modelVersion"]) == (ORIGIN.id, ORIGIN.model)
        events = events_of(case.body)
        if "promptFeedback" in events[0]:
            assert answer["candidates"][0]["finishReason"] == "MODEL_ARMOR"
        elif b"toolCall" not in case.body:
            theirs, ours = (comparable(said(read), streamed=False) for read in (events, [answer]))
            assert theirs[:-1] == ours[:-1], case.name
            assert theirs[-1] <= ours[-1]


@pytest.mark.parametrize("sse", [True, False])
def test_googles_streams_mean_the_same_behind_the_door(sse: bool) -> None:
    for case in gemini_cases("gemini.stream"):
        if b"partialArgs" in case.body or b"toolCall" in case.body:
            continue
        decoder, encoder = gemini.decoder(), gemini_door.encoder(ORIGIN, sse=sse)
        chunks = decoder.feed(case.body) + decoder.close()
        written = b"".join(encoder.chunk(chunk) for chunk in chunks) + encoder.end()
        assert written.startswith(b"data: {" if sse else b"[{")
        events = [strict(event) for event in events_of(written)]
        assert ["usageMetadata" in event for event in events] == [False] * (len(events) - 1) + [True]
        theirs, ours = (comparable(said(read), streamed=True) for read in (events_of(case.body), events))
        assert theirs == ours, case.name


def test_another_vendors_reasoning_comes_back_from_a_gemini_client() -> None:
    details = [
        {"type": "reasoning.text", "text": "hm", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "opaque", "format": "anthropic-claude-v1", "index": 1},
    ]
    call = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    message = {"role": "assistant", "content": "x", "reasoning": "hm", "reasoning_details": details}
    completion = {"choices": [{"index": 0, "message": {**message, "tool_calls": [call]}, "finish_reason": "stop"}]}
    content = strict(json.loads(gemini_door.answer(completion, ORIGIN)))["candidates"][0]["content"]
    assert "thoughtSignature" in next(part for part in content["parts"] if "functionCall" in part)
    for kept in (content["parts"], [part for part in content["parts"] if not part.get("thought")]):
        request = {"contents": [{"parts": [{"text": "q"}]}, {"role": "model", "parts": kept}]}
        chat = gemini_door.to_chat(json.dumps(request).encode(), model="m", stream=False)
        assert chat["messages"][1]["reasoning_details"] == details
        assert chat["messages"][1]["tool_calls"] == [call]


def test_tokens_and_refusals_are_in_googles_form() -> None:
    assert json.loads(gemini_door.counted(7)) == {"totalTokens": 7}
    assert types.CountTokensResponse.model_validate_json(gemini_door.counted(7)).total_tokens == 7
    refusal = json.loads(gemini_door.error(CoolingDown("wait", retry_after=12)))["error"]
    assert (refusal["code"], refusal["status"], refusal["message"]) == (429, "RESOURCE_EXHAUSTED", "wait")
    assert gemini.retry_delay(gemini_door.error(CoolingDown("wait", retry_after=12))) == 12
