"""`routerd models`."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from routerd.catalogue import updated
from routerd.catalogue.schema import ModelFacts, Price
from routerd.cli.main import main
from routerd.cli.models import Model, draw
from tests.cli.fake_daemon import install, serving

CONFIG = """
[providers.lab]
base_url = "http://127.0.0.1:1/v1"
key = "none"
[providers.lab.models.llama]
id = "meta/llama"
price = { prompt = 0.10, completion = 0.4 }
context_length = 131072
[providers.sim]
dialect = "simulator"
[models.fast]
models = ["lab/llama", "sim/demo-fast"]
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.delenv("ROUTERD_CONFIG", raising=False)


def offline(tmp_path: Path, *argv: str) -> int:
    path = tmp_path / "routerd.toml"
    path.write_text(CONFIG)
    return main(["models", "--config", str(path), *argv])


def test_without_a_daemon_the_file_says_what_can_be_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert offline(tmp_path) == 0
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["meta/llama"] == ["lab/llama", "131,072", "0.1", "0.4"]
    assert lines["fast"][:2] == ["lab/llama,", "sim/demo-fast"]
    assert lines["sim/*"] == ["sim", "-", "-", "-"]


def test_json_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert offline(tmp_path, "--json") == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == ["fast", "meta/llama", "sim/*"]
    assert rows["fast"]["served_by"] == ["lab/llama", "sim/demo-fast"]
    assert rows["meta/llama"]["pricing"] == {"prompt": "0.0000001", "completion": "0.0000004"}


ROW: dict[str, Any] = {
    "id": "gpt",
    "served_by": ["openai/gpt"],
    "context_length": None,
    "pricing": {"prompt": "-1", "completion": "-1"},
    "new": True,
}


def test_a_running_daemon_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving({("GET", "/v1/models"): (200, {"data": [ROW]})}) as fake:
        assert main(["models", "--config", str(install(tmp_path, fake.listener))]) == 0
        assert capsys.readouterr().out.splitlines()[1].split() == ["gpt", "openai/gpt", "-", "-", "-"]
        assert main(["models", "--json", "--config", str(install(tmp_path, fake.listener))]) == 0
        assert json.loads(capsys.readouterr().out) == [ROW]


def test_nothing_to_ask_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving({("GET", "/v1/models"): (200, {"data": []})}) as fake:
        assert main(["models", "--config", str(install(tmp_path, fake.listener))]) == 0
    assert capsys.readouterr().out.startswith("no model can be asked for")


def test_a_refusal_is_not_taken_for_an_absent_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving({("GET", "/v1/models"): (503, {"error": {"message": "shutting down"}})}) as fake:
        assert main(["models", "--config", str(install(tmp_path, fake.listener))]) == 1
    assert "refused: shutting down" in capsys.readouterr().err


