"""Keys stay where they belong: after every kind of success and failure nothing that the daemon wrote holds one."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.client import MESSAGES
from tests.e2e.daemon import KEY, Daemon, provider
from tests.e2e.hostile import line, request
from tests.e2e.process import fetch
from tests.upstream import (
    Chunk,
    Close,
    Cut,
    End,
    Head,
    Request,
    Send,
    Stall,
    Steps,
    Upstream,
    chunks,
    completion,
    error_answer,
    json_answer,
    sse_answer,
)

FIRST, SECOND = "sk-planted-first-0123456789abcdef", 'sk-planted-"second\\0123456789'
PASSWORD = "planted-password-0123456789"
WRONG = "sk-routerd-" + "nobody00" * 5 + "abc"
INLINE = "sk-planted-inline-0123456789"
SAYS = (
    "ok",
    "stream",
    "refuse",
    "forbid",
    "bad-head",
    "bad-json",
    "redirect",
    "in-band",
    "cut",
    "event",
    "close",
    "stall",
)
COMMANDS = (
    *("status", "status --json", "check", "check --deep", "check --deep --json", "models --json", "secret list --json"),
    *("secret test", "key list --json", "spend --json", "tail --no-follow", "tail --no-follow --json", "reload"),
)


def script(asked: Request) -> Steps:
    """Whatever the user's message asks for, with the key that came in it wherever there is room."""
    said = asked.headers.get("authorization", "")
    if not asked.body:
        return json_answer({"data": [{"id": said}]})
    leak = json.dumps({"error": {"message": said, "code": said, "type": said}}).encode()
    events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks()]
    sse = {"content-type": "text/event-stream"}
    answers: dict[str, Steps] = {
        "ok": json_answer(completion()),
        "stream": sse_answer(chunks()),
        "refuse": error_answer(400, message=f"{said} {base64.b64encode(said.encode()).decode()}", kind=said),
        "forbid": error_answer(401, message=f"bad key {said}"),
        "bad-head": [Send(f"HTTP/1.1 200 {said}\r\n{said}\r\n\r\n".encode())],
        "bad-json": json_answer(said.encode()),
        "redirect": json_answer({}, 302, {"location": f"http://127.0.0.1:9/?key={urllib.parse.quote(said)}"}),
        "in-band": json_answer(leak),
        "cut": [Head(200, sse), *map(Chunk, events[:2]), Cut()],
        "event": [Head(200, sse), *map(Chunk, events[:2]), Chunk(b"event: error\ndata: " + leak + b"\n\n"), End()],
        "close": [Close()],
        "stall": [Stall()],
    }
    return answers[asked.json()["messages"][0]["content"]]


def knocks() -> Iterator[bytes]:
    """What clients send with their key where it does not belong, and with keys that are none."""
    body = json.dumps({"model": "lab/m", "messages": MESSAGES}).encode()
    yield request(body, {"Authorization": f"Bearer {WRONG}"})
    yield request(body, {"Authorization": f"Basic {KEY}"})
    yield request(body, {"Host": KEY})
    yield request(body, {"Origin": f"http://{KEY}"})
    yield request(body, {f"{KEY} ": "1"})
    yield request(body, {"Content-Length": KEY})
    yield request(json.dumps({"model": KEY, "messages": MESSAGES}).encode())
    yield request(json.dumps({"model": f"lab/{WRONG}", "messages": MESSAGES}).encode())
    yield request(json.dumps({"model": "lab/m", "messages": MESSAGES, KEY: 1, "stream": KEY}).encode())
    yield request(b'{"%b": 1, "%b": 2}' % (KEY.encode(), KEY.encode()))
    yield request(b"{" + KEY.encode())
    yield request(b"", path=f"/v1/{KEY}?key={KEY}", method="GET")
    yield request(b"", path=f"/v1/models?key={KEY}", method=KEY)
    yield f"{KEY}\r\n\r\n".encode()


def visit(daemon: Daemon) -> list[str]:
    """Every kind of success and failure; what clients and commands were shown."""
    shown: list[str] = []

    def say(sent: bytes) -> int:
        with line(daemon) as client:
            client.send(sent)
            reply = client.reply()
        shown.append(f"{reply.headers} {reply.body.decode()}")
        return reply.status

    for says in SAYS:
        for path, stream in (("/v1", False), ("/api/v1", True)):
            body = {"model": "lab/m", "messages": [{"role": "user", "content": says}], "stream": stream}
            say(request(json.dumps(body).encode(), path=f"{path}/chat/completions"))
    shown += [str(daemon.chat({"model": model, "messages": MESSAGES})) for model in ("down/m", "proxied/m")]
    for knock in knocks():
        assert say(knock) >= 400, knock
    places = ("/metrics", "/v1/models", "/readyz", "/admin/status")
    shown += [str(fetch(daemon.port, path, headers=daemon.headers)) for path in places]
    shown.append(json.dumps(daemon.status()))
    shown += [str(daemon.command(*words.split())) for words in COMMANDS]
    sound = daemon.config_path.read_text()
    daemon.config_path.write_text(sound.replace('"env:FIRST"', f'"{INLINE}"'))
    assert daemon.reload()["ok"] is False
    shown += [str(daemon.command(*words.split())) for words in ("check", "check --json", "reload", "status")]
    daemon.config_path.write_text(sound)
    assert daemon.reload()["ok"] is True
    return shown


async def test_after_everything_that_can_happen_no_key_is_to_be_found(tmp_path: Path) -> None:
    """At debug level, as `python -X dev` has it. The environment of the process is where the keys are."""
    folder = tmp_path / "daemon"
    folder.mkdir()
    async with Upstream(script) as upstream:
        lab = provider("lab", f"{upstream.url}/v1", "m").replace('"none"', '["env:FIRST", "env:SECOND"]')
        down = provider("down", "http://127.0.0.1:9/v1", "m").replace('"none"', '"env:FIRST"')
        proxied = provider(
            "proxied", "https://127.0.0.1:9/v1", "m", extra=f'proxy = "http://user:{PASSWORD}@127.0.0.1:9"'
        )
        limits = '[providers.lab.timeout]\nfirst_byte = "300ms"\n[routing]\ncooldown = "0s"\n'
        environ = {"FIRST": FIRST, "SECOND": SECOND, "PYTHONDEVMODE": "1"}
        daemon = await asyncio.to_thread(lambda: Daemon(folder, lab + limits + down + proxied, environ=environ))
        try:
            shown = await asyncio.to_thread(visit, daemon)
            admin = (daemon.state / "admin.key").read_text().strip()
        finally:
            await asyncio.to_thread(daemon.stop)
        sent = {asked.headers.get("authorization") for asked in upstream.requests}
    assert {f"Bearer {FIRST}", f"Bearer {SECOND}"} <= sent, "both were in use, so both could have leaked"
    keys = (FIRST, SECOND, json.dumps(SECOND)[1:-1], PASSWORD, INLINE, KEY, WRONG, admin)
    allowed = {folder / "state" / "admin.key": {admin}, daemon.config_path: {PASSWORD}}
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_bytes().decode(errors="replace")
            assert [key for key in keys if key in text and key not in allowed.get(path, ())] == [], path
    for words in shown:
        assert [key for key in keys if key in words] == [], words
    assert "Say hello." not in daemon.log
