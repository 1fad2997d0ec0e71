"""`routerd catalogue`, with a server on loopback in the place of models.dev."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from routerd.catalogue import load, modelsdev, updated
from routerd.cli import catalogue
from routerd.cli.main import main

LIST: dict[str, Any] = {
    name: {"models": {"brand-new": {"name": "Brand New", "limit": {"context": 77}, "cost": {"input": 1, "output": 2}}}}
    for slug in updated.listed()
    for name in modelsdev.names_of(slug)
}


class Place:
    """Where the list is served; `answer` is (status, headers, body)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, json.dumps(LIST).encode())


@pytest.fixture
def place() -> Iterator[Place]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = served.answer
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Place(f"http://127.0.0.1:{server.server_address[1]}/api.json")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    return tmp_path


def update(place: Place) -> int:
    return main(["catalogue", "update", "--url", place.url])


def test_newer_facts_are_fetched_and_count_from_then_on(
    place: Place, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert update(place) == 0
    said = capsys.readouterr().out
    assert f"{len(updated.listed())} providers brought up to" in said
    assert "routerd reload" in said
    (found,) = [row for row in load.models("groq", updated.directory(state)) if row.native == "brand-new"]
    assert found.context_length == 77
    assert main(["models", "--all", "brand-new", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["context_length"] == 77
    assert main(["catalogue", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["updated"] >= shown["bundled"]


def test_how_much_is_known_is_shown_and_nothing_is_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "show"]) == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert int(lines["providers"].replace(",", "")) >= 60
    assert lines["updated on"].strip() == "-"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((404, {}, b""), "answered 404"),
        ((500, {}, b"{}"), "answered 500"),
        ((200, {}, b"<html>"), "is not models.dev's list: it is not a JSON object"),
        ((200, {}, b"{}"), "is not models.dev's list: no model could be read in it"),
        ((200, {}, json.dumps({"openai": LIST["openai"]}).encode()), "has 1 of the"),
        ((200, {"Content-Length": "1000"}, b"{"), "broke off after 1 B of 1000 B"),
    ],
)
def test_what_cannot_be_used_changes_nothing(
    place: Place, state: Path, answer: tuple[int, dict[str, str], bytes], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place.answer = answer
    assert update(place) == 1
    said = capsys.readouterr().err
    assert why in said
    assert "nothing was changed" in said
    assert list(state.iterdir()) == []


def test_without_a_network_one_line_says_so(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "update", "--url", "http://127.0.0.1:1/api.json"]) == 1
    assert "http://127.0.0.1:1/api.json cannot be reached: " in capsys.readouterr().err


def test_an_answer_without_end_is_not_read_to_its_end(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue, "LARGEST", 1000)
    place.answer = (200, {}, b"x" * 1001)
    assert update(place) == 1
    assert "sends more than 1000 B" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "/api.json", "http:///"])
def test_only_the_web_is_asked(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "update", "--url", url]) == 1
    assert "nothing was changed" in capsys.readouterr().err


def test_the_proxy_of_the_environment_is_used(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("http_proxy", place.url.removesuffix("/api.json"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert main(["catalogue", "update", "--url", "http://models.dev.invalid/api.json"]) == 0
    assert "brought up to" in capsys.readouterr().out


def test_a_terminal_sees_a_bar(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    come: list[int] = []
    with catalogue.progress() as advance:
        advance(1, 10)
        catalogue.fetch(place.url, lambda so_far, _: come.append(so_far))
    assert come == sorted(come)
    assert come[-1] == len(place.answer[2])
