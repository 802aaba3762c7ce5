"""The spine: sessions by silence, steps by place, activity instances in one piece."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.journeys import event_flags
from rejse.transforms.journeys.sessionise import SessionisedEvents, sessionise
from rejse.transforms.schema.parameters import Rules
from tests.support import builders, strategies
from tests.support.law import FACTOR
from tests.support.transcript import Transcript, operational_of

LAWS = settings(max_examples=80 * FACTOR)


def sessionised(rows: list[dict[str, Any]]) -> SessionisedEvents:
    return sessionise(builders.table(rows), Operational(), Rules())


def of(t: Transcript) -> SessionisedEvents:
    return sessionise(builders.table(t.events), operational_of(t), t.rules)


@LAWS
@given(strategies.transcripts())
def test_journeys_sessions_and_steps_cover_all_events_once(t: Transcript) -> None:
    found = of(t)
    n = len(t.events)
    assert sorted(found.events.column("id").to_pylist()) == sorted(e["id"] for e in t.events)
    assert int(found.journeys.lengths.sum()) == int(found.steps.lengths.sum()) == n
    assert int(found.sessions.lengths.sum()) == n
    for part in (found.steps.ids, found.session):
        pairs = set(zip(part.tolist(), found.journeys.ids.tolist(), strict=True))
        assert len(pairs) == len(set(part.tolist()))  # none reaches over two journeys
    for ids in (found.journey_id, found.step_id, found.session_id):
        assert len(set(ids.to_pylist())) == len(ids)


@LAWS
@given(strategies.transcripts())
def test_an_activity_instance_is_never_split(t: Transcript) -> None:
    found = of(t)
    instance = found.events.coded("activity_id")
    family = event_flags.family(found.events.coded("channel")).codes
    message = event_flags.is_message(found.events)
    steps, sessions = {}, {}
    for row in np.flatnonzero(instance.known):
        key = (found.journeys.ids[row], instance.codes[row])
        assert steps.setdefault(key, found.steps.ids[row]) == found.steps.ids[row]
        if not message[row]:
            session = found.session[row]
            assert sessions.setdefault((*key, family[row]), session) == session


@LAWS
@given(strategies.transcripts())
def test_steps_are_as_long_as_they_can_be(t: Transcript) -> None:
    """Two neighbouring steps of a journey differ in place, owner, team or session."""
    found = of(t)
    events, first = found.events, found.steps.starts
    place = [
        row["touchpoint"] or (row["activity"] if row["channel"] == "internal" else row["channel"])
        for row in ({"touchpoint": None, **r} for r in
                    events.table.take(_rows(found)).to_pylist())
    ]  # fmt: skip
    for step in range(1, len(first)):
        a, b = first[step] - 1, first[step]
        if found.journeys.ids[a] != found.journeys.ids[b]:
            continue
        differs = place[a] != place[b] or found.session[a] != found.session[b]
        differs |= found.team.codes[a] != found.team.codes[b]
        differs |= found.owner.codes[a] != found.owner.codes[b]
        assert differs


def _rows(found: SessionisedEvents) -> Any:
    import pyarrow as pa

    order = found.events.order
    return pa.array(range(found.events.n) if order is None else order.tolist(), pa.int64())


@pytest.mark.parametrize(("silence", "sessions"), [(1799, 1), (1800, 1), (1801, 2)])
def test_a_silence_of_exactly_the_gap_still_belongs(silence: int, sessions: int) -> None:
    assert len(sessionised([{"time": 0}, {"time": silence}]).sessions) == sessions


def test_work_that_takes_hours_is_one_session() -> None:
    work = {"channel": "phone", "activity_id": "a1"}
    rows = [{"time": 0, **work}, {"time": "1h", "channel": "phone"}, {"time": "3h", **work},
            {"time": "3h 31min", "channel": "phone"}]  # fmt: skip
    found = sessionised(rows)
    assert found.session.tolist() == [0, 0, 0, 1]
    assert found.events.column("id").to_pylist() == ["e001", "e003", "e002", "e004"]


def test_families_are_sessionised_each_by_itself() -> None:
    rows = [{"time": 0}, {"time": "20min", "channel": "phone"}, {"time": "25min", "channel": "app"},
            {"time": "55min"}, {"time": "51min", "channel": "ivr"}]  # fmt: skip
    found = sessionised(rows)
    said = dict(zip(found.events.column("id").to_pylist(), found.session.tolist(), strict=True))
    assert said["e001"] == said["e003"] == said["e004"]  # web, app, web: 25 and 30 minutes
    assert said["e002"] != said["e005"]  # phone, ivr: 31 minutes


def test_each_message_of_a_machine_is_a_session_of_its_own() -> None:
    message = {"channel": "email", "direction": "outbound", "actor_type": "system",
               "message_kind": "reminder"}  # fmt: skip
    found = sessionised([{"time": 0, "channel": "email"}, {"time": 1, **message},
                         {"time": 2, **message}, {"time": 3, "channel": "email"}])  # fmt: skip
    assert found.session.tolist() == [0, 1, 2, 0]


def test_a_reorganisation_at_midnight_begins_no_step() -> None:
    import pyarrow as pa

    table = pa.Table.from_pylist(
        [{"touchpoint": "desk", "owner": "old", "valid_from": None,
          "valid_to": builders.moment("1min")},
         {"touchpoint": "desk", "owner": "new", "valid_from": builders.moment("1min"),
          "valid_to": None}]
    )  # fmt: skip
    rows: list[dict[str, Any]] = [{"time": n * 60, "touchpoint": "desk"} for n in range(3)]
    data = Operational({"touchpoints": table})
    found = sessionise(builders.table(rows), data, Rules())
    assert found.owner.arrow().to_pylist() == ["old", "new", "new"]
    assert len(found.steps) == 1
    rows[1]["owner"] = "new"  # said by the event itself, it is another owner
    assert len(sessionise(builders.table(rows), data, Rules()).steps) == 2
