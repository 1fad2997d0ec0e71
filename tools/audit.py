"""Say what in .venv is not as the lock says: `python -m tools.audit` (make audit).

Twice in 2026 releases of a gateway on the package index carried a `.pth` file or a sitecustomize module, which Python
runs at every start without an import. So: each installed package is in the lock at that version, each of its files has
the digest that its RECORD states, and nothing that Python would run by itself is there.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import re
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", re.MULTILINE)
SELF_STARTING = ("sitecustomize", "usercustomize")
OURS = ("routerd", "pip", "setuptools")
"""Not of the lock: the project itself, and what `python -m venv` puts there."""
KNOWN_PTH = {
    "distutils-precedence.pth": "setuptools",  # the venv module's own, on Python 3.11
    "_routerd.pth": "routerd",  # the project, installed in place
    "_editable_impl_routerd.pth": "routerd",
}


def plain(name: str) -> str:
    """A package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(lock: str) -> dict[str, set[str]]:
    """Name to the versions that a lock allows (more than one where they differ by platform)."""
    found: dict[str, set[str]] = {}
    for name, version in PINNED.findall(lock):
        found.setdefault(plain(name), set()).add(version)
    return found


def altered(package: Distribution) -> Iterator[str]:
    """The files of a package whose digest is not the one of its RECORD.

    `Distribution.files` is not used: the importlib_metadata package, once imported, leaves missing files out of it.
    """
    for name, stated, _ in csv.reader((package.read_text("RECORD") or "").splitlines()):
        algorithm, _, wanted = stated.partition("=")
        if algorithm != "sha256":
            continue
        path = Path(str(package.locate_file(name)))
        if not path.exists():
            yield f"{package.name}: {name} is missing"
            continue
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
        if digest != wanted:
            yield f"{package.name}: {name} is not the file that was released"


def faults(site: Path, lock: str) -> list[str]:
    """Everything in the folder `site` that differs from the text of the lock."""
    allowed, found = pinned(lock), []
    for package in distributions(path=[str(site)]):
        name = plain(package.name)
        if name in OURS:
            continue
        if name not in allowed:
            found.append(f"{name} {package.version} is not in the lock")
        elif package.version not in allowed[name]:
            found.append(f"{name} {package.version} is installed, the lock says {' or '.join(sorted(allowed[name]))}")
        found += altered(package)
    found += [f"{path.name} runs at every start of Python" for path in site.glob("*.pth") if path.name not in KNOWN_PTH]
    found += [f"{name}.py runs at every start of Python" for name in SELF_STARTING if (site / f"{name}.py").exists()]
    return sorted(found)


def main() -> int:
    """Print the faults; 1 if there is one."""
    site = Path(sysconfig.get_path("purelib"))
    found = faults(site, (ROOT / "requirements-dev.lock").read_text())
    print("\n".join(found) if found else f"ok: {len(list(distributions(path=[str(site)])))} packages as locked")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
