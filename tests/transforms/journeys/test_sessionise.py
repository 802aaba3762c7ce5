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
from tests.support.law import examples
from tests.support.transcript import Transcript, operational_of

LAWS = settings(max_examples=examples(50))


def sessionised(rows: list[dict[str, Any]]) -> SessionisedEvents:
    return sessionise(builders.table(rows), Operational(), Rules())


def of(t: Transcript) -> SessionisedEvents:
    return sessionise(builders.table(t.events), operational_of(t), t.rules)


@LAWS
@given(strategies.transcripts())
def test_journeys_sessions_and_steps_cover_all_events_once(t: Transcript) -> None:
    sessions = of(t)
    n = len(t.events)
    assert sorted(sessions.events.column("id").to_pylist()) == sorted(e["id"] for e in t.events)
    assert int(sessions.journeys.lengths.sum()) == int(sessions.steps.lengths.sum()) == n
    assert int(sessions.sessions.lengths.sum()) == n
    for part in (sessions.steps.ids, sessions.session):
        pairs = set(zip(part.tolist(), sessions.journeys.ids.tolist(), strict=True))
        assert len(pairs) == len(set(part.tolist()))  # none reaches over two journeys
    for ids in (sessions.journey_id, sessions.step_id, sessions.session_id):
        assert len(set(ids.to_pylist())) == len(ids)


@LAWS
@given(strategies.transcripts())
def test_an_activity_instance_is_never_split(t: Transcript) -> None:
    cut = of(t)
    instance = cut.events.coded("activity_id")
    family = event_flags.family(cut.events.coded("channel")).codes
    message = event_flags.is_message(cut.events)
    steps, sessions = {}, {}
    for row in np.flatnonzero(instance.known):
        key = (cut.journeys.ids[row], instance.codes[row])
        assert steps.setdefault(key, cut.steps.ids[row]) == cut.steps.ids[row]
        if not message[row]:
            session = cut.session[row]
            assert sessions.setdefault((*key, family[row]), session) == session


@LAWS
@given(strategies.transcripts())
def test_steps_are_as_long_as_they_can_be(t: Transcript) -> None:
    """Two neighbouring steps of a journey differ in place, owner, team or session."""
    sessions = of(t)
    events, first = sessions.events, sessions.steps.starts
    place = [
        row["touchpoint"] or (row["activity"] if row["channel"] == "internal" else row["channel"])
        for row in (
            {"touchpoint": None, **r} for r in events.table.take(_rows(sessions)).to_pylist()
        )
    ]
    for step in range(1, len(first)):
        a, b = first[step] - 1, first[step]
        if sessions.journeys.ids[a] != sessions.journeys.ids[b]:
            continue
        differs = place[a] != place[b] or sessions.session[a] != sessions.session[b]
        differs |= sessions.team.codes[a] != sessions.team.codes[b]
        differs |= sessions.owner.codes[a] != sessions.owner.codes[b]
        assert differs


def _rows(sessions: SessionisedEvents) -> Any:
    import pyarrow as pa

    order = sessions.events.order
    return pa.array(range(sessions.events.n) if order is None else order.tolist(), pa.int64())


@pytest.mark.parametrize(("silence", "sessions"), [(1799, 1), (1800, 1), (1801, 2)])
def test_a_silence_of_exactly_the_gap_still_belongs(silence: int, sessions: int) -> None:
    assert len(sessionised([{"time": 0}, {"time": silence}]).sessions) == sessions


def test_work_that_takes_hours_is_one_session() -> None:
    work = {"channel": "phone", "activity_id": "a1"}
    rows = [{"time": 0, **work}, {"time": "1h", "channel": "phone"}, {"time": "3h", **work},
            {"time": "3h 31min", "channel": "phone"}]  # fmt: skip
    sessions = sessionised(rows)
    assert sessions.session.tolist() == [0, 0, 0, 1]
    assert sessions.events.column("id").to_pylist() == ["e001", "e003", "e002", "e004"]


def test_families_are_sessionised_each_by_itself() -> None:
    rows = [{"time": 0}, {"time": "20min", "channel": "phone"}, {"time": "25min", "channel": "app"},
            {"time": "55min"}, {"time": "51min", "channel": "ivr"}]  # fmt: skip
    sessions = sessionised(rows)
    session_of = dict(
        zip(sessions.events.column("id").to_pylist(), sessions.session.tolist(), strict=True)
    )
    assert (
        session_of["e001"] == session_of["e003"] == session_of["e004"]
    )  # web, app, web: 25 and 30 minutes
    assert session_of["e002"] != session_of["e005"]  # phone, ivr: 31 minutes


def test_each_message_of_a_machine_is_a_session_of_its_own() -> None:
    message = {
        "channel": "email",
        "direction": "outbound",
        "actor_type": "system",
        "message_kind": "reminder",
    }
    sessions = sessionised([{"time": 0, "channel": "email"}, {"time": 1, **message},
                         {"time": 2, **message}, {"time": 3, "channel": "email"}])  # fmt: skip
    assert sessions.session.tolist() == [0, 1, 2, 0]


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
    sessions = sessionise(builders.table(rows), data, Rules())
    assert sessions.owner.arrow().to_pylist() == ["old", "new", "new"]
    assert len(sessions.steps) == 1
    rows[1]["owner"] = "new"  # said by the event itself, it is another owner
    assert len(sessionise(builders.table(rows), data, Rules()).steps) == 2
