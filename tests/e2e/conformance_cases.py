"""The recorded exchanges that a door can express, why the others cannot be, and the requests that lead to each."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from routerd.dialects.anthropic import face as anthropic
from routerd.dialects.gemini import face as gemini
from routerd.dialects.gemini_door import face as gemini_door
from routerd.dialects.messages import face as messages
from routerd.dialects.responses import face as responses
from routerd.dialects.responses_door import face as responses_door
from routerd.dialects.shape import Json, Target
from routerd.errors import RouterdError
from tests.dialects import bedrock_chats
from tests.dialects.cohere import test_face as test_cohere

SPOKEN: Mapping[str, str] = {
    "openai.chat": "openai",
    "openai.completions": "openai",
    "openai.responses": "responses",
    "anthropic.messages": "anthropic",
    "bedrock.invoke": "anthropic",
    "gemini.generate": "gemini",
    "gemini.stream": "gemini",
    "bedrock.converse": "bedrock",
    "bedrock.converse-stream": "bedrock",
    "cohere.v2.chat": "cohere",
    "ollama.chat": "ollama",
    "openai.embeddings": "openai",
    "gemini.embed": "gemini",
    "cohere.embed": "cohere",
    "cohere.rerank": "cohere",
    "rerank": "voyage",
}
"""What a recording's dialect is called in the configuration."""

NO_DOOR: Mapping[str, str] = {
    "anthropic.count_tokens": "tokens are counted without asking a provider",
    "gemini.count": "tokens are counted without asking a provider",
    "bedrock.invoke-stream": "Bedrock is spoken to by Converse, for every model; InvokeModel is not asked for",
    "cohere.generate": "an API that Cohere has withdrawn",
    "cohere.v1.chat": "Cohere is spoken to by its v2 API; v1 has other bodies",
    "ollama.generate": "Ollama is spoken to by /api/chat; /api/generate has other bodies",
    "ollama.meta": "what an Ollama server says of itself; no door asks for it",
    "openai.moderations": "no door for moderation",
    "models": "a provider's list of models is not passed on",
    "gemini.models": "a provider's list of models is not passed on",
}
"""Dialects of the corpus that nobody at a door can ask for."""

LIKE: Mapping[str, str] = {
    "gemini": "google-ai-studio",
    "vertex": "google-vertex",
    "bedrock": "amazon-bedrock",
    "moonshot": "moonshotai",
    "zai": "z-ai",
    "voyage": "voyageai",
}
"""The catalogue's names for those that the corpus names otherwise."""


class Case(NamedTuple):
    """One recorded exchange."""

    name: str
    provider: str
    dialect: str
    model: str
    request: Json | None
    status: int
    kind: str
    """The answer's Content-Type."""
    answer: bytes
    streamed: bool

    @property
    def spoken(self) -> str:
        """Its dialect in the configuration."""
        return "voyage" if self.provider == "voyage" else SPOKEN[self.dialect]

    @property
    def slug(self) -> str:
        """The provider that stands for it."""
        return f"{self.provider}-{self.spoken}"


END = re.compile(rb'^data: ?\{"type": ?"(message_stop|response\.completed)".*\n\n', re.MULTILINE)


def load(corpus: Path) -> list[Case]:
    """Every exchange of the corpus."""
    names = [entry["case"] for entry in json.loads((corpus / "index.json").read_text())]
    return [_case(name, json.loads((corpus / f"{name}.json").read_text())) for name in names]


def _case(name: str, recorded: dict[str, Any]) -> Case:
    request, response = recorded["request"], recorded["response"]
    text = response.get("body") or ""
    raw = (text if isinstance(text, str) else json.dumps(text)).encode()
    if response.get("body_base64"):
        raw = base64.b64decode(response["body_base64"])
    if end := END.search(raw):  # some files hold the stream of the next turn as well
        raw = raw[: end.end()]
    body = request.get("body")
    begins = raw.lstrip(b"\xef\xbb\xbf\r\n ")
    return Case(
        name=name,
        provider=recorded["provider"],
        dialect=recorded["dialect"],
        model=recorded["model"] or "unnamed",
        request=body if isinstance(body, dict) else None,
        status=response["status"],
        kind=response.get("content_type") or "application/json",
        answer=raw,
        streamed=begins.startswith((b"data:", b"event:", b":"))
        or (recorded["dialect"] in ("bedrock.converse-stream", "gemini.stream") and response["status"] == 200),
    )


UNREADABLE: Mapping[str, str] = {
    "anthropic/messages__spliced-message-start.chunks__0-9c4030": "two streams spliced into one; "
    "Anthropic's SDK mixes up their blocks, so there is nothing to compare with",
    "writer/completions__test_writer_async_streaming_completions_legacy__0-bd7983": "a stream in a form of "
    "Writer's own that OpenAI's SDK does not read",
    "ollama/embeddings__test_ollama_embeddings_legacy__0-e51e6f": "an API of old; /api/embed is asked",
}
"""Recordings that the vendor's own SDK cannot read."""


def inexpressible(case: Case) -> str | None:
    """Why no door can say it; None: one can."""
    if reason := UNREADABLE.get(case.name) or NO_DOOR.get(case.dialect):
        return reason
    if case.dialect == "openai.responses" and not case.streamed and _waits(case.answer):
        return "a response in the background is not finished, and nothing here is kept to be asked for later"
    if case.dialect == "bedrock.invoke" and "anthropic" not in case.model:
        return "InvokeModel has a body of its own for each vendor; Bedrock is spoken to by Converse"
    return None


def _waits(body: bytes) -> bool:
    """It is a response that is still being made."""
    said = json.loads(body)
    return isinstance(said, dict) and said.get("status") in ("queued", "in_progress")


