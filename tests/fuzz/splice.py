"""JSON edited in place: refused with a ValueError, or edited so that another reader of JSON sees exactly the edit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from hypothesis import strategies as st

from routerd.dialects.openai import answer as openai_answer
from routerd.dialects.openai import error as openai_error
from routerd.dialects.openai import straight as openai
from routerd.errors import InvalidRequest
from routerd.spend.tokens import prompt_text
from routerd.wire.jsonsplice import Document
from tests.fuzz.soup import damaged, each, soup

NAMES: tuple[str, ...] = (
    "model",
    "models",
    "messages",
    "stream",
    "stream_options",
    "usage",
    "provider",
    "reasoning",
    "user",
    "choices",
)
NAMES += ("error", "cost", "system_fingerprint", "plugins", "id", "a", "", "\u00e9", 'q"', "\\", "session_id")
READ = ("model", "models", "messages", "stream", "stream_options", "reasoning", "user")
WORDS = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b" ",
        b"\t",
        b'"',
        b"null",
        b"true",
        b"1",
        b"-0",
        b"1e999",
        b"NaN",
        b"-Infinity",
    ),
    *(b'"model"', b'"m"', b'"mod\\u0065l"', b'"\\ud83d"', b'"\\ud83d\\ude00"', b'"a\\', b"\\u0000", b'"messages":[]'),
    *(
        b'{"model":"m","messages":[]}',
        b'"usage":{"prompt_tokens":1}',
        b'"stream":true',
        b'"model":1,',
        b"12",
        b"1.",
        b"01",
    ),
)
_LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.sampled_from(NAMES))
_VALUE = st.recursive(
    _LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=8,
)
_OBJECT = st.dictionaries(st.sampled_from(NAMES), _VALUE, max_size=8)
_REQUEST = st.builds(lambda extra: {"model": "m", "messages": [], **extra}, _OBJECT)
_ANSWER = st.builds(
    lambda extra: {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 1}, **extra}, _OBJECT
)
_SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r")])


def _text(value: object, separators: tuple[str, str], *, plain: bool) -> bytes:
    return json.dumps(value, separators=separators, ensure_ascii=plain).encode("utf-8", "surrogatepass")


_JSON = st.builds(_text, st.one_of(_OBJECT, _REQUEST, _ANSWER, _VALUE), _SEPARATORS, plain=st.booleans())
EXAMPLES = st.one_of(damaged(_JSON), damaged(_JSON, most=0), soup(WORDS))
AMENDMENT = openai.Amendment(usage={"cost": b"1"}, top={"provider": b'"lab"'})


def pairs(raw: bytes) -> list[tuple[str, Any]]:
    """The top-level members as Python's own reader sees them, twice where they stand twice; NaN is equal to itself."""
    found = json.loads(raw, object_pairs_hook=list, strict=False, parse_constant=str, parse_int=str, parse_float=str)
    assert isinstance(found, list)
    return found


def seen(key: str) -> str:
    """A key as the lenient reader sees it: where one half of a surrogate pair stands alone, each half is a U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", re.sub("[\U00010000-\U0010ffff]", "\ufffd" * 2, key))


def edits(raw: bytes) -> None:
    """A document that is read is edited so that only the edit is to be seen."""
    try:
        document = Document.parse(raw)
    except ValueError:
        return
    before = pairs(raw)
    assert [seen(key) for key, _ in before] == [seen(key) for key in document]
    assert document.edit() is raw
    edited = pairs(document.edit(set={"model": b'"other"'}, remove={"usage", "a"}, append={"cost": b"1"}))
    kept = [(key, "other" if key == "model" else value) for key, value in before if key not in {"usage", "a"}]
    kept += [("model", "other")] if "model" not in document else []
    kept += [("cost", "1")] if "cost" not in document else []
    assert edited == kept
    for key in document:
        document.value(key)
        document.kind(key)


def requests(raw: bytes) -> None:
    """The short way of reading a request says what the long way says, and both write what another reader can read."""
    prompt_text(raw)
    try:
        request = openai.read(raw)
    except InvalidRequest as error:
        assert error.message  # noqa: PT017  # it is for people
        return
    if request.plain is not None:
        try:
            assert msgspec.structs.replace(request, plain=None) == openai.read_any(raw)
        except InvalidRequest as error:  # the short way lets a member stand twice where neither of us reads it
            twice = re.search("the member `(.*)` stands twice", error.message, re.DOTALL)
            assert twice, error.message  # noqa: PT017
            assert twice[1] not in openai.ROUTER_ONLY + openai.WITH_EFFECT + READ
    for to_openrouter in (False, True):
        encoded = openai.encode(request, model='o"ther', ask_usage=True, to_openrouter=to_openrouter)
        written = dict(pairs(encoded.body))
        assert written["model"] == 'o"ther'
        assert written["messages"] == dict(pairs(raw))["messages"]


def answers(raw: bytes) -> None:
    """An answer is read or refused, never more; what it gains is all that changes."""
    openai_error.decode_error(500, raw)
    openai_error.in_band_error(raw)
    try:
        answer = openai_answer.read_answer(raw)
    except openai_answer.ProviderAnswerInvalid:
        return
    if isinstance(answer, openai_answer.Answer):
        short = openai.amend_answer(raw, AMENDMENT, fingerprint=True, answer=answer)
        assert short == openai.amend_answer(raw, AMENDMENT, fingerprint=True)
        if answer.ends is not None:
            assert openai_answer.read_any_answer(raw) == msgspec.structs.replace(answer, ends=None, fingerprint=False)


def law(example: bytes) -> None:
    """One text, taken for a document, a request and an answer."""
    edits(example)
    requests(example)
    answers(example)


@contextmanager
def opened() -> Iterator[Callable[[bytes], int]]:
    """Needs nothing."""
    yield lambda example: each(example, WORDS, law)
