"""Answers of servers that speak likewise to OpenAI, brought to the neutral shape: one message or delta at a time.

What is already neutral is left alone, members that nobody here knows included; only a vendor's own words and wrong
types are mended, in place. Every difference below was seen in recordings of some twenty providers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from routerd.dialects import loose
from routerd.dialects.calls import Calls
from routerd.dialects.openai.answer import ProviderAnswerInvalid, text_of
from routerd.dialects.openai.error import ProviderError, in_band_error
from routerd.dialects.openai.usage import usage_of
from routerd.dialects.shape import Json
from routerd.wire.lenient import decoded

FINISHES = frozenset({"stop", "length", "tool_calls", "content_filter", "error"})
_FINISH_WORDS = {
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",  # Together's older models
    "eos_token": "stop",  # Hugging Face
    "completed": "stop",
    "complete": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",  # Mistral
    "model_context_window_exceeded": "length",  # Z.ai
    "insufficient_system_resource": "error",  # DeepSeek
    "network_error": "error",  # Z.ai
    "sensitive": "content_filter",  # Z.ai
    "safety": "content_filter",  # Gemini behind an OpenAI door
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "refusal": "content_filter",
}
"""Other words for the same, in lower case, with who uses them where that is one vendor."""

GEMINI = "google-gemini-v1"

_REASONING = ("reasoning", "reasoning_content", "reasoning_text", "thinking")
"""Where the text of reasoning stands: OpenRouter, Groq, Ollama; DeepSeek and most; GitHub; some proxies."""


def completion(body: bytes) -> Json | ProviderError:
    """A whole answer as a neutral completion, or the error that a 200 held instead of one.

    Raises ProviderAnswerInvalid where the body is neither.
    """
    said = decoded(body)
    if not isinstance(said, dict):
        raise ProviderAnswerInvalid("the body is not a JSON object")
    choices = loose.records(said.get("choices"))
    if not choices:
        if said.get("error"):
            return in_band_error(body)
        raise ProviderAnswerInvalid("the body has no choices")
    said["choices"] = choices
    usage(said)
    without_nulls(said)
    for number, choice in enumerate(choices):
        _completed(choice, number, answer=text_of(said.get("id")) or "?")
    if cited := citations(said):
        choices[0]["message"].setdefault("annotations", cited)
    return said


def _completed(choice: Json, number: int, *, answer: str) -> None:
    """Mend one choice of a whole answer."""
    without_nulls(choice)
    if not isinstance(choice.get("index"), int):
        choice["index"] = number
    delta, said = choice.pop("delta", None), choice.get("message")
    if not isinstance(said, dict):
        said = choice["message"] = loose.record(delta)
    message(said)
    calls = Calls(choice["index"])
    found = calls.read(said.pop("tool_calls", None), answer=answer)
    if found:
        said["tool_calls"] = [{key: value for key, value in call.items() if key != "index"} for call in found]
    sign(said)
    said.setdefault("content", None)
    said["role"] = "assistant"
    finish(choice, calls=bool(calls))


def without_nulls(said: Json) -> None:
    """Take out what has no value: some clients refuse a null where the member may be absent."""
    for name in [name for name, value in said.items() if value is None]:
        del said[name]


def finish(choice: Json, *, calls: bool) -> None:
    """Map a choice's finish reason to one of the five; the provider's own word is kept beside it.

    A provider that gives no reason with a call for a tool (Snowflake) means that tool to be run.
    """
    word = choice.get("finish_reason")
    if not isinstance(word, str) or not word:
        choice["finish_reason"] = "tool_calls" if calls else None
        choice.pop("native_finish_reason", None)
        return
    native = choice.get("native_finish_reason")
    choice["native_finish_reason"] = native if isinstance(native, str) and native else word
    if word not in FINISHES:
        lower = word.lower()
        choice["finish_reason"] = lower if lower in FINISHES else _FINISH_WORDS.get(lower, "stop")


def message(said: Json) -> None:
    """Bring a message or a delta to the neutral shape, in place. Its tool calls are left to `calls.Calls`."""
    content = said.get("content")
    if isinstance(content, list):
        _parts(said, content)
    elif content is not None and not isinstance(content, str):
        del said["content"]
    _reasoning(said)
    if "function_call" in said:
        _legacy_call(said, said.pop("function_call"))
    for name in [name for name, value in said.items() if value is None or (value == [] and name != "content")]:
        del said[name]
    audio = said.get("audio")
    if audio is not None and not (isinstance(audio, dict) and any(audio.values())):
        del said["audio"]  # Snowflake fills in what it does not have
    if said.get("refusal") == "":
        del said["refusal"]


def _parts(said: Json, parts: list[Any]) -> None:
    """Content in parts (Mistral's thinking, Databricks' reasoning) as text, reasoning and images."""
    text: list[str] = []
    thoughts: list[str] = []
    images: list[Json] = []
    for part in parts:
        if isinstance(part, str):
            text.append(part)
        elif isinstance(part, dict):
            if isinstance(part.get("text"), str):
                text.append(part["text"])
            elif part.get("type") == "image_url":
                images.append(part)
            else:
                thoughts += _texts(part.get("thinking") or part.get("summary"))
    said["content"] = "".join(text)
    if thoughts and not said.get("reasoning"):
        said["reasoning"] = "".join(thoughts)
    if images and not said.get("images"):
        said["images"] = images


def _texts(thought: object) -> Iterable[str]:
    """The texts of a thinking part: text itself, or a list of text parts."""
    if isinstance(thought, str):
        return (thought,)
    return [loose.text(part.get("text")) for part in loose.records(thought)]


def _reasoning(said: Json) -> None:
    """`reasoning` and `reasoning_details` from whichever of the two, or of other words, there is."""
    text = ""
    for name in _REASONING:
        if name in said:
            value = said.pop(name)
            text = text or loose.text(value)
    details = said.get("reasoning_details")
    if details is not None:
        details = loose.records(details)
        if not text:
            text = "".join(loose.text(item.get("text") or item.get("summary")) for item in details)
        if details:
            said["reasoning_details"] = details
        else:
            del said["reasoning_details"]
    if text:
        said["reasoning"] = text
        if not details:
            said["reasoning_details"] = [{"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}]


def sign(said: Json) -> None:
    """Gemini's thought signatures as details of reasoning: they must come back to it with the next turn.

    https://ai.google.dev/gemini-api/docs/thought-signatures: in `extra_content` of a message or of a tool call.
    """
    places = [place for place in (said, *said.get("tool_calls", ())) if "extra_content" in place]
    for place in places:
        google = loose.record(loose.record(place["extra_content"]).get("google"))
        if signature := loose.text(google.get("thought_signature")):
            detail: Json = {"type": "reasoning.encrypted", "data": signature, "format": GEMINI, "index": 0}
            if own := loose.text(place.get("id")):
                detail["id"] = own
            said.setdefault("reasoning_details", []).append(detail)


def _legacy_call(said: Json, call: object) -> None:
    """`function_call`, from the days before tools, as a tool call."""
    if isinstance(call, dict) and (call.get("name") or call.get("arguments")) and not said.get("tool_calls"):
        said["tool_calls"] = [{"index": 0, "function": call}]


def usage(said: Json) -> None:
    """Put the usage of an answer or chunk where OpenAI has it, as an object without nulls, or take it out."""
    found, elsewhere = said.pop("usage", None), _usage_elsewhere(said)
    if not isinstance(found, dict):
        found = elsewhere
    if found is None:
        return
    counted = {name: value for name, value in found.items() if value is not None}
    for name in ("prompt_tokens_details", "completion_tokens_details"):
        details = counted.get(name)
        if isinstance(details, dict):
            counted[name] = {key: value for key, value in details.items() if value is not None}
    if isinstance(cost := counted.get("cost"), dict):  # Perplexity
        counted["cost"] = cost.get("total_cost")
        if not isinstance(counted["cost"], int | float):
            del counted["cost"]
    _agree(counted)
    said["usage"] = counted


def _agree(counted: Json) -> None:
    """Put counts where OpenAI has them, which xAI and Gemini keep out of the completion, and Moonshot elsewhere."""
    read = usage_of({"usage": counted})
    if read is None:
        return
    if "completion_tokens" in counted:
        counted["completion_tokens"] = read.completion
    places = (("prompt_tokens_details", "cached_tokens"), ("completion_tokens_details", "reasoning_tokens"))
    for (place, name), tokens in zip(places, (read.cached, read.reasoning), strict=True):
        if tokens:
            counted[place] = {**loose.record(counted.get(place)), name: tokens}


def _usage_elsewhere(said: Json) -> Json | None:
    """Take out the usage of a choice (Moonshot's older models) or of `x_groq`."""
    choices = said.get("choices")
    places = [*(choices if isinstance(choices, list) else ()), said.get("x_groq")]
    found = [place.pop("usage") for place in places if isinstance(place, dict) and "usage" in place]
    return next((usage for usage in found if isinstance(usage, dict)), None)


def citations(said: Json) -> list[Json]:
    """Perplexity's sources, which stand beside the choices, as annotations."""
    known = {
        url: result for result in loose.records(said.get("search_results")) if (url := loose.text(result.get("url")))
    }
    listed = said.get("citations")
    urls = [url for url in listed if isinstance(url, str)] if isinstance(listed, list) else []
    return [_citation(url, known.get(url, {})) for url in dict.fromkeys(urls or known)]


def _citation(url: str, result: Json) -> Json:
    cited: Json = {"url": url, "title": loose.text(result.get("title")), "start_index": 0, "end_index": 0}
    if snippet := loose.text(result.get("snippet")):
        cited["content"] = snippet
    return {"type": "url_citation", "url_citation": cited}
