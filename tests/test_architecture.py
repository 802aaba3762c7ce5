"""The house's rules as a program: who may import what, sizes, names, declarations."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from rejse.transforms.feedback.output_tables import tables as x_tables
from rejse.transforms.scoring.output_tables import STAMP, tables
from tests.support import import_graph
from tests.support.import_graph import imported, module_of, package_of, refused_imports, tree_of
from tests.support.paths import FOLDERS, MODULES, ROOT, SQL, TEST_MODULES, name_of

PYTHON = MODULES + TEST_MODULES
#: Modules that run as a program of their own, beside the command line.
PROGRAMS = ("pipelines/demo/write.py",)


def faulty(faults: Callable[[Path], Sequence[str]], paths: Sequence[Path]) -> list[str]:
    """Each fault with its file; thousands of tests of a millisecond would take longer."""
    return [f"{name_of(path)}: {fault}" for path in paths for fault in faults(path)]


def listed(lines: Sequence[str], why: str = "") -> str:
    """All lines, of which the comparison of two lists would show some."""
    return "\n".join([why, *lines])


def test_imports() -> None:
    refused = faulty(refused_imports, PYTHON)
    assert not refused, listed(refused)


def test_there_is_no_circle_between_packages() -> None:
    assert import_graph.circle(import_graph.package_graph()) == []


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}
    closed = import_graph.circle({name: frozenset(edges) for name, edges in graph.items()})
    assert closed == ["b", "d", "b"]


def test_every_module_has_a_layer() -> None:
    names = [module_of(path) for path in MODULES]
    tops = {f"{folder}.__init__" for folder in FOLDERS} | {"pipelines.schedules.__init__"}
    apart = {name for name in names if not package_of(name)} - tops
    assert apart == {"pipelines.schedules.airflow_dag"}, "give its package a line in LAYERS"


def test_a_forbidden_import_is_found(tmp_path: Path) -> None:
    bad = tmp_path / "transforms" / "journeys" / "bad.py"
    bad.parent.mkdir(parents=True)
    bad.write_text(
        "import transforms.schema\ndef f():\n    import apache_beam as b\n"
        "from rejse.pipelines import jobs\nfrom ..identity import resolve\n"
        "from rejse.transforms.schema import registry\nfrom rejse.transforms.features import x\n"
    )
    assert refused_imports(bad, tmp_path) == [
        "apache_beam", "rejse.pipelines.jobs", "rejse.transforms.features",
        "rejse.transforms.features.x", "rejse.transforms.identity",
        "rejse.transforms.identity.resolve", "transforms.schema",
    ]  # fmt: skip


def prints(path: Path) -> list[str]:
    """Lines of a module that print."""
    return [
        f"line {node.lineno}"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]


def test_only_the_command_line_prints() -> None:
    printing = faulty(prints, MODULES)
    assert printing, "the command line does"
    outside = [line for line in printing if not line.startswith(("pipelines/cli/", *PROGRAMS))]
    assert not outside, listed(outside)


def test_modules_are_named_for_a_thing() -> None:
    empty = {"utils", "util", "helpers", "common", "misc"}
    assert [name_of(path) for path in PYTHON if path.stem in empty] == []


#: What a value is called by what happened to it, or by its place in a sentence, not by what it is.
NAMELESS = frozenset(
    ["told", "said", "found", "one", "came", "gone", "who", "thing", "this", "each", "every"]
)


def bound_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Names that a module gives to values, parameters, functions and attributes, with the line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.FunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
            case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield name, node.lineno
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name, node.lineno


def nameless(path: Path) -> list[str]:
    """Values of a module that are not named for what they are."""
    names = {(line, name) for name, line in bound_names(tree_of(path))}
    return [f"{name}: line {line}" for line, name in sorted(names) if name.strip("_") in NAMELESS]


def test_names_are_those_of_the_field() -> None:
    lines = faulty(nameless, PYTHON)
    assert not lines, listed(lines, "name the value for what it is")


def test_a_name_that_says_nothing_is_found() -> None:
    code = (
        "def told(found):\n    import json as who\n    for every in found: self.said = every\n"
        "class _One: pass\nwith x as this: pass\nprint(gone, row.each, one=1)\n"
    )
    names = {name for name, _ in bound_names(ast.parse(code))}
    assert names & NAMELESS == {"told", "found", "who", "every", "said", "this"}


#: A constant, by its name or a dotted one: `LIMIT`, `rejse.limits.LIMIT`.
CONSTANT = re.compile(r"([\w.]+\.)?_?[A-Z][A-Z0-9_]+")
#: Calls that set an attribute, which their first or second argument names.
SETTERS = frozenset(["setattr", "delattr", "patch", "object"])


def patched_constants(tree: ast.Module) -> Iterator[str]:
    """Constants that a test sets in another module, also in a program that it has as a text."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in SETTERS:
                texts = [arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant)]
                yield from (text for text in map(str, texts) if CONSTANT.fullmatch(text))
            case ast.Attribute(attr=name, ctx=ast.Store()) if CONSTANT.fullmatch(name):
                yield name
            case ast.Constant(value=str(text)) if "\n" in text:
                with suppress(SyntaxError):
                    yield from patched_constants(ast.parse(re.sub(r"{(\w+)}", r"\1", text)))


def test_no_constant_is_patched() -> None:
    names = faulty(lambda path: [*patched_constants(tree_of(path))], TEST_MODULES)
    assert not names, listed(names, "pass a parameter, or input of the real size")


def test_a_patched_constant_is_found() -> None:
    lines = (
        'monkeypatch.setattr(plan, "LEAST", 1)',
        'monkeypatch.setattr("rejse.jobs.plan.MOST", 2)',
        'with mock.patch.object(plan, "_FEW", 3), mock.patch("rejse.SEEN"): plan.WIDE = 4',
        'TEXT = "import plan\\nplan.TALL, hit = 0, signal.{name}"',
        'monkeypatch.setattr(plan, "now", clock)',
        'monkeypatch.setenv("REJSE_KEY", LIMIT)',
    )
    names = {*patched_constants(ast.parse("\n".join(lines)))}
    assert names == {"LEAST", "rejse.jobs.plan.MOST", "_FEW", "rejse.SEEN", "WIDE", "TALL"}


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
    tree = tree_of(path)
    lacking = [] if ast.get_docstring(tree) else ["the module"]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            lacking += [] if ast.get_docstring(node) else [node.name]
    return lacking


def test_what_is_public_is_documented() -> None:
    lacking = faulty(undocumented, MODULES)
    assert not lacking, listed(lacking)


def test_every_folder_is_a_package() -> None:
    """A folder without `__init__.py` would be silently missing when installed."""
    assert {
        name_of(path) for path in MODULES if not (path.parent / "__init__.py").exists()
    } == set()


def test_what_is_imported_is_what_is_edited() -> None:
    """`src/rejse` holds links to the folders and nothing else, so that tools follow imports."""
    links = {
        path.name: path.resolve()
        for path in (ROOT / "src" / "rejse").iterdir()
        if path.is_symlink()
    }
    assert links == {folder: ROOT / folder for folder in FOLDERS}


def test_sql_says_what_it_is_for() -> None:
    texts = {name_of(path): path.read_text(encoding="utf-8").lstrip() for path in SQL}
    silent = [name for name, text in texts.items() if not text.startswith("--")]
    assert texts and silent == [], "expected a comment with purpose, grain, key and sources"


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
    trees = [tree_of(path) for path in paths]
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
