"""Relative paths start at the configuration's own directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from routerd.config.load import parse
from routerd.config.resolve import resolved
from routerd.config.schema import Config, Provider, SpendLog
from routerd.secret_sources import FromEnvironment, FromFile

HERE = Path("/etc/routerd")


def test_paths_are_absolute_once_loaded() -> None:
    key = (FromFile("keys/a"), FromFile("/b"), FromEnvironment("X"))
    config = Config(providers={"p": Provider(ca_file="ca.pem", key=key)}, spend_log=SpendLog(dir="log"))
    found = resolved(config, directory=HERE)
    assert found.providers["p"].ca_file == "/etc/routerd/ca.pem"
    assert found.providers["p"].key == (FromFile("/etc/routerd/keys/a"), FromFile("/b"), FromEnvironment("X"))
    assert found.spend_log.dir == "/etc/routerd/log"


def test_what_was_not_written_stays_so() -> None:
    config = Config(providers={"p": Provider()})
    assert resolved(config, directory=HERE) == config


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    loaded = parse('[spend_log]\ndir = "~/spend"\n[providers.openai]\nkey = "file:~/key"', "/etc/routerd/routerd.toml")
    assert loaded.config.spend_log.dir == "/home/somebody/spend"
    assert loaded.config.providers["openai"].key == (FromFile("/home/somebody/key"),)


def test_the_home_of_nobody_is_taken_as_a_name() -> None:
    config = Config(spend_log=SpendLog(dir="~nobody-of-that-name/x"))
    assert resolved(config, directory=HERE).spend_log.dir == "/etc/routerd/~nobody-of-that-name/x"
