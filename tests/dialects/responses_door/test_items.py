from __future__ import annotations

from typing import Any

from routerd.dialects.responses_door.items import Events, OpenCall, OpenMessage, OpenReasoning
from routerd.dialects.responses_door.tools import Tool


def kinds(events: Events) -> list[str]:
    return [kind.removeprefix("response.") for kind, _ in events]


def test_reasoning_of_both_kinds_has_a_part_of_each() -> None:
    item = OpenReasoning(0, "rs")
    events = item.begin() + item.more("a", [], summary=True) + item.more("b", [], summary=True)
    events += item.more("c", [], summary=False) + item.more(
        "", [{"type": "reasoning.text", "signature": "s"}], summary=False
    )
    ends, whole = item.end()
    assert kinds(events + ends) == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
    ]
    assert whole["summary"] == [{"type": "summary_text", "text": "ab"}]
    assert whole["content"] == [{"type": "reasoning_text", "text": "c"}]
    assert "encrypted_content" in whole


def test_a_message_numbers_its_parts_and_citations() -> None:
    item = OpenMessage(1, "msg")
    note = {"type": "url_citation", "url": "u", "title": "", "start_index": 0, "end_index": 0}
    events = item.begin() + item.text("a", []) + item.annotate(note) + item.annotate(note) + item.refusal("No.")
    ends, whole = item.end()
    assert kinds(events) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.annotation.added",
        "content_part.added",
        "refusal.delta",
    ]
    assert [members["annotation_index"] for kind, members in events if "annotation" in kind] == [0, 1]
    assert [members["content_index"] for kind, members in events if kind.endswith("part.added")] == [0, 1]
    assert kinds(ends) == [
        "output_text.done",
        "content_part.done",
        "refusal.done",
        "content_part.done",
        "output_item.done",
    ]
    assert whole["content"][0]["annotations"] == [note, note]


def call(fragments: list[str], tool: Tool | None = None) -> tuple[Events, dict[str, Any]]:
    first = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    item = OpenCall(2, "fc_1", call=first, tools={"f": tool} if tool else {})
    events = item.begin() + item.more(first)
    for fragment in fragments:
        events += item.more({"function": {"arguments": fragment}})
    ends, whole = item.end()
    return events + ends, whole


def test_fragments_of_a_call_pass_as_they_come() -> None:
    events, whole = call(['{"a"', ":1}"])
    assert kinds(events) == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert (whole["arguments"], whole["status"]) == ('{"a":1}', "completed")


def test_a_call_without_arguments_has_an_empty_object() -> None:
    events, whole = call([])
    assert whole["arguments"] == "{}"
    assert [members["delta"] for kind, members in events if kind.endswith("delta")] == ["{}"]


def test_free_text_is_told_when_it_is_whole() -> None:
    tool = Tool(name="patch", namespace="edit", custom=True, definition={}, flat="f")
    events, whole = call(['{"inp', 'ut":"***"}'], tool)
    assert kinds(events) == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]
    assert (whole["name"], whole["namespace"], whole["input"]) == ("patch", "edit", "***")
    assert {members["item_id"] for _, members in events if "item_id" in members} == {whole["id"]}
