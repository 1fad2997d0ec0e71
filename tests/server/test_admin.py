"""Management over HTTP: what `routerd status` and `routerd reload` are told. The whole daemon runs, in a process."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import MESSAGES
from tests.e2e.daemon import Daemon, provider
from tests.e2e.process import fetch
from tests.upstream import Upstream, completion, error_answer, in_turn, json_answer

PLANTED = "sk-planted-0123456789abcdef"
BODY = {"model": "lab/m", "messages": MESSAGES}


def admin(daemon: Daemon) -> dict[str, str]:
    key = (daemon.state / "admin.key").read_text().strip()
    return {"Authorization": f"Bearer {key}"}


def post_reload(daemon: Daemon) -> tuple[int, dict[str, Any]]:
    code, body = fetch(daemon.port, "/admin/reload", method="POST", headers=admin(daemon))
    return code, json.loads(body)


async def test_status_counts_what_happened_and_shows_no_key(tmp_path: Path) -> None:
    secret = tmp_path / "lab.key"
    secret.write_text(PLANTED)
    secret.chmod(0o600)
    answers = in_turn(json_answer(completion()), error_answer(401, message=f"incorrect key {PLANTED} given"))
    async with Upstream(answers) as up:
        tables = provider("lab", f"{up.url}/v1", "m").replace('key = "none"', f'key = "file:{secret}"')
        daemon = await asyncio.to_thread(Daemon, tmp_path, tables)
        try:
            shown = [await asyncio.to_thread(daemon.chat, BODY) for _ in range(2)]
            status = await asyncio.to_thread(daemon.status)
            metrics = await asyncio.to_thread(fetch, daemon.port, "/metrics", headers=daemon.headers)
            _, out, err = await asyncio.to_thread(daemon.command, "status")
        finally:
            await asyncio.to_thread(daemon.stop)
        assert [request.headers["authorization"] for request in up.requests] == [f"Bearer {PLANTED}"] * 2
    assert status["requests"]["by_status"] == {"ok": 1, "error": 1}
    assert status["requests"]["total"] == status["spend_log"]["records"] == 2
    assert status["spend_log"]["dir"] == str(daemon.state / "spend")
    assert status["spend_log"]["bytes"] > 0
    assert (status["keys"], status["listeners"]) == (1, [f"127.0.0.1:{daemon.port}"])
    (endpoint,) = status["endpoints"]
    assert (endpoint["provider"], endpoint["ok"], endpoint["errors"]) == ("lab", 1, 1)
    assert "[masked]" in endpoint["last_error"]
    assert "[masked]" in json.dumps(shown[1])
    spent = "".join(path.read_text() for path in (daemon.state / "spend").glob("spend-*"))
    for text in (daemon.log, json.dumps(shown), json.dumps(status), metrics[1].decode(), out + err, spent):
        assert PLANTED not in text
        assert (daemon.state / "admin.key").read_text().strip() not in text


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Daemon(tmp_path_factory.mktemp("daemon"), TABLES) as running:
        yield running


TABLES = provider("lab", "http://127.0.0.1:9/v1", "m")


def test_a_reload_answers_with_what_changed(daemon: Daemon) -> None:
    daemon.configure(TABLES)
    assert post_reload(daemon)[0] == 200
    assert post_reload(daemon) == (200, {"ok": True, "changed": []})
    daemon.configure(TABLES + '[models.fast]\nmodels = ["lab/m"]\n')
    assert post_reload(daemon) == (200, {"ok": True, "changed": ["models.fast: added"]})


def test_a_reload_of_a_broken_file_answers_with_every_fault(daemon: Daemon) -> None:
    daemon.configure(TABLES + "[routing]\ncooldwn = 1\nmax_attempts = 0\n")
    code, body = post_reload(daemon)
    assert (code, body["ok"]) == (409, False)
    assert len(body["faults"]) == 2
    assert all("routerd.toml:" in fault for fault in body["faults"])
    assert daemon.status()["last_reload"]["ok"] is False
    daemon.configure(TABLES)
    assert post_reload(daemon)[0] == 200


@pytest.mark.parametrize(("method", "path"), [("GET", "/admin/status"), ("POST", "/admin/reload")])
def test_management_is_closed_to_everybody_else(daemon: Daemon, method: str, path: str) -> None:
    assert fetch(daemon.port, path, method=method)[0] == 401
    assert fetch(daemon.port, path, method=method, headers=daemon.headers)[0] == 403
    assert fetch(daemon.port, path, method="DELETE", headers=admin(daemon))[0] == 405
