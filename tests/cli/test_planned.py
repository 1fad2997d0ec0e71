"""A configuration planned with, without a daemon: the keys and models of the state directory count."""

from __future__ import annotations

from pathlib import Path

import pytest

from routerd import keys
from routerd.cli.planned import plan, planned
from routerd.config.load import parse
from routerd.errors import InvalidRequest, PermissionDenied

CONFIG = """
[providers.sim]
dialect = "simulator"
[[rules]]
name = "not for prod"
when = { environment = "prod" }
deny = "the simulator is no model"
"""
ASKED = {"model": "sim/demo", "messages": []}


def test_a_key_that_was_issued_has_its_environments_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    keys.add(tmp_path / "keys.toml", "server", environment="prod")
    built = planned(parse(CONFIG).config)
    assert [one["provider"] for one in plan(ASKED, built, key="")["candidates"]] == ["sim"]
    with pytest.raises(PermissionDenied, match="not for prod"):
        plan(ASKED, built, key="server")
    with pytest.raises(InvalidRequest, match="no key is called"):
        plan(ASKED, built, key="gone")
