"""Real clients, with providers that nobody here wrote, and the daemon between them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import openai
import pydantic
import pytest

from tests.e2e.daemon import KEY, Daemon, provider
from tests.e2e.process import Process, answers, fetch, free_port, run

pytestmark = pytest.mark.timeout(180)
INSTALLED = Path(os.environ.get("HOME", "/")) / ".cache" / "routerd-tests"

WHOLE_FILE = "greeting.py\n```python\nprint('hello from the daemon')\n```\n"
FIXTURES = {
    "fixtures": [
        {"match": {"userMessage": "salute"}, "response": {"content": "Hello from far away."}},
        {
            "match": {"userMessage": "weather"},
            "response": {"toolCalls": [{"name": "get_weather", "arguments": '{"city": "Oslo"}'}]},
        },
        {"match": {"userMessage": "structured"}, "response": {"content": '{"city": "Oslo", "degrees": -7}'}},
        {"match": {"userMessage": "greeting.py"}, "response": {"content": WHOLE_FILE}},
        {
            "match": {"userMessage": "limited"},
            "response": {"error": {"message": "slow down please", "type": "rate_limit_error"}, "status": 429},
        },
        {
            "match": {"userMessage": "refused"},
            "response": {"error": {"message": "no such thing", "type": "invalid_request_error"}, "status": 400},
        },
        {
            "match": {"userMessage": "broken"},
            "response": {"content": "this answer breaks off in the middle of it"},
            "chunkSize": 3,
            "latency": 50,
            "disconnectAfterMs": 300,
        },
    ]
}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Weather(pydantic.BaseModel):
    city: str
    degrees: int


def installed(path: str) -> Path:
    """A program of tests/e2e/install_clients.sh; skips where it was not run."""
    program = INSTALLED / path
    if not program.exists():
        pytest.skip(f"{path} is not installed: run tests/e2e/install_clients.sh")
    return program


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module")
def aimock(folder: Path) -> Iterator[int]:
    """The port of aimock, with answers of our choice."""
    program, port = installed("aimock/node_modules/.bin/llmock"), free_port()
    fixtures = folder / "fixtures"
    fixtures.mkdir()
    (fixtures / "all.json").write_text(json.dumps(FIXTURES))
    command = [str(program), "-p", str(port), "-f", str(fixtures), "--log-level", "warn"]
    with Process(command, log=folder / "aimock.log") as process:
        process.wait_until("aimock answers", lambda: answers(port, "/v1/models"))
        yield port


@pytest.fixture(scope="module")
def llmock(folder: Path) -> Iterator[int]:
    """The port of llmock, which judges its callers."""
    program, port = installed("llmock/bin/llmock"), free_port()
    command = [str(program), "serve", "--host", "127.0.0.1", "-p", str(port), "--log-level", "warning"]
    with Process(command, log=folder / "llmock.log", environ={"HOME": str(folder)}) as process:
        process.wait_until("llmock answers", lambda: answers(port, "/_llmock/verdict"))
        yield port


def with_a_key(name: str, port: int, *models: str) -> str:
    """A provider that wants a key; it comes from the daemon's environment."""
    base = f"http://127.0.0.1:{port}/v1"
    return provider(name, base, *models).replace('key = "none"', 'key = "env:UPSTREAM_KEY"')


class Stage(NamedTuple):
    """The daemon in front of one of the upstreams, which it calls `prov`."""

    daemon: Daemon
    upstream: int

    @property
    def model(self) -> str:
        return "prov/gpt-4o-mini"

    def client(self, retries: int = 0) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.daemon.url}/v1", api_key=KEY, max_retries=retries)


def stage(folder: Path, upstream: int, *models: str) -> Iterator[Stage]:
    folder.mkdir()
    tables = with_a_key("prov", upstream, *models) + '[routing]\ncooldown = "0s"\n'
    with Daemon(folder, tables, environ={"UPSTREAM_KEY": "sk-upstream"}) as daemon:
        yield Stage(daemon, upstream)


@pytest.fixture
def before_aimock(aimock: int, tmp_path: Path) -> Iterator[Stage]:
    yield from stage(tmp_path / "daemon", aimock)


@pytest.fixture
def before_llmock(llmock: int, tmp_path: Path) -> Iterator[Stage]:
    fetch(llmock, "/_llmock/reset", method="POST", body={})
    yield from stage(tmp_path / "daemon", llmock, "gpt-4o-mini")


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_openai_chats(before_aimock: Stage) -> None:
    with before_aimock.client() as client:
        answer = client.chat.completions.create(model=before_aimock.model, messages=said("salute me"))
    assert answer.choices[0].message.content == "Hello from far away."
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


