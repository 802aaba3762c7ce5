"""`rejse calibrate` on a published world with planted weights: tables, JSON, TOML, refusals."""

from __future__ import annotations

import json
import random
import sys
import tomllib
from collections.abc import Iterator
from math import exp, log
from pathlib import Path

import pytest

from rejse.pipelines.cli import calibration
from rejse.pipelines.config.settings import load
from rejse.pipelines.publication import catalogue
from rejse.pipelines.publication.catalogue import Session
from rejse.pipelines.reporting import calibrate
from rejse.pipelines.reporting.calibrate import Calibration, CalibrationError
from rejse.transforms.schema.parameters import LATE_PROMISE_WEIGHT, WEIGHTS
from rejse.transforms.scoring.friction import KINDS
from tests.support import store_builder
from tests.support.store_builder import Rows, journey, key_of

PRESENT = {**WEIGHTS, "promise_late": LATE_PROMISE_WEIGHT}
#: Weights by which the ends were drawn; the third is the present one.
PLANTED = {"transfer": 0.55, "info_conflict": 0.02, "reasked_info": 0.45, "promise_late": 0.3}


def world(n: int = 900, tied: bool = True, seed: int = 3) -> Rows:
    made, parts = random.Random(seed), []
    for number in range(n):
        kinds = [kind for kind in PLANTED if made.random() < 0.3]
        hazard = 0.05 + sum(
            -log(1 - PLANTED[kind]) for kind in kinds if tied or kind == "promise_late"
        )
        pieces = [
            {"kind": kind.replace("promise_late", "promise_broken"), "severity": PRESENT[kind],
             "base_weight": PRESENT[kind], "intensity": 1.0, "at": place,
             "detail": "late" if kind == "promise_late" else None}
            for place, kind in enumerate(kinds)
        ]  # fmt: skip
        outcome01 = float(made.random() >= 1 - exp(-hazard))
        own = {"customer_key": key_of(number % 700), "outcome01": outcome01}
        parts.append(journey(number, [{}] * 4, pieces, **own))
    return store_builder.joined(*parts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("calibrate")
    store_builder.published(root / "store", world())
    (root / "rejse.toml").write_text(
        '[sources.web]\nfiles = ["*.csv"]\nmapping = "m.sql"\nschema = "s.json"\n'
        "[weights]\ntransfer = 0.1\nescalation = 0.2\n"
    )
    return root


@pytest.fixture
def session(folder: Path) -> Iterator[Session]:
    with catalogue.connect(folder / "store") as opened:
        yield opened


@pytest.fixture(scope="module")
def calibrated(folder: Path) -> Calibration:
    with catalogue.connect(folder / "store") as opened:
        return calibrate.calibrate(opened, PRESENT)


def test_planted_weights_are_proposed_and_the_right_one_kept(calibrated: Calibration) -> None:
    lines = {line.kind: line for line in calibrated.lines}
    assert calibrated.is_tied
    assert calibrated.is_settled
    assert not calibrated.is_sample
    verdicts = {"transfer": "raise", "info_conflict": "lower", "reasked_info": "keep"}
    assert {kind: lines[kind].verdict for kind in verdicts} == verdicts
    assert lines["transfer"].proposed == pytest.approx(0.55, abs=0.1)
    for kind in ("transfer", "info_conflict", "reasked_info"):
        line = lines[kind]
        assert line.low is not None
        assert line.high is not None
        assert line.low <= PLANTED[kind] <= line.high
        assert line.n_bad <= line.n_journeys


def test_what_an_outcome_defines_and_what_is_absent_keep_their_weight(
    calibrated: Calibration,
) -> None:
    lines = {line.kind: line for line in calibrated.lines}
    assert set(lines) == set(PRESENT)
    assert {k for k, line in lines.items() if line.verdict == "by definition"} == {
        *(name for name, kind in KINDS.items() if "bad_end" in kind.circular_with),
        "promise_late",
    }
    assert lines["promise_broken"].verdict == "by definition"
    assert lines["rework"].verdict == "no evidence"
    assert {lines[kind].proposed for kind in ("promise_late", "rework")} == {None}
    assert lines["rework"].present == 0.1


def test_proposed_weights_foretell_later_ends_better(calibrated: Calibration) -> None:
    rate, now, _, proposed = calibrated.trials
    assert rate.n_journeys < calibrated.n_journeys
    assert proposed.log_likelihood > now.log_likelihood
    assert (proposed.auc or 0) > (now.auc or 1)


def test_the_block_is_toml_with_what_changes_and_what_is_configured(
    calibrated: Calibration,
) -> None:
    text = calibrate.block(calibrated, {"transfer": 0.1, "escalation": 0.2})
    weights = tomllib.loads(text)["weights"]
    assert set(weights) == {"transfer", "info_conflict", "escalation"}
    assert weights["escalation"] == 0.2
    assert weights["transfer"] == pytest.approx(calibrated.weights()["transfer"].proposed, abs=1e-3)
    assert all(0 < weight <= 0.95 for weight in weights.values())


@pytest.mark.parametrize("args", [(), ("--json",), ("--toml",)])
def test_the_command_prints_and_changes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], args: tuple[str, ...]
) -> None:
    from rejse.pipelines.cli import main

    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(SystemExit) as left:
        main.main(["calibrate", "--config", str(folder), *args])
    out, err = capsys.readouterr()
    assert left.value.code in (0, None), err
    assert err == ""
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    if args == ("--json",):
        report = json.loads(out)
        assert {line["kind"] for line in report["lines"]} == set(PRESENT)
        assert report["trials"][3]["name"] == "proposed weights"
    elif args == ("--toml",):
        assert "transfer" in tomllib.loads(out)["weights"]
    else:
        assert "Nothing was changed." in out
        assert "by definition" in out


