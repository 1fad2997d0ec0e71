"""A Secret shows its source and never its value, by any way that prints, copies or writes Python objects."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.secret_values import MAX_BYTES, Secret, Unanswered, clean

VALUE = "sk-live-4242aaaa"
SECRET = Secret(VALUE, source="keyring:routerd/openai")
MASKED = "Secret(keyring:routerd/openai)"

PRINTS: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "format": format,
    "f-string": lambda s: f"{s}",
    "f-string !r": lambda s: f"{s!r}",
    "f-string =": lambda s: f"{s=}",
    "f-string width": lambda s: f"{s:>40}",
    "str.format": "{}".format,
    "%s": lambda s: "%s" % s,  # noqa: UP031  # this way too
    "%r": lambda s: "%r" % (s,),  # noqa: UP031
    "ascii": ascii,
    "in a list": lambda s: str([s]),
    "in a dict": lambda s: repr({"key": s}),
    "pprint": pprint.pformat,
    "json default=str": lambda s: json.dumps(s, default=str),
    "msgspec enc_hook": lambda s: msgspec.json.encode(s, enc_hook=str).decode(),
    "exception": lambda s: repr(ValueError(s)),
}

REFUSED: dict[str, Callable[[Secret], Any]] = {
    "pickle": pickle.dumps,
    "pickle protocol 0": lambda s: pickle.dumps(s, protocol=0),
    "json": json.dumps,
    "msgspec json": msgspec.json.encode,
    "msgspec msgpack": msgspec.msgpack.encode,
    "msgspec builtins": msgspec.to_builtins,
    "vars": vars,
    "bytes": bytes,  # type: ignore[dict-item]
    "len": len,  # type: ignore[dict-item]  # that it has none is the point
    "iter": iter,  # type: ignore[dict-item]
    "concatenation": lambda s: "Bearer " + s,  # type: ignore[operator]
    "join": lambda s: "".join([s]),  # type: ignore[list-item]  # noqa: FLY002  # the join is what is tested
    "__getstate__": lambda s: s.__getstate__(),
}


@pytest.mark.parametrize("how", PRINTS)
def test_whatever_prints_a_secret_shows_its_source(how: str) -> None:
    text = PRINTS[how](SECRET)
    assert VALUE not in text
    assert MASKED in text


@pytest.mark.parametrize("how", REFUSED)
def test_a_secret_is_not_written_or_taken_apart(how: str) -> None:
    with pytest.raises(TypeError) as caught:
        REFUSED[how](SECRET)
    assert VALUE not in str(caught.value)


def test_logging_a_secret_shows_its_source() -> None:
    stream = io.StringIO()
    logger = logging.Logger("test")  # noqa: LOG001  # this test's own, with no handler of others
    logger.addHandler(logging.StreamHandler(stream))
    logger.warning("key %s %r", SECRET, SECRET)
    assert stream.getvalue() == f"key {MASKED} {MASKED}\n"


def test_a_traceback_with_locals_shows_its_source() -> None:
    def fail() -> None:
        secret = Secret(VALUE, source="keyring:routerd/openai")
        raise RuntimeError(secret.source)

    try:
        fail()
    except RuntimeError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert f"secret = {MASKED}" in text
    assert VALUE not in text


def test_a_traceback_of_refusing_to_print_shows_no_value() -> None:
    try:
        pickle.dumps({"a": SECRET})
    except TypeError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert VALUE not in text


def test_a_copy_is_the_secret_itself() -> None:
    assert copy.copy(SECRET) is SECRET
    assert copy.deepcopy({"key": [SECRET]})["key"][0] is SECRET


def test_secrets_are_equal_by_value_and_never_to_text() -> None:
    same = Secret(VALUE, source="env:X")
    assert same == SECRET
    assert hash(same) == hash(SECRET)
    assert Secret("other", source="env:X") != SECRET
    assert SECRET != VALUE
    assert {SECRET: 1}[same] == 1


def test_an_empty_value_is_an_error_and_never_a_key() -> None:
    with pytest.raises(ValueError, match="the key from env:X is empty"):
        Secret("", source="env:X")


@pytest.mark.parametrize("data", [b"sk-1", b"sk-1\n", b" sk-1 \r\n", b"\xef\xbb\xbfsk-1\n", b"\n\nsk-1"])
def test_blanks_and_line_ends_around_a_key_do_not_belong_to_it(data: bytes) -> None:
    outcome = clean(data, "file:x")
    assert isinstance(outcome, Secret)
    assert (outcome.reveal(), outcome.source) == ("sk-1", "file:x")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"sk-1\nsk-2", "more than one line"),
        (b"sk-1\rX-Evil: 1", "more than one line"),
        (b"sk\x001", "HTTP header cannot carry"),
        ("clé".encode(), "HTTP header cannot carry"),
        (b"\xff\xfe", "HTTP header cannot carry"),
        (b"x" * (MAX_BYTES + 1), "no key"),
    ],
)
def test_what_no_header_can_carry_is_no_key(data: bytes, reason: str) -> None:
    outcome = clean(data, "file:x")
    assert isinstance(outcome, Unanswered)
    assert reason in outcome.reason
    assert not outcome.absent


@given(st.binary(max_size=64))
def test_every_key_that_comes_out_fits_in_one_header_line(data: bytes) -> None:
    outcome = clean(data, "x")
    if isinstance(outcome, Secret):
        value = outcome.reveal()
        assert value == value.strip()
        assert value.isascii()
        assert value.isprintable()
