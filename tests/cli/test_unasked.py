"""Code that Python runs by itself is found wherever it lies, and what only names folders is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from routerd.cli import unasked


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("site.getsitepackages", lambda: [str(tmp_path)])
    monkeypatch.setattr("site.ENABLE_USER_SITE", False)
    monkeypatch.setattr("sys.path", ["", str(tmp_path), str(tmp_path / "missing.zip")])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text", "seen"),
    [
        ("evil.pth", b"/somewhere\nimport os; os.system('x')\n", True),
        ("evil.pth", b"import\tos\n", True),
        ("evil.pth", b"\xef\xbb\xbfimport os\n", True),
        ("evil.pth", b"\xff\rimport os\n", True),
        ("sitecustomize.py", b"", True),
        ("usercustomize.py", b"", True),
        ("usercustomize.cpython-311-x86_64-linux-gnu.so", b"", True),
        ("folders.pth", b"/somewhere\n# import os\nimportant\n", False),
        ("distutils-precedence.pth", b"import os\n", False),
        ("evil.py", b"import os\n", False),
    ],
)
def test_what_runs_by_itself_is_named(folder: Path, name: str, text: bytes, seen: bool) -> None:
    (folder / name).write_bytes(text)
    lines = unasked.found()
    assert [name in line for line in lines] == [True] * seen
    assert all("at every start" in line for line in lines)


def test_a_package_of_that_name_counts_too(folder: Path) -> None:
    (folder / "sitecustomize").mkdir()
    assert len(unasked.found()) == 1


def test_the_folder_of_the_user_is_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = folder / "mine"
    mine.mkdir()
    (mine / "evil.pth").write_text("import os\n")
    assert unasked.found() == []
    monkeypatch.setattr("site.ENABLE_USER_SITE", True)
    monkeypatch.setattr("site.getusersitepackages", lambda: str(mine))
    assert len(unasked.found()) == 1


def test_check_deep_warns_of_it_and_check_does_not(tmp_path: Path) -> None:
    """As the user runs it, with a module that Python has really imported."""
    (tmp_path / "usercustomize.py").write_text("")
    (tmp_path / "routerd.toml").write_text('[providers.sim]\ndialect = "simulator"\n')
    (tmp_path / "routerd.toml").chmod(0o600)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "STATE_DIRECTORY": str(tmp_path / "state")}
    command = [sys.executable, "-m", "routerd", "--config", str(tmp_path / "routerd.toml"), "check"]
    for options, seen in (([], False), (["--deep"], True)):
        done = subprocess.run([*command, *options], env=environ, capture_output=True, text=True, check=True)
        assert (f"warning: {tmp_path / 'usercustomize.py'}: Python imports this at every start" in done.stderr) is seen
