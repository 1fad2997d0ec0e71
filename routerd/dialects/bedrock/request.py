"""A neutral request as Bedrock's Converse wants it.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_RequestSyntax
"""

from __future__ import annotations

import re
from urllib.parse import quote

import msgspec

from routerd.dialects.bedrock.messages import conversation, thoughtless, uses_tools
from routerd.dialects.bedrock.parts import Parts
from routerd.dialects.bedrock.reasoning import Steering, longest, steered
from routerd.dialects.bedrock.tools import tool_config
from routerd.dialects.loose import record, text
from routerd.dialects.shape import Encoded, Json, Target

_REGIONS = frozenset({"us", "us-gov", "eu", "apac", "jp", "au", "ca", "sa", "global"})
"""What stands before the vendor in the id of an inference profile."""
_BEFORE_4_1 = re.compile(r"claude-(?:3|v2|instant|opus-4-2|sonnet-4-2)")
_BEFORE_4_5 = re.compile(r"claude-(?:3|v2|instant|opus-4-2|sonnet-4-2|opus-4-1)")
"""Claude's models by age; a 2 behind the 4 begins a date."""
_UNSTRUCTURED = frozenset({"amazon", "meta", "cohere", "ai21", "writer"})
"""Vendors whose models take no JSON schema:
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html."""

_PASSED = (
    "guardrailConfig",
    "performanceConfig",
    "requestMetadata",
    "promptVariables",
    "additionalModelResponseFieldPaths",
)
"""Converse's own members, which a client may send by their own names."""

_WITHOUT_WORD = (
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "min_p",
    "top_a",
    "prediction",
    "web_search_options",
    "plugins",
    "transforms",
    "preset",
)
"""Parameters that would change the answer and that Converse cannot say."""


def encode(chat: Json, target: Target) -> Encoded:
    """A neutral request for Converse, or ConverseStream. Raises InvalidRequest for what Bedrock cannot be sent."""
    draft = _Draft(chat, target)
    system, turns = conversation(chat.get("messages"), draft.parts, signed=draft.vendor in ("anthropic", ""))
    turns[-1]["content"] += draft.parts.mark(chat)
    tools = tool_config(chat, target, parts=draft.parts, used=uses_tools(turns), dropped=draft.dropped)
    forced = "auto" not in tools.get("toolChoice", {"auto": {}})
    steering = steered(chat, target, draft.vendor, forced=forced, unsigned=thoughtless(turns))
    draft.dropped += steering.dropped
    body: Json = {"messages": turns}
    for name, value in (
        ("system", system),
        ("toolConfig", tools),
        ("inferenceConfig", draft.sampling(steering)),
        ("additionalModelRequestFields", draft.fields(steering)),
        ("outputConfig", draft.output(steering)),
        ("serviceTier", draft.tier()),
        *((name, chat.get(name)) for name in _PASSED),
    ):
        if value:
            body[name] = value
    action = "converse-stream" if chat.get("stream") is True else "converse"
    # As botocore quotes it, and as its signature quotes it once more.
    return Encoded(
        path=f"/model/{quote(target.model, safe='-._~')}/{action}",
        body=msgspec.json.encode(body),
        dropped=draft.reported(),
    )


def vendor(model: str) -> str:
    """Whose model it is, by its id: `us.anthropic.claude-...`; empty for an ARN that does not say."""
    words = model.rpartition("/")[2].split(".")
    if words[0] in _REGIONS:
        del words[0]
    return words[0] if len(words) > 1 else ""


