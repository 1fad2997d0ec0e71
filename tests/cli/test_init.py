"""`routerd init`: what it finds, asks, writes and prints."""

from __future__ import annotations

import io
import re
import shlex
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from routerd import keys
from routerd.catalogue.load import providers as known_providers
from routerd.catalogue.schema import ProviderFacts
from routerd.cli import init
from routerd.cli.main import main
from routerd.config.load import load
from routerd.config.schema import Config
from tests.cli.fake_daemon import serving
from tests.fake_keyring import HangingKeyring, MemoryKeyring, RaisingKeyring, installed, no_keyring

OPENAI_KEY = "sk-live-8d1f77aa01"
GROQ_KEY = "gsk-55aa77bb99"
EXPORTS = re.compile(
    r"export OPENAI_BASE_URL=http://127\.0\.0\.1:8484/v1\nexport OPENAI_API_KEY=(sk-routerd-[A-Za-z0-9_-]{43})\n"
)

LOCAL_SERVERS = init._local_servers
"""The real one; every test but its own goes without."""

Capture = pytest.CaptureFixture[str]


class Terminal(io.StringIO):
    """Text that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Directories of the test's own, and no server on this machine to be found."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(init, "_local_servers", dict)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return tmp_path


@pytest.fixture
def memory() -> Iterator[MemoryKeyring]:
    backend = MemoryKeyring()
    with installed(backend):
        yield backend


@pytest.fixture
def two_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", OPENAI_KEY)
    monkeypatch.setenv("GROQ_API_KEY", GROQ_KEY)


def written(home: Path) -> Config:
    """The configuration that was written, as routerd loads it."""
    return load(home / "config" / "routerd" / "routerd.toml").config


def sources(home: Path) -> dict[str, list[str]]:
    return {name: [str(s) for s in provider.key or ()] for name, provider in written(home).providers.items()}


def answering(monkeypatch: pytest.MonkeyPatch, text: str) -> Terminal:
    """A user at a terminal who types `text`; what the terminal shows."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(text))
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


@pytest.mark.usefixtures("two_keys")
def test_yes_moves_every_key_into_the_keyring(memory: MemoryKeyring, home: Path, capsys: Capture) -> None:
    assert main(["init", "--yes"]) == 0
    captured = capsys.readouterr()
    assert EXPORTS.fullmatch(captured.out)
    assert memory.entries["routerd", "openai"] == OPENAI_KEY
    assert memory.entries["routerd", "groq"] == GROQ_KEY
    assert sources(home) == {"groq": ["keyring:routerd/groq"], "openai": ["keyring:routerd/openai"]}
    assert OPENAI_KEY not in captured.err
    assert GROQ_KEY not in captured.err
    assert "No longer needed in your shell's start-up files: GROQ_API_KEY, OPENAI_API_KEY." in captured.err
    assert captured.err.endswith("Next: routerd run\n")


@pytest.mark.usefixtures("two_keys")
def test_a_user_is_asked_for_each_key(memory: MemoryKeyring, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = answering(monkeypatch, "what?\nn\n\n")
    assert main(["init"]) == 0
    assert sources(home) == {"groq": ["env:GROQ_API_KEY"], "openai": ["keyring:routerd/openai"]}
    assert screen.getvalue().count("Found GROQ_API_KEY. Put the key of Groq into the keyring? [Y/n] ") == 2
    assert ("routerd", "groq") not in memory.entries


@pytest.mark.usefixtures("two_keys")
def test_without_a_user_and_without_yes_nothing_is_stored(memory: MemoryKeyring, home: Path, capsys: Capture) -> None:
    assert main(["init"]) == 0
    assert memory.entries == {}
    assert sources(home) == {"groq": ["env:GROQ_API_KEY"], "openai": ["env:OPENAI_API_KEY"]}
    assert EXPORTS.fullmatch(capsys.readouterr().out)


@pytest.mark.usefixtures("two_keys")
def test_no_keyring_leaves_keys_where_they_are_and_warns_of_the_export(
    memory: MemoryKeyring, home: Path, capsys: Capture
) -> None:
    assert main(["init", "--yes", "--no-keyring"]) == 0
    assert memory.entries == {}
    assert sources(home) == {"groq": ["env:GROQ_API_KEY"], "openai": ["env:OPENAI_API_KEY"]}
    assert "Start `routerd run` in a terminal without these exports" in capsys.readouterr().err


@pytest.mark.usefixtures("two_keys")
@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        (no_keyring(), "it has no service here"),
        (RaisingKeyring(KeyringLocked("x")), "it is locked, and nothing can ask for its password here"),
    ],
)
def test_without_a_keyring_it_says_why_and_reads_the_environment(
    backend: KeyringBackend, reason: str, home: Path, capsys: Capture
) -> None:
    with installed(backend):
        assert main(["init", "--yes"]) == 0
    captured = capsys.readouterr()
    assert f"The keyring cannot be used: {reason}" in captured.err
    assert sources(home) == {"groq": ["env:GROQ_API_KEY"], "openai": ["env:OPENAI_API_KEY"]}
    assert EXPORTS.fullmatch(captured.out)


