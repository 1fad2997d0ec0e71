"""The simulated provider's side of a chat completion: what it answers, when, and how it fails. Pure.

It speaks OpenAI's dialect, so that routerd reaches it as it reaches any other provider; `server/simulator.py` puts it
on a socket. The model's name chooses the scenario (SCENARIOS); any other name behaves as `demo`. The same prompt gets
the same words (`simulator/words.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from routerd.dialects.simulator import words

Ending = Literal["whole", "cut", "hang"]
"""After the last step: the answer is complete, the connection is dropped, or it stays open and silent."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """How a model behaves. `first_token` is seconds, `rate` tokens a second (0: all at once)."""

    first_token: float = 0.15
    rate: float = 40.0
    tokens: int = 0
    """Length of the answer; 0: as the prose comes, some 50."""
    status: int = 200
    fault: Literal["", "stall", "silent", "cut", "truncated", "error"] = ""
    tools: bool = False
    reasoning: bool = False
    about: str = ""


SCENARIOS: Mapping[str, Scenario] = {
    "demo": Scenario(about="about 40 tokens a second, the first after 150 ms"),
    "demo-fast": Scenario(first_token=0, rate=0, about="all at once"),
    "demo-slow": Scenario(first_token=5, rate=5, about="the first token after 5 s, then 5 a second"),
    "demo-long": Scenario(tokens=2000, rate=100, about="2,000 tokens"),
    "demo-tools": Scenario(tools=True, about="calls the first tool that the request offers"),
    "demo-reasoning": Scenario(reasoning=True, about="thinks aloud before it answers"),
    "demo-400": Scenario(status=400, about="refuses the request"),
    "demo-401": Scenario(status=401, about="refuses the key"),
    "demo-429": Scenario(status=429, about="asks for 7 s of patience (Retry-After)"),
    "demo-500": Scenario(status=500, about="fails"),
    "demo-stall": Scenario(fault="stall", about="opens the stream, then nothing"),
    "demo-silent": Scenario(fault="silent", about="accepts the request and never answers"),
    "demo-cut": Scenario(fault="cut", about="drops the connection after some tokens"),
    "demo-truncated": Scenario(fault="truncated", about="ends without finish reason and [DONE]"),
    "demo-error": Scenario(fault="error", about="an error event in mid-stream"),
}
RETRY_AFTER = 7
"""Seconds in demo-429's Retry-After."""
SPARED = 8
"""Tokens that demo-cut, demo-truncated and demo-error send before they fail."""

ERRORS: Mapping[int, tuple[str, str, str | None]] = {
    400: ("The simulator refuses this request, as its model's name asks.", "invalid_request_error", None),
    401: ("Incorrect API key provided (simulated).", "invalid_request_error", "invalid_api_key"),
    404: ("The simulator has no such path.", "invalid_request_error", None),
    429: ("Rate limit reached (simulated). Please try again in 7s.", "requests", "rate_limit_exceeded"),
    500: ("The server had an error while processing your request (simulated).", "server_error", None),
}
"""status: (message, type, code), worded as OpenAI words them."""


class Function(msgspec.Struct, frozen=True):
    """What a tool is called, and the JSON schema of what it takes."""

    name: str
    parameters: dict[str, Any] | None = None


class Tool(msgspec.Struct, frozen=True):
    """A tool that the request offers; only functions are ever called."""

    type: str = "function"
    function: Function | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """`include_usage`: a last chunk with the token counts."""

    include_usage: bool | None = False


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a chat request that the simulator understands; the rest is ignored."""

    model: str = "demo"
    messages: list[dict[str, Any]]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    tools: list[Tool] | None = None
    tool_choice: Any = None

    @property
    def limit(self) -> int | None:
        """The most tokens that the answer may have."""
        return self.max_completion_tokens or self.max_tokens


class Step(msgspec.Struct, frozen=True):
    """Bytes to send, `after` so many seconds since the step before."""

    after: float
    data: bytes


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer for the shell to play: head, steps, ending. `status` 0: not even a head is sent."""

    status: int = 200
    headers: dict[str, str]
    steps: tuple[Step, ...] = ()
    ending: Ending = "whole"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The content of an answer, cut into tokens. `call` is (tool's name, its arguments as tokens of JSON)."""

    id: str
    model: str
    created: int
    thoughts: tuple[str, ...]
    pieces: tuple[str, ...]
    call: tuple[str, tuple[str, ...]] | None
    finish_reason: str
    prompt_tokens: int

    @property
    def usage(self) -> dict[str, Any]:
        """OpenAI's usage object."""
        reasoning = len(self.thoughts)
        completion = reasoning + len(self.pieces) + (len(self.call[1]) if self.call else 0)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }


def script(body: bytes, *, id: str, created: int, prompt_tokens: int) -> Script:  # noqa: A002  # the API's own word
    """The answer to a chat request's body; 400 to one that cannot be read. `created` is Unix seconds."""
    try:
        request = msgspec.json.decode(body, type=Request)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return refusal(400, f"The simulator cannot read this request: {error}")
    scenario = SCENARIOS.get(request.model, SCENARIOS["demo"])
    if scenario.status != 200:
        return refusal(scenario.status)
    if scenario.fault == "silent":
        return Script(status=0, headers={}, ending="hang")
    answer = compose(request, scenario, id=id, created=created, prompt_tokens=prompt_tokens)
    if request.stream:
        return _streamed(answer, scenario, usage=bool(request.stream_options and request.stream_options.include_usage))
    return _whole(answer, scenario)


