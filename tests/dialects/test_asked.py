"""One request at one door: straight through where provider and client speak alike, else by way of the neutral shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from routerd.catalogue.schema import Quirks
from routerd.dialects import doors
from routerd.dialects.asked import Asked
from routerd.dialects.doors import Door
from routerd.dialects.kept import Kept
from routerd.dialects.passage import Passage, Translated
from routerd.dialects.shape import Target
from routerd.errors import InvalidRequest
from tests.dialects.doorways import BODIES, DOORS, WAY


def ask(door: Door, *, betas: str | None = None, **fields: object) -> Asked:
    body = json.dumps({**BODIES[door.name], **fields}).encode()
    way = WAY.get(door.name, {})
    return Asked(door, door.read(body, **way), id_="gen-1", created=1, betas=betas, way=way)


def passage(
    door: Door, *dialects: str, betas: str | None = None, target: Target | None = None, **fields: Any
) -> Passage:
    return ask(door, betas=betas, **fields).passage(dialects, target or Target(model="theirs"), model="a/m")


CHATS = [name for name, door in DOORS.items() if door.kind in {"chat", "completion"}]


@pytest.mark.parametrize("name", CHATS)
@pytest.mark.parametrize("dialect", ["openai", "responses", "anthropic", "gemini", "bedrock", "cohere", "ollama"])
def test_bytes_pass_where_door_and_dialect_are_one_and_are_translated_elsewhere(name: str, dialect: str) -> None:
    door = DOORS[name]
    found = passage(door, dialect)
    assert found.straight is (door.twin == dialect)
    assert found.dialect == dialect
    assert found.encoded.path.startswith("/")
    assert "theirs" in found.encoded.body.decode() + found.encoded.path


@pytest.mark.parametrize("name", DOORS)
def test_the_doors_own_dialect_is_spoken_though_another_stands_first(name: str) -> None:
    door = DOORS[name]
    if door.same is not None:
        assert passage(door, "cohere", door.twin).straight


def test_what_passes_keeps_every_byte_but_the_models_name() -> None:
    raw = b'{"model" : "m", "messages": [ ], "seed":1.50}'
    asked = Asked(doors.CHAT, doors.CHAT.read(raw), id_="gen-1", created=1)
    encoded = asked.passage(("openai",), Target(model="theirs"), model="a/m").encoded
    assert (encoded.path, encoded.body) == ("/chat/completions", raw.replace(b'"m"', b'"theirs"'))


def test_a_provider_of_another_shape_is_translated_though_it_speaks_alike() -> None:
    target = Target(model="theirs", known=True, quirks=Quirks(normalise=True))
    assert not passage(doors.CHAT, "openai", target=target).straight
    assert passage(doors.EMBEDDINGS, "openai", target=target).straight, "vectors have one shape"


def test_a_bare_prompt_for_a_model_that_only_chats_is_a_chat() -> None:
    found = passage(doors.COMPLETIONS, "openai", target=Target(model="theirs", kind="chat"))
    assert not found.straight
    assert found.encoded.path == "/chat/completions"
    assert json.loads(found.encoded.body)["messages"][-1]["role"] == "user"
    assert passage(doors.COMPLETIONS, "openai", target=Target(model="theirs", kind="completion")).straight
    assert passage(doors.COMPLETIONS, "openai").encoded.path == "/completions"


# Clouds.


def test_azures_own_path_is_a_translation_with_the_deployment_in_it() -> None:
    found = passage(doors.CHAT, "azure", target=Target(model="gpt-mine", api_version="2030-01-01"))
    assert (found.dialect, found.straight) == ("azure", False)
    assert found.encoded.path == "/openai/deployments/gpt-mine/chat/completions?api-version=2030-01-01"


@pytest.mark.parametrize(
    ("door", "model", "straight", "path"),
    [
        (doors.MESSAGES, "claude-opus-4-5", True, "/publishers/anthropic/models/claude-opus-4-5:rawPredict"),
        (doors.CHAT, "claude-opus-4-5", False, "/publishers/anthropic/models/claude-opus-4-5:rawPredict"),
        (doors.GEMINI, "gemini-2.5-flash", True, "/publishers/google/models/gemini-2.5-flash:generateContent"),
        (doors.CHAT, "gemini-2.5-flash", False, "/publishers/google/models/gemini-2.5-flash:generateContent"),
        (doors.MESSAGES, "gemini-2.5-flash", False, "/publishers/google/models/gemini-2.5-flash:generateContent"),
    ],
)
def test_vertex_is_two_dialects_in_a_frame_of_its_own(door: Door, model: str, straight: bool, path: str) -> None:
    found = passage(door, "vertex", target=Target(model=model))
    assert (found.dialect, found.straight, found.encoded.path) == ("vertex", straight, path)
    body = json.loads(found.encoded.body)
    assert ("anthropic_version" in body) is model.startswith("claude")
    assert "model" not in body


# Betas.


def betas(found: Passage) -> str | None:
    return dict(found.encoded.headers).get("anthropic-beta")


def test_betas_go_to_anthropic_and_to_nobody_else() -> None:
    assert betas(passage(doors.MESSAGES, "anthropic", betas="context-1m-2025-08-07")) == "context-1m-2025-08-07"
    assert betas(passage(doors.CHAT, "anthropic", betas="context-1m-2025-08-07")) == "context-1m-2025-08-07"
    assert betas(passage(doors.MESSAGES, "openai", betas="context-1m-2025-08-07")) is None
    assert betas(passage(doors.MESSAGES, "anthropic")) is None


def test_the_clients_betas_stand_beside_those_that_the_request_needs_each_once() -> None:
    file = {"type": "file", "file": {"file_id": "file_123"}}
    messages = [{"role": "user", "content": [file]}]
    needed = betas(passage(doors.CHAT, "anthropic", messages=messages))
    assert needed is not None
    found = betas(passage(doors.CHAT, "anthropic", messages=messages, betas=f" mine , {needed},,mine"))
    assert found == f"{needed},mine"


# What is added for one endpoint.


def test_the_tier_and_the_options_of_an_endpoint_are_added_to_the_body() -> None:
    target = Target(model="theirs", tier="flex", extra={"vendor": {"a": 1}})
    for name in ("openai", "anthropic"):
        body = json.loads(passage(doors.CHAT, name, target=target).encoded.body)
        assert (body["service_tier"], body["vendor"]) == ("flex", {"a": 1})
    own = Target(model="theirs", tier="flex", extra={"service_tier": "mine"})
    assert json.loads(passage(doors.CHAT, "openai", target=own).encoded.body)["service_tier"] == "mine"


def test_a_request_that_somebody_may_continue_is_translated_and_its_stream_has_one_writer() -> None:
    asked, kept = ask(doors.CHAT, stream=True), Kept()
    first = asked.passage(("openai",), Target(model="one"), model="a/m", kept=kept)
    second = asked.passage(("openai",), Target(model="two"), model="a/m", kept=kept)
    assert isinstance(first, Translated)
    assert isinstance(second, Translated)
    assert first.kept is kept


# What routing asks.


def test_needs_are_found_out_once() -> None:
    texts: list[str] = []

    def estimate(text: str) -> int:
        texts.append(text)
        return len(text)

    asked = ask(doors.MESSAGES)
    assert asked.estimated is None
    tokens = asked.prompt_tokens(estimate)
    assert tokens >= len("Hi")
    assert asked.needs(estimate) is asked.needs(estimate)
    assert asked.estimated == tokens
    assert texts.count("Hi") <= 1


def test_what_cannot_be_read_in_the_neutral_shape_is_refused_when_it_is_asked_for() -> None:
    asked = ask(doors.RESPONSES, input=["odd"])
    assert asked.passage(("responses",), Target(model="theirs"), model="a/m").straight
    with pytest.raises(InvalidRequest, match=r"input\[0\]"):
        asked.passage(("openai",), Target(model="theirs"), model="a/m")


def test_what_a_client_hears_while_it_waits_is_no_part_of_an_answer() -> None:
    for name, door in DOORS.items():
        assert ask(door).waiting.startswith(b":"), name
    path = {"model": "m", "stream": True, "sse": False}
    request = doors.GEMINI.read(json.dumps(BODIES["gemini"]).encode(), **path)
    assert Asked(doors.GEMINI, request, id_="gen-1", created=1, way=path).waiting.isspace()
