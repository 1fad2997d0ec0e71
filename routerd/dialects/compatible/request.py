"""A neutral request as JSON for an OpenAI-compatible provider, by what is known of its quirks.

Every word of the client's that has none there is reported (`Encoded.dropped`); what is only spelled otherwise is not.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from routerd.catalogue.schema import Quirks
from routerd.dialects import loose
from routerd.dialects.compatible import reasoning
from routerd.dialects.compatible.messages import unmarked, written
from routerd.dialects.openai.straight import ROUTER_ONLY, WITH_EFFECT
from routerd.dialects.shape import Encoded, Json, Target
from routerd.wire.jsonsplice import Document

_FALLBACKS = frozenset({"models", "route"})
"""routerd falls back itself, by its own names: not even OpenRouter is told."""

_QUIET = frozenset((*ROUTER_ONLY, *reasoning.MEMBERS, "structured_outputs", "debug"))
_LOUD = frozenset((*WITH_EFFECT, "stop_server_tools_when", "max_tool_calls", "image_config", "deferred_tools"))
"""OpenRouter's members without and with an effect on the answer."""

_SAMPLING = frozenset(
    {
        *("temperature", "top_p", "top_k", "min_p", "top_a", "seed", "logprobs", "top_logprobs", "logit_bias"),
        *("frequency_penalty", "presence_penalty", "repetition_penalty"),
    }
)
"""What OpenRouter leaves out where a model is known not to take it; nothing here changes what is asked for."""

_NEVER_OPENAI = frozenset({"top_k", "min_p", "top_a", "repetition_penalty"})
"""OpenAI itself answers 400 to these: "Unrecognized request argument supplied"."""

_OF_TOOLS = ("tool_choice", "parallel_tool_calls")


def encode(chat: Json, target: Target) -> Encoded:
    """The request for one provider, under its own name for the model."""
    dropped: list[str] = []
    if target.openrouter:
        said = {name: value for name, value in chat.items() if name not in _FALLBACKS and value is not None}
        said["model"] = target.model
        return Encoded(path="/chat/completions", body=msgspec.json.encode(said))
    said = _kept(chat, target, dropped)
    said["messages"] = written(chat.get("messages") or (), target.quirks)
    _tools(said, target, dropped)
    _format(said, target, dropped)
    words, without = reasoning.write(chat, target)
    said.update(words)
    dropped += without
    _sampling(said, target, dropped)
    _quirks(said, target, dropped)
    if said.get("stream") is True and target.ask_usage:
        said["stream_options"] = {**loose.record(said.get("stream_options")), "include_usage": True}
    else:
        said.pop("stream_options", None)
    return Encoded(path="/chat/completions", body=msgspec.json.encode(said), dropped=tuple(dict.fromkeys(dropped)))


def applies(keys: Collection[str], target: Target, *, raw: bytes = b"") -> bool:
    """Whether a chat request with these members must take this way, instead of its bytes passing straight through.

    `raw` is the request, to look for values and words that the provider does not take. A word may be found in a text
    too: then the request is written anew without need, which costs a few microseconds and nothing else.
    """
    quirks = target.quirks
    if target.openrouter:
        return False
    touched = {*quirks.rename, *quirks.drop, *_unsupported(target)}
    if quirks.reasoning != "effort":
        touched |= reasoning.MEMBERS
    if not quirks.parallel_tool_calls:
        touched.add("parallel_tool_calls")
    if _wants_completion_tokens(target):
        touched.add("max_tokens")
    if not touched.isdisjoint(keys):
        return True
    valued = {*quirks.clamp, *(("tool_choice",) if quirks.tool_choice else ())}.intersection(keys)
    if valued and _beyond(Document.parse(raw), valued, quirks):
        return True
    words = [b'"reasoning_details"'] + [b'"reasoning_content"'] * (quirks.replay_reasoning != "reasoning_content")
    words += [b'"developer"'] * (not quirks.developer_role) + [b'"cache_control"'] * (not quirks.cache_control)
    words += [b'"strict"'] * (not quirks.strict_tools) + [b'"json_schema"'] * (not quirks.json_schema)
    words += [b'"text"'] * quirks.text_content + [b'"tool_call_id"'] * quirks.short_call_ids
    return any(word in raw for word in words)


def _beyond(said: Document, names: Collection[str], quirks: Quirks) -> bool:
    """Whether one of these members has a value that the provider does not take."""
    for name in names:
        value = said.value(name)
        if name in quirks.clamp:
            least, most = quirks.clamp[name]
            if not isinstance(value, int | float) or not least <= value <= most:
                return True
        elif not isinstance(value, str) or value in quirks.tool_choice:
            return True
    return False


