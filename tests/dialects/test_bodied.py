from __future__ import annotations

import json

import pytest

from routerd.dialects import bodied
from routerd.dialects.bedrock import face as bedrock
from routerd.dialects.bodied import chunk_of
from routerd.dialects.cohere import face as cohere
from routerd.dialects.responses import face as responses
from routerd.dialects.shape import Decoder
from tests.dialects.bedrock_recordings import cases as bedrock_cases
from tests.dialects.recorded import cuts, drained, exchanges

RESPONSE = {
    "id": "resp_1",
    "model": "m",
    "status": "completed",
    "output": [
        {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ],
    "usage": {"input_tokens": 1, "output_tokens": 2},
}


def test_a_body_is_one_chunk_however_it_is_cut() -> None:
    body = b"\n " + json.dumps(RESPONSE).encode()
    read = [drained(responses.decoder(), cut) for cut in cuts(body)]
    assert all(each == read[0] for each in read)
    [chunk], error, done = read[0]
    assert (error, done) == (None, True)
    (choice,) = chunk["choices"]
    assert choice["delta"]["content"] == "Hi"
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert choice["delta"]["tool_calls"] == [call]
    assert choice["finish_reason"] == "tool_calls"
    assert chunk["usage"]["completion_tokens"] == 2
    assert chunk["object"] == "chat.completion.chunk"


def test_recorded_answers_say_the_same_as_streams() -> None:
    whole = [case.body for case in exchanges("cohere.v2.chat") if case.status == 200 and not case.streamed]
    for module, bodies in ((cohere, whole), (bedrock, [c.body for c in bedrock_cases("bedrock.converse")])):
        assert bodies
        for body in bodies:
            completion = module.decode(body)
            chunks, error, done = drained(module.decoder(), [body])
            if isinstance(completion, dict):
                assert chunks == [chunk_of(completion)]
                assert done
            else:
                assert (chunks, done) == ([], False)
                assert error == completion


@pytest.mark.parametrize("decoder", [responses.decoder, cohere.decoder, bedrock.decoder])
@pytest.mark.parametrize("body", [b'{"message":"no"}', b'{"half', b"{}"])
def test_a_body_that_is_no_answer_is_an_error(decoder: type[Decoder], body: bytes) -> None:
    chunks, error, done = drained(decoder(), [body])
    assert chunks == []
    assert error is not None
    assert not done


def test_what_comes_after_the_end_of_a_body_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = responses.decoder()
    decoder.feed(json.dumps(RESPONSE).encode())
    assert len(decoder.close()) == 1
    assert decoder.close() == []
    monkeypatch.setattr(bodied, "LONGEST", 10)
    chunks, error, done = drained(responses.decoder(), [b'{"a":"', b"x" * 10, b'"}'])
    assert chunks == []
    assert error is not None
    assert error.status == 502
    assert not done


def test_events_are_left_to_the_stream() -> None:
    decoder = responses.decoder()
    assert decoder.feed(b"\n") == []
    event = b'data: {"type":"response.created","response":{"id":"r","model":"m"}}\n\n'
    assert decoder.feed(event)[0]["id"] == "r"
    assert not decoder.done
    assert decoder.error is None


def test_blanks_before_all_else_say_nothing_however_they_come() -> None:
    for blanks in ([b"\r\n {"], [b"\r", b"\n {"], [b"\r\n", b" ", b"{"]):
        stream = bedrock.decoder()
        assert [chunk for data in blanks for chunk in stream.feed(data)] == []
        assert stream.close() == []
        assert (stream.error and stream.error.raw) == "{"
