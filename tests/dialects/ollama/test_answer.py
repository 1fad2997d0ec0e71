from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.ollama.answer import LineDecoder, completion
from routerd.dialects.openai.error import ProviderError
from tests.dialects.recorded import cuts, drained

HEAD = {"model": "llama", "created_at": "2026-01-01T00:00:00Z"}
CALL = {"function": {"name": "f", "arguments": {"a": 1}}}


def line(message: Any = None, **members: Any) -> bytes:
    return json.dumps({**HEAD, "message": message, "done": False, **members}).encode() + b"\n"


END = line({"content": ""}, done=True, done_reason="stop", prompt_eval_count=3, eval_count=4)


def test_a_stream_is_read_line_by_line_however_it_is_cut() -> None:
    body = line({"thinking": "hm"}) + line({"content": "yes"}) + b"\n" + END
    read = [drained(LineDecoder(), pieces) for pieces in cuts(body)]
    assert all(each == read[0] for each in read)
    chunks, error, done = read[0]
    assert (error, done) == (None, True)
    thought, text, last = [chunk["choices"][0] for chunk in chunks]
    assert (thought["delta"]["reasoning"], text["delta"]) == ("hm", {"content": "yes"})
    assert last == {"index": 0, "delta": {}, "finish_reason": "stop", "native_finish_reason": "stop"}
    assert chunks[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert chunks[0]["model"] == "llama"


def test_calls_come_whole_with_ids_of_their_own_and_change_the_finish_reason() -> None:
    body = line({"tool_calls": [CALL, CALL]}) + line({"tool_calls": [CALL]}) + END
    chunks, _, _ = drained(LineDecoder(), [body])
    calls = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert [call["index"] for call in calls] == [0, 1, 2]
    assert len({call["id"] for call in calls}) == 3
    assert {call["function"]["arguments"] for call in calls} == {'{"a":1}'}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert chunks[-1]["choices"][0]["native_finish_reason"] == "stop"
    assert drained(LineDecoder(), [body])[0] == chunks


def test_an_error_in_the_stream_ends_it() -> None:
    chunks, error, done = drained(LineDecoder(), [line({"content": "a"}), b'{"error":"out of memory"}\n', END])
    assert error is not None
    assert (error.message, done, len(chunks)) == ("out of memory", False, 1)


def test_a_last_line_without_its_end_is_read_and_nothing_after_the_end_is() -> None:
    assert drained(LineDecoder(), [END.rstrip(b"\n")])[2]
    assert len(drained(LineDecoder(), [END + line({"content": "more"})])[0]) == 1


def test_the_length_is_told_and_a_missing_reason_is_a_stop() -> None:
    for reason, mapped in (("length", "length"), ("load", "stop"), (None, "stop")):
        whole = json.dumps({**HEAD, "message": {"content": "x"}, "done": True, "done_reason": reason}).encode()
        answer = completion(whole)
        assert not isinstance(answer, ProviderError)
        assert answer["choices"][0]["finish_reason"] == mapped
        assert answer["usage"]["total_tokens"] == 0


def test_an_error_in_an_answer_is_an_error() -> None:
    error = completion(b'{"error": "model requires more system memory"}')
    assert isinstance(error, ProviderError)
    assert error.message == "model requires more system memory"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["content", "thinking", "tool_calls", "function", "name", "arguments", "id"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4), st.binary(max_size=20))
def test_lines_of_any_shape_never_raise(messages: list[Any], garbage: bytes) -> None:
    body = b"".join(line(message, done=len(messages) % 2 == 1) for message in messages) + garbage
    read = [drained(LineDecoder(), pieces) for pieces in cuts(body)]
    assert all(each == read[0] for each in read)