def unsaid(case: Case, door: str) -> str | None:
    """Why this door alone cannot say it; None: it can."""
    if door in ("messages", "gemini") and CUSTOM.search(case.answer):
        return "the free text of a custom tool: no client of this door can offer one"
    return None


CUSTOM = re.compile(rb'"type": ?"custom(_tool_call)?"')

# Requests.

PLAIN: Json = {"messages": [{"role": "user", "content": "hi"}]}


def chat_of(case: Case) -> Json:
    """The request in the chat door's words, as a client would have sent it; a plain one where none was recorded."""
    if case.request is None:
        return dict(PLAIN)
    found = {
        name: value for name, value in AS_CHAT.get(case.dialect, _as_it_is)(case.request).items() if value is not None
    }
    choice = found.get("tool_choice")
    if isinstance(choice, dict) and "function" in choice:
        found["tool_choice"] = {"type": "function", **choice}
    return {name: value for name, value in found.items() if name not in ("models", "provider", "preset", "stream")}


def _as_it_is(request: Json) -> Json:
    return request


def _anthropics(request: Json) -> Json:
    return messages.to_chat(json.dumps({"model": "m", **request}).encode())


def _geminis(request: Json) -> Json:
    return gemini_door.to_chat(json.dumps(request).encode(), model="m", stream=False)


def _embedded(request: Json) -> Json:
    return {"input": [{"content": list(map(_part, one["content"]["parts"]))} for one in request["requests"]]}


def _part(part: Json) -> Json:
    inline = part.get("inline_data")
    url = f"data:{inline['mime_type']};base64,{inline['data']}" if inline else ""
    return {"type": "image_url", "image_url": {"url": url}} if inline else {"type": "text", "text": part["text"]}


AS_CHAT: Mapping[str, Callable[[Json], Json]] = {
    "anthropic.messages": _anthropics,
    "bedrock.invoke": _anthropics,
    "gemini.generate": _geminis,
    "gemini.stream": _geminis,
    "openai.responses": lambda request: responses_door.to_chat(json.dumps(request).encode()),
    "bedrock.converse": lambda request: bedrock_chats.chat(request, stream=False),
    "bedrock.converse-stream": lambda request: bedrock_chats.chat(request, stream=False),
    "cohere.embed": lambda request: {"input": request["texts"], "input_type": request["input_type"]},
    "gemini.embed": _embedded,
    "rerank": lambda request: {**request, "top_n": request["top_k"]},
    "cohere.v2.chat": test_cohere.as_chat,
}
"""A recorded request as what a client of ours would have sent; the rest is as it is."""

Asked = tuple[str, Json]
"""A path and a body."""


def requests(case: Case, door: str, model: str, *, stream: bool) -> Iterator[Asked]:
    """The recorded request in a door's words, and a plain one for where routerd itself refuses that."""
    kept = case.request if own(case, door) else None
    with contextlib.suppress(RouterdError, KeyError, TypeError):  # a request that was refused when it was recorded
        yield DOORS[door](chat_of(case), kept, model, stream)
    yield DOORS[door](dict(PLAIN), None, model, stream)


def own(case: Case, door: str) -> bool:
    """Whether the door is the API that was recorded."""
    return OWN.get(door) == case.dialect.removesuffix(".stream").removesuffix(".generate")


OWN: Mapping[str, str] = {
    "chat": "openai.chat",
    "messages": "anthropic.messages",
    "responses": "openai.responses",
    "gemini": "gemini",
    "completions": "openai.completions",
}


def _chat(chat: Json, _own: Json | None, model: str, stream: bool) -> Asked:
    asked = {**chat, "model": model} | ({"stream": True, "stream_options": {"include_usage": True}} if stream else {})
    return "/v1/chat/completions", asked


def _completions(_chat: Json, own: Json | None, model: str, stream: bool) -> Asked:
    asked = {**(own or {"prompt": "hi"}), "model": model, "stream": stream}
    if stream:
        asked["stream_options"] = {"include_usage": True}
    return "/v1/completions", asked


def _messages(chat: Json, own: Json | None, model: str, stream: bool) -> Asked:
    made = own or json.loads(anthropic.encode(chat, Target(model=model)).body)
    return "/v1/messages", {"max_tokens": 4096, **made, "model": model, "stream": stream}


def _responses(chat: Json, own: Json | None, model: str, stream: bool) -> Asked:
    made = own or json.loads(responses.encode(chat, Target(model=model)).body)
    return "/v1/responses", {**made, "model": model, "stream": stream}


def _gemini(chat: Json, own: Json | None, model: str, stream: bool) -> Asked:
    made = own or json.loads(gemini.encode(chat, Target(model=model)).body)
    framing = "?alt=sse" if ord(model[-1]) % 2 else ""  # every other stream as a JSON array
    verb = f"streamGenerateContent{framing}" if stream else "generateContent"
    return f"/v1beta/models/{model}:{verb}", made


def _embeddings(chat: Json, _own: Json | None, model: str, _stream: bool) -> Asked:
    return "/v1/embeddings", {"input": "hi", **chat, "model": model}


def _rerank(chat: Json, _own: Json | None, model: str, _stream: bool) -> Asked:
    return "/v1/rerank", {"query": "hi", "documents": ["hi"], **chat, "model": model}


DOORS: Mapping[str, Callable[[Json, Json | None, str, bool], Asked]] = {
    "chat": _chat,
    "completions": _completions,
    "embeddings": _embeddings,
    "rerank": _rerank,
    "messages": _messages,
    "responses": _responses,
    "gemini": _gemini,
}
