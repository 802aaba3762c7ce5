"""A proposal of weights as tables, JSON or TOML."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rejse.pipelines.config.settings import Settings

if TYPE_CHECKING:
    from rejse.pipelines.reporting.calibrate import Calibration


def show(settings: Settings, *, json: bool, toml: bool) -> None:
    """Print the proposal as tables, JSON or a [weights] block. Raises CalibrationError."""
    from rejse.pipelines.cli import terminal
    from rejse.pipelines.publication import catalogue
    from rejse.pipelines.reporting.calibrate import LATE, CalibrationError, block, calibrate
    from rejse.transforms.schema.parameters import LATE_PROMISE_WEIGHT, WEIGHTS

    if json and toml:
        raise CalibrationError("expected --json or --toml, came both")
    present = {**WEIGHTS, LATE: LATE_PROMISE_WEIGHT, **settings.weights}
    with (
        catalogue.connect(settings.store) as session,
        terminal.progress("fitting weights to the ends of journeys"),
    ):
        proposal = calibrate(session, present)
    if json:
        terminal.show_json(asdict(proposal))
    elif toml:
        print(block(proposal, settings.weights))
    else:
        _show(proposal)


def _show(proposal: Calibration) -> None:
    from rejse.pipelines.cli.terminal import show_table

    sample = ", a sample of whole customers" if proposal.is_sample else ""
    print(
        f"publication {proposal.publication}: {proposal.n_journeys:,} closed journeys"
        f" with an outcome{sample}, {proposal.n_bad:,} ended badly"
    )
    show_table(
        ("kind", "journeys", "bad ends", "present", "proposed", "low", "high", "verdict"),
        [
            (
                line.kind,
                line.n_journeys,
                line.n_bad,
                line.present,
                *map(_short, (line.proposed, line.low, line.high)),
                line.verdict,
            )
            for line in proposal.lines
        ],
    )
    print()
    _show_trials(proposal)
    print()
    for note in _notes(proposal):
        print(note)


def _show_trials(proposal: Calibration) -> None:
    from rejse.pipelines.cli.terminal import show_table

    if not proposal.trials:
        print(
            "No later journeys to try on: none ended after the earlier seven tenths and is of a"
            " journey type that they have."
        )
        return
    print("What would change: fitted on the earlier seven tenths, tried on the later journeys")
    show_table(
        ("tried", "factor", "journeys", "bad ends", "log-likelihood", "AUC"),
        [
            (
                t.name,
                round(t.multiple, 2),
                t.n_journeys,
                t.n_bad,
                round(t.log_likelihood, 4),
                _short(t.auc),
            )
            for t in proposal.trials
        ],
    )
    if proposal.n_left_out:
        print(f"Left out: {proposal.n_left_out:,} later journeys of types first seen then.")


def _notes(proposal: Calibration) -> list[str]:
    notes = []
    if not proposal.is_tied:
        notes.append("No kind of friction goes with bad ends beyond chance: nothing is proposed.")
    if not proposal.is_settled:
        notes.append("The proposal did not come to rest: kinds that come together change ranks.")
    if any(line.verdict == "by definition" for line in proposal.lines):
        notes.append(
            "By definition: an end makes or unmakes these kinds by rule (v_kinds says why), so it"
            " cannot weigh them."
        )
    notes.append(
        "Nothing was changed. An end is one witness: friction that people bear in journeys that"
        " end well is not in it."
    )
    return notes


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
