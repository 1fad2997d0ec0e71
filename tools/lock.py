"""Write requirements.lock and requirements-dev.lock: every package, for every platform, pinned by hash, no host named.

`python -m tools.lock [--uv PATH] [--upgrade]` (make lock). The build back end is in the development lock, so that
installing the project in place needs no build isolation, which would fetch it without a hash.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EDITABLE = "editables>=0.5"
"""What hatchling wants besides itself to install the project in place (its get_requires_for_build_editable)."""
COMPILE = ["pip", "compile", "--quiet", "--generate-hashes", "--universal", "--python-version", "3.11"]
COMPILE += ["--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make lock"]


def compile_lock(uv: str, output: str, arguments: list[str], *, extra: str = "") -> None:
    """Resolve pyproject.toml and the requirements of `extra` into the file `output`; raises CalledProcessError."""
    sources = ["pyproject.toml", *(["-"] if extra else [])]
    command = [uv, *COMPILE, "--output-file", output, *arguments, *sources]
    subprocess.run(command, cwd=ROOT, check=True, input=extra, text=True)


def hosts(lock: str) -> list[str]:
    """The lines of a lock that name a host: a lock must install from whatever registry the machine is set up for."""
    options = ("-i ", "--index", "--extra", "--find")
    return [line for line in lock.splitlines() if "://" in line or line.lstrip().startswith(options)]


def main() -> int:
    """Write both locks; 1 if one of them names a host."""
    parser = argparse.ArgumentParser(description="write the hash-pinned locks")
    parser.add_argument("--uv", default="uv", help="the uv program to resolve with")
    parser.add_argument("--upgrade", action="store_true", help="take the newest releases that fit")
    options = parser.parse_args()
    arguments = ["--upgrade"] if options.upgrade else []
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    compile_lock(options.uv, "requirements.lock", arguments)
    compile_lock(
        options.uv, "requirements-dev.lock", [*arguments, "--group", "dev"], extra="\n".join([*build, EDITABLE]) + "\n"
    )
    named = [line for path in sorted(ROOT.glob("requirements*.lock")) for line in hosts(path.read_text())]
    if named:
        print("these lines name a host:", *named, sep="\n", file=sys.stderr)
    return 1 if named else 0


if __name__ == "__main__":
    sys.exit(main())
