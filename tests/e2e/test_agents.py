"""Agents and libraries with a tool, through the daemon, at vendors whose API is not the one that they speak."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.genai import types
from openrouter import OpenRouter, components

from tests.e2e import agents_programs as programs
from tests.e2e.agents import CLAUDES_OWN, MODELS, Stage, claude_code, codex, gemini_cli, installed, said, tables
from tests.e2e.agents_answers import Call
from tests.e2e.agents_laws import SIGNED
from tests.e2e.agents_vendors import DONE, IDLE, Seen, Vendors
from tests.e2e.daemon import KEY, Daemon

pytestmark = pytest.mark.timeout(90)
SECRET = "the secret number is 42"
QUESTION = "How is the weather in Oslo and Rome?"
WEATHER = [Call("get_weather", {"city": city}) for city in programs.CITIES]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def png() -> bytes:
    """A red square of 64 pixels: smaller ones are not always taken for images."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    rows = zlib.compress((b"\0" + b"\xff\0\0" * 64) * 64)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PNG = png()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Vendors]]:
    folder = tmp_path_factory.mktemp("agents")
    with Vendors() as vendors, Daemon(folder, tables(vendors), environ={"UPSTREAM_KEY": "sk-upstream"}) as daemon:
        yield daemon, vendors


@pytest.fixture
def stage(running: tuple[Daemon, Vendors]) -> Stage:
    daemon, vendors = running
    vendors.asked(*WEATHER, times=2)
    return Stage(daemon, vendors, len(daemon.records()))


def test_codex_runs_a_command_for_claude(stage: Stage, tmp_path: Path) -> None:
    """In OpenAI's place: it wants a WebSocket first. Thoughts come back as they were signed."""
    before = stage.daemon.log.count('"status": 426')
    stage.vendors.asked(Call("exec_command", {"cmd": "echo forty-$((40 + 2))"}), times=2)
    last = codex(stage.daemon, tmp_path, MODELS["anthropic"], sandbox="danger-full-access")
    assert last.startswith(DONE)
    assert "forty-42" in last
    first, _, third = stage.turns("anthropic", "responses")
    assert {"exec_command", "spawn_agent", "wait_agent", "web_search"} <= set(first.tools)
    assert first.body["thinking"]["type"] == "enabled"
    assert thoughts(third) == [SIGNED, SIGNED]
    assert stage.daemon.log.count('"status": 426') == before + 1


@pytest.mark.parametrize("vendor", ["anthropic", "openai", "gemini"])
def test_codex_uses_a_tool_of_a_namespace(stage: Stage, tmp_path: Path, vendor: str) -> None:
    """Without the network it asks for a search that stays offline, which no vendor has."""
    stage.vendors.asked(Call("close_agent", {"target": "nobody"}), Call("get_goal", {}))
    last = codex(stage.daemon, tmp_path, MODELS[vendor], sandbox="read-only", own=True)
    assert last.startswith(DONE)
    assert '"goal"' in last.replace("\\", "")
    first, second = stage.turns(vendor, "responses")
    assert len(second.results) == 2
    assert {"close_agent", "get_goal", "exec_command"} <= set(first.tools)
    assert "web_search" not in json.dumps(first.body["tools"])


def thoughts(seen: Seen) -> list[str]:
    """The signatures with which the turns of Claude begin."""
    return [turn["content"][0]["signature"] for turn in seen.body["messages"] if turn["role"] == "assistant"]


def note(stage: Stage, home: Path, tool: str) -> None:
    """A file to be read with this tool."""
    (home / "note.txt").write_text(f"{SECRET}\n")
    stage.vendors.asked(Call(tool, {"file_path": str(home / "note.txt")}), times=2)


@pytest.mark.parametrize("vendor", ["openai", "gemini"])
def test_claude_code_reads_a_file(stage: Stage, tmp_path: Path, vendor: str) -> None:
    note(stage, tmp_path, "Read")
    assert claude_code(stage.daemon, tmp_path, "--model", MODELS[vendor]).startswith(DONE)
    first, second, _ = stage.turns(vendor, "messages")
    assert SECRET in second.results[0]
    assert "x-anthropic-billing-header" not in json.dumps(first.body)


