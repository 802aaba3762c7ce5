"""Who imports whom: packages, layers, circles and lines (`make graph`).

An import counts wherever it stands in a file, also within a function.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.support.paths import FOLDERS, MODULES, ROOT

#: Packages from the lowest to the highest. Each imports only packages of earlier lines, so that
#: there is no circle; those of one line do not know each other.
LAYERS = (
    ("sql", "transforms.errors"),
    ("transforms.schema", "transforms.code_version"),
    ("transforms.columnar", "transforms.alerts"),
    ("transforms.ingest",),
    ("transforms.dimensions",),
    ("transforms.identity", "transforms.journeys"),
    ("transforms.features",),
    ("transforms.scoring",),
    ("transforms.feedback",),
    ("transforms.incremental",),
    ("transforms.core", "transforms.published_tables"),
    ("transforms.steps",),
    ("transforms.ptransforms",),
    ("pipelines.runtime",),
    ("pipelines.places",),
    ("pipelines.config",),
    ("pipelines.sources", "pipelines.store", "pipelines.demo"),
    ("expectations",),
    ("pipelines.publication",),
    ("pipelines.maintenance",),
    ("pipelines.jobs",),
    ("pipelines.reporting", "pipelines.onboarding", "pipelines.alerts"),
    ("pipelines.live",),
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
Graph = Mapping[str, frozenset[str]]


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def module_of(path: Path, root: Path = ROOT) -> str:
    """The dotted name of a module, without `rejse`."""
    return ".".join(path.relative_to(root).with_suffix("").parts)


def package_of(module: str) -> str:
    """The entry of LAYERS that holds a module, named without `rejse`; empty for none."""
    packages = [name for name in LEVEL if module == name or module.startswith(f"{name}.")]
    return max(packages, key=len, default="")


def imported(path: Path, root: Path = ROOT) -> Iterator[str]:
    """Every module that a file imports, as a full dotted name."""
    package = ("rejse", *path.relative_to(root).parent.parts)
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join((*base, *([node.module] if node.module else [])))
            yield stem
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def imported_package(module: str) -> str:
    """The package of `rejse` to which an imported module belongs; empty for a library."""
    return package_of(module.removeprefix("rejse.")) if module.startswith("rejse.") else ""


def refused_imports(path: Path, root: Path = ROOT) -> list[str]:
    """Imports of a file that the layers forbid."""
    own = package_of(module_of(path, root))
    refused = set()
    for module in imported(path, root):
        top, other = module.partition(".")[0], imported_package(module)
        if top in FOLDERS:  # only `rejse.<folder>` is installed
            refused.add(module)
        if own and top in ONLY and own not in ONLY[top]:
            refused.add(module)
        if own and other and other != own and LEVEL[other] >= LEVEL[own]:
            refused.add(module)
    return sorted(refused)


def package_graph() -> Graph:
    """Each package and the packages that it imports."""
    graph: dict[str, set[str]] = {package: set() for package in LEVEL}
    for path in MODULES:
        own = package_of(module_of(path))
        if own:
            graph[own] |= {imported_package(module) for module in imported(path)} - {own, ""}
    return {package: frozenset(edges) for package, edges in graph.items()}


def circle(graph: Graph) -> list[str]:
    """Packages of one circle, the first one again at its end; empty where there is none."""
    finished: set[str] = set()

    def search(package: str, path: list[str]) -> list[str]:
        if package in path:
            return [*path[path.index(package) :], package]
        if package in finished:
            return []
        for target in sorted(graph[package]):
            if closed := search(target, [*path, package]):
                return closed
        finished.add(package)
        return []

    return next((closed for package in graph if (closed := search(package, []))), [])


def sizes() -> dict[str, tuple[int, int]]:
    """Modules and lines of each package."""
    counts = dict.fromkeys(LEVEL, (0, 0))
    for path in MODULES:
        package = package_of(module_of(path))
        if package:
            modules, lines = counts[package]
            counts[package] = modules + 1, lines + len(path.read_text("utf-8").splitlines())
    return counts


def main() -> int:
    """Print layers with their packages, what each imports, and a circle if there is one."""
    graph, counts = package_graph(), sizes()
    for level, line in enumerate(LAYERS):
        for package in line:
            modules, lines = counts[package]
            edges = ", ".join(sorted(graph[package], key=lambda name: (LEVEL[name], name)))
            print(f"{level:2} {package:24}{modules:4} modules{lines:7} lines   {edges or '-'}")
    n_edges = sum(map(len, graph.values()))
    total = [sum(column) for column in zip(*counts.values(), strict=True)]
    print(f"{len(graph)} packages, {n_edges} edges, {total[0]} modules, {total[1]} lines")
    closed = circle(graph)
    refused = [
        f"{path.relative_to(ROOT)}: {name}" for path in MODULES for name in refused_imports(path)
    ]
    print("circle: " + " -> ".join(closed) if closed else "no circle between packages")
    print("\n".join(["against the layers:", *refused]) if refused else "all imports go downwards")
    return bool(closed or refused)


if __name__ == "__main__":
    raise SystemExit(main())
