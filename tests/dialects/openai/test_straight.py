from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.openai import straight as openai
from routerd.errors import InvalidRequest
from tests.dialects.corpus import chat_cases

HEAD = b'{"model":"m","messages":[]'


def body(**members: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [], **members}, separators=(",", ":")).encode()


def encoded(sent: bytes, *, ask_usage: bool = False, to_openrouter: bool = False) -> openai.Encoded:
    return openai.encode(openai.read(sent), model="m", ask_usage=ask_usage, to_openrouter=to_openrouter)


def test_a_request_is_read() -> None:
    request = openai.read(
        body(
            stream=True,
            models=["n", "m", "o"],
            provider={"sort": "price"},
            session_id="s",
            user="u",
            stream_options={"include_usage": True},
        )
    )
    assert (request.model, request.models, request.wanted) == ("m", ("n", "m", "o"), ("m", "n", "o"))
    assert (request.stream, request.asked_usage, request.openrouter) == (True, True, True)
    assert request.preferences is not None
    assert bytes(request.preferences) == b'{"sort":"price"}'
    assert (request.session_id, request.user) == ("s", "u")


def test_a_plain_request_asks_for_nothing_more() -> None:
    request = openai.read(body(stream=None, reasoning="x", stream_options=None, session_id=None))
    assert (request.stream, request.asked_usage, request.preferences) == (False, False, None)
    assert (request.session_id, request.user, request.models) == (None, None, ())
    assert not openai.read(body(reasoning_effort="low", stream_options={"include_usage": False})).openrouter


@pytest.mark.parametrize(
    "members",
    [{"stream_options": {"include_usage": True}}, {"usage": {"include": True}}],
)
def test_usage_is_asked_for_in_two_words(members: dict[str, Any]) -> None:
    assert openai.read(body(**members)).asked_usage


@pytest.mark.parametrize(
    "member", ["provider", "models", "route", "plugins", "session_id", "trace", "preset", "transforms", "usage"]
)
def test_a_member_of_openrouters_own_shows_its_client(member: str) -> None:
    assert openai.read(body(**{member: None})).openrouter


def test_reasoning_as_an_object_is_openrouters() -> None:
    assert openai.read(body(reasoning={})).openrouter