def test_openai_streams(before_aimock: Stage) -> None:
    with before_aimock.client() as client:
        stream = client.chat.completions.create(
            model=before_aimock.model,
            messages=said("salute me"),
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello from far away."
    assert chunks[-1].usage is not None


def test_openai_calls_tools(before_aimock: Stage) -> None:
    with before_aimock.client() as client:
        answer = client.chat.completions.create(
            model=before_aimock.model, messages=said("what weather is it"), tools=[WEATHER]
        )
    called(answer.choices[0].message.tool_calls)


def test_openai_calls_tools_in_a_stream(before_aimock: Stage) -> None:
    with (
        before_aimock.client() as client,
        client.chat.completions.stream(
            model=before_aimock.model, messages=said("what weather is it"), tools=[WEATHER]
        ) as stream,
    ):
        answer = stream.get_final_completion()
    called(answer.choices[0].message.tool_calls)


def called(calls: Any) -> None:
    """One call of the weather tool, with its arguments whole."""
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == [
        ("get_weather", {"city": "Oslo"})
    ]


def test_openai_reads_structured_output(before_aimock: Stage) -> None:
    with before_aimock.client() as client:
        answer = client.chat.completions.parse(
            model=before_aimock.model, messages=said("structured please"), response_format=Weather
        )
    assert answer.choices[0].message.parsed == Weather(city="Oslo", degrees=-7)


def test_openai_lists_models(before_aimock: Stage) -> None:
    with before_aimock.client() as client:
        listed = [model.id for model in client.models.list()]
    assert any(name.startswith("prov/") for name in listed), listed


@pytest.mark.parametrize("stream", [False, True])
def test_openai_sees_the_providers_errors_as_such(before_aimock: Stage, stream: bool) -> None:
    with before_aimock.client() as client:
        with pytest.raises(openai.BadRequestError, match="no such thing"):
            client.chat.completions.create(model=before_aimock.model, messages=said("refused"), stream=stream)
        with pytest.raises(openai.RateLimitError, match="slow down please") as caught:
            client.chat.completions.create(model=before_aimock.model, messages=said("limited"), stream=stream)
    assert caught.value.response.headers["retry-after"] == "1"
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["metadata"]["provider_name"] == "prov"


def test_openai_sees_our_own_errors_as_such(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, provider("prov", f"http://127.0.0.1:{free_port()}/v1", "m")) as daemon,
        openai.OpenAI(base_url=f"{daemon.url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        with pytest.raises(openai.BadRequestError, match="nowhere"):
            client.chat.completions.create(model="nowhere/at-all", messages=said("hi"))
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="sk-routerd-wrong").chat.completions.create(model="prov/m", messages=said("hi"))
        with pytest.raises(openai.InternalServerError, match="refused"):
            client.chat.completions.create(model="prov/m", messages=said("hi"))


def test_openai_sees_that_a_stream_broke_off(before_aimock: Stage) -> None:
    with before_aimock.client() as client:
        stream = client.chat.completions.create(model=before_aimock.model, messages=said("broken"), stream=True)
        with pytest.raises(openai.APIError):
            list(stream)


def verdict(port: int) -> dict[str, Any]:
    """What llmock thinks of how it was called."""
    found: dict[str, Any] = json.loads(fetch(port, "/_llmock/verdict")[1])
    return found


def behave(port: int, *behaviors: dict[str, Any]) -> None:
    """What llmock does to the next requests."""
    status, body = fetch(port, "/_llmock/scenario", method="POST", body={"behaviors": list(behaviors)})
    assert status == 201, body


def test_llmock_finds_no_fault_with_how_failures_are_met(before_llmock: Stage, figure: Callable[[str], None]) -> None:
    """A client with its own retries: waits are kept, permanent errors are not repeated, nothing storms."""
    port = before_llmock.upstream
    with before_llmock.client(retries=3) as client:

        def ask(text: str, *, stream: bool = False) -> None:
            answer = client.chat.completions.create(model=before_llmock.model, messages=said(text), stream=stream)
            if isinstance(answer, openai.Stream):
                list(answer)

        ask("all is well")
        behave(port, {"type": "fail", "status": 429, "retry_after": 1, "times": 1})
        started = time.monotonic()
        ask("limited for a second")
        assert time.monotonic() - started >= 1
        behave(port, {"type": "fail", "status": 503, "times": 1})
        ask("down once")
        behave(port, {"type": "fail", "status": 400, "times": 1})
        with pytest.raises(openai.BadRequestError):
            ask("refused for good")
        for kind in ("disconnect", "truncate"):
            behave(port, {"type": "stream_fault", "kind": kind, "after_chunks": 2})
            with pytest.raises(openai.APIError):
                ask(f"a stream with a {kind}", stream=True)
            ask(f"a stream with a {kind}", stream=True)
    found = verdict(port)
    figure(f"llmock's verdict: {found['calls']} calls, {found['faults_injected']} faults, {found['errors']} errors")
    assert found["faults_injected"] == 5
    assert found["findings"] == []
    program = installed("llmock/bin/llmock")
    done = run(
        [str(program), "report", "--strict", "--url", f"http://127.0.0.1:{port}"], environ={"HOME": "/nonexistent"}
    )
    assert done.returncode == 0, done.stdout


def test_llmock_finds_no_fault_with_a_fallback(aimock: int, llmock: int, tmp_path: Path) -> None:
    """A virtual model moves on at once, and comes back to the first provider no sooner than it asked for."""
    fetch(llmock, "/_llmock/reset", method="POST", body={})
    tables = with_a_key("first", llmock, "gpt-4o-mini") + with_a_key("second", aimock, "gpt-4o-mini")
    tables += '[models.fast]\nmodels = ["first/gpt-4o-mini", "second/gpt-4o-mini"]\n'
    behave(llmock, {"type": "fail", "status": 429, "retry_after": 2, "times": 1})
    with Daemon(tmp_path, tables, environ={"UPSTREAM_KEY": "sk-upstream"}) as daemon:
        client = openai.OpenAI(base_url=f"{daemon.url}/v1", api_key=KEY, max_retries=0)
        with client:
            deadline = time.monotonic() + 15
            while verdict(llmock)["attempts"] < 2:
                answer = client.chat.completions.create(model="fast", messages=said("salute me"))
                assert answer.choices[0].message.content
                assert time.monotonic() < deadline, "the first provider is never asked again"
        first = daemon.records()[0]
    assert (first["provider"], first["status"]) == ("second", "ok")
    assert [(attempt["provider"], attempt["status"]) for attempt in first["attempts"]] == [("first", 429)]
    assert verdict(llmock)["findings"] == []


def llm(folder: Path, stage: Stage, *words: str) -> str:
    """Run the `llm` command against the daemon."""
    home = folder / "llm"
    home.mkdir(exist_ok=True)
    model = {
        "model_id": "r",
        "model_name": stage.model,
        "api_base": f"{stage.daemon.url}/v1",
        "api_key_name": "routerd",
    }
    (home / "extra-openai-models.yaml").write_text(
        json.dumps([{**model, "supports_tools": True, "supports_schema": True}])
    )
    environ = {"LLM_USER_PATH": str(home), "HOME": str(home), "OPENAI_API_KEY": KEY}
    done = run([str(installed("llm/bin/llm")), "-m", "r", "--no-log", "--key", KEY, *words], environ=environ, cwd=home)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("options", [[], ["--no-stream"]], ids=["streamed", "whole"])
def test_the_llm_command_works(before_aimock: Stage, tmp_path: Path, options: list[str]) -> None:
    assert llm(tmp_path, before_aimock, *options, "salute me").strip() == "Hello from far away."
    record = before_aimock.daemon.records()[-1]
    assert (record["status"], record["streamed"]) == ("ok", not options)
    assert record["usage_source"] == "provider"


def test_the_llm_command_reads_a_schema(before_aimock: Stage, tmp_path: Path) -> None:
    out = llm(tmp_path, before_aimock, "--schema", "city, degrees int", "structured please")
    assert json.loads(out) == {"city": "Oslo", "degrees": -7}


def test_aider_edits_a_file(before_aimock: Stage, tmp_path: Path) -> None:
    aider, work = installed("aider/bin/aider"), tmp_path / "work"
    work.mkdir()
    environ = {"HOME": str(work), "OPENAI_API_BASE": f"{before_aimock.daemon.url}/v1", "OPENAI_API_KEY": KEY}
    environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    flags = ["--no-check-update", "--analytics-disable", "--no-show-model-warnings", "--no-show-release-notes"]
    flags += [
        "--yes-always",
        "--no-detect-urls",
        "--no-git",
        "--no-pretty",
        "--edit-format",
        "whole",
        "--map-tokens",
        "0",
    ]
    done = run(
        [
            str(aider),
            "--model",
            f"openai/{before_aimock.model}",
            *flags,
            "--message",
            "write greeting.py",
            "greeting.py",
        ],
        environ=environ,
        cwd=work,
        seconds=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (work / "greeting.py").read_text() == "print('hello from the daemon')\n", done.stdout[-2000:]
    assert {record["status"] for record in before_aimock.daemon.records()} == {"ok"}
