"""Presets: parts of a request kept under a name, and laid under the request that names it. Pure.

OpenRouter's rules: `@preset/slug` in the place of the model, `model@preset/slug` behind it, or the member `preset`;
fields are merged shallowly and the request wins; tools are merged by what they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from routerd.errors import InvalidRequest, UnknownModel

MARK = "@preset/"


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of a request under a name."""

    slug: str
    fields: Mapping[str, Any]
    active: bool = True


def named(model: str) -> tuple[str, str | None]:
    """The model without its preset ("" where there is none), and the preset's slug."""
    base, mark, slug = model.partition(MARK)
    return (base, slug) if mark else (model, None)


def merged(request: Mapping[str, Any], presets: Mapping[str, Preset]) -> Mapping[str, Any]:
    """The request with its preset under it, or the same object where it names none.

    Raises UnknownModel for a preset that is not there, InvalidRequest for one that is switched off.
    """
    model = request.get("model")
    base, slug = named(model) if isinstance(model, str) else ("", None)
    if slug is None:
        member = request.get("preset")
        if not isinstance(member, str):
            return request
        slug = member.removeprefix(MARK)
        base = model if isinstance(model, str) else ""
    preset = presets.get(slug)
    if preset is None:
        listed = ", ".join(sorted(presets)) or "none"
        raise UnknownModel(f'no preset is called "{slug}"; there are: {listed}')
    if not preset.active:
        raise InvalidRequest(f'preset "{slug}" is switched off')
    own = {name: value for name, value in request.items() if name not in {"model", "preset"}}
    found = {**preset.fields, **own}
    if base:
        found["model"] = base
    if preset.fields.get("tools") and own.get("tools"):
        found["tools"] = _tools(preset.fields["tools"], own["tools"])
    if "model" not in found and "models" not in found:
        raise InvalidRequest(f'preset "{slug}" names no model, and neither does the request')
    return found


def _tools(below: Any, above: Any) -> Any:  # noqa: ANN401  # decoded JSON, not yet checked
    """Both lists, of two that are the same tool the request's."""
    if not isinstance(below, list) or not isinstance(above, list):
        return above
    own = [_identity(tool) for tool in above]
    return [tool for tool in below if _identity(tool) not in own] + above


def _identity(tool: Any) -> tuple[str, ...]:  # noqa: ANN401
    """A function by its name, a server tool by its type, and by the name in its parameters where it has one."""
    if not isinstance(tool, dict):
        return (repr(tool),)
    kind = str(tool.get("type", "function"))
    function, parameters = tool.get("function"), tool.get("parameters")
    if isinstance(function, dict):
        return (kind, str(function.get("name")))
    if "name" in tool:
        return (kind, str(tool["name"]))
    if isinstance(parameters, dict) and "name" in parameters:
        return (kind, str(parameters["name"]))
    return (kind,)
