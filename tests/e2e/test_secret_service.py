"""Keys in a real Secret Service: gnome-keyring behind a private D-Bus, unlocked and locked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT.parent / "shared" / "recipes" / "secret-service.sh"
PROGRAMS = ("gnome-keyring-daemon", "secret-tool", "dbus-run-session")
KEY = "sk-live-8d1f77aa01"

pytestmark = [
    pytest.mark.skipif(not RECIPE.exists(), reason="needs shared/ beside the project: the recipe is not part of it"),
    pytest.mark.skipif(
        any(shutil.which(program) is None for program in PROGRAMS),
        reason="needs Debian's gnome-keyring, libsecret-tools and dbus",
    ),
]


def session(tmp_path: Path, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script, where `routerd` is the command, in a session with a fresh Secret Service."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHON_KEYRING_BACKEND"}
    # Without a display nobody can be asked for a password.
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"):
        inherited.pop(name, None)
    own = {
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "STATE_DIRECTORY": str(tmp_path / "state"),
        "PYTHONPATH": str(ROOT),
    }
    prelude = f'set -e; routerd() {{ "{sys.executable}" -m routerd "$@"; }}\n'
    return subprocess.run(
        ["bash", str(RECIPE), "bash", "-c", prelude + script],
        env={**inherited, **own, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_key_is_stored_where_other_programs_find_it_listed_and_deleted(tmp_path: Path) -> None:
    done = session(
        tmp_path,
        f"""
        printf {KEY} | routerd secret set openai
        secret-tool lookup service routerd username openai; echo
        routerd secret list --json
        routerd secret delete --all
        secret-tool lookup service routerd username openai || echo gone
        secret-tool lookup service routerd username . || echo no trace
        """,
    )
    assert done.returncode == 0, done.stderr
    found, _, rest = done.stdout.partition("\n")
    listing, end = json.JSONDecoder().raw_decode(rest)
    assert found == KEY
    assert [(row["provider"], row["sources"][0]["state"]) for row in listing] == [("openai", "key")]
    assert rest[end:] == "\ngone\nno trace\n"
    assert "Stored as keyring:routerd/openai." in done.stderr
    assert "Deleted keyring:routerd/openai." in done.stderr
    assert KEY not in done.stderr


def test_init_moves_a_key_from_the_environment_into_the_keyring(tmp_path: Path) -> None:
    done = session(
        tmp_path,
        """
        routerd init --yes
        unset OPENAI_API_KEY
        routerd secret list
        secret-tool lookup service routerd username openai
        """,
        OPENAI_API_KEY=KEY,
    )
    assert done.returncode == 0, done.stderr
    assert 'key = "keyring:routerd/openai"' in (tmp_path / "config" / "routerd" / "routerd.toml").read_text()
    lines = done.stdout.splitlines()
    assert lines[0] == "export OPENAI_BASE_URL=http://127.0.0.1:8484/v1"
    assert ["openai", "keyring:routerd/openai", "-", "-"] in [line.split() for line in lines]
    assert lines[-1] == KEY


def test_a_locked_keyring_is_told_within_the_limit_and_the_environment_is_used(tmp_path: Path) -> None:
    started = time.monotonic()
    done = session(
        tmp_path,
        f"""
        printf {KEY} | routerd secret set openai || echo refused
        routerd init --yes
        routerd secret list
        """,
        OPENAI_API_KEY=KEY,
        LOCKED="1",
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 45
    lines = done.stdout.splitlines()
    assert lines[0] == "refused"
    assert lines[1].startswith("export OPENAI_BASE_URL=")
    assert ["openai", "env:OPENAI_API_KEY", "-", "-"] in [line.split() for line in lines]
    assert "nothing can ask for its password here" in done.stderr
    assert "The keyring cannot be used: it " in done.stderr
    assert 'key = "env:OPENAI_API_KEY"' in (tmp_path / "config" / "routerd" / "routerd.toml").read_text()
