"""Where a base URL leads, and through which proxy."""

from __future__ import annotations

import pytest

from routerd.server.origin import Origin, Proxy, TlsSettings, origin

HTTPS = TlsSettings()
SQUID = Proxy("http", "squid.test", 3128)


def find(url: str, **environ: str) -> Origin:
    return origin(url, ca_file=None, proxy=None, environ=environ)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://api.openai.com/v1", Origin("https", "api.openai.com", 443, HTTPS)),
        ("http://127.0.0.1:8000/v1", Origin("http", "127.0.0.1", 8000)),
        ("http://[::1]:8000", Origin("http", "::1", 8000)),
        ("HTTPS://API.Test", Origin("https", "api.test", 443, HTTPS)),
        ("http://lab", Origin("http", "lab", 80)),
        ("https://bücher.test", Origin("https", "xn--bcher-kva.test", 443, HTTPS)),
    ],
)
def test_a_base_url_leads_to(url: str, wanted: Origin) -> None:
    assert find(url) == wanted


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("ftp://x", "base_url: the scheme must be http or https, not 'ftp'"),
        ("api.openai.com/v1", "base_url: the scheme must be http or https, not ''"),
        ("https://", "base_url: there is no host name in it"),
        ("https:///v1", "base_url: there is no host name in it"),
        ("https://a b/", "base_url: there is no host name in it"),
        ("https://x:0", "base_url: the port must be a number from 1 to 65535"),
        ("https://x:70000", "base_url: the port must be a number from 1 to 65535"),
        ("https://x:http", "base_url: the port must be a number from 1 to 65535"),
        ("https://[::1", "base_url: not an URL"),
        (
            "https://me:hunter2@x",
            "base_url: a user name or password in the URL is not supported; use `key` or `headers`",
        ),
    ],
)
def test_a_base_url_that_leads_nowhere_is_refused(url: str, fault: str) -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        find(url)
    assert str(caught.value) == fault


def test_ipv6_is_bracketed_in_names() -> None:
    assert find("http://[::1]:80").name == "[::1]:80"


def test_the_ca_file_is_part_of_the_origin() -> None:
    one = origin("https://x", ca_file="a.pem", proxy=None, environ={})
    assert one.tls == TlsSettings("a.pem")
    assert one != origin("https://x", ca_file="b.pem", proxy=None, environ={})
    assert hash(one) == hash(origin("https://x/v2", ca_file="a.pem", proxy=None, environ={}))


@pytest.mark.parametrize(
    ("url", "environ", "proxied"),
    [
        ("https://a.test", {"HTTPS_PROXY": "http://squid.test:3128"}, True),
        ("https://a.test", {"https_proxy": "http://squid.test:3128"}, True),
        ("https://a.test", {"https_proxy": "http://squid.test:3128", "HTTPS_PROXY": "http://other:1"}, True),
        ("https://a.test", {"HTTP_PROXY": "http://squid.test:3128"}, False),
        ("https://a.test", {"HTTPS_PROXY": ""}, False),
        ("https://a.test", {"ALL_PROXY": "squid.test:3128"}, True),
        ("http://a.test", {"all_proxy": "squid.test:3128"}, True),
        ("http://a.test", {"HTTP_PROXY": "http://squid.test:3128", "ALL_PROXY": "http://other:1"}, True),
        ("http://127.0.0.1:11434", {"ALL_PROXY": "http://squid.test:3128"}, False),
        ("http://127.8.9.1", {"ALL_PROXY": "http://squid.test:3128"}, False),
        ("http://[::1]:1", {"ALL_PROXY": "http://squid.test:3128"}, False),
        ("http://localhost:1", {"ALL_PROXY": "http://squid.test:3128"}, False),
        ("http://llm.localhost", {"ALL_PROXY": "http://squid.test:3128"}, False),
        ("http://notlocalhost", {"ALL_PROXY": "http://squid.test:3128"}, True),
    ],
)
def test_a_proxy_of_the_environment(url: str, environ: dict[str, str], proxied: bool) -> None:
    assert find(url, **environ).proxy == (SQUID if proxied else None)


