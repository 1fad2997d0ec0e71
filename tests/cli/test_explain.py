"""`routerd explain`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from routerd.cli.main import main
from tests.cli.fake_daemon import KEY, install, serving

CONFIG = """
[providers.lab]
base_url = "http://127.0.0.1:1/v1"
key = "none"
[providers.lab.models.llama]
id = "meta/llama"
price = { prompt = 0.10, completion = 0.4 }
[providers.dear]
base_url = "http://127.0.0.1:1/v1"
key = "none"
[providers.dear.models.llama]
id = "meta/llama"
price = { prompt = 2, completion = 8 }
[[rules]]
name = "ci"
when = { key = "ci-*" }
set = { provider = { ignore = ["lab"] } }
[keys.ci-1]
hash = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
[presets.cheap]
model = "meta/llama"
provider = { sort = "price" }
"""
Explain = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.delenv("ROUTERD_CONFIG", raising=False)


@pytest.fixture
def offline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Explain:
    path = tmp_path / "routerd.toml"
    path.write_text(CONFIG)

    def explain(*argv: str) -> tuple[int, str, str]:
        code = main(["explain", "--config", str(path), *argv])
        return code, *capsys.readouterr()

    return explain


def test_without_a_daemon_the_file_is_asked(offline: Explain) -> None:
    code, out, err = offline("meta/llama:floor")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[1].split() == ["1", "lab", "llama", "0.1", "0.4", "$0.000200", "untried"]
    assert lines[2].split() == ["2", "dear", "llama", "2", "8", "$0.004002", "untried"]
    assert "no daemon runs" in lines[-1]


def test_the_form_of_json_is_that_of_the_dry_run(offline: Explain) -> None:
    code, out, _ = offline("dear/llama", "--json")
    plan = json.loads(out)
    assert (code, plan["excluded"]) == (0, [])
    (candidate,) = plan["candidates"]
    assert candidate["provider"] == "dear"
    assert candidate["model"] == "llama"
    assert candidate["price"] == {"prompt": 2.0, "completion": 8.0}
    assert candidate["health"] == {"state": "untried"}


def test_as_a_key_it_has_that_keys_rules(offline: Explain) -> None:
    code, out, _ = offline("meta/llama", "--key", "ci-1")
    assert code == 0
    assert out.splitlines()[1].split()[:3] == ["1", "dear", "llama"]
    excluded = next(line for line in out.splitlines() if line.startswith("lab"))
    assert "allowed_providers" in excluded
    assert 'rule "ci"' in excluded
    code, _, err = offline("meta/llama", "--key", "nobody")
    assert (code, "no key is called" in err) == (1, True)


def test_a_request_is_planned_for_as_it_is(offline: Explain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "request.json"
    words = [{"role": "user", "content": "word " * 4000}]
    file.write_text(json.dumps({"model": "other", "messages": words, "provider": {"order": ["dear"]}}))
    code, out, _ = offline("meta/llama", "--request", str(file), "--json")
    plan = json.loads(out)
    assert (code, plan["requested"], plan["strategy"]) == (0, "meta/llama", "order")
    assert [one["provider"] for one in plan["candidates"]] == ["dear", "lab"]
    assert plan["candidates"][0]["estimate"] > 0.01
    monkeypatch.setattr("sys.stdin", io.StringIO('{"provider": {"surprise": 1}}'))
    assert "provider.surprise" in offline("meta/llama", "--request", "-")[1]


def test_a_preset_is_laid_under_the_request(offline: Explain) -> None:
    code, out, _ = offline("@preset/cheap", "--json")
    assert (code, json.loads(out)["strategy"]) == (0, "price")


@pytest.mark.parametrize("text", ["no json", "[1]", '{"messages": 7}', "[" * 100_000])
def test_a_request_that_is_none_is_refused(offline: Explain, tmp_path: Path, text: str) -> None:
    file = tmp_path / "request.json"
    file.write_text(text)
    code, out, err = offline("meta/llama", "--request", str(file))
    assert (code, out) == (1, "")
    assert err.startswith("routerd: ")


def test_a_refusal_says_who_is_excluded_and_by_what(offline: Explain, tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text('{"provider": {"zdr": true}}')
    code, out, err = offline("meta/llama", "--request", str(file))
    assert code == 1
    assert "refused with 404" in err
    assert sorted(line.split()[0] for line in out.splitlines()) == ["dear", "excluded", "lab"]
    code, out, _ = offline("meta/llama", "--request", str(file), "--json")
    assert (code, json.loads(out)["error"]["code"]) == (1, 404)


PLAN: dict[str, Any] = {
    "requested": "fast",
    "models": ["fast"],
    "strategy": "latency",
    "rules": ["ci"],
    "sticky": True,
    "hedge": True,
    "candidates": [
        {
            "provider": "lab",
            "model": "llama",
            "id": "meta/llama",
            "endpoint": "lab/turbo",
            "key": 1,
            "price": None,
            "estimate": None,
            "health": {
                "state": "resting",
                "resting_s": 7.0,
                "reason": "429",
                "30m": {"ok": 8, "failed": 1, "limited": 1, "uptime": 0.9},
                "latency_last_30m": {"p50": 320.0},
            },
        }
    ],
    "excluded": [],
    "dropped": [],
    "new": 1,
}


def test_a_running_daemon_is_asked_for_its_health(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving({("POST", "/admin/route"): (200, PLAN)}) as fake:
        path = str(install(tmp_path, fake.listener))
        assert main(["explain", "fast", "--key", "laptop", "--config", path]) == 0
        out = capsys.readouterr().out
        assert main(["explain", "fast", "--json", "--config", path]) == 0
        assert json.loads(capsys.readouterr().out) == PLAN
    assert fake.asked[0] == ("POST", "/admin/route", f"Bearer {KEY}")
    assert fake.bodies[0] == {"key": "laptop", "request": {"model": "fast", "messages": []}}
    row = out.splitlines()[1]
    assert row.split()[:6] == ["1", "lab/turbo", "(key", "2)", "llama", "-"]
    assert row.endswith("resting for 7.0 s (429), 8 of 10 ok in 30 min, first token 320 ms")
    assert fake.listener in out.splitlines()[-1]


def test_what_the_daemon_refuses_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = {"error": {"code": 400, "message": "no such model", "metadata": {"hint": "try another"}}}
    with serving({("POST", "/admin/route"): (400, error)}) as fake:
        assert main(["explain", "fast", "--config", str(install(tmp_path, fake.listener))]) == 1
    assert capsys.readouterr().err == ("routerd: it would be refused with 400: no such model\n  try another\n")


def test_without_a_daemon_and_a_file_it_says_how_to_come_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("routerd.config.paths.searched", lambda: (tmp_path / "none.toml",))
    assert main(["explain", "fast"]) == 1
    assert "routerd init" in capsys.readouterr().err
