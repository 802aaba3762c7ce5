"""Each command loads what it uses and no more, and what `run` needs is no extra."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rejse.pipelines.config import settings
from tests.support.installation import installation, lines, once, row

ROOT = Path(__file__).parent.parent
#: Packages that take a while to import, and the table of all published tables, which imports rules.
HEAVY = (
    "altair", "apache_beam", "deltalake", "duckdb", "great_expectations", "jinja2", "numpy",
    "pandas", "pyarrow", "pyarrow.dataset", "pydantic", "rejse.transforms.published_tables", "rich",
    "scipy", "sqlalchemy", "vaderSentiment",
)  # fmt: skip
CODE = f"""
import sys
from rejse.pipelines.cli import main
try:
    main.main()
except SystemExit as left:
    print(left.code or 0, *sorted(set({HEAVY!r}) & sys.modules.keys()))
"""
ARROW = ("numpy", "pyarrow")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("light")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(settings.KEY_VARIABLE, raising=False)
        once(installation(folder, {"a.jsonl": lines([row(n) for n in range(4)])}))
    return folder


@pytest.mark.parametrize(
    ("args", "loaded"),
    [
        (("--help",), ("rich",)),
        (("sql", "--help"), ("pydantic", "rich")),
        (("sql", "select 1"), ("duckdb", "pydantic")),
        (("sql", "select 1", "--json"), ("duckdb", "pydantic")),
        (("sql", "--file", "headline", "--csv"), ("duckdb", "pydantic")),
        (("status",), ("pydantic",)),
        (("status", "--json"), ("pydantic",)),
        (("explain",), ("duckdb", "pydantic")),
        (("explain", "worst"), ("duckdb", *ARROW, "pydantic")),
        (("report",), ("duckdb", "jinja2", "pydantic")),
        (("verify",), ("duckdb", *ARROW, "pydantic", "rejse.transforms.published_tables")),
        (("vacuum", "--dry-run"),
         ("duckdb", *ARROW, "pydantic", "rejse.transforms.published_tables")),
        (("metrics",), (*ARROW, "pydantic")),
        # There is nothing new: no row is read.
        (("run", "--complete", "--json"), ("pydantic",)),
    ],
    ids=lambda words: "-".join(words),
)  # fmt: skip
def test_a_command_loads_what_it_uses(
    place: Path, args: tuple[str, ...], loaded: tuple[str, ...]
) -> None:
    configured = () if args[0] == "metrics" or "--help" in args else ("--config", "rejse.toml")
    assert loaded_by(place, *args, *configured) == ["0", *loaded]


def loaded_by(place: Path, *args: str) -> list[str]:
    """Exit code of a command, and the heavy packages that it imported."""
    env = {name: value for name, value in os.environ.items() if name != settings.KEY_VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", CODE, *args],
        cwd=place, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()[-1].split()


def test_a_run_imports_neither_beam_nor_great_expectations(place: Path) -> None:
    (place / "b.jsonl").write_text(lines([row(9)]))
    loaded = loaded_by(place, "run", "--config", "rejse.toml")
    assert loaded[0] == "0"
    assert {"apache_beam", "great_expectations", "pandas", "altair"}.isdisjoint(loaded)
    assert len(list((place / "store" / "audits").glob("*.json"))) == 1


def project() -> dict[str, list[str]]:
    """Requirements of the project by extra, its own under the empty name."""
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"": metadata["dependencies"], **metadata["optional-dependencies"]}


def test_what_run_needs_is_no_extra() -> None:
    own = {canonicalize_name(Requirement(line).name) for line in project()[""]}
    assert {"great-expectations", "duckdb-engine", "sqlalchemy", "apache-beam"} <= own
    assert set(project()) == {"", "calibrate", "dev", "kafka", "objects", "otel"}


def test_the_lock_has_all_that_is_required() -> None:
    locked = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            requirement = Requirement(line.rstrip(" \\"))
            locked[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix(
                "=="
            )
    for text in (requirement for some in project().values() for requirement in some):
        wanted = Requirement(text)
        assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)]), text