def test_claude_code_is_served_by_another_model_than_it_knows(stage: Stage, tmp_path: Path) -> None:
    """Its system messages between the others are no turns there; thoughts of a model it did not name, it drops."""
    note(stage, tmp_path, "Read")
    assert claude_code(stage.daemon, tmp_path).startswith(DONE)
    _, second, _ = stage.turns("gemini", "messages")
    assert SECRET in second.results[0]
    assert {record["requested_model"] for record in stage.records()} == {CLAUDES_OWN}


def test_claude_code_keeps_the_thoughts_of_claude(stage: Stage, tmp_path: Path) -> None:
    """Straight through, as long as the model goes by the name that Anthropic gives it."""
    note(stage, tmp_path, "Read")
    assert claude_code(stage.daemon, tmp_path, "--model", "claude-sonnet-4-5").startswith(DONE)
    *_, third = stage.turns("anthropic", "messages")
    assert thoughts(third) == [SIGNED, SIGNED]


def test_gemini_cli_reads_a_file_for_claude(stage: Stage, tmp_path: Path) -> None:
    note(stage, tmp_path, "read_file")
    assert SECRET in gemini_cli(stage.daemon, tmp_path, MODELS["anthropic"])
    *_, third = stage.turns("anthropic", "gemini")
    assert thoughts(third) == [SIGNED, SIGNED]


@pytest.mark.parametrize(
    ("agent", "vendor"),
    [("claude", "openai"), ("claude", "gemini"), ("codex", "anthropic"), ("codex", "openai"), ("gemini", "anthropic")],
)
def test_an_agent_shows_an_image(stage: Stage, tmp_path: Path, agent: str, vendor: str) -> None:
    """A tool returned it: not every API has a place for images there, but the model sees it in all of them."""
    path = tmp_path / "red.png"
    path.write_bytes(PNG)
    if agent == "claude":
        stage.vendors.asked(Call("Read", {"file_path": str(path)}))
        claude_code(stage.daemon, tmp_path, "--model", MODELS[vendor])
    elif agent == "codex":
        stage.vendors.asked(Call("view_image", {"path": str(path)}))
        codex(stage.daemon, tmp_path, MODELS[vendor], sandbox="danger-full-access")
    else:
        stage.vendors.asked(Call("read_file", {"file_path": str(path)}))
        gemini_cli(stage.daemon, tmp_path, MODELS[vendor])
    *_, last = stage.turns(vendor, {"claude": "messages", "codex": "responses", "gemini": "gemini"}[agent])
    assert base64.b64encode(PNG).decode() in json.dumps(last.body)


@pytest.mark.parametrize(
    ("agent", "vendor"), [("codex", "anthropic"), ("claude", "openai"), ("claude", "gemini"), ("gemini", "anthropic")]
)
def test_an_agent_waits_as_long_as_another_vendor_wants(stage: Stage, tmp_path: Path, agent: str, vendor: str) -> None:
    """A limit is a limit in every API, and so is the time after which one may ask again."""
    stage.vendors.asked()
    stage.vendors.refusals = 1
    if agent == "claude":
        last = claude_code(stage.daemon, tmp_path, "--model", MODELS[vendor])
    elif agent == "codex":
        last = codex(stage.daemon, tmp_path, MODELS[vendor], sandbox="read-only", own=True)
    else:
        last = gemini_cli(stage.daemon, tmp_path, MODELS[vendor])
    assert last.strip() == IDLE
    first, *between, final = stage.records()
    assert (first["status"], first["http_status"], first["error_type"]) == ("error", 429, "rate_limit_exceeded")
    assert final["status"] == "ok"
    assert [record["error_type"] for record in between] == ["rate_limit_exceeded"] * len(between)
    assert len(stage.vendors.seen) == 2


def told(last: str) -> None:
    """The last word has both results, in the order of the calls."""
    results = last[last.index(DONE) :]
    places = [results.index(f"7 degrees in {city}") for city in programs.CITIES]
    assert places == sorted(places)


def program(stage: Stage, home: Path, text: str, **environ: str) -> str:
    """One of `agents_programs`, in Node or in the Python of its library; `beside` is where that is installed."""
    folder = installed(environ.pop("beside"))
    modules = folder / "node_modules"
    script = home / ("program.mjs" if modules.exists() else "program.py")
    script.write_text(text)
    if modules.exists():
        (home / "node_modules").symlink_to(modules)
    interpreter = "node" if modules.exists() else folder / "bin" / "python"
    environ |= {"ADDRESS": stage.daemon.url, "KEY": KEY}
    return said([interpreter, script], home=home, environ=environ)