def refusal(status: int, message: str | None = None) -> Script:
    """An error body with its status, in OpenAI's form."""
    headers = {"content-type": "application/json"}
    if status == 429:
        headers["retry-after"] = str(RETRY_AFTER)
    return Script(status=status, headers=headers, steps=(Step(0, _json(_error(status, message))),))


def models(created: int) -> bytes:
    """The body of GET /models: every scenario. `created` is Unix seconds."""
    rows = [{"id": name, "object": "model", "created": created, "owned_by": "simulator"} for name in SCENARIOS]
    return _json({"object": "list", "data": rows})


def compose(
    request: Request,
    scenario: Scenario,
    *,
    id: str,  # noqa: A002  # the API's own word
    created: int,
    prompt_tokens: int,
) -> Answer:
    """The words of the answer: the same for the same prompt, cut at the request's limit."""
    topic, role = words.topic(request.messages)
    thoughts = words.pieces(words.thoughts(topic)) if scenario.reasoning else ()
    call = _call(request, topic) if scenario.tools and role != "tool" else None
    pieces = () if call else words.pieces(words.prose(topic, role, tokens=scenario.tokens))[: scenario.tokens or None]
    finish_reason = "tool_calls" if call else "stop"
    if request.limit and not call and request.limit < len(thoughts) + len(pieces):
        thoughts = thoughts[: request.limit]
        pieces = pieces[: request.limit - len(thoughts)]
        finish_reason = "length"
    return Answer(
        id=id,
        model=request.model,
        created=created,
        thoughts=thoughts,
        pieces=pieces,
        call=call,
        finish_reason=finish_reason,
        prompt_tokens=prompt_tokens,
    )


def _call(request: Request, topic: str) -> tuple[str, tuple[str, ...]] | None:
    """A call of the tool that `tool_choice` names, else of the first; None where none may be called."""
    offered = {tool.function.name: tool.function for tool in request.tools or () if tool.function}
    if not offered or request.tool_choice == "none":
        return None
    choice = request.tool_choice if isinstance(request.tool_choice, dict) else {}
    named = choice.get("function")
    wanted = named.get("name") if isinstance(named, dict) else None
    function = offered.get(str(wanted)) or next(iter(offered.values()))
    arguments = words.example(function.parameters or {}, topic)
    text = msgspec.json.encode(arguments if isinstance(arguments, dict) else {}).decode()
    return function.name, tuple(re.findall(r".{1,8}", text, re.DOTALL))


def _streamed(answer: Answer, scenario: Scenario, *, usage: bool) -> Script:
    headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    gap = 1 / scenario.rate if scenario.rate else 0.0
    opening = Step(
        0 if scenario.fault == "stall" else scenario.first_token, _chunk(answer, {"role": "assistant", "content": ""})
    )
    if scenario.fault == "stall":
        return Script(headers=headers, steps=(opening,), ending="hang")
    tokens = [Step(gap if at else 0, _chunk(answer, delta)) for at, delta in enumerate(_deltas(answer))]
    if scenario.fault:
        failure = (Step(gap, _event(_error(500))),) if scenario.fault == "error" else ()
        ending: Ending = "cut" if scenario.fault == "cut" else "whole"
        return Script(headers=headers, steps=(opening, *tokens[:SPARED], *failure), ending=ending)
    last = [_chunk(answer, {}, finish_reason=answer.finish_reason)]
    if usage:
        last.append(_event({**_head(answer, "chat.completion.chunk"), "choices": [], "usage": answer.usage}))
    last.append(b"data: [DONE]\n\n")
    return Script(headers=headers, steps=(opening, *tokens, *(Step(0, data) for data in last)))


def _deltas(answer: Answer) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"reasoning": piece} for piece in answer.thoughts]
    deltas += [{"content": piece} for piece in answer.pieces]
    if answer.call:
        name, arguments = answer.call
        start = {"index": 0, **_tool_call(answer, name, "")}
        deltas.append({"tool_calls": [start]})
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in arguments]
    return deltas


def _whole(answer: Answer, scenario: Scenario) -> Script:
    """The JSON form. Faults that only a stream can have are what comes nearest to them in a body."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(answer.pieces) or None}
    if answer.thoughts:
        message["reasoning"] = "".join(answer.thoughts)
    if answer.call:
        message["tool_calls"] = [_tool_call(answer, answer.call[0], "".join(answer.call[1]))]
    finish_reason = None if scenario.fault == "truncated" else answer.finish_reason
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
    body = _json({**_head(answer, "chat.completion"), "choices": [choice], "usage": answer.usage})
    if scenario.fault == "error":
        body = _json(_error(500))
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    if scenario.fault == "stall":
        return Script(headers=headers, ending="hang")
    if scenario.fault == "cut":
        return Script(headers=headers, steps=(Step(scenario.first_token, body[: len(body) // 2]),), ending="cut")
    tokens = answer.usage["completion_tokens"]
    after = scenario.first_token + (tokens / scenario.rate if scenario.rate else 0)
    return Script(headers=headers, steps=(Step(after, body),))


def _head(answer: Answer, kind: str) -> dict[str, Any]:
    return {"id": answer.id, "object": kind, "created": answer.created, "model": answer.model}


def _chunk(answer: Answer, delta: dict[str, Any], *, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _event({**_head(answer, "chat.completion.chunk"), "choices": [choice]})


def _tool_call(answer: Answer, name: str, arguments: str) -> dict[str, Any]:
    return {
        "id": f"call_{answer.id[-12:]}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _error(status: int, message: str | None = None) -> dict[str, Any]:
    words, kind, code = ERRORS[status]
    return {"error": {"message": message or words, "type": kind, "param": None, "code": code}}


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + _json(value) + b"\n\n"


def _json(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value)