def _kept(chat: Json, target: Target, dropped: list[str]) -> Json:
    """The members that pass, in the client's order."""
    said: Json = {"model": target.model}
    for name, value in chat.items():
        if value is None or name in _QUIET:
            continue
        if name in _LOUD or (name == "cache_control" and not target.quirks.cache_control):
            if value:
                dropped.append(name)
            continue
        if name != "model":
            said[name] = value
    return said


def _tools(said: Json, target: Target, dropped: list[str]) -> None:
    """Tools without what the provider does not know, and the choice among them in its words."""
    quirks = target.quirks
    tools = loose.records(said.get("tools"))
    own = [tool for tool in tools if _passes(str(tool.get("type", "function")), target)]
    if len(own) < len(tools):
        dropped.append("tools")
    choice = said.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools" and not target.vendor:
        own, said["tool_choice"] = _allowed(own, choice)
    if not own:
        for name in ("tools", *_OF_TOOLS):
            said.pop(name, None)  # OpenAI refuses a choice among no tools
        return
    said["tools"] = [_tool(unmarked(tool, quirks), strict=quirks.strict_tools) for tool in own]
    if "parallel_tool_calls" in said and not quirks.parallel_tool_calls:
        del said["parallel_tool_calls"]
        dropped.append("parallel_tool_calls")
    choice = said.get("tool_choice")
    word = choice if isinstance(choice, str) else "function"
    if choice is None or word not in quirks.tool_choice:
        return
    if mapped := quirks.tool_choice[word]:
        said["tool_choice"] = mapped
    else:
        del said["tool_choice"]
        dropped.append("tool_choice")


def _passes(kind: str, target: Target) -> bool:
    """Whether a tool of a kind may be offered: OpenAI itself takes two kinds, who speaks likewise may have its own."""
    return kind in {"function", "custom"} if target.vendor else not kind.startswith("openrouter:")


def _allowed(tools: list[Json], choice: Json) -> tuple[list[Json], str]:
    """OpenAI's choice among some of the tools: the others are not offered."""
    allowed = loose.record(choice.get("allowed_tools")) or choice
    names = {_name(tool) for tool in loose.records(allowed.get("tools"))}
    return [tool for tool in tools if _name(tool) in names], str(allowed.get("mode") or "auto")


def _name(tool: Json) -> str:
    return loose.text(loose.record(tool.get("function")).get("name") or tool.get("name"))


def _tool(tool: Json, *, strict: bool) -> Json:
    function = tool.get("function")
    if strict or not isinstance(function, dict) or "strict" not in function:
        return tool
    return {**tool, "function": {name: value for name, value in function.items() if name != "strict"}}


def _format(said: Json, target: Target, dropped: list[str]) -> None:
    """A schema for the answer, where the provider takes none: JSON is asked for, the schema is told to the model."""
    wanted = said.get("response_format")
    if target.quirks.json_schema or not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return
    dropped.append("response_format.json_schema")
    said["response_format"] = {"type": "json_object"}
    schema = loose.record(wanted.get("json_schema"))
    schema = schema.get("schema", schema)
    # DeepSeek and others refuse json_object where no message speaks of JSON.
    text = f"Answer with JSON that fits this schema:\n{msgspec.json.encode(schema).decode()}"
    said["messages"] = [{"role": "system", "content": text}, *said["messages"]]


def _unsupported(target: Target) -> frozenset[str]:
    """The sampling parameters that the model is known not to take."""
    never = _NEVER_OPENAI if target.vendor else frozenset[str]()
    return never if target.supported_parameters is None else never | (_SAMPLING - target.supported_parameters)


def _sampling(said: Json, target: Target, dropped: list[str]) -> None:
    dropped += [name for name in sorted(_unsupported(target)) if said.pop(name, None) is not None]
    if _wants_completion_tokens(target):
        _renamed(said, "max_tokens", "max_completion_tokens")


def _wants_completion_tokens(target: Target) -> bool:
    """OpenAI's reasoning models refuse `max_tokens` (https://platform.openai.com/docs/api-reference/chat/create)."""
    return target.reasoning is not None and (target.vendor or target.frame == "azure")


def _renamed(said: Json, old: str, new: str) -> None:
    """Move a member to another name; one that stands there already stays."""
    if old in said:
        value = said.pop(old)
        said.setdefault(new, value)


def _quirks(said: Json, target: Target, dropped: list[str]) -> None:
    """What the provider's table says of single members."""
    for old, new in target.quirks.rename.items():
        _renamed(said, old, new)
    dropped += [name for name in target.quirks.drop if said.pop(name, None) is not None]
    for name, (least, most) in target.quirks.clamp.items():
        value = said.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and not least <= value <= most:
            said[name] = type(value)(least if value < least else most)  # a number of tokens stays whole
            dropped.append(name)
