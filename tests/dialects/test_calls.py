from __future__ import annotations

import json
from typing import Any

from routerd.dialects.calls import Calls, call_id


def fragment(arguments: Any = "", *, name: str | None = None, **members: Any) -> dict[str, Any]:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {**members, "function": function}


def joined(*fragments: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Id, name and arguments of the calls that the fragments make, put together by index as clients do."""
    calls: dict[int, list[str]] = {}
    reader = Calls()
    for piece in fragments:
        for said in reader.read([piece], answer="a"):
            if said["index"] not in calls:
                assert said["type"] == "function"
            else:
                assert "id" not in said
                assert "type" not in said
            call = calls.setdefault(said["index"], ["", "", ""])
            call[0] += said.get("id", "")
            call[1] += said["function"].get("name", "")
            call[2] += said["function"].get("arguments", "")
    return [(a, b, c) for a, b, c in calls.values()]


def test_fragments_as_openai_sends_them_are_one_call() -> None:
    first = fragment("", name="f", index=0, id="x", type="function")
    assert joined(first, fragment('{"a"', index=0), fragment(":1}", index=0)) == [("x", "f", '{"a":1}')]


def test_an_id_name_and_type_that_are_said_again_are_left_out() -> None:
    again = [fragment(part, name="f", index=0, id="x", type="function") for part in ('{"a"', ":1}")]
    assert joined(*again) == [("x", "f", '{"a":1}')]


def test_parallel_calls_under_one_index_are_told_apart_by_their_ids() -> None:
    calls = [fragment("{}", name="f", index=0, id=f"x{n}", type="function") for n in range(3)]
    assert joined(*calls) == [("x0", "f", "{}"), ("x1", "f", "{}"), ("x2", "f", "{}")]


def test_calls_without_an_index_begin_with_their_name() -> None:
    pieces = [fragment("{", name="f", id="x"), fragment("}"), fragment("{}", name="g", id="y")]
    assert joined(*pieces) == [("x", "f", "{}"), ("y", "g", "{}")]


def test_an_index_that_does_not_begin_at_nought_is_numbered_anew() -> None:
    assert joined(fragment("{}", name="f", index=7, id="x"), fragment(" ", index=7)) == [("x", "f", "{} ")]


def test_a_missing_id_is_made_up_the_same_each_time_and_differs_by_call_and_answer() -> None:
    pieces = [fragment("{}", name="f", index=n, id="") for n in range(2)]
    first, second = joined(*pieces)
    assert first[0] == call_id("a", 0, 0, "f")
    assert len({first[0], second[0], call_id("b", 0, 0, "f"), call_id("a", 1, 0, "f")}) == 4


def test_arguments_that_are_an_object_become_text() -> None:
    [(_, _, arguments)] = joined(fragment({"a": [1]}, name="f", index=0, id="x"))
    assert json.loads(arguments) == {"a": [1]}
    assert joined(fragment(None, name="f", index=0, id="x")) == [("x", "f", "")]


def test_an_empty_custom_part_is_dropped_and_a_custom_call_is_kept() -> None:
    padded = {**fragment("{}", name="f", id="x"), "custom": {"input": "", "name": ""}}
    [call] = Calls().read([padded], answer="a")
    assert call == {"id": "x", "index": 0, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    [own] = Calls().read([{"id": "y", "type": "custom", "custom": {"name": "sh", "input": "ls"}}], answer="a")
    assert own == {"id": "y", "index": 0, "type": "custom", "custom": {"name": "sh", "input": "ls"}}


def test_what_is_no_call_is_passed_over() -> None:
    calls = Calls()
    assert calls.read("nothing", answer="a") == []
    assert calls.read([None, 3, "x"], answer="a") == []
    assert not calls
    [odd] = calls.read([{"index": True, "id": 4, "function": "f"}], answer="a")
    assert odd["function"] == {"name": "", "arguments": ""}
    assert calls
