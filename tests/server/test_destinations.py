"""Where each provider is, as bytes: what is sent to whom, and what must never be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from routerd.catalogue.load import providers as catalogue
from routerd.config import runtime
from routerd.config.load import parse
from routerd.dialects.shape import Encoded
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


REQUEST = Encoded(path="/chat/completions", body=b"{}")


def heads(destination: Destination, dialect: str = "openai", path: str = "/chat/completions") -> list[bytes]:
    """The head of a request with each key."""
    place = destination.places[dialect]
    return [place.head(key, Encoded(path=path, body=b"{}")) for key in range(len(place.heads))]


def lines(text: str, dialect: str, *, keys: Sequence[str] = KEYS[:1], name: str = "lab") -> list[bytes]:
    """The lines of the first head."""
    found = generation(text, keys=keys).destinations[name]
    return heads(found, dialect, "/x")[0].split(b"\r\n")


def test_the_path_of_the_base_url_is_kept_and_only_ours_is_appended() -> None:
    head = heads(lab(LAB))[0].split(b"\r\n")
    assert head[0] == b"POST /api/v1/chat/completions HTTP/1.1"
    assert b"Host: lab.example.com:8443" in head
    assert lab(LAB).models[1].startswith(b"GET /api/v1/models HTTP/1.1\r\n")


def test_each_key_of_a_pool_has_a_head_of_its_own() -> None:
    place = lab(LAB, keys=KEYS)
    assert [
        head.count(b"Authorization: Bearer " + key.encode()) for head, key in zip(heads(place), KEYS, strict=True)
    ] == [1, 1]
    assert KEYS[0].encode() in place.models[1]


def test_who_wants_no_key_is_sent_none() -> None:
    place = lab(LAB + 'key = "none"\n')
    (head,) = heads(place)
    assert b"uthorization" not in head + place.models[1]


def test_headers_of_the_configuration_are_sent_and_no_line_is_empty() -> None:
    place = lab(LAB + 'headers = { x-team = "search" }\n', keys=KEYS)
    for head in (*heads(place), place.models[1]):
        assert b"\r\nx-team: search\r\n" in head
        assert b"Accept-Encoding: identity\r\n" in head
        assert head.endswith(b"\r\n")
        assert b"\r\n\r\n" not in head


def test_a_simulator_is_called_at_the_port_that_the_system_chose() -> None:
    found = generation('[providers.sim]\ndialect = "simulator"\n', simulator="http://127.0.0.1:4711")
    (place,) = found.destinations["sim"].places.values()
    assert (place.origin.host, place.origin.port) == ("127.0.0.1", 4711)
    assert place.head(0, REQUEST).startswith(b"POST /chat/completions HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n")


def test_through_a_plain_proxy_the_target_is_absolute() -> None:
    text = '[providers.lab]\nbase_url = "http://lab.example.com/v1"\nproxy = "http://proxy.example.com:3128"\n'
    assert heads(lab(text))[0].startswith(b"POST http://lab.example.com:80/v1/chat/completions HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("dialect", "header"),
    [
        ("openai", b"Authorization: Bearer "),
        ("responses", b"Authorization: Bearer "),
        ("cohere", b"Authorization: Bearer "),
        ("ollama", b"Authorization: Bearer "),
        ("anthropic", b"x-api-key: "),
        ("gemini", b"x-goog-api-key: "),
        ("azure", b"api-key: "),
        ("vertex", b"x-goog-api-key: "),
        ("bedrock", b"Authorization: Bearer "),
    ],
)
def test_each_dialect_carries_its_key_as_its_vendor_wants_it(dialect: str, header: bytes) -> None:
    head = lines(f'{LAB}dialect = "{dialect}"\nkey = "env:X"\n', dialect)
    assert header + KEYS[0].encode() in head
    assert sum(KEYS[0].encode() in line for line in head) == 1


@pytest.mark.parametrize(
    ("provider", "header"),
    [
        ("anthropic", b"x-api-key: "),
        ("google-ai-studio", b"x-goog-api-key: "),
    ],
)
def test_a_vendors_compatible_door_wants_its_key_as_openai_does(provider: str, header: bytes) -> None:
    text = f'[providers.{provider}]\ndialect = ["{catalogue()[provider].dialects[0]}", "openai"]\n'
    own = lines(text, catalogue()[provider].dialects[0], name=provider)
    assert header + KEYS[0].encode() in own
    assert b"Authorization: Bearer " + KEYS[0].encode() in lines(text, "openai", name=provider)


def test_anthropics_version_is_sent_where_its_dialect_is_spoken_and_the_users_own_stands() -> None:
    both = f'{LAB}dialect = ["anthropic", "openai"]\n'
    assert b"anthropic-version: 2023-06-01" in lines(both, "anthropic")
    assert not any(line.startswith(b"anthropic-version") for line in lines(both, "openai"))
    own = lines(f'{both}headers = {{ anthropic-version = "2030-01-01" }}\n', "anthropic")
    assert [line for line in own if line.startswith(b"anthropic-version")] == [b"anthropic-version: 2030-01-01"]


def test_each_dialect_is_spoken_at_its_own_address() -> None:
    text = '[providers.azure]\nresource = "mine"\ndialect = ["openai", "azure"]\n'
    places = generation(text).destinations["azure"].places
    assert {dialect: place.prefix for dialect, place in places.items()} == {"openai": b"/openai/v1", "azure": b""}
    assert {place.origin.host for place in places.values()} == {"mine.openai.azure.com"}


def test_headers_of_the_request_itself_stand_in_its_head() -> None:
    encoded = Encoded(path="/x", body=b"{}", headers=(("anthropic-beta", "a,b"),))
    assert b"\r\nanthropic-beta: a,b\r\n" in lab(LAB).places["openai"].head(0, encoded)


class Stamp:
    """A signer that shows what it was asked to sign."""

    def headers(self, *, method: str, url: str, body: bytes, now: float) -> list[tuple[bytes, bytes]]:
        assert now > 0
        return [(b"Authorization", f"{method} {url} {len(body)}".encode())]

    async def prepare(self) -> None:
        """It has all that it needs."""

    def stop(self) -> None:
        """It fetches nothing."""


def test_who_signs_is_asked_for_each_request_and_only_where_there_is_no_key() -> None:
    text = '[providers.amazon-bedrock]\nregion = "eu-west-1"\n'
    config = parse(text).config
    url = b"https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse"
    for keys in ((), KEYS[:1]):
        pool = {"amazon-bedrock": [Secret(key, source="test") for key in keys]}
        built = runtime.build(config, secrets=pool, issued={}, admin="")
        found = build(built, simulator="", environ={}, signers={"amazon-bedrock": Stamp()})
        place = found.destinations["amazon-bedrock"].places["bedrock"]
        head = place.head(0, Encoded(path="/model/m/converse", body=b"{}"))
        assert (b"Authorization: POST " + url + b" 2\r\n" in head) is (not keys)
        assert (b"Bearer" in head) is bool(keys)


def test_a_dialect_is_told_what_is_known_of_the_endpoint_and_of_its_provider() -> None:
    found = generation("[providers.anthropic]\n")
    endpoint = next(one for one in found.runtime.endpoints if one.model == "claude-opus-4-5")
    target = found.destinations["anthropic"].target(endpoint)
    assert (target.model, target.kind, target.known, target.vendor) == ("claude-opus-4-5", "chat", True, True)
    assert target.max_completion_tokens == endpoint.max_completion_tokens
    assert target.supported_parameters is not None
    assert "tools" in target.supported_parameters
    mine = generation(LAB + "[providers.lab.models.m]\n")
    target = mine.destinations["lab"].target(mine.runtime.endpoints[0])
    assert (target.known, target.vendor, target.supported_parameters) == (False, False, None)


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
