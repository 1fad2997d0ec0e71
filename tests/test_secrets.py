"""Reading every wanted key at once, under a time limit, and keeping keys in the keyring."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer
from keyring.errors import InitError, KeyringLocked

from routerd import secrets
from routerd.secret_sources import FromCommand, FromEnvironment, FromFile, FromKeyring, NoKey, default_sources, parse
from routerd.secrets import Backend, Secret, SecretError, Unanswered
from tests.fake_keyring import (
    ForgetfulKeyring,
    HangingKeyring,
    MemoryKeyring,
    PlaintextKeyring,
    RaisingKeyring,
    installed,
    no_keyring,
    null_keyring,
)

OPENAI = FromKeyring("routerd", "openai")
SOON = 0.05
"""Seconds until a keyring that hangs is given up."""


class Chain(chainer.ChainerBackend):
    """Several keyrings one after another, as keyring makes it where more than one is there."""

    backends: tuple[KeyringBackend, ...] = ()

    def __init__(self, *members: KeyringBackend) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring's is untyped
        self.backends = members


@pytest.fixture
def memory() -> Iterator[MemoryKeyring]:
    backend = MemoryKeyring()
    with installed(backend):
        yield backend


async def one(source: Any, **limits: float) -> Secret:
    """The only key of a provider with this source."""
    (key,) = (await secrets.read_all({"openai": [source]}, **limits))["openai"]
    return key


async def refused(source: Any, **limits: float) -> str:
    """The fault of a provider with this source."""
    with pytest.raises(SecretError) as caught:
        await one(source, **limits)
    (fault,) = caught.value.faults
    assert fault.startswith("providers.openai.key: ")
    return fault.removeprefix("providers.openai.key: ")


async def test_of_the_default_chain_the_first_source_that_answers_wins(
    memory: MemoryKeyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = default_sources("openai", ["FIRST_KEY", "SECOND_KEY"])
    monkeypatch.setenv("SECOND_KEY", "sk-2")
    assert (await one(chain)).source == "env:SECOND_KEY"
    monkeypatch.setenv("FIRST_KEY", "sk-1")
    assert (await one(chain)).source == "env:FIRST_KEY"
    (tmp_path / "openai").write_text("sk-c")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert (await one(chain)).source == "credential:openai"
    memory.entries["routerd", "openai"] = "sk-k"
    key = await one(chain)
    assert (key.source, key.reveal()) == ("keyring:routerd/openai", "sk-k")


async def test_where_nothing_is_found_the_error_names_what_was_tried_and_what_to_do(memory: MemoryKeyring) -> None:
    assert await refused(default_sources("openai", ["FIRST_KEY"])) == (
        "no key found: keyring:routerd/openai holds no such entry; "
        "credential:openai is not there ($CREDENTIALS_DIRECTORY is not set); env:FIRST_KEY is not set. "
        "Store one with `routerd secret set openai`, or write key = ..."
    )


async def test_a_chain_goes_on_past_a_keyring_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST_KEY", "sk-1")
    with installed(RaisingKeyring(KeyringLocked("locked"))):
        assert (await one(default_sources("openai", ["FIRST_KEY"]))).reveal() == "sk-1"


async def test_every_failing_source_is_reported_at_once(memory: MemoryKeyring, tmp_path: Path) -> None:
    wanted = {
        "openai": [OPENAI],
        "groq": parse(["env:GROQ_1", f"file:{tmp_path}/no"]),
        "lab": parse("none"),
    }
    with pytest.raises(SecretError) as caught:
        await secrets.read_all(wanted)
    openai, groq, groq_too = caught.value.faults
    assert openai == (
        "providers.openai.key: keyring:routerd/openai holds no such entry. `routerd secret set openai` stores one; or "
        "take it from credential:NAME, env:NAME, file:PATH (mode 0600), command:PROG ARG"
    )
    assert groq == (
        "providers.groq.key: env:GROQ_1 is not set. Or take it from keyring:routerd/groq, credential:NAME, "
        "file:PATH (mode 0600), command:PROG ARG"
    )
    assert groq_too.startswith(f"providers.groq.key: file:{tmp_path}/no does not exist. Or take it from ")


async def test_a_pool_keeps_its_order_and_none_wants_no_key(
    memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.entries["routerd", "openai"] = "sk-k"
    monkeypatch.setenv("KEY_B", "sk-b")
    pool = parse([{"command": [sys.executable, "-c", "print('sk-c')"]}, "env:KEY_B", "keyring:routerd/openai"])
    keys = await secrets.read_all({"openai": pool, "ollama": [NoKey()], "none": ()})
    assert [key.reveal() for key in keys["openai"]] == ["sk-c", "sk-b", "sk-k"]
    assert (keys["ollama"], keys["none"]) == ((), ())


async def test_a_keyring_that_hangs_is_given_up_and_what_answered_before_counts() -> None:
    backend = HangingKeyring({("routerd", "groq"): "sk-g"}, hangs_on="openai")
    with installed(backend):
        first, second = FromKeyring("routerd", "groq"), OPENAI
        outcomes = await secrets.ask([first, second, FromEnvironment("NOT_SET")], timeout=SOON)
        backend.release.set()
    assert isinstance(outcomes[first], Secret)
    assert outcomes[second] == Unanswered(
        "did not answer within 0.05 s (it may be locked and waiting for its password)"
    )
    assert outcomes[FromEnvironment("NOT_SET")] == Unanswered("is not set", absent=True)


async def test_a_thread_that_was_given_up_asks_for_nothing_more() -> None:
    backend = HangingKeyring(hangs_on="openai")
    asked: list[str] = []
    plain = backend.get_password

    def noted(service: str, username: str) -> str | None:
        asked.append(username)
        return plain(service, username)

    backend.get_password = noted  # type: ignore[method-assign]
    with installed(backend):
        await secrets.ask([OPENAI, FromKeyring("routerd", "groq")], timeout=SOON)
        backend.release.set()
        await asyncio.to_thread(backend.thread.join)
    assert asked == ["openai"]


async def test_a_reload_that_is_cancelled_leaves_no_trace_of_a_late_answer() -> None:
    backend = HangingKeyring()
    with installed(backend):
        task = asyncio.ensure_future(secrets.read_all({"openai": [OPENAI]}, timeout=60))
        await asyncio.to_thread(backend.asked.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert backend.thread.daemon  # a process that exits does not wait for it
        backend.release.set()
        await asyncio.to_thread(backend.thread.join)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyringLocked("Failed to unlock the collection!"), "is locked, and nothing can ask for its password here"),
        (InitError("Failed to create the collection: Prompt dismissed.."), "(Failed to create the collection: Prompt"),
        (RuntimeError("dbus\nbroke."), "failed: RuntimeError: dbus broke"),
        (OSError(), "failed: OSError"),
    ],
)
async def test_what_a_keyring_raises_is_told_in_words(error: Exception, reason: str) -> None:
    with installed(RaisingKeyring(error)):
        assert reason in await refused(OPENAI)
        with pytest.raises(SecretError, match="keyring:routerd/openai: "):
            secrets.store("openai", Secret("sk-1", source="test"))
        assert not secrets.describe().usable


async def test_a_keyring_in_plain_text_is_refused() -> None:
    backend = PlaintextKeyring({("routerd", "openai"): "sk-1"})
    with installed(backend):
        assert "keyrings.alt.file.PlaintextKeyring keeps keys unprotected on the disk" in await refused(OPENAI)
        with pytest.raises(SecretError, match="unprotected"):
            secrets.store("openai", Secret("sk-2", source="test"))
        assert "unprotected" in secrets.describe().why
    assert backend.entries == {("routerd", "openai"): "sk-1"}


async def test_in_a_chain_of_keyrings_the_plain_one_is_passed_over() -> None:
    plain, safe, other = PlaintextKeyring({("routerd", "openai"): "leaked"}), MemoryKeyring(), MemoryKeyring()
    with installed(Chain(plain, safe, other)):
        assert "holds no such entry" in await refused(OPENAI)
        secrets.store("openai", Secret("sk-1", source="test"))
        assert safe.entries["routerd", "openai"] == "sk-1"
        assert ("routerd", "openai") not in other.entries
        assert (await one(OPENAI)).reveal() == "sk-1"
    with installed(Chain(safe, plain)):
        assert secrets.delete("openai")
    assert plain.entries == {("routerd", "openai"): "leaked"}


async def test_without_any_keyring_the_error_says_so() -> None:
    with installed(no_keyring()):
        assert "has no service here" in await refused(OPENAI)
        assert secrets.describe() == Backend(
            "none", usable=False, why="has no service here: no Secret Service, KWallet or Keychain answers this session"
        )


def test_the_null_keyring_is_not_usable_and_storing_there_is_an_error() -> None:
    with installed(null_keyring()):
        assert secrets.describe() == Backend(
            "keyring.backends.null.Keyring", usable=False, why="the null keyring keeps nothing"
        )
        with pytest.raises(SecretError, match="did not keep the key"):
            secrets.store("openai", Secret("sk-1", source="test"))


def test_a_keyring_that_forgets_is_found_out_when_storing() -> None:
    with installed(ForgetfulKeyring()), pytest.raises(SecretError, match="did not keep the key"):
        secrets.store("openai", Secret("sk-1", source="test"))


def test_what_is_stored_is_known_by_name_and_deleted_without_a_trace(memory: MemoryKeyring) -> None:
    secrets.store("openai", Secret("sk-1", source="test"))
    secrets.store("groq", Secret("sk-2", source="test"))
    secrets.store("openai", Secret("sk-3", source="test"))
    assert memory.entries["routerd", "openai"] == "sk-3"
    assert secrets.stored() == ("groq", "openai")
    assert secrets.delete("openai")
    assert not secrets.delete("openai")
    assert secrets.stored() == ("groq",)
    assert secrets.delete("groq")
    assert memory.entries == {}


def test_a_name_that_was_deleted_behind_our_back_is_forgotten(memory: MemoryKeyring) -> None:
    secrets.store("openai", Secret("sk-1", source="test"))
    memory.delete_password("routerd", "openai")
    assert not secrets.delete("openai")
    assert memory.entries == {}


def test_a_traceback_of_storing_shows_no_key_though_it_shows_locals() -> None:
    key = Secret("sk-live-8d1f", source="test")
    with installed(ForgetfulKeyring()), pytest.raises(SecretError) as caught:
        secrets.store("openai", key)
    text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "key = Secret(test)" in text
    assert "sk-live" not in text


def test_storing_and_looking_end_at_the_time_limit() -> None:
    backend = HangingKeyring()
    with installed(backend):
        with pytest.raises(SecretError, match=r"did not answer within 0\.05 s"):
            secrets.store("openai", Secret("sk-1", source="test"), timeout=SOON)
        described = secrets.describe(timeout=SOON)
        backend.release.set()
    assert described.why == "did not answer within 0.05 s (it may be locked and waiting for its password)"


async def test_an_entry_that_is_no_key_is_told(memory: MemoryKeyring) -> None:
    memory.entries["routerd", "openai"] = ""
    assert "keyring:routerd/openai is empty" in await refused(OPENAI)


MEET = """
import pathlib, sys, time
mine, other = map(pathlib.Path, sys.argv[1:])
mine.touch()
while not other.exists():
    time.sleep(0.01)