def test_ends_without_a_tie_propose_nothing(tmp_path: Path) -> None:
    store_builder.published(tmp_path, world(tied=False))
    with catalogue.connect(tmp_path) as opened:
        calibrated = calibrate.calibrate(opened, PRESENT)
    assert not calibrated.is_tied
    assert {line.verdict for line in calibrated.lines} == {"no tie", "no evidence", "by definition"}
    assert {line.proposed for line in calibrated.lines} == {None}
    assert "nothing differs" in calibrate.block(calibrated, {})


def test_too_few_bad_ends_are_refused(tmp_path: Path) -> None:
    store_builder.published(tmp_path, world(n=40))
    with (
        catalogue.connect(tmp_path) as opened,
        pytest.raises(CalibrationError, match=r"at least 50 bad ends.* came \d+ and \d+; map"),
    ):
        calibrate.calibrate(opened, PRESENT)


def test_a_publication_with_other_weights_is_refused(session: Session) -> None:
    with pytest.raises(CalibrationError, match=r"transfer: expected .*0\.1, in rejse\.toml"):
        calibrate.calibrate(session, {**PRESENT, "transfer": 0.2})


def test_a_sample_takes_whole_customers(session: Session) -> None:
    calibrated = calibrate.calibrate(session, PRESENT, most=600)
    assert calibrated.is_sample
    assert 590 <= calibrated.n_journeys <= 600
    ends, ids, _, _ = calibrate._ends(session, 600)
    row = session.execute(
        "select count(*) from v_scored_ends where customer_key in"
        " (select customer_key from v_scored_ends where journey_id in (select unnest(?)))",
        [ids.tolist()],
    ).fetchone()
    assert row is not None
    assert row[0] == len(ends)


def test_without_scipy_it_says_what_to_install(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(CalibrationError, match=r"\.\[calibrate\]"):
        calibrate.calibrate(session, PRESENT)


def test_two_forms_at_once_are_refused(folder: Path) -> None:
    with pytest.raises(CalibrationError, match="came both"):
        calibration.show(load(folder), json=True, toml=True)


def _published(root: Path, rows: Rows) -> Path:
    store_builder.published(root / "store", rows)
    (root / "rejse.toml").write_text(
        '[sources.web]\nfiles = ["*.csv"]\nmapping = "m.sql"\nschema = "s.json"\n'
        "[weights]\ntransfer = 0.1\n"
    )
    return root


def test_ends_at_one_instant_are_proposed_from_and_not_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = world()
    for row in rows["journeys"]:
        row["ended_at"] = row["started_at"] = store_builder.START
    settings = load(_published(tmp_path, rows))
    calibration.show(settings, json=False, toml=False)
    assert "No later journeys to try on" in capsys.readouterr().out
    calibration.show(settings, json=True, toml=False)
    report = json.loads(capsys.readouterr().out)
    assert report["trials"] == []
    assert {line["verdict"] for line in report["lines"]} >= {"raise", "lower"}


def test_types_first_seen_later_are_left_out_of_the_trial_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = world()
    for row in sorted(rows["journeys"], key=lambda row: row["started_at"])[-100:]:
        row["journey_type"] = "new"
    settings = load(_published(tmp_path, rows))
    calibration.show(settings, json=True, toml=False)
    report = json.loads(capsys.readouterr().out)
    assert report["n_left_out"] == 100
    assert all(trial["log_likelihood"] > -1 for trial in report["trials"])
    assert {trial["n_journeys"] for trial in report["trials"]} == {171}
    calibration.show(settings, json=False, toml=False)
    assert "Left out: 100 later journeys" in capsys.readouterr().out