def test_a_faulty_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "routerd.toml"
    path.write_text("[nonsense]\n")
    assert main(["models", "--config", str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"{path}:1: nonsense: unknown key")


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue of four models in the state directory, in place of the bundled lists of two providers."""
    directory = tmp_path / "state" / "catalogue"
    directory.mkdir(parents=True)
    today = datetime.now(UTC).date().isoformat()
    small = ModelFacts(
        native="s", id="a/small", price=usd(1, 2), context_length=8_000, created="2024-01-01", as_of=today
    )
    large = ModelFacts(
        native="l",
        id="a/large",
        price=usd(5, 20),
        context_length=1_000_000,
        created="2026-01-01",
        input_modalities=("text", "image"),
        supported_parameters=("tools", "seed"),
        as_of=today,
    )
    unpriced = ModelFacts(native="u", id="b/unpriced", as_of=today, shutdown="2031-01-01")
    old = ModelFacts(native="o", id="b/old", price=usd(0, 0), supported_parameters=("tools",), as_of="2020-01-01")
    (directory / updated.STAMP).write_bytes(msgspec.json.encode(updated.Stamp(day="9999-12-31", url="")))
    (directory / "groq.json").write_bytes(msgspec.json.encode([small, large]))
    (directory / "cerebras.json").write_bytes(msgspec.json.encode([unpriced, old, small]))
    return directory


def usd(prompt: int, completion: int) -> Price:
    return Price(prompt=prompt * 10**6, completion=completion * 10**6)


def chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str], *argv: str) -> list[str]:
    """The ids that are listed with providers groq and cerebras configured."""
    path = tmp_path / "routerd.toml"
    path.write_text("[providers.groq]\n[providers.cerebras]\n")
    assert main(["models", "--config", str(path), "--json", *argv]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return [row["id"] for row in rows if "/" in row["id"] and not row["id"].endswith("*")]


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize(
    ("argv", "want"),
    [
        ((), {"a/small", "a/large", "b/unpriced", "b/old"}),
        (("LARGE",), {"a/large"}),
        (("a/", "groq"), {"a/small", "a/large"}),
        (("nothing",), set()),
        (("--provider", "cerebras"), {"a/small", "b/unpriced", "b/old"}),
        (("--modality", "image"), {"a/large"}),
        (("--supports", "tools"), {"a/large", "b/old"}),
        (("--supports", "tools", "--supports", "seed"), {"a/large"}),
        (("--min-context", "8k"), {"a/small", "a/large"}),
        (("--min-context", "8001"), {"a/large"}),
        (("--max-price", "1.0"), {"a/small", "b/old"}),
    ],
)
def test_models_are_looked_for_by_what_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], want: set[str]
) -> None:
    assert set(chosen(tmp_path, capsys, *argv)) == want


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize(
    ("order", "want"),
    [
        ("price", ["b/old", "a/small", "a/large", "b/unpriced"]),
        ("context", ["a/large", "a/small", "b/old", "b/unpriced"]),
        ("newest", ["a/large", "a/small", "b/old", "b/unpriced"]),
        ("name", ["a/large", "a/small", "b/old", "b/unpriced"]),
    ],
)
def test_models_are_sorted_and_what_is_unknown_comes_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], order: str, want: list[str]
) -> None:
    assert chosen(tmp_path, capsys, "--sort", order) == want
    assert chosen(tmp_path, capsys, "--sort", order, "--limit", "2") == want[:2]


@pytest.mark.usefixtures("catalogue")
def test_all_is_the_whole_catalogue_and_needs_no_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--all", "--json", "--provider", "groq"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == ["a/large", "a/small"]
    assert main(["models", "--all", "--limit", "900", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 900


@pytest.mark.usefixtures("catalogue")
def test_the_table_names_few_providers_and_the_day_of_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--all", "--provider", "cerebras", "b/"]) == 0
    old, unpriced = capsys.readouterr().out.splitlines()[1:]
    assert old.split() == ["b/old", "cerebras/o", "-", "0", "0"]
    assert unpriced.split() == ["b/unpriced", "(until", "2031-01-01)", "cerebras/u", "-", "-", "-"]


def test_many_providers_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    draw([Model(id="m", served_by=[f"p{number}/m" for number in range(9)])])
    assert "p0, p1, p2, p3, p4 and 4 more" in capsys.readouterr().out


@pytest.mark.usefixtures("catalogue")
def test_old_facts_earn_a_warning_that_json_is_free_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--all", "--json", "b/old"]) == 0
    said = capsys.readouterr()
    assert "the facts of 1 endpoint are older than 60 days (the oldest of 2020-01-01)" in said.err
    assert len(json.loads(said.out)) == 1
    assert main(["models", "--all", "a/small"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "argv", [("--min-context", "many"), ("--max-price", "inf"), ("--max-price", "x"), ("--sort", "colour")]
)
def test_what_is_no_number_is_wrong_usage(argv: tuple[str, str]) -> None:
    assert main(["models", "--all", *argv]) == 2


def test_nothing_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--all", "no-model-is-called-so"]) == 0
    assert capsys.readouterr().out == "no model fits\n"


def test_the_whole_catalogue_is_listed_without_a_server() -> None:
    code = "import sys; from routerd.cli.main import main; main(['models', '--all', '--json']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"aiohttp", "rich", "asyncio"} & set(done.stdout.splitlines()[-1].split())