print(mine.name)
"""


async def test_commands_run_side_by_side(tmp_path: Path) -> None:
    # Each waits for the other's file, so neither could end alone.
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    pool = [FromCommand((sys.executable, "-c", MEET, *order), 30.0) for order in ((a, b), (b, a))]
    keys = await secrets.read_all({"lab": pool})
    assert [key.reveal() for key in keys["lab"]] == ["a", "b"]


async def test_a_file_and_the_keyring_are_read_together(memory: MemoryKeyring, tmp_path: Path) -> None:
    memory.entries["routerd", "openai"] = "sk-k"
    (tmp_path / "key").write_text("sk-f")
    (tmp_path / "key").chmod(0o600)
    outcomes = await secrets.ask([OPENAI, FromFile(str(tmp_path / "key")), NoKey()])
    assert [type(outcome) for outcome in outcomes.values()] == [Secret, Secret, Unanswered]


def test_keyring_is_not_imported_until_a_keyring_is_asked() -> None:
    code = (
        "import asyncio, sys; from routerd import secrets\n"
        "asyncio.run(secrets.ask(secrets.parse(['env:A', 'file:b', 'command:true'])))\n"
        "sys.exit('keyring' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_process_can_exit_while_a_keyring_hangs() -> None:
    code = (
        "import asyncio; from routerd import secrets; from tests.fake_keyring import HangingKeyring\n"
        "import keyring; keyring.set_keyring(HangingKeyring())\n"
        "asyncio.run(secrets.ask(secrets.parse('keyring:routerd/x'), timeout=0.05)); print('done')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert ended.stdout == "done\n"
    assert ended.stderr == ""
