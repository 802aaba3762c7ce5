"""Staged rows through the audit, and a world that breaks its rules."""

from __future__ import annotations

import copy
from pathlib import Path

from rejse.pipelines.publication.audit import Report, audit
from rejse.transforms import published_tables
from tests.support import store_builder
from tests.support.store_builder import Rows


def audit_of(root: Path, rows: Rows) -> Report:
    staged = {name: [] for name in published_tables.names()}
    for file in store_builder.staged(root, rows):
        staged[file.table].append(file)
    return audit(root, staged, None, "run-1")


def broken_world() -> tuple[Rows, dict[str, tuple[str, int]]]:
    """A world in which each change breaks a rule: rule -> (severity, number of rows)."""
    rows = store_builder.joined(
        store_builder.world(),
        store_builder.journey(4, [{}], close_reason=None),
        store_builder.journey(5, [{}], journey_type=None, state="half"),
    )
    journeys, steps, evidence = (rows[n] for n in ("journeys", "steps", "friction_evidence"))
    journeys.append({**copy.deepcopy(journeys[0]), "is_final": False})
    steps[0]["journey_id"] = "j-lost"
    steps[1]["ended_at"] = store_builder.START
    evidence[0]["share"] = 0.9
    evidence[1]["step_id"] = "s-lost"
    evidence[1]["severity"] = 0.96
    return rows, {
        "closed_journeys_say_why": ("critical", 2),
        "state.values": ("critical", 1),
        "key.unique": ("critical", 2),
        "final_rows_stand_apart": ("critical", 1),
        "steps_have_their_journey": ("critical", 1),
        "steps_end_after_start": ("critical", 1),
        "shares_add_up": ("critical", 1),
        "evidence_has_its_steps": ("critical", 1),
        "severity.range": ("critical", 1),
        "hazard_is_ranked": ("critical", 1),
    }