@pytest.mark.parametrize(
    ("url", "no_proxy", "proxied"),
    [
        ("https://api.corp.test", "corp.test", False),
        ("https://api.corp.test", ".corp.test", False),
        ("https://api.corp.test", "*.corp.test", False),
        ("https://corp.test", ".corp.test", False),
        ("https://corp.test", "CORP.test", False),
        ("https://evilcorp.test", "corp.test", True),
        ("https://api.corp.test", "other.test, corp.test", False),
        ("https://api.corp.test", "other.test corp.test", False),
        ("https://api.corp.test", "*", False),
        ("https://api.corp.test:8443", "corp.test:8443", False),
        ("https://api.corp.test", "corp.test:8443", True),
        ("https://api.corp.test", "corp.test:443", False),
        ("https://10.1.2.3", "10.1.2.3", False),
        ("https://10.1.2.3", "10.0.0.0/8", False),
        ("https://11.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3:99", "10.1.2.3:98", True),
        ("https://[fd00::1]", "fd00::/8", False),
        ("https://[fd00::1]", "fd00::1", False),
        ("https://[fd00::1]", "[fd00::1]", False),
        ("https://[fd00::1]", "[fd00::1]:444", True),
        ("https://api.corp.test", "10.0.0.0/8,nonsense/99", True),
        ("https://110.1.2.3", "10.1.2.3", True),
        ("https://api.corp.test", "., ,", True),
    ],
)
def test_no_proxy(url: str, no_proxy: str, proxied: bool) -> None:
    assert (find(url, ALL_PROXY="squid.test:3128", NO_PROXY=no_proxy).proxy is not None) == proxied
    assert (find(url, ALL_PROXY="squid.test:3128", no_proxy=no_proxy).proxy is not None) == proxied


def test_a_proxy_of_the_configuration_comes_before_the_environment_even_for_loopback() -> None:
    environ = {"HTTPS_PROXY": "http://other:1", "NO_PROXY": "*"}
    assert origin("https://127.0.0.1", ca_file=None, proxy="http://squid.test:3128", environ=environ).proxy == SQUID


def test_proxy_none_goes_direct_whatever_the_environment_says() -> None:
    assert origin("https://a.test", ca_file=None, proxy="none", environ={"HTTPS_PROXY": "http://other:1"}).proxy is None


def test_only_a_plain_origin_behind_a_proxy_is_asked_in_absolute_form() -> None:
    environ = {"ALL_PROXY": "squid.test:3128"}
    assert find("http://a.test/v1", **environ).absolute == "http://a.test:80"
    assert find("https://a.test/v1", **environ).absolute == ""
    assert find("http://a.test/v1").absolute == ""


def test_an_https_proxy_is_verified_with_the_same_authorities() -> None:
    proxy = origin("https://a.test", ca_file="corp.pem", proxy="https://squid.test", environ={}).proxy
    assert proxy == Proxy("https", "squid.test", 443, tls=TlsSettings("corp.pem"))


def test_a_proxy_password_is_decoded_and_never_shown() -> None:
    place = origin("https://a.test", ca_file=None, proxy="http://me:p%40ss@squid.test:3128", environ={})
    assert place.proxy is not None
    assert place.proxy.authorization is not None
    assert place.proxy.authorization.reveal() == "Basic bWU6cEBzcw=="
    for text in (repr(place), str(place.proxy), f"{place}"):
        assert "bWU6cEBzcw" not in text
        assert "p@ss" not in text


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"HTTPS_PROXY": "socks5://me:hunter2@x:1"}, "HTTPS_PROXY: the scheme must be http or https, not 'socks5'"),
        ({"all_proxy": "http://me:hunter2@x:port"}, "all_proxy: the port must be a number from 1 to 65535"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(environ: dict[str, str], fault: str) -> None:
    with pytest.raises(ValueError, match=r"the (scheme|port)") as caught:
        find("https://a.test", **environ)
    assert str(caught.value) == fault
