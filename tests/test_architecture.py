"""The house's rules as a program: who may import what, sizes, names, declarations."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from rejse.transforms.feedback.output_tables import tables as x_tables
from rejse.transforms.scoring.output_tables import STAMP, tables

ROOT = Path(__file__).parent.parent
FOLDERS = ("pipelines", "transforms", "expectations", "sql")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
PYTHON = MODULES + sorted((ROOT / "tests").rglob("*.py"))
SQL = sorted(path for folder in (*FOLDERS, "tests") for path in (ROOT / folder).rglob("*.sql"))

#: Packages from the lowest to the highest. Each imports only packages of earlier lines, so that
#: there is no circle; those of one line do not know each other.
LAYERS = (
    ("sql", "transforms.errors"),
    ("transforms.schema",),
    ("transforms.columnar",),
    ("transforms.ingest",),
    ("transforms.dimensions",),
    ("transforms.identity", "transforms.journeys"),
    ("transforms.features",),
    ("transforms.scoring",),
    ("transforms.feedback",),
    ("transforms.incremental",),
    ("transforms.core", "transforms.published_tables"),
    ("transforms.ptransforms",),
    ("pipelines.runtime",),
    ("pipelines.config",),
    ("pipelines.sources", "pipelines.store", "pipelines.demo"),
    ("pipelines.publication",),
    ("expectations",),
    ("pipelines.maintenance",),
    ("pipelines.jobs",),
    ("pipelines.reporting", "pipelines.onboarding"),
    ("pipelines.cli",),
)
LEVEL = {package: level for level, line in enumerate(LAYERS) for package in line}
#: Who may import a library that shapes what imports it; all others may not.
ONLY = {
    "apache_beam": ("pipelines.jobs", "transforms.ptransforms"),
    "deltalake": ("pipelines.store",),
    "great_expectations": ("expectations",),
    "typer": ("pipelines.cli",),
    "rich": ("pipelines.cli",),
    "pandas": (),
}
#: Modules that run as a program of their own, beside the command line.
PROGRAMS = ("expectations/server.py", "pipelines/demo/write.py")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def package_of(module: str) -> str:
    """The entry of LAYERS that holds a module, named without `rejse`; empty for none."""
    found = [p for p in LEVEL if module == p or module.startswith(f"{p}.")]
    return max(found, key=len, default="")


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, as a full dotted name."""
    package = ("rejse", *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join((*base, *([node.module] if node.module else [])))
            yield stem
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def refused(path: Path) -> list[str]:
    """Imports of a file that the layers forbid."""
    own = package_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    bad = set()
    for module in imported(path):
        top = module.partition(".")[0]
        if top in FOLDERS:  # only `rejse.<folder>` is installed
            bad.add(module)
        if own and top in ONLY and own not in ONLY[top]:
            bad.add(module)
        other = package_of(module.removeprefix("rejse.")) if top == "rejse" else ""
        if own and other and other != own and LEVEL[other] >= LEVEL[own]:
            bad.add(module)
    return sorted(bad)


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_imports(path: Path) -> None:
    assert refused(path) == []


def test_every_module_has_a_layer() -> None:
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES]
    tops = {f"{folder}.__init__" for folder in FOLDERS} | {"pipelines.schedules.__init__"}
    apart = {name for name in names if not package_of(name)} - tops
    assert apart == {"pipelines.schedules.airflow_dag"}, "give its package a line in LAYERS"


def test_a_forbidden_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_architecture.ROOT", tmp_path)
    bad = tmp_path / "transforms" / "journeys" / "bad.py"
    bad.parent.mkdir(parents=True)
    bad.write_text(
        "import transforms.schema\ndef f():\n    import apache_beam as b\n"
        "from rejse.pipelines import jobs\nfrom ..identity import resolve\n"
        "from rejse.transforms.schema import registry\nfrom rejse.transforms.features import x\n"
    )
    assert refused(bad) == [
        "apache_beam", "rejse.pipelines.jobs", "rejse.transforms.features",
        "rejse.transforms.features.x", "rejse.transforms.identity",
        "rejse.transforms.identity.resolve", "transforms.schema",
    ]  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_command_line_prints(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prints = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not prints or name_of(path).startswith("pipelines/cli/") or name_of(path) in PROGRAMS


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_modules_are_named_for_a_thing(path: Path) -> None:
    assert path.stem not in {"utils", "util", "helpers", "common", "misc"}


def test_no_test_imports_another() -> None:
    """What tests share is in `tests/support`."""
    shared = {
        (name_of(path), module)
        for path in PYTHON
        for module in imported(path)
        if module.startswith("tests.") and module.rpartition(".")[2].startswith("test_")
    }
    assert shared == set()


def undocumented(path: Path) -> list[str]:
    """Public functions, classes and methods of a module without a docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [] if ast.get_docstring(tree) else ["the module"]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            found += [] if ast.get_docstring(node) else [node.name]
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_what_is_public_is_documented(path: Path) -> None:
    assert undocumented(path) == []


def test_every_package_is_in_the_wheel() -> None:
    """A subpackage missing from `packages` would be silently missing when installed."""
    said = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(said["tool"]["setuptools"]["packages"])
    held = {
        ".".join(("rejse", *path.parent.relative_to(ROOT).parts))
        for path in MODULES
        if path.name == "__init__.py"
    }
    loose = {name_of(p) for p in MODULES if not (p.parent / "__init__.py").exists()}
    assert listed == held
    assert loose == set(), "modules in folders without __init__.py"
    for package, folder in said["tool"]["setuptools"]["package-dir"].items():
        assert package == f"rejse.{folder}"


@pytest.mark.parametrize("path", SQL, ids=name_of)
def test_sql_says_what_it_is_for(path: Path) -> None:
    first = next(line for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    assert first.startswith("--"), "expected a comment with purpose, grain, key and sources"


@pytest.mark.parametrize("table", [*tables().values(), *x_tables().values()], ids=lambda t: t.name)
def test_every_column_is_declared_in_full(table: object) -> None:
    from rejse.transforms.schema.registry import Table

    assert isinstance(table, Table)
    columns = (*table.columns, *STAMP)
    names = [column.name for column in columns]
    assert len(names) == len(set(names))
    assert set(table.key) <= set(names)
    for column in columns:
        assert column.description.strip(), column.name
        assert not column.description.endswith(" "), column.name
        if column.name.endswith("_s"):
            assert column.unit == "s", column.name
        if column.low is not None and column.high is not None:
            assert column.low < column.high, column.name
    numbers = [c.name for c in columns if str(c.type) in ("double", "int32", "int64")]
    without = [c.name for c in columns if c.name in numbers and not c.unit]
    assert set(without) <= {"raw_value", "expected_value"}, "numbers without a unit"


def test_help_imports_nothing_heavy() -> None:
    """What `rejse --help` imports at the top must not bring in the engines."""
    heavy = {"apache_beam", "great_expectations", "pandas", "deltalake", "duckdb", "numpy"}
    paths = sorted((ROOT / "pipelines" / "cli").glob("*.py"))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    top = [
        node
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {
        name.partition(".")[0]
        for node in top
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        )
    }
    assert not names & heavy
