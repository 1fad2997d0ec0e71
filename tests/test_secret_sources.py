"""Sources of keys, as the configuration writes them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.secret_sources import (
    DefaultChain,
    FromCommand,
    FromCredential,
    FromEnvironment,
    FromFile,
    FromKeyring,
    NoKey,
    default_sources,
    parse,
)

FORMS: list[tuple[Any, tuple[Any, ...]]] = [
    ("keyring:routerd/openai", (FromKeyring("routerd", "openai"),)),
    ("keyring:routerd/openai/second", (FromKeyring("routerd", "openai/second"),)),
    ("credential:openai", (FromCredential("openai"),)),
    ("env:OPENAI_API_KEY", (FromEnvironment("OPENAI_API_KEY"),)),
    ("file:keys/openai", (FromFile("keys/openai"),)),
    ("file:~/key:1", (FromFile("~/key:1"),)),
    ("none", (NoKey(),)),
    ("command:op read 'op://a b/key'", (FromCommand(("op", "read", "op://a b/key")),)),
    ('command:["op", "read", "x y"]', (FromCommand(("op", "read", "x y")),)),
    ({"command": ["op", "read"]}, (FromCommand(("op", "read")),)),
    ({"command": "op read", "timeout": "1m"}, (FromCommand(("op", "read"), 60.0),)),
    ({"command": ["op"], "timeout": "500ms"}, (FromCommand(("op",), 0.5),)),
    ({"command": ["op"], "timeout": 3}, (FromCommand(("op",), 3.0),)),
    (["env:A", "env:B"], (FromEnvironment("A"), FromEnvironment("B"))),
    (["env:A", {"command": ["op"]}], (FromEnvironment("A"), FromCommand(("op",)))),
]

FAULTS: list[tuple[Any, str]] = [
    ([], "the list is empty"),
    (["env:A", "none"], '"none" cannot stand beside'),
    (["env:A", "env:A"], "env:A is listed twice"),
    (7, "expected text"),
    (None, "expected text"),
    (["env:A", 7], "expected text"),
    ("", "not a source"),
    ("sk-proj-abcdefghijkl", "A key itself does not belong"),
    ("envi:OPENAI", 'did you mean "env:"'),
    ("Keyring:routerd/x", 'did you mean "keyring:"'),
    ("env:", "names nothing"),
    ("file: ", "names nothing"),
    ("env:sk-proj-1", "the name of a variable"),
    ("keyring:openai", "SERVICE/NAME"),
    ("keyring:/openai", "SERVICE/NAME"),
    ("keyring:routerd/", "SERVICE/NAME"),
    ("credential:../passwd", "plain file name"),
    ("credential:..", "plain file name"),
    ("file:a\0b", "no NUL"),
    ("command:op 'read", "cannot be split"),
    ('command:["op"', "not closed"),
    ("command:[]", "a list of texts"),
    ({"command": "op 'read"}, "cannot be split"),
    ({"command": []}, "a list of texts"),
    ({"command": ["op", 1]}, "a list of texts"),
    ({"command": [""]}, "a command's program has a name"),
    ({"timeout": "1s"}, "a table wants command"),
    ({"command": ["op"], "shell": True}, 'unknown key "shell"'),
    ({"command": ["op"], "timeout": "soon"}, "a duration such as"),
    ({"command": ["op"], "timeout": True}, "a duration such as"),
    ({"command": ["op"], "timeout": "0s"}, "more than 0"),
    ({"command": ["op"], "timeout": "11m"}, "at most 10 minutes"),
]


@pytest.mark.parametrize(("written", "sources"), FORMS)
def test_a_source_is_read_as_it_is_written(written: Any, sources: tuple[Any, ...]) -> None:
    assert parse(written) == sources


@pytest.mark.parametrize(("written", "message"), FAULTS)
def test_a_fault_is_told_in_words_for_the_user(written: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        parse(written)


@pytest.mark.parametrize("scheme", ["", "keyring:", "env:", "sk:", "envi:", "credential:a/", "key-"])
def test_a_key_in_place_of_a_source_is_not_repeated_in_the_message(scheme: str) -> None:
    key = "sk-live-8d1f77aa01"
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse(scheme + key)
    assert key not in str(caught.value)


def test_the_default_chain_is_keyring_then_credential_then_the_usual_variables() -> None:
    assert default_sources("google", ["GEMINI_API_KEY", "GOOGLE_API_KEY"]) == DefaultChain(
        "google",
        (
            FromKeyring("routerd", "google"),
            FromCredential("google"),
            FromEnvironment("GEMINI_API_KEY"),
            FromEnvironment("GOOGLE_API_KEY"),
        ),
    )
    assert str(default_sources("lab")) == "keyring:routerd/lab or credential:lab"


def test_a_commands_arguments_are_not_shown_for_they_may_hold_a_token() -> None:
    assert str(FromCommand(("vault", "read", "-token=s.123"))) == "command:vault"


@given(
    st.from_regex(
        r"keyring:[a-z]{1,9}/[a-z/]{1,9}|env:[A-Z_]{1,9}|credential:[a-z.]{3,9}|file:[a-z/~]{1,9}|none", fullmatch=True
    )
)
def test_what_a_source_prints_is_read_back_as_the_same_source(text: str) -> None:
    if text in {"credential:.", "credential:.."}:
        return
    assert [str(source) for source in parse(text)] == [text]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda children: st.lists(children) | st.dictionaries(st.sampled_from(["command", "timeout", "x"]), children),
    )
)
def test_nothing_but_value_error_comes_out_whatever_toml_holds(value: Any) -> None:
    try:
        sources = parse(value)
    except ValueError:
        return
    assert sources