class _Draft:
    """One request while it is written, and the parameters that were left out."""

    def __init__(self, chat: Json, target: Target) -> None:
        self._chat = chat
        self._target = target
        self.dropped: list[str] = []
        self.vendor = vendor(target.model)
        # https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
        self.parts = Parts(
            caches=self.vendor in ("anthropic", "amazon", ""), caches_tools=self.vendor in ("anthropic", "")
        )

    def reported(self) -> tuple[str, ...]:
        """What was left out, each once."""
        chat, dropped = self._chat, self.dropped
        dropped += (name for name in _WITHOUT_WORD if chat.get(name))
        if chat.get("n") not in (None, 1):
            dropped.append("n")
        if chat.get("parallel_tool_calls") is False:
            dropped.append("parallel_tool_calls")
        if chat.get("modalities") not in (None, ["text"]):
            dropped.append("modalities")
        if self.parts.unmarked:
            dropped.append("cache_control")
        return tuple(dict.fromkeys(dropped))

    def sampling(self, steering: Steering) -> Json:
        """`inferenceConfig`. A temperature over Bedrock's bound of 1 is sent as 1, and reported."""
        found: Json = {}
        thinks = steering.thinks
        if limit := steering.max_tokens or longest(self._chat):
            found["maxTokens"] = limit
        if (temperature := self._number("temperature")) is not None:
            if temperature > 1:
                self.dropped.append("temperature")
            found["temperature"] = min(temperature, 1)
        if (share := self._number("top_p")) is not None:
            found["topP"] = share
        if thinks and found.get("temperature", 1) != 1:
            self.dropped.append("temperature")
            del found["temperature"]
        # Thinking takes a topP of 0.95 to 1, and Claude since 4.1 one of the two alone.
        either = self.vendor == "anthropic" and not _BEFORE_4_1.search(self._target.model)
        if "topP" in found and ((thinks and found["topP"] < 0.95) or (either and "temperature" in found)):
            self.dropped.append("top_p")
            del found["topP"]
        stop = self._chat.get("stop")
        words = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
        if sequences := [word for word in words if isinstance(word, str) and word]:
            found["stopSequences"] = sequences
        return found

    def fields(self, steering: Steering) -> Json:
        """`additionalModelRequestFields`: what Converse has no word for and the model has."""
        fields: Json = dict(steering.fields)
        kept = self._number("top_k")
        if kept is not None and steering.thinks:
            self.dropped.append("top_k")
        elif kept is not None and self.vendor == "amazon":
            fields["inferenceConfig"] = {"topK": kept}
        elif kept is not None:
            fields["k" if self.vendor == "cohere" else "top_k"] = kept
        if betas := self._chat.get("anthropic_beta"):
            fields["anthropic_beta"] = betas
        return {**fields, **record(self._chat.get("additionalModelRequestFields"))}

    def output(self, steering: Steering) -> Json:
        """`outputConfig`: the schema that the answer has to follow, and the effort."""
        found: Json = {"effort": steering.effort} if steering.effort else {}
        form = record(self._chat.get("response_format"))
        schema = record(form.get("json_schema"))
        if schema and self._structured():
            definition = {"schema": msgspec.json.encode(schema.get("schema") or {"type": "object"}).decode()}
            definition |= {name: said for name in ("name", "description") if (said := text(schema.get(name)))}
            found["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": definition}}
        elif form.get("type") not in (None, "text"):
            self.dropped.append("response_format")
        return found

    def tier(self) -> Json | None:
        """`serviceTier`."""
        tier = self._chat.get("service_tier")
        if tier in ("priority", "default", "flex", "reserved"):
            return {"type": tier}
        if tier not in (None, "auto", "standard"):
            self.dropped.append("service_tier")
        return None

    def _structured(self) -> bool:
        supported = self._target.supported_parameters
        if not self._target.quirks.json_schema:
            return False
        if supported is not None:
            return "structured_outputs" in supported
        return self.vendor not in _UNSTRUCTURED and not _BEFORE_4_5.search(self._target.model)

    def _number(self, name: str) -> float | None:
        """A number of the request's; None where there is none, or the model is known not to take it."""
        value = self._chat.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        supported = self._target.supported_parameters
        if supported is not None and name not in supported:
            self.dropped.append(name)
            return None
        return value
