"""Where each provider is, as bytes: what is sent to whom, and what must never be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from routerd.config import runtime
from routerd.config.load import parse
from routerd.errors import ConfigError
from routerd.secrets import Secret
from routerd.server.destinations import Destination, Generation, build

KEYS = ("sk-planted-first-0123456789", "sk-planted-second-0123456789")
LAB = '[providers.lab]\nbase_url = "https://lab.example.com:8443/api/v1/"\n'


def generation(
    text: str, *, keys: Sequence[str] = (), environ: Mapping[str, str] | None = None, simulator: str = ""
) -> Generation:
    config = parse(text).config
    secrets = {name: [Secret(key, source=f"test:{name}") for key in keys] for name in config.providers}
    built = runtime.build(config, secrets=secrets, issued={}, admin="")
    return build(built, simulator=simulator, environ=environ or {})


def lab(text: str, *, keys: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Destination:
    return generation(text, keys=keys, environ=environ).destinations["lab"]


def test_the_path_of_the_base_url_is_kept_and_only_ours_is_appended() -> None:
    head = lab(LAB).chat[0].split(b"\r\n")
    assert head[0] == b"POST /api/v1/chat/completions HTTP/1.1"
    assert b"Host: lab.example.com:8443" in head
    assert lab(LAB).models.startswith(b"GET /api/v1/models HTTP/1.1\r\n")


def test_each_key_of_a_pool_has_a_head_of_its_own() -> None:
    place = lab(LAB, keys=KEYS)
    assert [
        head.count(b"Authorization: Bearer " + key.encode()) for head, key in zip(place.chat, KEYS, strict=True)
    ] == [1, 1]
    assert KEYS[0].encode() in place.models


def test_who_wants_no_key_is_sent_none() -> None:
    place = lab(LAB + 'key = "none"\n')
    assert len(place.chat) == 1
    assert b"uthorization" not in place.chat[0] + place.models


def test_headers_of_the_configuration_are_sent_and_no_line_is_empty() -> None:
    place = lab(LAB + 'headers = { x-team = "search" }\n', keys=KEYS)
    for head in (*place.chat, place.models):
        assert b"\r\nx-team: search\r\n" in head
        assert b"Accept-Encoding: identity\r\n" in head
        assert head.endswith(b"\r\n")
        assert b"\r\n\r\n" not in head


def test_a_simulator_is_called_at_the_port_that_the_system_chose() -> None:
    found = generation('[providers.sim]\ndialect = "simulator"\n', simulator="http://127.0.0.1:4711")
    place = found.destinations["sim"]
    assert (place.origin.host, place.origin.port) == ("127.0.0.1", 4711)
    assert place.chat[0].startswith(b"POST /chat/completions HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n")


def test_through_a_plain_proxy_the_target_is_absolute() -> None:
    text = '[providers.lab]\nbase_url = "http://lab.example.com/v1"\nproxy = "http://proxy.example.com:3128"\n'
    assert lab(text).chat[0].startswith(b"POST http://lab.example.com:80/v1/chat/completions HTTP/1.1\r\n")


def test_a_proxy_variable_that_cannot_be_used_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"providers\.lab: HTTPS_PROXY: .*http or https") as caught:
        lab(LAB, environ={"HTTPS_PROXY": "socks5://me:hunter2secret@proxy.example.com"})
    assert "hunter2secret" not in str(caught.value)


def test_timeouts_are_those_of_the_configuration() -> None:
    place = lab(
        LAB + 'timeout = { connect = "1s", first_byte = "2s", first_token = "3s", idle = "4s", total = "5s" }\n'
    )
    limits = place.timeouts
    assert (limits.connect, limits.first_byte, place.first_token, limits.idle, limits.total) == (1, 2, 3, 4, 5)


def test_no_repr_shows_a_key_or_a_proxys_password() -> None:
    found = generation(LAB + 'proxy = "http://me:hunter2secret@proxy.example.com:3128"\n', keys=KEYS)
    shown = f"{found!r} {found} {found.destinations} {found.mask} {found.runtime.sources}"
    for secret in (*KEYS, "hunter2secret"):
        assert secret not in shown


def test_the_mask_knows_every_key_and_the_proxys_authorization() -> None:
    found = generation(LAB + 'proxy = "http://me:hunter2secret@proxy.example.com:3128"\n', keys=KEYS)
    assert found.mask(f"{KEYS[0]} and {KEYS[1]}") == "[masked] and [masked]"
    assert found.mask("Basic bWU6aHVudGVyMnNlY3JldA==") == "[masked]"


def test_a_header_of_the_configuration_that_sounds_like_a_secret_is_masked() -> None:
    found = generation(LAB + 'headers = { x-api-key = "hunter2secret", x-team = "search-team" }\n', keys=KEYS)
    assert found.mask("hunter2secret for search-team") == "[masked] for search-team"
