from __future__ import annotations

import json

from routerd.dialects.bedrock import face as bedrock
from routerd.dialects.shape import Target
from tests.wire.frames import stream


def test_a_question_and_its_answer() -> None:
    sent = bedrock.encode({"messages": [{"role": "user", "content": "hi"}]}, Target(model="amazon.nova-micro-v1:0"))
    assert sent.path == "/model/amazon.nova-micro-v1%3A0/converse"
    assert json.loads(sent.body) == {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    said = {"output": {"message": {"role": "assistant", "content": [{"text": "ho"}]}}, "stopReason": "end_turn"}
    answer = bedrock.decode(json.dumps(said).encode())
    assert isinstance(answer, dict)
    assert answer["choices"][0]["message"]["content"] == "ho"
    assert bedrock.decode_error(429, b"{}").status == 429


def test_each_stream_has_a_decoder_of_its_own() -> None:
    one, other = bedrock.decoder(), bedrock.decoder()
    assert one.feed(stream([("metadata", {})])) == []
    assert (one.done, other.done) == (True, False)
