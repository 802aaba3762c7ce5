"""Two publications side by side: which journeys changed band, and the cause told right."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.maintenance import diff as compare
from rejse.pipelines.publication.catalogue import NotPublishedError
from tests.support import store_builder
from tests.support.store_builder import Rows, joined, journey, published

BAD: dict[str, Any] = {"health_ops": 40.0}
GOOD: dict[str, Any] = {"health_ops": 90.0}
APRIL = datetime(2026, 4, 1, tzinfo=UTC)


def micros(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)


def with_events(rows: Rows) -> Rows:
    """The world's steps, each with the event that it is made of."""
    for step in rows["steps"]:
        step["event_ids"] = [f"crm/{step['step_id']}"]
    return rows


def single(n: int, steps: int = 1, **own: Any) -> Rows:
    return with_events(journey(n, [{}] * steps, **own))


def answer(n: int, raw: float) -> dict[str, Any]:
    return {
        "x_id": f"s/{n}", "customer_key": store_builder.key_of(n), "journey_id": f"j{n:04d}",
        "raw_score": raw, "is_answered": True, "is_final": True, "occurred_at": APRIL,
    }  # fmt: skip


def felt(n: int, health: float, band: str) -> dict[str, Any]:
    return {
        "journey_id": f"j{n:04d}", "customer_key": store_builder.key_of(n), "health": health,
        "band": band, "is_final": True, "started_at": APRIL, "ended_at": APRIL,
    }  # fmt: skip


def diff(root: Path, older: Rows, newer: Rows, **own: Any) -> dict[str, tuple[str, str, str]]:
    """Band before, after and cause by journey, of two publications with these rows."""
    published(root, older, frontiers={"crm": micros(APRIL)})
    published(root, newer, number=2, **{"frontiers": {"crm": micros(APRIL)}, **own})
    comparison = compare.publications(root, 1, 2)
    return {row[0]: (row[2], row[3], row[6]) for row in comparison.rows}


def test_equal_publications_differ_in_nothing(tmp_path: Path) -> None:
    rows = joined(single(1, **GOOD), single(2, **BAD))
    assert diff(tmp_path, rows, rows) == {}


def test_each_cause_is_told(tmp_path: Path) -> None:
    """Nine journeys, each changed in one way; those that keep their band are not listed."""
    older = joined(
        *(single(n, **GOOD) for n in range(1, 7)),
        single(8, 2, **GOOD),
        single(9, **GOOD),
    )
    late = single(2, 2, **BAD)  # its second event is of 4 March
    new = single(3, 2, **BAD, started_at=APRIL)
    old_start = single(3, **GOOD, started_at=APRIL)
    older["journeys"] = [r for r in older["journeys"] if r["journey_id"] != "j0003"]
    older["steps"] = [r for r in older["steps"] if r["journey_id"] != "j0003"]
    older["events"] = [r for r in older["events"] if not r["id"].startswith("j0003")]
    older = joined(older, old_start)
    newer = joined(
        single(1, **{**GOOD, "friction_score": 3.0}), late, new, single(4, **BAD),
        single(5, **GOOD), single(6, **BAD), single(7, **GOOD, started_at=APRIL),
        single(8, 1, **BAD),
    )  # fmt: skip
    newer["experience"] = [answer(4, 1.0)]
    newer["journey_experience"] = [felt(4, 41.0, "poor"), felt(5, 45.0, "poor")]
    newer["cases"] = [{"record_id": "c1", "customer_key": store_builder.key_of(6)}]
    assert diff(tmp_path, older, newer, config_version="0ther") == {
        "j0002": ("good", "poor", "late events"),
        "j0003": ("good", "poor", "new events"),
        "j0004": ("good", "poor", "answers"),
        "j0005": ("good", "poor", "rules"),
        "j0006": ("good", "poor", "records"),
        "j0007": ("absent", "good", "new events"),
        "j0008": ("good", "poor", "withdrawn events"),
        "j0009": ("good", "absent", "withdrawn events"),
    }


def test_time_alone_and_a_new_program_are_told_apart(tmp_path: Path) -> None:
    older, newer = single(1, **GOOD), single(1, **BAD)
    later = {"crm": micros(APRIL) + 1}
    assert diff(tmp_path / "a", older, newer, frontiers=later)["j0001"][2] == "time"
    assert diff(tmp_path / "b", older, newer)["j0001"][2] == "program"


def test_the_same_events_cut_otherwise_are_no_new_events(tmp_path: Path) -> None:
    """Other rules made two journeys of one: none of their events is new or gone."""
    older, newer = (
        single(1, 2, **GOOD),
        joined(single(1, 1, **GOOD), single(2, 1, **BAD)),
    )
    newer["steps"][1] |= {
        "event_ids": ["crm/j0001-2"],
        "customer_key": store_builder.key_of(1),
    }
    newer["journeys"][1]["customer_key"] = store_builder.key_of(1)
    changes = diff(tmp_path, older, newer, config_version="0ther")
    assert changes == {"j0002": ("absent", "poor", "rules")}


def test_events_of_another_person_are_identity(tmp_path: Path) -> None:
    older, newer = (
        single(1, **GOOD),
        single(1, **GOOD, customer_key=store_builder.key_of(5)),
    )
    newer["journeys"][0]["journey_id"] = newer["steps"][0]["journey_id"] = "j0005"
    changes = diff(tmp_path, older, newer)
    assert changes["j0005"] == ("absent", "good", "identity")


def test_counts_are_for_people_and_rows_for_machines(tmp_path: Path) -> None:
    published(tmp_path, joined(single(1, **GOOD), single(2, **GOOD), single(3, **BAD)))
    published(
        tmp_path,
        joined(single(1, **BAD), single(2, **BAD), single(3, **BAD)),
        number=2,
    )
    comparison = compare.publications(tmp_path, 1, 2)
    assert comparison.counted() == [("program", "good", "poor", 2)]
    report = comparison.as_dict()
    assert (report["n_journeys"], report["n_changed"], len(report["journeys"])) == (3, 2, 2)
    assert report["journeys"][0]["health_before"] == 90.0


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    published(tmp_path)
    with pytest.raises(compare.CompareError, match="came 1 twice"):
        compare.publications(tmp_path, 1, 1)
    with pytest.raises(NotPublishedError, match="can still be read"):
        compare.publications(tmp_path, 1, 2)
