"""routerd beside its rivals on this machine, in one run: `python -m bench.run [PEER ...]` (make bench).

Starts ../shared/bench/peer_bench.py, which puts each gateway in front of the same simulated provider, loads it and
reads its CPU time and memory from /proc; then writes the tables of bench/README.md between their markers. Without that
folder, or without a rival's program, it says so and does what can be done.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import footprint
from bench.footprint import KEY, ROOT

SHARED = ROOT.parent / "shared" / "bench"
README = ROOT / "bench" / "README.md"
PEERS = ("nginx", "smg", "tensorzero", "portkey")
INSTALLED = Path(os.environ.get("PEERS", str(Path.home() / ".cache" / "llm-peers")))
SAME = ("peer", "kind", "conc", "prompt")
"""What makes two rows measurements of the same thing."""
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
INSTALL = "PEER=all bash ../shared/bench/install_peers.sh"


def installed(peer: str) -> bool:
    """Whether a rival can be started here."""
    if peer == "nginx":
        return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None
    return (INSTALLED / peer).is_dir()


def measure(peers: list[str]) -> list[dict[str, Any]]:
    """One row a measurement, as peer_bench.py prints them: routerd first, then the rivals in their order."""
    with footprint.serving() as served, tempfile.TemporaryDirectory() as folder:
        entry = {
            "port": served.port,
            "path": "/v1/chat/completions",
            "model": "lab/gpt-4o-mini",
            "headers": {"Authorization": f"Bearer {KEY}"},
            "start": served.command,
        }
        extra, out = Path(folder) / "extra.json", Path(folder) / "out.jsonl"
        extra.write_text(json.dumps({"routerd": entry}))
        command = [sys.executable, str(SHARED / "peer_bench.py"), str(out), *peers]
        environ = {**os.environ, **served.environ, "PEERS_EXTRA": str(extra), "PEERS": str(INSTALLED)}
        subprocess.run(command, cwd=ROOT, env=environ, check=True)
        return [json.loads(line) for line in out.read_text().splitlines()]


def medians(rounds: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The rows of one round, each figure the median over the rounds: a busy neighbour spoils one round, not three."""
    out = []
    for row in rounds[0]:
        same = [other for rows in rounds for other in rows if all(other.get(k) == row.get(k) for k in SAME)]
        out.append({key: _middle([other.get(key) for other in same]) for key in row})
    return out


def _middle(values: list[Any]) -> Any:  # noqa: ANN401  # a figure, or what all rounds agree on
    numbers = [value for value in values if isinstance(value, (int, float))]
    return statistics.median(numbers) if numbers else values[0]


def cell(value: object) -> str:
    """A figure as it stands in a table."""
    return "-" if value is None else f"{value:,}" if isinstance(value, (int, float)) else str(value)


def table(rows: list[dict[str, Any]], peers: list[str]) -> list[str]:
    """One line a gateway."""
    titles = ["", "JSON CPU us/request", "JSON requests/s, 16 conn.", "p50 / p99 ms, 1 conn.", "p50 / p99 ms, 16 conn."]
    titles += [
        "SSE CPU us/event",
        "SSE events/s, 100 streams",
        "first event p50 ms",
        "ready s",
        "RSS MB under load",
        "bad",
    ]
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for peer in peers:
        of_peer = [row for row in rows if row["peer"] == peer]
        found = {(row.get("kind"), row.get("conc")): row for row in of_peer}
        one, many, sse = (found.get(key, {}) for key in (("json", 1), ("json", 16), ("sse", 100)))
        if not many:
            lines.append(f"| {peer} | did not run: {of_peer[0].get('error', '?') if of_peer else '?'} |")
            continue
        latencies = [f"{cell(row.get('p50_ms'))} / {cell(row.get('p99_ms'))}" for row in (one, many)]
        bad = sum(row.get("bad", 0) for row in (one, many, sse))
        cells = [peer, cell(many["cpu_us"]), cell(many["per_s"]), *latencies, cell(sse.get("cpu_us"))]
        cells += [cell(sse.get(name)) for name in ("per_s", "first_p50_ms", "ready_s", "rss_mb")]
        lines.append(f"| {' | '.join([*cells, cell(bad)])} |")
    return lines


def marks(rows: list[dict[str, Any]], idle: dict[str, float]) -> list[str]:
    """The figures that the project is held to, and whether they are met."""
    cpu = {(row["peer"], row.get("kind")): row["cpu_us"] for row in rows if row.get("conc") in {16, 100}}
    latency = {row["peer"]: row["p50_ms"] for row in rows if row.get("kind") == "json" and row.get("conc") == 1}
    added = latency["routerd"] - latency["nginx"] if {"routerd", "nginx"} <= latency.keys() else None
    events, nginx = cpu.get(("routerd", "sse")), cpu.get(("nginx", "sse"))
    ratio = round(events / nginx, 2) if events and nginx else None
    smg, ours = cpu.get(("smg", "json")), cpu.get(("routerd", "json"))
    wanted: list[tuple[str, float | None, float | None]] = [
        ("CPU us per JSON request, at most smg's", ours, smg),
        ("CPU per SSE event, times nginx's", ratio, 1.8),
        ("p50 ms more than nginx at one connection", None if added is None else round(added, 3), 0.5),
        ("seconds until ready", idle["ready_s"], 0.5),
        ("RSS MB when idle", idle["rss_mb"], 60),
        ("seconds of `routerd --help`", idle["help_s"], 0.15),
    ]
    lines = ["| mark | figure | at most | |", "|---|---|---|---|"]
    for name, figure, limit in wanted:
        met = "not measured" if figure is None or limit is None else "met" if figure <= limit else "**missed**"
        lines.append(f"| {name} | {cell(figure)} | {cell(limit)} | {met} |")
    return lines


def machine() -> str:
    """What it ran on."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores ({model}), {platform.system()} {platform.release()}, CPython "
        f"{platform.python_version()}; load average before the run {load:.1f}; "
        f"{datetime.now(tz=UTC).date().isoformat()}"
    )


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def write(text: str) -> None:
    """Put the figures between the markers of the README."""
    before, rest = README.read_text().split(BEGIN, 1)
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}")


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="routerd beside other gateways")
    parser.add_argument("peers", nargs="*", default=list(PEERS), help=f"rivals (default: {' '.join(PEERS)})")
    parser.add_argument("--rounds", type=int, default=3, help="how often all are measured in turn; medians are shown")
    parser.add_argument("--dry", action="store_true", help="print the figures and leave bench/README.md alone")
    options = parser.parse_args()
    if not SHARED.is_dir():
        print("skipped: the side-by-side benchmark needs shared/bench beside the project")
        return 0
    missing = [peer for peer in options.peers if not installed(peer)]
    if missing:
        print(f"not installed, left out: {' '.join(missing)} ({INSTALL} {' '.join(missing)})")
    where = machine()
    peers = ["routerd", *(peer for peer in options.peers if peer not in missing)]
    idle = footprint.figures()
    rows = medians([measure(peers) for _ in range(options.rounds)])
    rounds = f"; medians of {options.rounds} rounds, every gateway in each" if options.rounds > 1 else ""
    lines = [f"`make bench` on {where}{rounds}.", "", *table(rows, peers), "", *marks(rows, idle)]
    print("\n".join(lines))
    if not options.dry:
        write("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
