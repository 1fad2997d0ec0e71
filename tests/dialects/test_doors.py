"""The doors and dialects by name, and what a dialect's name means for one endpoint."""

from __future__ import annotations

import json
from typing import Any

import pytest

from routerd.dialects import doors
from routerd.dialects.doors import DIALECTS, PATHS, Door
from routerd.dialects.shape import Encoded, Target
from routerd.errors import CoolingDown, InvalidRequest
from tests.dialects.doorways import BODIES, DOORS, WAY


def read(door: Door, body: bytes) -> Any:
    return door.read(body, **WAY.get(door.name, {}))


@pytest.fixture(params=DOORS.values(), ids=list(DOORS))
def door(request: pytest.FixtureRequest) -> Door:
    found: Door = request.param
    return found


def test_every_door_has_a_name_of_its_own_and_a_twin_that_is_spoken() -> None:
    assert len(DOORS) == len(PATHS) + 1
    for one in DOORS.values():
        assert (one.twin in DIALECTS) is (one.same is not None)


def test_a_door_reads_its_smallest_request(door: Door) -> None:
    found = read(door, json.dumps(BODIES[door.name]).encode())
    assert (found.model, found.stream) == ("m", False)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"\xff", b"[" * 5000, b'{"model":1}'])
def test_what_is_no_request_is_refused_as_one(door: Door, body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        door.to_chat(read(door, body).raw, **WAY.get(door.name, {}))


def test_every_doors_envelope_says_what_was_wrong(door: Door) -> None:
    told = json.loads(door.error(CoolingDown("too many at once", retry_after=3)))
    error = told.get("error", told)
    assert "too many at once" in error["message"]


def test_the_doors_own_dialect_is_chosen_wherever_it_stands() -> None:
    assert doors.named(doors.CHAT, ("responses", "openai")) == "openai"
    assert doors.named(doors.MESSAGES, ("openai", "anthropic")) == "anthropic"
    assert doors.named(doors.MESSAGES, ("responses", "openai")) == "responses"
    assert doors.named(doors.CHAT, ("vertex",)) == "vertex"


def test_the_first_dialect_that_can_say_it_is_chosen_and_without_one_the_request_is_refused() -> None:
    assert doors.named(doors.EMBEDDINGS, ("anthropic", "cohere")) == "cohere"
    with pytest.raises(InvalidRequest, match="the embeddings door cannot be served in anthropic"):
        doors.named(doors.EMBEDDINGS, ("anthropic",))


@pytest.mark.parametrize(
    ("name", "model", "inner", "frame"),
    [
        ("vertex", "claude-opus-4-5", "anthropic", "vertex"),
        ("vertex", "gemini-2.5-flash", "gemini", "vertex"),
        ("azure", "gpt-mine", "azure", "azure"),
        ("anthropic", "claude-opus-4-5", "anthropic", ""),
        ("bedrock", "eu.anthropic.claude-opus-4-5", "bedrock", ""),
    ],
)
def test_a_clouds_name_means_a_dialect_in_its_frame(name: str, model: str, inner: str, frame: str) -> None:
    found, dialect, target = doors.spoken(name, Target(model=model), kind="chat")
    assert (found, target.frame, target.model) == (inner, frame, model)
    assert dialect is DIALECTS[inner]


@pytest.mark.parametrize("kind", doors.FORMS)
def test_vectors_and_ranks_have_forms_of_their_own(kind: str) -> None:
    assert doors.spoken("openai", Target(model="m"), kind="embedding")[1] is DIALECTS["openai"]
    for name in doors.FORMS[kind]:
        found, dialect, target = doors.spoken(name, Target(model="m"), kind=kind)
        assert (found, dialect) == (name, doors.FORMS[kind][name])
        assert target.frame == ("vertex" if name == "vertex" else "")


@pytest.mark.parametrize(
    ("version", "path"),
    [
        (None, f"/openai/deployments/my%2Fgpt%204/chat/completions?api-version={doors.AZURE_VERSION}"),
        ("2030-01-01", "/openai/deployments/my%2Fgpt%204/chat/completions?api-version=2030-01-01"),
    ],
)
def test_azures_deployment_stands_in_the_path(version: str | None, path: str) -> None:
    target = Target(model="my/gpt 4", frame="azure", api_version=version)
    encoded = Encoded(path="/chat/completions", body=b"{}")
    assert doors.framed(encoded, target).path == path
    assert doors.framed(encoded, Target(model="m")) is encoded
