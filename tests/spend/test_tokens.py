from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.spend import tokens
from routerd.spend.tokens import estimate, prompt_text, rough

PROSE = (
    "The quick brown fox jumps over the lazy dog, and then it walks home to sleep. "
    "Nobody saw it again until the following spring."
)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("", 0, 0),
        (" ", 1, 1),
        ("Hello, world!", 3, 5),
        (PROSE, 24, 32),
        ("1234567890", 4, 4),
        ("東京都に住んでいます", 5, 9),
        ("Привет, как дела сегодня?", 5, 11),
        ("QUJD" * 250, 600, 800),
        ("\n\n\n", 1, 1),
    ],
)
def test_an_estimate_is_near_what_a_tokenizer_counts(text: str, low: int, high: int) -> None:
    assert low <= estimate(text) <= high


def test_a_long_text_is_sampled_and_the_sample_stands_for_the_whole() -> None:
    source = Path(tokens.__file__).read_text(encoding="utf-8") + PROSE * 5
    half = 2 * tokens.WHOLE
    text = (source * (half // len(source) + 1))[:half] + "東京都 123456789 " * (half // 14)
    assert len(text) > tokens.WHOLE
    assert estimate(text) == pytest.approx(tokens._count(text), rel=0.05)


@pytest.mark.parametrize("size", [tokens.WHOLE, tokens.WHOLE + 1])
def test_nothing_jumps_where_sampling_begins(size: int) -> None:
    assert estimate(("word " * size)[:size]) == pytest.approx(size / 5, rel=0.01)


@given(st.text())
def test_any_text_has_an_estimate_no_larger_than_its_bytes(text: str) -> None:
    assert 0 <= estimate(text) <= 2 * len(text.encode(errors="surrogatepass")) + 1


@pytest.mark.parametrize(
    "text",
    [PROSE * 9, Path(tokens.__file__).read_text(encoding="utf-8"), "東京都に住んでいます" * 90],
    ids=["prose", "code", "Han"],
)
def test_the_rough_figure_is_near_the_estimate(text: str) -> None:
    body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": text}]})
    assert rough(body) == pytest.approx(estimate(text), rel=0.4)


def test_a_picture_is_no_text_in_the_rough_figure_either() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 9000}}
    body = msgspec.json.encode({"messages": [{"role": "user", "content": [picture, {"type": "text", "text": PROSE}]}]})
    assert rough(body) == estimate(PROSE)


def test_nothing_is_roughly_nothing() -> None:
    assert rough(b"") == 0


@pytest.mark.parametrize(
    ("body", "want"),
    [
        ({"messages": [{"role": "user", "content": "hi"}]}, "hi"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]},
            "a\nb",
        ),
        ({"messages": [{"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]}, ""),
        ({"messages": [{"content": [{"type": "input_audio", "input_audio": {"data": "AAAA"}}]}]}, ""),
        (
            {"messages": [{"tool_calls": [{"id": "x", "function": {"name": "f", "arguments": '{"a":1}'}}]}]},
            'f\n{"a":1}',
        ),
        ({"messages": [{"content": [{"type": "tool_use", "name": "f", "input": {"a": 1}}]}]}, 'f\n{"a":1}'),
        ({"tools": [{"type": "function"}], "messages": []}, '[{"type":"function"}]'),
        ({"messages": [{"index": 0, "message": {"reasoning": "hm", "content": "yes"}}]}, "hm\nyes"),
        ({"prompt": ["one", "two"]}, "one\ntwo"),
        ({"input": "embed me", "model": "m"}, "embed me"),
        ({"instructions": "be brief", "input": [{"role": "user", "content": "hi"}]}, "be brief\nhi"),
        ({"model": "m", "user": "nobody", "temperature": 1}, ""),
    ],
)
def test_the_text_of_a_body_is_what_the_model_reads(body: Any, want: str) -> None:
    assert prompt_text(msgspec.json.encode(body)) == want


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"\xff", b'"x"', b'{"messages":"\\ud800"}', b'{"messages":' + b"[" * 100_000]
)
def test_a_body_that_is_no_json_object_has_no_text(body: bytes) -> None:
    assert prompt_text(body) == ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab "),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["content", "text", "x"]), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["messages", "tools", "prompt", "input"]), json_values), st.integers(0, 5))
def test_any_body_whole_or_cut_has_a_text(body: dict[str, Any], cut: int) -> None:
    raw = msgspec.json.encode(body)
    assert isinstance(prompt_text(raw), str)
    assert isinstance(prompt_text(raw[: len(raw) - cut]), str)


@given(st.binary())
def test_any_bytes_have_a_text(body: bytes) -> None:
    assert isinstance(prompt_text(body), str)
