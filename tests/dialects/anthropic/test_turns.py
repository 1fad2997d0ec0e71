from __future__ import annotations

from typing import Any

from routerd.dialects.anthropic.turns import conversation


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def called(*names: str, **more: Any) -> dict[str, Any]:
    calls = [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in names]
    return {"role": "assistant", "content": None, "tool_calls": calls, **more}


def result(name: str, said: str = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": name, "content": said}


def told(turn: dict[str, Any]) -> tuple[str, list[str]]:
    short = [block.get("text") or block.get("tool_use_id") or block.get("id") for block in turn["content"]]
    return turn["role"], short


def test_system_and_developer_are_the_system_prompt_wherever_they_stand() -> None:
    mark = {"type": "ephemeral"}
    said = conversation(
        [
            {"role": "system", "content": [{**text("a"), "cache_control": mark}]},
            user("x"),
            {"role": "developer", "content": "b"},
            user("y"),
        ]
    )
    assert said.system == [{**text("a"), "cache_control": mark}, text("b")]
    assert [told(turn) for turn in said.turns] == [("user", ["x", "y"])]


def test_results_stand_together_right_after_their_calls_and_before_what_the_user_says() -> None:
    said = conversation(
        [
            user("x"),
            called("a", "b"),
            user("meanwhile"),
            result("a"),
            result("b"),
            user("and"),
            called("c"),
            result("c"),
        ]
    )
    assert [told(turn) for turn in said.turns] == [
        ("user", ["x"]),
        ("assistant", ["a", "b"]),
        ("user", ["a", "b", "meanwhile", "and"]),
        ("assistant", ["c"]),
        ("user", ["c"]),
    ]
    assert said.calls == ["f"]


def test_a_conversation_begins_with_the_user() -> None:
    said = conversation([{"role": "assistant", "content": "welcome"}, user("x")])
    assert [turn["role"] for turn in said.turns] == ["user", "assistant", "user"]
    alone = conversation([{"role": "system", "content": "a"}, {"role": "system", "content": "b"}])
    assert (alone.system, alone.turns) == ([text("a")], [{"role": "user", "content": [text("b")]}])
    assert conversation([]).turns == []


def test_nothing_empty_is_sent_and_the_beginning_of_an_answer_ends_in_a_word() -> None:
    said = conversation([user("x"), {"role": "assistant", "content": " "}, user([text("")]), user("y")])
    assert [told(turn) for turn in said.turns] == [("user", ["x", "y"])]
    begun = conversation([user("x"), {"role": "assistant", "content": "It is: \n"}])
    assert told(begun.turns[-1]) == ("assistant", ["It is:"])


def test_thinking_stands_first_and_its_absence_is_known() -> None:
    detail = {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"}
    signed = called("a", content="so", reasoning_details=[detail])
    said = conversation([user("x"), signed, result("a")])
    assert [block["type"] for block in said.turns[1]["content"]] == ["thinking", "text", "tool_use"]
    assert not said.unsigned
    assert conversation([user("x"), called("a"), result("a")]).unsigned
    assert not conversation([user("x"), called("a"), result("a"), {"role": "assistant", "content": "y"}]).unsigned
    assert not conversation([user("x")]).unsigned


def test_files_are_known_wherever_they_are() -> None:
    part = {"type": "file", "file": {"file_id": "f"}}
    assert conversation([user([part])]).files
    assert conversation([user("x"), called("a"), {**result("a"), "content": [text("x"), part]}]).files
    assert conversation([user([{"type": "container_upload", "file_id": "f"}])]).files
    assert not conversation([user("x")]).files


def test_a_mark_of_the_whole_is_a_mark_on_its_end() -> None:
    mark = {"type": "ephemeral"}
    said = conversation([user("x"), user("y")])
    said.mark(mark)
    assert said.turns[0]["content"] == [text("x"), {**text("y"), "cache_control": mark}]
    conversation([]).mark(mark)


def test_what_an_assistant_cannot_have_said_is_reported() -> None:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None,
        "refusal": "no",
        "images": [{}],
        "audio": {"id": "a"},
    }
    picture = {"type": "image_url", "image_url": {"url": "https://a/b.png"}}
    said = conversation([user("x"), message, {"role": "assistant", "content": [picture]}])
    assert told(said.turns[1]) == ("assistant", ["no"])
    assert said.dropped == {"messages.images", "messages.audio"}