@pytest.mark.usefixtures("two_keys")
def test_a_keyring_that_hangs_is_given_up(home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(init, "KEYRING_SECONDS", 0.05)
    backend = HangingKeyring()
    with installed(backend):
        assert main(["init", "--yes"]) == 0
        backend.release.set()
    assert "The keyring cannot be used: it did not answer within 0.05 s" in capsys.readouterr().err
    assert sources(home)["openai"] == ["env:OPENAI_API_KEY"]


@pytest.mark.usefixtures("two_keys")
def test_a_key_that_the_keyring_does_not_take_stays_in_the_environment(home: Path, capsys: Capture) -> None:
    class Full(MemoryKeyring):
        def set_password(self, service: str, username: str, password: str) -> None:
            raise OSError("full")

    with installed(Full()):
        assert main(["init", "--yes"]) == 0
    assert "failed: OSError: full; the key stays in OPENAI_API_KEY" in capsys.readouterr().err
    assert sources(home)["openai"] == ["env:OPENAI_API_KEY"]


def test_with_no_provider_the_simulator_is_offered(home: Path, capsys: Capture) -> None:
    assert main(["init", "--yes"]) == 0
    config = written(home)
    assert config.providers["simulator"].dialect == ("simulator",)
    assert config.models["demo"].models == ("simulator/demo",)
    assert 'Then ask for the model "demo".' in capsys.readouterr().err


def test_the_simulator_may_be_declined(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = answering(monkeypatch, "no\n")
    assert main(["init"]) == 0
    assert written(home).providers == {}
    assert "There is no provider in it yet: `routerd secret set openai`" in screen.getvalue()


def test_the_first_key_is_named_after_the_machine_and_its_hash_is_kept(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "anna's büro.example.org")
    assert main(["init", "--yes"]) == 0
    exported = EXPORTS.fullmatch(capsys.readouterr().out)
    assert exported
    assert keys.load(home / "state" / "keys.toml")["anna-s-b-ro"].hash == keys.hash_text(exported[1])


@pytest.mark.usefixtures("two_keys")
def test_the_file_is_private_loads_and_holds_no_secret(memory: MemoryKeyring, home: Path) -> None:
    assert main(["init", "--yes"]) == 0
    path = home / "config" / "routerd" / "routerd.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["routerd.toml"]
    text = path.read_text()
    assert OPENAI_KEY not in text
    assert "sk-" not in text
    assert written(home).server == Config().server


def test_every_commented_line_of_the_file_loads_when_it_is_uncommented(home: Path) -> None:
    main(["init", "--yes"])
    text = (home / "config" / "routerd" / "routerd.toml").read_text()
    lines = [re.sub(r"^# (\[|[a-z_]+ = )", r"\1", line) for line in text.splitlines()]
    path = home / "all.toml"
    path.write_text("[providers.groq]\n" + "\n".join(lines))
    config = load(path).config
    assert config.models["fast"].models == ("openai/MODEL", "groq/MODEL")
    assert set(config.providers) == {"groq", "openai", "lab", "simulator"}


def test_a_file_that_is_there_is_not_touched(home: Path, capsys: Capture) -> None:
    path = home / "mine.toml"
    path.write_text("# mine\n")
    assert main(["init", "--yes", "--config", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{path} is there already and stays as it is" in captured.err
    assert path.read_text() == "# mine\n"
    assert not (home / "state").exists()


def test_force_keeps_the_old_file_beside_the_new_one(home: Path, capsys: Capture) -> None:
    path = home / "mine.toml"
    path.write_text("# mine\n")
    assert main(["init", "--yes", "--force", "--config", str(path)]) == 0
    assert (home / "mine.toml.old").read_text() == "# mine\n"
    assert f"The file that was there is now {path}.old." in capsys.readouterr().err
    assert main(["init", "--yes", "--force", "--config", str(path)]) == 0
    assert len(keys.load(home / "state" / "keys.toml")) == 2


def test_the_config_variable_says_where_the_file_goes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTERD_CONFIG", str(home / "there" / "r.toml"))
    assert main(["init", "--yes"]) == 0
    assert load(home / "there" / "r.toml").config.providers


def test_a_key_of_routerd_in_the_environment_is_not_taken_for_the_providers(
    memory: MemoryKeyring, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", keys.mint())
    assert main(["init", "--yes"]) == 0
    assert "openai" not in written(home).providers
    assert memory.entries == {}


def test_a_variable_that_holds_no_key_is_told_and_left_out(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "two\nlines")
    assert main(["init", "--yes", "--no-keyring"]) == 0
    assert "OPENAI_API_KEY holds more than one line; a key is one line; it is left out" in capsys.readouterr().err
    assert "openai" not in written(home).providers


def test_a_shell_can_evaluate_what_it_prints(tmp_path: Path) -> None:
    line = f'eval "$({shlex.quote(sys.executable)} -m routerd init --yes 2>/dev/null)"; echo "$OPENAI_BASE_URL"'
    out = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    assert (out.stdout, out.stderr) == ("http://127.0.0.1:8484/v1\n", "")


def local(listener: str, *others: str) -> Mapping[str, ProviderFacts]:
    """A catalogue of servers without a key: `ollama` at a listener, others elsewhere."""
    facts = {"ollama": ProviderFacts(name="Ollama", base_url=f"http://{listener}/v1", key=False)}
    facts |= {name: ProviderFacts(name=name, base_url="http://127.0.0.1:1/v1", key=False) for name in others}
    facts["twin"] = ProviderFacts(name="Twin", base_url=f"http://{listener}/v1", key=False)
    facts["far"] = ProviderFacts(name="Far", base_url="http://far.test/v1", key=False)
    return MappingProxyType(facts)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ((200, {"object": "list", "data": []}), ["ollama"]),
        ((200, {"hello": 1}), []),
        ((200, b"<html>"), []),
        ((401, {"data": []}), []),
    ],
)
def test_a_local_server_is_found_by_its_list_of_models(
    monkeypatch: pytest.MonkeyPatch, answer: tuple[int, object], found: list[str]
) -> None:
    monkeypatch.setattr(init, "LOCAL_SECONDS", 5.0)
    with serving({("GET", "/v1/models"): answer}) as fake:
        monkeypatch.setattr(init, "known_providers", lambda: local(fake.listener, "vllm"))
        assert list(LOCAL_SERVERS()) == found


def test_a_local_server_goes_into_the_file(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(init, "_local_servers", lambda: {"ollama": known_providers()["ollama"]})
    assert main(["init", "--yes"]) == 0
    assert sources(home) == {"ollama": ["none"]}
    assert "Found Ollama at http://127.0.0.1:11434/v1." in capsys.readouterr().err
    text = (home / "config" / "routerd" / "routerd.toml").read_text()
    assert tomllib.loads(text)["providers"] == {"ollama": {"key": "none"}}
