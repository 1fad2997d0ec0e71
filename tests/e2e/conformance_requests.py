"""Every recorded request through its own door to every other vendor: taken by its types, and the same is said."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from routerd.dialects.shape import Json
from tests.e2e.conformance_cases import DOORS, Case
from tests.e2e.conformance_stage import Reply, stage, table
from tests.e2e.oracles_requests import SAID, TAKES, lost

DOOR_OF: Mapping[str, tuple[str, str]] = {
    "openai.chat": ("chat", "openai"),
    "openai.responses": ("responses", "responses"),
    "anthropic.messages": ("messages", "anthropic"),
    "gemini.generate": ("gemini", "gemini"),
    "gemini.stream": ("gemini", "gemini"),
}
"""The door of a recorded dialect, and the dialect's name."""

MODELS: Mapping[str, tuple[str, str]] = {
    "openai": ("openai", "gpt-5.4-anew"),
    "responses": ("openai", "gpt-5.4-anew"),
    "anthropic": ("anthropic", "claude-sonnet-4-5-anew"),
    "gemini": ("google-ai-studio", "gemini-3-pro-anew"),
    "bedrock": ("amazon-bedrock", "anthropic.claude-sonnet-4-5-anew"),
}
"""A vendor of each dialect, and a model of a family that is known by its name."""

ANSWERS: Mapping[str, Json] = {
    "openai": {
        "id": "c",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    },
    "responses": {
        "id": "r",
        "status": "completed",
        "output": [
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "ok", "annotations": []}],
            }
        ],
    },
    "anthropic": {"id": "m", "type": "message", "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn"},
    "gemini": {"candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP"}]},
    "bedrock": {"output": {"message": {"content": [{"text": "ok"}]}}, "stopReason": "end_turn"},
}


class Sent(NamedTuple):
    """One recorded request, and what became of it at another vendor."""

    case: Case
    to: str
    refused: str
    """Why routerd would not send it; empty: it was sent."""
    dropped: str
    """What routerd said that it left out."""
    faults: list[str]


def providers() -> list[str]:
    """A provider of each dialect."""
    return [table(f"to-{dialect}", dialect, "URL", like=like) for dialect, (like, _) in MODELS.items()]


async def sent(folder: Path, cases: Sequence[Case]) -> list[Sent]:
    """Every recorded request to every vendor but its own."""
    found = []
    asked = [case for case in cases if case.dialect in DOOR_OF and case.request and case.status == 200]
    async with stage(folder, *providers()) as scene:
        for case in asked:
            door, dialect = DOOR_OF[case.dialect]
            for to, (_, model) in MODELS.items():
                if to == dialect or case.request is None:
                    continue
                request = {name: value for name, value in case.request.items() if name not in ROUTERS}
                path, body = DOORS[door](request, request, f"to-{to}/{model}", False)
                reply = await scene.ask((path, body), json.dumps(ANSWERS[to]).encode())
                refused = json.loads(reply.body)["error"]["message"] if reply.sent is None else ""
                found.append(Sent(case, to, refused, reply.dropped, list(_faults(dialect, request, to, reply))))
    return found


ROUTERS = ("models", "provider", "route", "plugins", "stream", "stream_options", "transforms")
"""Members by which a request chooses who serves it, and whether in a stream."""


LEFT_OUT = re.compile(r"\b(file|image_url|input_audio|video_url|tools\.custom)\b")
"""Parts in what routerd says that it left out, because the vendor has no word for them."""


def inexpressible(one: Sent) -> str | None:
    """Why this request cannot be said to that vendor; None: it can."""
    if one.refused:
        return f"refused: {WHERE.sub('', one.refused)}"
    if found := LEFT_OUT.search(one.dropped):
        return f"reported as left out: {found[1]}"
    if ORPHANS.search(one.case.name):
        return "a tool's result without its call, which no other vendor takes"
    if one.to == "openai" and FOREIGN.search(json.dumps(one.case.request)):
        return "sent as it is, for OpenAI to refuse: video, or what only Anthropic's container has"
    return None


WHERE = re.compile(r"^`messages[^`]*`: ")
ORPHANS = re.compile(r"tools_call_with_tool_result_stream")
FOREIGN = re.compile(r"container_upload|video/|youtu")


def _faults(dialect: str, request: Json, to: str, reply: Reply) -> Iterator[str]:
    if reply.sent is None:
        return
    body = reply.sent.json()
    try:
        yield from lost(SAID[dialect](request), SAID[to](body))
        TAKES[to](body)
    except Exception:  # noqa: BLE001  # whatever the vendor's types have against it
        yield "not taken: " + traceback.format_exc(limit=-2)[-900:]
    if reply.status != 200:
        yield f"answered {reply.status}"
