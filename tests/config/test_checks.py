"""What shows only when values are seen together."""

from __future__ import annotations

from pathlib import Path

import pytest

from routerd.config.load import Loaded, parse
from routerd.errors import ConfigError

HASH = "sha256:" + "0" * 64


def faults(text: str, name: str = "r.toml") -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text, name)
    return caught.value.faults


def fine(text: str) -> Loaded:
    return parse(text, "r.toml")


def test_a_daemon_listens_somewhere() -> None:
    assert "must name at least one address" in faults("[server]\nlisten = []")[0]


def test_open_is_for_loopback_only() -> None:
    text = '[auth]\nmode = "open"\n[server]\nlisten = ["127.0.0.1:1", "0.0.0.0:2", "unix:/s"]'
    found = faults(text)
    assert len(found) == 1
    assert found[0].startswith('r.toml:4: server.listen[1]: "0.0.0.0:2" can be reached from other machines')
    assert "auth.mode" in fine('[auth]\nmode = "open"\n[providers.ollama]').warnings[0]


def test_two_listeners_may_both_take_a_free_port_of_different_hosts() -> None:
    assert len(fine('[server]\nlisten = ["127.0.0.1:0", "[::1]:0"]').config.server.listen) == 2


def test_an_address_that_another_covers_is_refused() -> None:
    found = faults('[server]\nlisten = ["127.0.0.1:1", "0.0.0.0:1", "[::1]:1", "127.0.0.1:2"]')
    assert found == ('r.toml:2: server.listen[0]: is covered by "0.0.0.0:1" already',)
    assert "covered" in faults('[server]\nlisten = ["[::1]:1", "[::]:1"]')[0]


def test_a_provider_that_nobody_knows_needs_a_base_url() -> None:
    found = faults("[providers.groc]\nany_model = true")
    says = 'is missing, and the catalogue knows no provider "groc", did you mean "groq"?'
    assert found == (f"r.toml:1: providers.groc.base_url: {says}",)


def test_a_base_url_with_a_fault_is_not_missing_too() -> None:
    assert len(faults('[providers.lab]\nbase_url = "nonsense"')) == 1


@pytest.mark.parametrize("name", ["Lab", '"a/b"', '"a b"', "_x", "x" * 65])
def test_a_provider_has_a_plain_name(name: str) -> None:
    assert "a provider's name" in faults(f'[providers.{name}]\nbase_url = "http://h"')[0]


@pytest.mark.parametrize(
    "line", ['base_url = "http://h"', 'key = "env:X"', 'proxy = "http://h:1"', 'ca_file = "x.pem"']
)
def test_a_simulator_takes_no_way_over_the_network(line: str) -> None:
    assert "means nothing to a simulator" in faults(f'[providers.s]\ndialect = "simulator"\n{line}')[0]


def test_a_simulator_needs_nothing() -> None:
    assert fine('[providers.s]\ndialect = "simulator"\nkey = "none"').warnings == ()


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("Authorization", "use `key`"),
        ("content-length", "set by routerd"),
        ("Host", "set by routerd"),
        ('"a b"', "not the name"),
        ('"a:"', "not the name"),
    ],
)
def test_headers_neither_carry_keys_nor_frame_the_message(header: str, says: str) -> None:
    assert says in faults(f'[providers.openai.headers]\n{header} = "x"')[0]


def test_a_header_has_one_value_of_visible_ascii() -> None:
    assert "set twice" in faults('[providers.openai.headers]\nX-A = "1"\nx-a = "2"')[0]
    assert "ASCII" in faults('[providers.openai.headers]\nx-a = "ä"')[0]
    assert "ASCII" in faults('[providers.openai.headers]\nx-a = " 1"')[0]
    assert "one line" in faults('[providers.openai.headers]\nx-a = "1\\r\\nx-b: 2"')[0]


def test_a_ca_file_is_there_and_holds_a_certificate(tmp_path: Path) -> None:
    config = str(tmp_path / "r.toml")
    text = '[providers.openai]\nca_file = "corp.pem"'
    assert "No such file" in faults(text, config)[0]
    (tmp_path / "corp.pem").write_text("nothing")
    assert "no certificate" in faults(text, config)[0]
    (tmp_path / "corp.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    assert parse(text, config).config.providers["openai"].ca_file == str(tmp_path / "corp.pem")


def test_an_answer_is_not_longer_than_the_context() -> None:
    found = faults("[providers.openai.models.m]\ncontext_length = 10\nmax_completion_tokens = 11")
    assert found == ("r.toml:3: providers.openai.models.m.max_completion_tokens: is more than context_length (10)",)


LAB = '[providers.lab]\nbase_url = "http://127.0.0.1:1/v1"\n[providers.lab.models.big]\nid = "meta/big"\n'


def test_a_fault_in_a_provider_is_not_reported_again_at_its_models() -> None:
    text = LAB + 'contxt_length = 3\nprice = 3\n[models.fast]\nmodels = ["lab/big"]'
    assert [line.split(": ")[1] for line in faults(text)] == [
        "providers.lab.models.big.contxt_length",
        "providers.lab.models.big.price",
    ]


def test_a_key_is_declared_by_its_hash() -> None:
    assert fine(f'[keys.a]\nhash = "{HASH}"').config.keys["a"].hash == HASH
    for wrong in ("sk-routerd-secret", HASH[:-1], HASH.replace("0", "G"), HASH + "0"):
        found = faults(f'[keys.a]\nhash = "{wrong}"')
        assert "64 hexadecimal digits" in found[0]
        assert "secret" not in found[0]


def test_one_key_has_one_name() -> None:
    assert 'is the hash of "a" too' in faults(f'[keys.a]\nhash = "{HASH}"\n[keys.b]\nhash = "{HASH}"')[0]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "providers"),
        ('[providers.lab]\nbase_url = "http://127.0.0.1:1"\nkey = "none"', "providers.lab"),
        ('[providers.lab]\nbase_url = "http://10.0.0.1/v1"\nany_model = true', "providers.lab.base_url"),
    ],
)
def test_what_is_unwise_is_a_warning(text: str, path: str) -> None:
    found = fine(text).warnings
    assert len(found) == 1
    assert f": {path}: " in found[0]
