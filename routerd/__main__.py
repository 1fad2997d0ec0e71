"""`python -m routerd` is the `routerd` command."""

from __future__ import annotations

import sys

from routerd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
