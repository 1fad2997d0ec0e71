"""The tools of the repository: the audit finds what it is there for, the lock names no host."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from tools import audit, lock

CODE = b"answer = 42\n"
LOCK = "thing==1.2 \\\n    --hash=sha256:00\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with one package in it, as pip leaves it."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(CODE).digest()).rstrip(b"=").decode()
    (tmp_path / "thing.py").write_bytes(CODE)
    info = tmp_path / "thing-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.2\n")
    (info / "RECORD").write_text(f"thing.py,sha256={digest},{len(CODE)}\nthing-1.2.dist-info/RECORD,,\n")
    return tmp_path


def test_what_is_installed_as_locked_has_no_fault(site: Path) -> None:
    assert audit.faults(site, LOCK) == []


def test_a_file_that_was_changed_is_named(site: Path) -> None:
    (site / "thing.py").write_bytes(b"answer = 43\n")
    assert audit.faults(site, LOCK) == ["thing: thing.py is not the file that was released"]


def test_a_file_that_is_gone_is_named(site: Path) -> None:
    (site / "thing.py").unlink()
    assert audit.faults(site, LOCK) == ["thing: thing.py is missing"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "thing 1.2 is not in the lock"),
        ("thing==1.3 \\\n", "thing 1.2 is installed, the lock says 1.3"),
    ],
)
def test_a_package_that_is_not_as_locked_is_named(site: Path, text: str, fault: str) -> None:
    assert audit.faults(site, text) == [fault]


@pytest.mark.parametrize("name", ["evil.pth", "sitecustomize.py", "usercustomize.py"])
def test_what_runs_by_itself_is_named(site: Path, name: str) -> None:
    (site / name).write_text("import os\n")
    assert audit.faults(site, LOCK) == [f"{name} runs at every start of Python"]


@pytest.mark.parametrize(
    "line", ["--index-url https://example.org/simple", "thing @ https://example.org/t.whl", "-i example"]
)
def test_a_lock_that_names_a_host_is_found_out(line: str) -> None:
    assert lock.hosts(f"{LOCK}{line}\n") == [line]
    assert lock.hosts(LOCK) == []
