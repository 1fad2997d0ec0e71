from __future__ import annotations

from typing import Any

from routerd.dialects.kept import MOST, Kept


def chunk(index: int = 0, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta}]}


def test_what_the_client_has_read_is_kept() -> None:
    kept = Kept()
    said = [chunk(role="assistant", content=""), chunk(content="Hello "), chunk(content="there"), {"choices": []}]
    for one in said:
        kept.note(one)
    assert (kept.text, kept.choices, kept.called, kept.reasoned) == ("Hello there", 1, False, False)


def test_what_stands_in_the_way_is_seen() -> None:
    kept = Kept()
    kept.note(chunk(1, tool_calls=[{"index": 0}]))
    kept.note(chunk(reasoning="hm"))
    assert (kept.choices, kept.called, kept.reasoned) == (2, True, True)


def test_blanks_that_the_client_has_come_once() -> None:
    kept = Kept()
    kept.note(chunk(content="One, two, "))
    kept.goes_on({"messages": []})
    first, second = chunk(content=" three"), chunk(content=" four")
    kept.note(first)
    kept.note(second)
    assert first["choices"][0]["delta"]["content"] == "three"
    assert kept.text == "One, two, three four"
    assert kept.request == {"messages": []}


def test_of_a_text_beyond_all_prompts_nothing_is_kept() -> None:
    kept = Kept()
    for _ in range(3):
        kept.note({"choices": [{"index": 0, "delta": {"content": "x" * (MOST // 2)}}]})
    assert kept.long
    assert len(kept.text) <= MOST