@pytest.mark.parametrize(("api", "vendor"), [("chat", "anthropic"), ("chat", "gemini"), ("responses", "anthropic")])
def test_langchain_uses_a_tool(stage: Stage, tmp_path: Path, api: str, vendor: str) -> None:
    told(program(stage, tmp_path, programs.LANGCHAIN, beside="langchain", API=api, MODEL=MODELS[vendor]))
    assert any(turn.results for turn in stage.turns(vendor, api))


@pytest.mark.parametrize(
    ("api", "vendor"), [("chat", "anthropic"), ("responses", "gemini"), ("messages", "openai"), ("gemini", "anthropic")]
)
def test_pydantic_ai_uses_a_tool(stage: Stage, tmp_path: Path, api: str, vendor: str) -> None:
    told(program(stage, tmp_path, programs.PYDANTIC, beside="pydantic", API=api, MODEL=MODELS[vendor]))
    assert len(stage.turns(vendor, api)) == 6


@pytest.mark.parametrize("vendor", ["anthropic", "gemini"])
def test_the_ai_sdk_uses_a_tool(stage: Stage, tmp_path: Path, vendor: str) -> None:
    told(program(stage, tmp_path, programs.AI_SDK, beside="aisdk", MODEL=MODELS[vendor]))
    turns = stage.turns(vendor, "chat")
    assert len(turns) == 6
    assert all(SIGNED in json.dumps(turn.body) for turn in turns if turn.results)


@pytest.mark.parametrize("vendor", ["anthropic", "gemini"])
def test_openrouters_sdk_for_node_uses_a_tool(stage: Stage, tmp_path: Path, vendor: str) -> None:
    preferences = json.dumps(programs.PREFERENCES)
    environ = {"MODEL": MODELS[vendor], "PREFERENCES": preferences}
    told(program(stage, tmp_path, programs.OPENROUTER, beside="openrouter", **environ))
    assert any(turn.results for turn in stage.turns(vendor, "chat"))


@pytest.mark.parametrize("vendor", ["anthropic", "gemini"])
def test_openrouters_sdk_for_python_uses_a_tool(stage: Stage, vendor: str) -> None:
    assert set(programs.PREFERENCES) | {"options"} == set(components.ProviderPreferences.model_fields)
    asked: dict[str, Any] = {"model": MODELS[vendor], "provider": programs.PREFERENCES}
    asked["tools"] = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    with OpenRouter(api_key=KEY, server_url=f"{stage.daemon.url}/api/v1") as client:
        for _ in range(2):
            answer = client.chat.send(messages=messages, x_open_router_metadata="enabled", **asked)
            calling = answer.choices[0].message
            messages.append(calling)
            for call in calling.tool_calls or ():
                content = f"7 degrees in {json.loads(call.function.arguments)['city']}"
                messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
        with client.chat.send(messages=messages, x_open_router_metadata="enabled", stream=True, **asked) as events:
            chunks = list(events)
    told("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
    for found in (answer.openrouter_metadata, next(filter(None, (chunk.openrouter_metadata for chunk in chunks)))):
        assert found is not None
        assert (found.requested, found.attempt) == (MODELS[vendor], 1)
        assert [one.model for one in found.endpoints.available if one.selected] == [MODELS[vendor]]
    stage.turns(vendor, "chat")


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_googles_sdk_uses_a_tool(stage: Stage, vendor: str) -> None:
    """It runs Python functions by itself."""

    def get_weather(city: str) -> str:
        """The weather in a city."""
        return f"7 degrees in {city}"

    options = types.HttpOptions(base_url=stage.daemon.url)
    config = types.GenerateContentConfig(tools=[get_weather])
    with genai.Client(api_key=KEY, http_options=options) as client:
        told(client.models.generate_content(model=MODELS[vendor], contents=QUESTION, config=config).text or "")
        streamed = client.models.generate_content_stream(model=MODELS[vendor], contents=QUESTION, config=config)
        told("".join(chunk.text or "" for chunk in streamed))
    assert len(stage.turns(vendor, "gemini")) == 6
