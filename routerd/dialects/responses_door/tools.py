"""The tools of a Responses request as functions of chat, and the way back from a function's name to the tool.

Chat has one flat list of functions. What a client of the responses door may send beside functions: namespaces of them
(Codex), tools that take free text, tools that were found later in the conversation. A name is kept where it is the only
one of its kind, else its namespace stands before it. The mapping follows from the request alone, so that the answer is
translated back without anything having been remembered.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from routerd.dialects.loose import record, records
from routerd.dialects.loose import text as string
from routerd.dialects.shape import Json

_LONGEST = 64
"""Characters of a function's name at OpenAI, Anthropic and Google."""

_LATER = ("additional_tools", "tool_search_output")
"""Input items that bring further tools."""

_SEARCHES = ("web_search", "web_search_preview", "web_search_preview_2025_03_11", "web_search_2025_08_26")

_FREE_TEXT = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The whole input of the tool, as plain text."}},
    "required": ["input"],
    "additionalProperties": False,
}
"""The parameters of a function that stands for a tool of free text."""


class Tool(msgspec.Struct, frozen=True):
    """A tool that the client carries out."""

    name: str
    namespace: str | None
    custom: bool
    """It takes free text."""
    definition: Json
    flat: str
    """Its name among the functions of chat."""


def tools_of(request: Json) -> tuple[Tool, ...]:
    """The client's own tools, each once, in the request's order."""
    found: dict[tuple[str | None, str], Json] = {}
    for namespace, tool in _all(request):
        if tool.get("type") in ("function", "custom") and (name := string(tool.get("name"))):
            found.setdefault((namespace, name), tool)
    names = Counter(name for _, name in found)
    return tuple(
        Tool(
            name=name,
            namespace=namespace,
            custom=tool["type"] == "custom",
            definition=tool,
            flat=_fitting(name if names[name] == 1 or namespace is None else f"{namespace}__{name}"),
        )
        for (namespace, name), tool in found.items()
    )


def _all(request: Json) -> Iterator[tuple[str | None, Json]]:
    lists = [request.get("tools")]
    given = request.get("input")
    lists += [item.get("tools") for item in records(given) if item.get("type") in _LATER]
    for tool in (tool for tools in lists for tool in records(tools)):
        if tool.get("type") == "namespace":
            yield from ((string(tool.get("name")) or None, inner) for inner in records(tool.get("tools")))
        else:
            yield None, tool


def _fitting(name: str) -> str:
    """A name that is not too long, still another one for another name."""
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}_{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:8]}"


def flat_name(tools: Sequence[Tool], name: str, namespace: str | None) -> str:
    """What a tool is called in chat; one that is not offered any more keeps its name."""
    return next((tool.flat for tool in tools if tool.name == name and tool.namespace == namespace), _fitting(name))


def chat_tools(request: Json, tools: Sequence[Tool]) -> list[Json]:
    """The `tools` of the chat request: functions first as they came, then the provider's own by OpenRouter's names."""
    functions = [_function(tool) for tool in tools]
    return functions + [_built_in(tool) for namespace, tool in _all(request) if namespace is None and _hosted(tool)]


def _hosted(tool: Json) -> bool:
    return tool.get("type") not in ("function", "custom", "namespace", "tool_search") and bool(string(tool.get("type")))


def _function(tool: Tool) -> Json:
    said = tool.definition
    description = string(said.get("description"))
    function: Json = {"name": tool.flat}
    if tool.custom:
        description = "\n\n".join(filter(None, (description, _grammar(record(said.get("format"))))))
    if description:
        function["description"] = description
    function["parameters"] = _FREE_TEXT if tool.custom else _parameters(said.get("parameters"))
    if said.get("strict") is True:
        function["strict"] = True
    return {"type": "function", "function": function}


def _parameters(schema: object) -> Json:
    """A function without parameters still says so: not every provider takes it otherwise."""
    return record(schema) or {"type": "object", "properties": {}}


def _grammar(form: Json) -> str:
    """The grammar of a tool of free text in words: no other API has a place for one."""
    if form.get("type") != "grammar":
        return ""
    return f"The input must follow this {string(form.get('syntax'))} grammar:\n{string(form.get('definition'))}"


def _built_in(tool: Json) -> Json:
    """A tool that the provider carries out, by OpenRouter's name for such: dialects that have it take it from there.

    Codex asks for a search that stays offline (`external_web_access: false`): a search on the web is no such thing.
    """
    kind = string(tool.get("type"))
    rest = {key: value for key, value in tool.items() if key != "type" and value is not None}
    if kind in _SEARCHES:
        offline = rest.pop("external_web_access", None) is False
        kind = "offline_web_search" if offline else "web_search"
        if domains := record(rest.pop("filters", None)).get("allowed_domains"):
            rest["allowed_domains"] = domains
    kind = f"openrouter:{kind.removeprefix('openrouter:')}"
    parameters = rest.pop("parameters", None) or rest
    return {"type": kind} | ({"parameters": parameters} if parameters else {})


def tool_choice(choice: object, tools: Sequence[Tool]) -> object:
    """The choice in chat's words; None for one that names a tool of the provider's.

    A choice among some tools is its mode alone here: `allowed` says which of them are offered.
    """
    if isinstance(choice, str):
        return choice
    said = record(choice)
    kind = said.get("type")
    if kind in ("function", "custom"):
        name = flat_name(tools, string(said.get("name")), string(said.get("namespace")) or None)
        return {"type": "function", "function": {"name": name}}
    if kind == "allowed_tools":
        return string(said.get("mode")) or "auto"
    return None


def allowed(choice: object, tools: Sequence[Tool]) -> tuple[Tool, ...]:
    """The tools that a choice leaves on offer."""
    said = record(choice)
    if said.get("type") != "allowed_tools":
        return tuple(tools)
    names = {string(tool.get("name")) for tool in records(said.get("tools"))}
    return tuple(tool for tool in tools if tool.name in names)
