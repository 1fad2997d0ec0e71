"""Listen: addresses as the configuration writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.config.listen import Listen, host_name, is_loopback, listen


@pytest.mark.parametrize(
    "written", ["127.0.0.1:8484", "[::1]:8484", "localhost:0", "unix:/run/routerd.sock", "0.0.0.0:80"]
)
def test_a_listener_is_written_as_it_was_read(written: str) -> None:
    assert str(listen(written)) == written


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_address_and_port_is_read_back(address: object, port: int) -> None:
    written = f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"
    assert listen(str(listen(written))) == listen(written)
    assert listen(written).port == port


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("::1:8484", "brackets"),
        ("8484", "host:port"),
        (":8484", "before the port"),
        ("127.0.0.1", "host:port"),
        ("127.0.0.1:65536", "host:port"),
        ("127.0.0.1:٣", "host:port"),
        ("[::g]:1", "IPv6"),
        ("999.1.1.1:80", "IPv4"),
        ("http://127.0.0.1:8484", "brackets|name or address"),
        ("a b:1", "name or address"),
        ("unix:relative", "absolute"),
        ("unix:/" + "x" * 200, "107 bytes"),
        ("", "empty"),
        (8484, "text"),
    ],
)
def test_what_is_no_address_is_refused(written: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        listen(written)


def test_only_loopback_and_sockets_are_local() -> None:
    local = ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "dev.localhost:1", "unix:/s"]
    assert all(listen(written).local for written in local)
    assert not any(listen(written).local for written in ["0.0.0.0:1", "[::]:1", "192.168.1.2:1", "example.com:1"])


def test_a_name_that_only_begins_like_localhost_is_not_loopback() -> None:
    assert is_loopback("LOCALHOST.")
    assert not is_loopback("localhost.example.com")
    assert not is_loopback("127.0.0.1.example.com")


def test_host_names_are_lower_case_and_without_port() -> None:
    assert host_name("Gateway.LAN") == "gateway.lan"
    assert host_name("[::1]") == host_name("0:0:0:0:0:0:0:1") == "::1"
    for wrong in ("http://x", "x:80", "x/y", "*", "-x", ""):
        with pytest.raises(ValueError, match=r"must|is not"):
            host_name(wrong)


def test_a_listener_is_hashable_data() -> None:
    assert listen("LOCALHOST:1") == Listen(kind="tcp", host="localhost", port=1)
    assert len({listen("127.0.0.1:1"), listen("127.0.0.1:1")}) == 1