@pytest.mark.parametrize("model", [b"", b'"model":null,'])
def test_the_first_of_models_stands_in_for_a_model(model: bytes) -> None:
    request = openai.read(b"{%b" % model + b'"models":["a","b"],"messages":[]}')
    assert (request.model, request.wanted) == ("a", ("a", "b"))
    sent = openai.encode(request, model="x", ask_usage=False, to_openrouter=False).body
    assert json.loads(sent) == {"model": "x", "messages": []}


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"", "the body is not JSON: input data was truncated"),
        (b'{"model":}', "the body is not JSON: invalid character (byte 9)"),
        (b'{"model":"\xff"}', "the body is not UTF-8 (byte 10)"),
        (b"[]", "the body is not a JSON object"),
        (b'{"a":' + b"[" * 100_000, "the body is nested too deeply"),
        (b'{"model":"a","model":"b"}', "the member `model` stands twice in the body; send it once"),
        (
            HEAD + b',"stream_options":{"a":1,"a":2}}',
            "`stream_options` holds the member `a` twice; send it once",
        ),
        (b'{"messages":[]}', "`model` is missing; it must be the name of a model, as text"),
        (b'{"model":" ","messages":[]}', "`model` must be the name of a model, as text, not empty"),
        (b'{"model":7,"messages":[]}', "`model` must be the name of a model, as text, not number"),
        (b'{"model":null,"models":[],"messages":[]}', "`model` must be the name of a model, as text, not null"),
        (b'{"model":"m"}', "`messages` is missing; it must be an array"),
        (b'{"model":"m","messages":{}}', "`messages` must be an array, not object"),
        (HEAD + b',"stream":"true"}', "`stream` must be true or false, not text"),
        (HEAD + b',"models":"a"}', "`models` must be an array of model names, not text"),
        (HEAD + b',"models":["a",7]}', "`models[1]` must be the name of a model, as text"),
        (HEAD + b',"models":[1e999]}', "`models` must be an array of model names, not array"),
        (HEAD + b',"provider":"openai"}', "`provider` must be an object, not text"),
    ],
)
def test_a_request_that_is_wrong_is_told_which_member_and_what_is_expected(sent: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        openai.read(sent)
    assert caught.value.message == message


def test_only_the_model_changes_in_a_plain_request() -> None:
    sent = b' {\n "model" : "m\\u0061" ,"temperature":0.70, "messages": [ ] , "x_unknown":{"a":1E2} }\n'
    request = openai.read(sent)
    out = openai.encode(request, model="other", ask_usage=False, to_openrouter=False)
    assert out == openai.Encoded(sent.replace(b'"m\\u0061"', b'"other"'))
    assert openai.encode(request, model="ma", ask_usage=True, to_openrouter=False).body is sent


def test_bookkeeping_is_taken_out_without_a_word_and_what_has_an_effect_is_reported() -> None:
    sent = body(
        provider={"sort": "price"},
        models=["a"],
        route="fallback",
        session_id="s",
        trace={"a": 1},
        usage={"include": True},
        plugins=[{"id": "web"}],
        transforms=["middle-out"],
        preset="p",
        other=1,
    )
    assert encoded(sent) == openai.Encoded(body(other=1), ("plugins", "transforms", "preset"))
    ours = b'"models":["a"],"route":"fallback",'
    assert ours in sent
    assert encoded(sent, to_openrouter=True) == openai.Encoded(sent.replace(ours, b""))


def test_what_has_no_effect_is_not_reported() -> None:
    assert encoded(body(plugins=[], transforms=None, preset="")) == openai.Encoded(body())


@pytest.mark.parametrize(
    ("reasoning", "effort", "dropped"),
    [
        ({"effort": "high"}, "high", ()),
        ({"effort": "none"}, "none", ()),
        ({"effort": "none", "enabled": False}, "none", ()),
        ({"effort": "low", "enabled": True}, "low", ()),
        ({"enabled": True}, "medium", ()),
        ({"enabled": False}, None, ("reasoning.enabled",)),
        ({"effort": None, "exclude": False, "max_tokens": None}, None, ()),
        ({"max_tokens": 2000}, None, ("reasoning.max_tokens",)),
        ({"effort": "low", "exclude": True, "summary": "auto"}, "low", ("reasoning.exclude", "reasoning.summary")),
        ({}, None, ()),
    ],
)
def test_reasoning_becomes_the_one_word_there_is(
    reasoning: dict[str, Any], effort: str | None, dropped: tuple[str, ...]
) -> None:
    out = encoded(body(reasoning=reasoning))
    assert json.loads(out.body) == json.loads(body()) | ({"reasoning_effort": effort} if effort else {})
    assert out.dropped == dropped


def test_a_clients_own_effort_stands() -> None:
    sent = body(reasoning_effort="low", reasoning={"effort": "high"})
    assert encoded(sent) == openai.Encoded(body(reasoning_effort="low"), ("reasoning.effort",))
    assert encoded(body(reasoning_effort="low", reasoning={"effort": "low"})).dropped == ()
    assert encoded(body(reasoning_effort="low", reasoning={"enabled": True})).dropped == ()
    null = encoded(body(reasoning_effort=None, reasoning={"effort": "high"}))
    assert null == openai.Encoded(body(reasoning_effort="high"))


def test_reasoning_that_is_no_object_and_all_of_it_for_openrouter_passes() -> None:
    for sent, to_openrouter in ((body(reasoning="x"), False), (body(reasoning={"effort": "high"}), True)):
        assert encoded(sent, to_openrouter=to_openrouter).body is sent


@pytest.mark.parametrize(
    ("members", "options"),
    [
        ({}, {"include_usage": True}),
        ({"stream_options": None}, {"include_usage": True}),
        ({"stream_options": {"other": 1}}, {"other": 1, "include_usage": True}),
        ({"stream_options": {"include_usage": False}}, {"include_usage": True}),
        ({"usage": {"include": True}}, {"include_usage": True}),
    ],
)
def test_usage_is_asked_for_when_streaming(members: dict[str, Any], options: dict[str, Any]) -> None:
    sent = body(stream=True, **members)
    assert json.loads(encoded(sent, ask_usage=True).body) == json.loads(body(stream=True, stream_options=options))
    assert json.loads(encoded(sent).body).get("stream_options") == members.get("stream_options")


@pytest.mark.parametrize(
    "sent",
    [
        body(stream=True, stream_options={"include_usage": True}),
        body(stream=True, stream_options=[1]),
        body(stream=False),
        body(),
    ],
)
def test_usage_is_not_asked_for_where_there_is_no_need(sent: bytes) -> None:
    assert encoded(sent, ask_usage=True).body is sent


def test_every_recorded_request_keeps_every_other_byte() -> None:
    requests = [case for case in chat_cases() if case.request]
    assert len(requests) > 300
    for case in requests:
        sent = case.request or b""
        original = json.loads(sent)
        request = openai.read(sent) if original.get("model") else None
        if request is None:
            continue
        if "models" in original:
            continue  # taken out for everybody: the names in it are routerd's own, and it falls back itself
        assert openai.encode(request, model=request.model, ask_usage=False, to_openrouter=True).body is sent, case.name
        out = openai.encode(request, model="swapped-m", ask_usage=False, to_openrouter=True).body
        old, new = json.dumps(request.model).encode(), b'"swapped-m"'
        assert out == sent.replace(b'"model": ' + old, b'"model": ' + new, 1), case.name
        removed = openai.encode(request, model="swapped-m", ask_usage=True, to_openrouter=False)
        kept = {
            key: value
            for key, value in original.items()
            if key not in {*openai.ROUTER_ONLY, *openai.WITH_EFFECT, "model", "stream_options"}
            and not (key == "reasoning" and isinstance(value, dict))
        }
        final = json.loads(removed.body)
        assert kept.items() <= final.items(), case.name
        assert set(final) - set(kept) <= {"model", "stream_options", "reasoning_effort"}, case.name


@given(st.binary(max_size=80))
def test_no_bytes_raise_anything_but_invalid_request(sent: bytes) -> None:
    with pytest.raises(InvalidRequest):
        openai.read(sent)


MEMBERS = st.dictionaries(
    st.sampled_from([*openai.ROUTER_ONLY, *openai.WITH_EFFECT, "reasoning", "reasoning_effort", "stream_options", "x"]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=3)
    | st.lists(st.text(max_size=3), max_size=2)
    | st.dictionaries(
        st.sampled_from(["effort", "enabled", "include_usage", "include"]), st.booleans() | st.text(max_size=3)
    ),
)


@given(MEMBERS, st.booleans(), st.booleans())
def test_whatever_the_members_the_result_is_json_with_the_model_asked_for(
    members: dict[str, Any], ask: bool, to_openrouter: bool
) -> None:
    sent = body(stream=True, **members)
    try:
        request = openai.read(sent)
    except InvalidRequest as error:
        assert error.message.startswith(("`models", "`provider"))  # noqa: PT017  # a refusal is one of two good ends
        return
    out = openai.encode(request, model="other", ask_usage=ask, to_openrouter=to_openrouter)
    final = json.loads(out.body)
    assert final["model"] == "other"
    assert final.get("x") == members.get("x")
    if not to_openrouter:
        assert not set(final) & {*openai.ROUTER_ONLY, *openai.WITH_EFFECT}
