"""The layout holds: what may import what, where the pure part ends, how large a file may grow, where its tests are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "routerd").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
MOST_LINES = 350

LAYERS = {
    "cli": 7,
    "daemon": 6,
    "server": 5,
    "config.runtime": 4,
    "config": 3,
    "routing": 2,
    "spend": 2,
    "dialects": 2,
    "wire": 1,
    "catalogue": 1,
    "usage": 0,
    "needs": 0,
    "errors": 0,
}
"""A module imports its own package and lower layers, never a higher one. Leaves with I/O are not in the table."""
STRANGERS = {("dialects", "routing"), ("routing", "dialects"), ("spend", "dialects"), ("dialects", "spend")}
"""They meet in server/exchange.py and nowhere else."""

PURE: tuple[str, ...] = ("routing", "dialects", "wire", "usage", "errors", "catalogue.schema")
PURE += ("needs", "catalogue.modelsdev", "spend.pricing", "spend.tokens", "spend.record", "spend.tariff")
PURE += ("spend.calibration", "config.units", "config.schema", "config.lines", "config.regions", "config.policy")
IMPURE = frozenset({"aiohttp", "asyncio", "time", "random", "os", "socket", "structlog", "httptools", "pathlib"})
ONLY_IN = {"keyring": ("secrets", "secret_"), "aiohttp": ("server",), "httptools": ("server",), "rich": ("cli",)}
"""A library, and the beginnings of the modules that may import it."""

ENTRANCES = frozenset({"__init__", "__main__"})


def module_name(path: Path) -> str:
    """`spend.ledger` for routerd/spend/ledger.py, "" for the package itself."""
    parts = path.relative_to(ROOT / "routerd").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def within(module: str, package: str) -> bool:
    """Whether a module is a package or in it."""
    return module == package or module.startswith(f"{package}.")


def imports(path: Path, *, running: bool = True) -> Iterator[str]:
    """Every module that a file imports, anywhere in it. `running`: not those for the type checker alone."""
    tree = ast.parse(path.read_text())
    typing_only: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            typing_only |= {inner for statement in node.body for inner in ast.walk(statement)}
    for node in ast.walk(tree):
        if running and node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path: Path) -> set[str]:
    """The modules of routerd that a file imports, without the package's own name."""
    names = {name.removeprefix("routerd.") for name in imports(path) if name.startswith("routerd.")}
    known = {module_name(source) for source in SOURCES}
    return {name for name in names if name in known}


def layer(module: str) -> tuple[str, int] | None:
    """The most exact entry of the table that a module falls under."""
    found = [name for name in LAYERS if within(module, name)]
    return max(((name, LAYERS[name]) for name in found), key=lambda entry: len(entry[0]), default=None)


def identity(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=identity)
def test_a_module_imports_only_what_is_below_it(path: Path) -> None:
    here = layer(module_name(path))
    for name in ours(path):
        there = layer(name)
        if here is None or there is None or here[0] == there[0]:
            continue
        assert there[1] < here[1], f"{module_name(path)} imports {name}"
        assert (here[0], there[0]) not in STRANGERS


def test_strangers_never_import_each_other() -> None:
    met = {
        (here.partition(".")[0], name.partition(".")[0])
        for path in SOURCES
        for here in [module_name(path)]
        for name in ours(path)
    }
    assert met & STRANGERS == set()


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if any(within(module_name(path), name) for name in PURE)], ids=identity
)
def test_the_core_does_no_input_or_output_and_reads_no_clock(path: Path) -> None:
    used = {name.partition(".")[0] for name in imports(path)} & IMPURE
    assert used == set()
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert "open" not in {function.id for function in calls if isinstance(function, ast.Name)}


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_in_its_own_place_only(library: str) -> None:
    users = [module_name(path) for path in SOURCES if library in {name.partition(".")[0] for name in imports(path)}]
    assert users, f"nobody imports {library}"
    assert [user for user in users if not user.startswith(ONLY_IN[library])] == []


@pytest.mark.parametrize("path", SOURCES, ids=identity)
def test_a_file_is_one_thing(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", SOURCES, ids=identity)
def test_a_file_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def expected_test(path: Path) -> Path:
    """Where the tests of a source file are."""
    relative = path.relative_to(ROOT / "routerd")
    return ROOT / "tests" / relative.parent / f"test_{relative.name}"


def does_something(path: Path) -> bool:
    """Whether a file has a function: what only names data is tested where the data is used."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(isinstance(node, functions) for node in ast.walk(ast.parse(path.read_text())))


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.stem not in ENTRANCES and does_something(path)], ids=identity
)
def test_a_source_file_has_its_tests(path: Path) -> None:
    assert expected_test(path).exists()


@pytest.mark.parametrize(
    "path", [path for path in TESTS if path.parent.name != "e2e" and path.parent != ROOT / "tests"], ids=identity
)
def test_a_test_file_has_its_source(path: Path) -> None:
    relative = path.relative_to(ROOT / "tests")
    assert (ROOT / "routerd" / relative.parent / relative.name.removeprefix("test_")).exists()
