"""How a command ends is told to schedulers, whichever command it was: code, and a line of JSON."""

from __future__ import annotations

import ast
import builtins
import json
from pathlib import Path

import pytest

from rejse.pipelines.cli import exit_codes
from rejse.pipelines.publication import time_travel
from rejse.pipelines.publication.catalogue import NotPublishedError
from rejse.transforms.errors import BRANCHES
from tests.support import store_builder
from tests.support.cli import Command, run_result, stand_in
from tests.support.paths import MODULES


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["sql"], "misuse", "expected one query"),
        (["sql", "select 1", "--csv"], "misuse", "came both"),
        (["sql", "select 1", "--config", "none.toml"], "misuse", "none.toml"),
        (["status", "--config", "none.toml"], "misuse", "none.toml"),
        (["explain", "worst", "--config", "none.toml"], "misuse", "none.toml"),
        (["identity", "C1", "--config", "none.toml"], "misuse", "none.toml"),
        (["diff", "1", "2", "--config", "none.toml"], "misuse", "none.toml"),
        (["report", "--config", "none.toml"], "misuse", "none.toml"),
        (["run", "--bogus"], "misuse", "No such option"),
        (["repair"], "misuse", "Missing option '--from'"),
        (["nope"], "misuse", "No such command"),
    ],
)
def test_every_failure_is_a_line_of_json_where_that_is_asked_for(
    rejse: Command, args: list[str], status: str, message: str
) -> None:
    code, out, err = rejse(*args, "--json")
    report = json.loads(out)
    assert (out.count("\n"), code, report["status"], report["exit_code"]) == (1, 2, status, 2)
    assert message in report["message"] and message in err
    code, out, _ = rejse(*args)
    assert (code, out) == (2, "")


def test_what_follows_the_dashes_asks_for_no_json(rejse: Command) -> None:
    code, out, _ = rejse("run", "--config", "none.toml", "--", "--json")
    assert (code, out) == (2, "")


def test_what_leaves_late_is_told_as_repaired(
    rejse: Command, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sums the counts of runs wants none that is negative."""
    counts = {"read": 0, "kept": 2, "duplicate": 1, "late": -3, "rejected": 0, "erased": 0}
    stand_in(
        monkeypatch,
        "run",
        run=lambda *_: run_result(counts=counts, reasons={}, notes={}),
    )
    span = ("--from", "2026-01-01", "--until", "2026-02-01", "-c", str(config))
    _, out, _ = rejse("repair", *span, "--json")
    assert json.loads(out)["counts"] == {**counts, "late": 0, "repaired": 3}
    _, out, _ = rejse("repair", *span)
    assert out.startswith("read 0 + repaired 3 = kept 2 + duplicate 1 + late 0 + rejected 0 + ")


def test_a_publication_that_there_is_not_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        NotPublishedError, match=r"expected a publication in .*, found none; `rejse"
    ):
        time_travel.number(tmp_path, "1")
    store_builder.copied(tmp_path)
    with pytest.raises(
        NotPublishedError, match=r"can still be read \(1\), came '99': there is none"
    ):
        time_travel.number(tmp_path, "99")
    store_builder.published(tmp_path, number=2)
    with pytest.raises(NotPublishedError, match=r"can still be read \(1 to 2\), came '0': there"):
        time_travel.number(tmp_path, "0")


def test_nothing_new_still_tells_what_waits(
    rejse: Command, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for late, message in (
        (2, "2 events that came too late wait"),
        (1, "1 event that came too late waits"),
    ):
        outcome = run_result("nothing_new", tables={"late": late})
        stand_in(monkeypatch, "run", run=lambda *_, outcome=outcome: outcome)
        _, out, _ = rejse("run", "-c", str(config))
        assert out.splitlines()[0] == "nothing new: publication 3 holds all there is"
        assert message in out and "rejse repair --from TIME --until TIME" in out
    outcome = run_result("nothing_new", tables={"late": 0})
    stand_in(monkeypatch, "run", run=lambda *_: outcome)
    _, out, _ = rejse("run", "-c", str(config))
    assert "repair" not in out


def test_each_error_of_ours_is_in_the_tree() -> None:
    """A class beside the tree would end a command as a fault of rejse, whatever it means."""
    outside = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = [getattr(builtins, ast.unparse(base), object) for base in node.bases]
                if bases and issubclass(bases[0], BaseException):
                    outside.add(node.name)
    assert outside == {"RejseError", "Interrupted"}


def test_each_branch_has_its_own_code_and_help_lists_all(rejse: Command) -> None:
    assert len({branch.exit_code for branch in BRANCHES}) == len(BRANCHES)
    assert exit_codes.meanings() == {
        0: "Published, or nothing new",
        1: "The data failed (an audit, the balance); nothing was published",
        2: "The call or the configuration is wrong (arguments, settings, SQL)",
        3: "The store is older than was asked for (`status --max-age`), or it was never published",
        70: "A fault of this program",
        74: "The store or its disk failed (no room, not writable, a file or a log gone or damaged)",
        75: "Another writer holds the store",
        130: "SIGINT (Ctrl-C)",
        143: "SIGTERM",
    }
    code, out, _ = rejse("--help")
    assert code == 0
    assert "75 Another writer holds the store;" in " ".join(out.split())
