"""`routerd demo`: the daemon with a simulated provider in a temporary directory. No key, no file, no network needed."""

from __future__ import annotations

import argparse
import errno
import os
import shlex
import socket
import tempfile
from pathlib import Path

import tomli_w

from routerd import keys
from routerd.cli.run import LOG_FORMATS
from routerd.dialects.simulator.face import SCENARIOS

HOST = "127.0.0.1"
PORT = 8484
FALLBACK = "demo-fallback"
"""A virtual model that shows what routerd is for: its first choice always fails, the second answers."""
MESSAGE = '{"model": "demo", "stream": true, "messages": [{"role": "user", "content": "What is this?"}]}'


def arguments(parser: argparse.ArgumentParser) -> None:
    """`--key`, `--port`, `--log-format`."""
    parser.add_argument(
        "--key",
        default=os.environ.get("ROUTERD_DEMO_KEY"),
        help="the key that clients send (default: $ROUTERD_DEMO_KEY, else a new one)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=PORT,
        help=f"where to listen on {HOST} (default: {PORT}; a free port if it is taken)",
    )
    parser.add_argument("--log-format", choices=LOG_FORMATS, default="auto", help="how the log on stderr looks")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; the directory with configuration, state and spend log goes away with the demo."""
    from routerd import daemon  # noqa: PLC0415  # brings the whole server: `routerd demo --help` does without

    key = args.key or keys.mint()
    taken = not _free(args.port)
    with tempfile.TemporaryDirectory(prefix="routerd-demo-") as name:
        config = Path(name) / "routerd.toml"
        config.write_text(configuration(key, 0 if taken else args.port), encoding="utf-8")

        def ready(listeners: list[str]) -> None:
            note = f"{HOST}:{args.port} is taken, so the demo listens elsewhere.\n" if taken else ""
            print(note + greeting(listeners[0], key, given=bool(args.key)), flush=True)

        return daemon.run(config, state=Path(name) / "state", ready=ready, log_format=args.log_format)


def configuration(key: str, port: int) -> str:
    """The demo's TOML: the simulator, a virtual model for each of its scenarios and one that falls back, a key."""
    models = {name: {"models": [f"simulator/{name}"]} for name in SCENARIOS}
    models[FALLBACK] = {"models": ["simulator/demo-500", "simulator/demo"]}
    return tomli_w.dumps(
        {
            "server": {"listen": [f"{HOST}:{port}"], "drain_timeout": "2s"},
            "providers": {"simulator": {"dialect": "simulator"}},
            "models": models,
            "keys": {"demo": {"hash": keys.hash_text(key)}},
        }
    )


def greeting(listener: str, key: str, *, given: bool) -> str:
    """What a newcomer copies: exports, a curl line that streams, and how to go on. `listener` is `host:port`."""
    base = f"http://{listener}/v1"
    headers = ["-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json"]
    curl = shlex.join(["curl", "-N", f"{base}/chat/completions", *headers, "-d", MESSAGE])
    others = ", ".join(name for name in (*SCENARIOS, FALLBACK) if name != "demo")
    origin = "a demo key that you chose" if given else "a demo key, good until the demo ends"
    return "\n".join(
        [
            f"\nrouterd demo: a simulated provider, no network, nothing is paid; {origin}.\n",
            f"export OPENAI_BASE_URL={base}",
            f"export OPENAI_API_KEY={shlex.quote(key)}",
            f"\n{curl}\n",
            f"Other models to ask: {others}",
            "With a real provider: `routerd init` writes your own configuration. Ctrl-C ends the demo.\n",
        ]
    )


def _free(port: int) -> bool:
    """Whether we could listen there; SO_REUSEADDR as the daemon sets it, so that a demo just ended is no obstacle."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def _port(text: str) -> int:
    """A TCP port, 0 for any free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to 65535")
    return int(text)
