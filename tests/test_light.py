"""What only reads a store starts without Beam, and what `run` needs is no extra."""

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
#: What no command that reads a store has a use for.
HEAVY = ("apache_beam", "great_expectations", "scipy", "vaderSentiment")
#: What a run that publishes has no use for: its audit is decided without.
EXPLAINING = ("great_expectations", "pandas")
CODE = """
import sys
from rejse.pipelines.cli import main
try:
    main.main()
except SystemExit as left:
    print(left.code or 0, sorted({0!r} & sys.modules.keys()))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("light")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(settings.KEY_VARIABLE, raising=False)
        once(installation(folder, {"a.jsonl": lines([row(n) for n in range(4)])}))
    return folder


@pytest.mark.parametrize(
    "args",
    [
        ("sql", "select 1"), ("sql", "--file", "headline"), ("status",), ("explain",),
        ("explain", "worst"), ("report",), ("vacuum", "--dry-run"), ("metrics",),
    ],
)  # fmt: skip
def test_what_reads_a_store_does_not_import_beam(place: Path, args: tuple[str, ...]) -> None:
    configured = () if args == ("metrics",) else ("--config", "rejse.toml")
    assert imported_by(place, HEAVY, *args, *configured) == "0 []"


def imported_by(place: Path, modules: tuple[str, ...], *args: str) -> str:
    """Exit code of a command, and those of the modules that it imported."""
    env = {name: said for name, said in os.environ.items() if name != settings.KEY_VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", CODE.replace("{0!r}", repr(set(modules))), *args],
        cwd=place, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()[-1]


def test_a_run_is_audited_without_great_expectations(place: Path) -> None:
    (place / "b.jsonl").write_text(lines([row(9)]))
    assert imported_by(place, EXPLAINING, "run", "--config", "rejse.toml") == "0 []"
    assert len(list((place / "store" / "audits").glob("*.json"))) == 1


def project() -> dict[str, list[str]]:
    """Requirements of the project by extra, its own under the empty name."""
    said = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"": said["dependencies"], **said["optional-dependencies"]}


def test_what_run_needs_is_no_extra() -> None:
    own = {canonicalize_name(Requirement(one).name) for one in project()[""]}
    assert {"great-expectations", "duckdb-engine", "sqlalchemy", "apache-beam"} <= own
    assert set(project()) == {"", "calibrate", "dev"}


def test_the_lock_has_all_that_is_required() -> None:
    locked = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            one = Requirement(line.rstrip(" \\"))
            locked[canonicalize_name(one.name)] = str(one.specifier).removeprefix("==")
    for text in (one for some in project().values() for one in some):
        wanted = Requirement(text)
        assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)]), text
