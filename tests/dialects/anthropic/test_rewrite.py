from __future__ import annotations

import json
from typing import Any

from routerd.dialects.anthropic.rewrite import rewrite, rewrite_count
from routerd.dialects.messages.face import count
from routerd.dialects.messages.reasoning import packed
from routerd.dialects.messages.request import read
from routerd.dialects.shape import Target
from tests.dialects.anthropic_corpus import count_cases, message_cases

TARGET = Target(model="claude-x", vendor=True)


def rewritten(target: Target = TARGET, **members: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    body = json.dumps({"model": "claude", "messages": [], **members}).encode()
    made = rewrite(read(body), target)
    said: dict[str, Any] = json.loads(made.body)
    return said, made.dropped


def test_recorded_requests_pass_byte_for_byte_but_for_the_model() -> None:
    for case in message_cases():
        if case.request and case.request.get("model") and isinstance(case.request.get("messages"), list):
            body = json.dumps(case.request, indent=1).encode()
            made = rewrite(read(body), TARGET)
            old = b'"model": "%b"' % case.request["model"].encode()
            assert made.body == body.replace(old, b'"model": "claude-x"', 1), case.name
            assert made.path == "/messages"
            same = rewrite(read(body), Target(model=case.request["model"]))
            assert same.body == body


def test_members_of_openrouter_are_taken_out_and_those_of_weight_reported() -> None:
    router: dict[str, Any] = {"provider": {}, "models": ["a"], "route": "x", "session_id": "s"}
    said, dropped = rewritten(
        **router, trace={}, user="u", plugins=[{"id": "web"}], preset=None, transforms=[], future=1
    )
    assert said == {"model": "claude-x", "messages": [], "future": 1}
    assert dropped == ("plugins",)


def test_openrouter_itself_gets_its_own_members() -> None:
    said, dropped = rewritten(Target(model="a/b", openrouter=True), provider={}, models=["a"], plugins=[{"id": "web"}])
    assert said == {"model": "a/b", "messages": [], "provider": {}, "plugins": [{"id": "web"}]}
    assert dropped == ()


def test_in_a_cloud_the_model_is_in_the_path() -> None:
    body = b'{"model":"claude","messages":[],"stream":true}'
    vertex = rewrite(read(body), Target(model="claude@1", frame="vertex"))
    tiered = rewrite(read(body.replace(b"{", b'{"service_tier":"auto",', 1)), Target(model="m", frame="vertex"))
    assert (tiered.body, tiered.dropped) == (vertex.body, ("service_tier",))
    assert vertex.path == "/publishers/anthropic/models/claude@1:streamRawPredict"
    assert vertex.body == b'{"messages":[],"stream":true,"anthropic_version":"vertex-2023-10-16"}'
    bedrock = rewrite(read(body), Target(model="claude:1", frame="bedrock"))
    assert bedrock.path == "/model/claude%3A1/invoke-with-response-stream"
    assert bedrock.body == b'{"messages":[],"anthropic_version":"bedrock-2023-05-31"}'


def test_tokens_are_counted_at_their_own_path_with_the_model_in_the_body() -> None:
    request = read(b'{"model":"claude","messages":[],"provider":{}}')
    made = rewrite_count(request, TARGET)
    assert made.path == "/messages/count_tokens"
    assert made.body == b'{"model":"claude-x","messages":[]}'
    vertex = rewrite_count(request, Target(model="claude@1", frame="vertex"))
    assert vertex.path == "/publishers/anthropic/models/count-tokens:rawPredict"
    assert json.loads(vertex.body)["model"] == "claude@1"


def test_recorded_counts_pass_byte_for_byte_but_for_the_model() -> None:
    cases = [case for case in count_cases() if case.request]
    assert cases
    for case in cases:
        body = json.dumps(case.request).encode()
        request = read(body)
        assert rewrite_count(request, Target(model=request.model)).body == body
        if case.fine:
            assert count(json.loads(case.body)["input_tokens"]) == case.body.replace(b" ", b"").strip()


def test_thoughts_of_other_vendors_are_kept_from_anthropic() -> None:
    foreign = {"type": "thinking", "thinking": "x", "signature": packed({"type": "reasoning.text"})}
    cipher = {"type": "redacted_thinking", "data": packed({"type": "reasoning.encrypted", "data": "d"})}
    own = {"type": "thinking", "thinking": "y", "signature": "sig"}
    word = {"type": "text", "text": "z"}
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [foreign, own, cipher, word]},
        {"role": "assistant", "content": [cipher]},
    ]
    said, _ = rewritten(messages=messages)
    assert said["messages"] == [messages[0], {"role": "assistant", "content": [own, word]}]
