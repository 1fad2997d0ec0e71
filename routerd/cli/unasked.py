"""Code that Python runs at every start without an import: who can leave a file there reads every key of the daemon.

Releases of gateways on the package index have carried a `.pth` file or a sitecustomize module for that purpose. A
`.pth` file that only adds folders to the path runs nothing; one with a line that begins with `import` does.
"""

from __future__ import annotations

import site
import sys
from collections.abc import Iterable
from pathlib import Path

KNOWN = frozenset({"distutils-precedence.pth"})
"""What `python -m venv` itself brings (setuptools, up to Python 3.11)."""
MODULES = ("sitecustomize", "usercustomize")


def found() -> list[str]:
    """A line for each such file in the environment of this process."""
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return [*_pth(map(Path, folders)), *_modules(map(Path, sys.path))]


def _pth(folders: Iterable[Path]) -> list[str]:
    paths = sorted({path for folder in folders for path in folder.glob("*.pth") if path.name not in KNOWN})
    return [f"{path}: Python runs the code in this file at every start" for path in paths if _runs(path)]


def _runs(path: Path) -> bool:
    """Whether a line of a `.pth` file is code; one that cannot be read is taken for it."""
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except OSError:
        return True
    return any(line.startswith((b"import ", b"import\t")) for line in lines)


def _modules(folders: Iterable[Path]) -> list[str]:
    """The first of each name that the path leads to, as a file, a package or a compiled module."""
    lines = []
    places = [folder for folder in folders if folder.is_dir()]
    for name in MODULES:
        hits = (hit for folder in places for hit in (folder / name, *sorted(folder.glob(f"{name}.*"))) if hit.exists())
        if (hit := next(hits, None)) is not None:
            lines.append(f"{hit}: Python imports this at every start")
    return lines
