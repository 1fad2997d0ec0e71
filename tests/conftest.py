"""What every test stands on: a clean environment, the shared test data, and no silent skip where all must run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
"""Recorded traffic, peers and recipes lie beside the project; a checkout alone does not have them."""
NOT_OURS = ("PROXY", "API_KEY", "API_BASE", "BASE_URL")
"""Endings of variables that would lead a test to the user's own accounts or proxies."""

FIGURES = pytest.StashKey[list[str]]()

hypothesis.settings.register_profile("project", deadline=None, print_blob=True)
hypothesis.settings.load_profile("project")


def everything_must_run() -> bool:
    """In CI a test that is skipped is a test that was lost."""
    return os.environ.get("CI") == "true"


def fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure that keeps the skip's reason; an expected failure is no skip."""
    if everything_must_run() and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"nothing may be skipped in CI: {reason}"


def pytest_configure() -> None:
    """A shell starts its background jobs with SIGINT ignored, and a child would inherit that: Ctrl-C is tested here."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.fixture
def figure(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Something measured or counted that a reader of the run wants to see: it is printed at the end."""
    return pytestconfig.stash.setdefault(FIGURES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures above the closing line."""
    if lines := config.stash.get(FIGURES, []):
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the user's keys, proxies, configuration, state or keyring, and none leaves a variable behind."""
    before = dict(os.environ)
    for name in before:
        if name.upper().endswith(NOT_OURS) or name.startswith(("ROUTERD_", "LISTEN_")):
            del os.environ[name]
    for name in ("STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "NO_COLOR", "FORCE_COLOR"):
        os.environ.pop(name, None)
    home = tmp_path_factory.mktemp("home")
    for name, folder in (("XDG_CONFIG_HOME", "config"), ("XDG_STATE_HOME", "state"), ("XDG_CACHE_HOME", "cache")):
        (home / folder).mkdir()
        os.environ[name] = str(home / folder)
    os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared test data beside the project."""
    if not SHARED.is_dir():
        pytest.skip(f"needs {SHARED.name}/ beside the project: recorded traffic is not part of it")
    return SHARED
