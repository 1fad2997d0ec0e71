"""What is written is true: each command, error and file that exists is documented, and nothing else is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from routerd import errors
from routerd.cli import demo
from routerd.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+\s+(.+)$", re.MULTILINE)


def identity(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings can be linked to."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in HEADING.findall(page.read_text())
    }


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{target} does not exist"
        assert not anchor or anchor in anchors(path), f"{target} has no such heading"


def test_the_readme_shows_the_line_that_the_demo_prints() -> None:
    greeting = demo.greeting("127.0.0.1:8484", "sk-routerd-demo", given=True)
    curl = next(line for line in greeting.splitlines() if line.startswith("curl "))
    assert curl in (ROOT / "README.md").read_text().splitlines()
    assert "demo --key sk-routerd-demo" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented_with_its_options(command: str) -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert f"\n## {command}" in page or f"| `{command}" in page
    shown = subprocess.run(
        [sys.executable, "-m", "routerd", command, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", shown.stdout)) - {"--help"}:
        assert f"{option}" in page, f"{command} {option}"


def test_no_other_command_is_documented() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    headings = {
        word for heading in re.findall(r"^## (.+)$", page, re.MULTILINE) for word in re.findall(r"[a-z]+", heading)
    }
    assert headings <= set(COMMANDS) | {"and"}


def error_classes() -> dict[str, type[errors.RouterdError]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.RouterdError)
    }


@pytest.mark.parametrize("name", error_classes())
def test_every_error_is_documented_and_in_the_tree(name: str) -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    assert f"`{name}`" in page
    assert name in (errors.__doc__ or "")
    kind = error_classes()[name]
    if rows := [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]:
        assert f"| {kind.status} | `{kind.error_type}` |" in rows[0]


def test_no_other_error_is_documented() -> None:
    named = set(re.findall(r"^\| `([A-Z]\w+)` \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE))
    assert named <= set(error_classes())


@pytest.mark.parametrize("path", ["chat/completions", "models", "/healthz", "/readyz", "/metrics", "/admin/status"])
def test_every_door_is_documented(path: str) -> None:
    assert path in (ROOT / "docs" / "api.md").read_text()


def test_every_header_that_is_sent_is_documented() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "routerd" / "server").glob("*.py"))
    sent = set(re.findall(r"X-Routerd-[A-Za-z-]+|X-Generation-Id", sources))
    assert sent
    page = (ROOT / "docs" / "api.md").read_text()
    assert [name for name in sent if f"`{name}`" not in page] == []


def test_every_decision_is_numbered_once_and_in_a_row() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs" / "adr").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_locks_pin_every_package_and_name_no_host() -> None:
    for path in ROOT.glob("requirements*.lock"):
        text = path.read_text()
        assert "://" not in text
        pinned = [line for line in text.splitlines() if "==" in line]
        assert pinned
        assert all(line.rstrip().endswith("\\") for line in pinned), "each has its hashes below it"


def test_the_changelog_begins_with_what_is_not_released() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## \[Unreleased\]$", text, re.MULTILINE)
    headings = re.findall(r"^### (\w+)$", text, re.MULTILINE)
    assert set(headings) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
