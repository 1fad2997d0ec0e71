from __future__ import annotations

import json

import pytest

from routerd.dialects.openai.answer import (
    Amendment,
    Answer,
    ProviderAnswerInvalid,
    amend_answer,
    read_answer,
)
from routerd.dialects.openai.error import ProviderError
from tests.dialects.corpus import chat_cases

ADDED = Amendment(usage={"cost_added": b"0.50"}, top={"provider_added": b'"lab"'})


def test_every_recorded_answer_is_read_and_amended_without_touching_another_byte() -> None:
    answers = [case for case in chat_cases() if case.status == 200 and not case.sse]
    assert len(answers) > 200
    for case in answers:
        answer = read_answer(case.body)
        message = json.loads(case.body)
        if "choices" not in message:  # Azure answers 200 to a prompt that it filtered
            assert isinstance(answer, ProviderError), case.name
            assert answer.status == 400
            continue
        assert isinstance(answer, Answer), case.name
        assert answer.model == (message.get("model") or None)
        assert answer.finish_reason == (message["choices"][0].get("finish_reason") or None)
        assert (answer.usage is None) == (not message.get("usage")), case.name
        out = amend_answer(case.body, ADDED, fingerprint=False)
        wanted = {**message, "provider_added": "lab"}
        if message.get("usage"):
            wanted["usage"] = {**message["usage"], "cost_added": 0.5}
            assert out.replace(b',"cost_added":0.50', b"").replace(b',"provider_added":"lab"', b"") == case.body
        assert json.loads(out) == wanted, case.name


def test_the_padding_before_an_answer_stays() -> None:
    body = b'\n     \n {"choices":[],"usage":{"prompt_tokens":1}}\n'
    out = b'\n     \n {"choices":[],"usage":{"prompt_tokens":1,"cost_added":0.50},"provider_added":"lab"}\n'
    assert amend_answer(body, ADDED, fingerprint=False) == out


def test_a_body_without_usage_gains_the_outer_members_only() -> None:
    for usage in (b"", b',"usage":null'):
        body = b'{"choices":[]%b}' % usage
        assert amend_answer(body, ADDED, fingerprint=False) == b'{"choices":[]%b,"provider_added":"lab"}' % usage


def test_the_fingerprint_is_added_where_it_is_missing() -> None:
    nothing = Amendment()
    assert amend_answer(b'{"id":"x"}', nothing, fingerprint=True) == b'{"id":"x","system_fingerprint":null}'
    body = b'{"system_fingerprint":"fp"}'
    assert amend_answer(body, nothing, fingerprint=True) is body
    assert amend_answer(body, nothing, fingerprint=False) is body


@pytest.mark.parametrize("body", [b"", b"[]", b'{"a":1,"a":2}', b'{"usage":{"a":1,"a":2}}', b"\xff", b"[" * 100_000])
def test_what_cannot_be_amended_safely_is_returned_as_it_is(body: bytes) -> None:
    assert amend_answer(body, ADDED, fingerprint=True) is body


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"<html>", b"{}", b'{"choices":7}', b'{"choices":null,"error":null}', b"[" * 100_000]
)
def test_a_200_that_is_no_completion_is_invalid(body: bytes) -> None:
    with pytest.raises(ProviderAnswerInvalid):
        read_answer(body)


@pytest.mark.parametrize("choices", [b"", b',"choices":[]', b',"choices":null'])
def test_a_200_that_holds_an_error_and_no_choices_is_that_error(choices: bytes) -> None:
    body = b'{"error":{"message":"no","code":429}%b}' % choices
    assert read_answer(body) == ProviderError(status=429, message="no", code="429", raw=body.decode())


def test_wrong_types_in_an_answer_are_nothing() -> None:
    body = b'{"id":7,"model":[],"usage":1e999,"choices":[{"finish_reason":3,"native_finish_reason":""},{}]}'
    assert read_answer(body) == Answer()
