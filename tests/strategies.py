"""Hypothesis strategies: small logs in which every rule of the core has something to decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from hypothesis import strategies as st

from tests import builders
from tests.oracle import Case
from tests.transcript import FOLDER, Transcript

BASE: Mapping[str, Any] = yaml.safe_load((FOLDER / "base.yaml").read_text(encoding="utf-8"))

#: Silences between events, in seconds: those at which rules turn, and a second beside them.
SILENCES = (0, 0, 1, 60, 1799, 1800, 1801, 3600, 86_400, 2 * 86_400, 2 * 86_400 + 1,
            5 * 86_400, 7 * 86_400, 7 * 86_400 + 1, 10 * 86_400, 10 * 86_400 + 1, 14 * 86_400,
            14 * 86_400 + 1, 29 * 86_400, 30 * 86_400 + 1)  # fmt: skip
FIELDS = ("name", "plate", "date")
OWNERS = ("sales", "claims", "web", "ops")


def often(*values: Any) -> st.SearchStrategy[Any]:
    """Null or one of the values; null first, so that examples shrink to events that say little."""
    return st.sampled_from((None, None, *values))


def infos() -> st.SearchStrategy[Any]:
    """Fields given, asked, verified, passed, shown; mostly none."""
    item = st.tuples(
        st.sampled_from(("given", "given", "asked", "verify", "passed", "shown")),
        st.sampled_from(FIELDS),
        st.sampled_from(("x", "y")),
    ).map(
        lambda i: {
            "op": i[0],
            "field": i[1],
            "value_hmac": builders.value_of(i[2]) if i[0] == "given" else None,
        }
    )
    return st.one_of(
        st.none(),
        st.lists(item, min_size=1, max_size=3, unique_by=lambda one: (one["op"], one["field"])),
    )


@st.composite
def promises(draw: st.DrawFn) -> dict[str, Any]:
    """One word about one of two promises."""
    op = draw(st.sampled_from(("made", "moved", "delivered", "cancelled")))
    due = draw(st.sampled_from((None, 86_400, 3 * 86_400, 20 * 86_400)))
    return {
        "id": draw(st.sampled_from(("p1", "p2"))),
        "op": op,
        "kind": "date",
        "due_time": due if op in ("made", "moved") else None,
        "value": draw(st.sampled_from((None, "v", "w"))),
    }


@st.composite
def events(draw: st.DrawFn, rich: bool = True) -> dict[str, Any]:
    """One event without its time; `rich` ones carry fields, promises and hand-offs too."""
    channel = draw(st.sampled_from(
        ("web", "phone", "app", "email", "chatbot", "chat", "ivr", "branch", "internal")
    ))  # fmt: skip
    directions = ("internal",) if channel == "internal" else ("inbound", "inbound", "outbound")
    direction = draw(st.sampled_from(directions))
    row: dict[str, Any] = {
        "source": draw(st.sampled_from(("crm", "web"))),
        "sequence": draw(often(1, 2)),
        "channel": channel,
        "direction": direction,
        "actor_type": draw(st.sampled_from(("customer", "human", "bot", "system"))),
        "activity": draw(st.sampled_from(("contact", "contact", "work", "enquiry", "settled"))),
        "activity_id": draw(often(None, None, "a1", "a2")),
        "journey_type": draw(often("claim", "purchase", "short")),
        "case_id": draw(often("c1", "c2")),
        "correlationid": draw(often("k1", "k2")),
        "outcome": draw(often("resolved", "unresolved", "informed", "transferred", "sold")),
        "intent": draw(often("bill", "move")),
        "touchpoint": draw(often("claims desk", "service line", "moved desk", "form", "counter")),
        "owner": draw(often(*OWNERS)),
        "team": draw(often("first", "second")),
    }
    if direction == "outbound":
        row["message_kind"] = draw(often("marketing", "service", "reminder"))
        row["relevance_basis"] = draw(often("due", "none"))
        row["consent_purpose"] = draw(often(["service"], []))
    if rich:
        row |= draw(_riches())
    return {name: value for name, value in row.items() if value is not None}


@st.composite
def _riches(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "info": draw(infos()),
        "promise": draw(st.one_of(st.none(), st.none(), promises())),
        "to_owner": draw(often(None, None, None, *OWNERS)),
        "to_team": draw(often(None, None, None, None, "second")),
        "wait_s": draw(often(0, 60, 90, 500)),
        "waiting_for": draw(often(None, "customer", "company", "third_party")),
        "lifecycle": draw(often(None, "start", "complete", "resume")),
        "stage": draw(often("before", "during", "after")),
        "product_id": draw(often("p")),
        "system": draw(often("portal", "mail")),
    }


@st.composite
def logs(draw: st.DrawFn, max_events: int = 12, rich: bool = True) -> list[dict[str, Any]]:
    """Events of up to three customers, in time order, with silences at which rules turn."""
    now, rows = 0, []
    for number in range(draw(st.integers(1, max_events))):
        now += draw(st.sampled_from(SILENCES))
        row = draw(events(rich=rich))
        row["time"], row["id"] = now, f"e{draw(st.integers(0, 1))}{number:02d}"
        row["customer"] = draw(st.sampled_from(("ann", "ann", "ann", "ben", "eve")))
        if "promise" in row and row["promise"]["due_time"] is not None:
            row["promise"] = {**row["promise"], "due_time": row["promise"]["due_time"] + now}
        rows.append(row)
    return rows


@st.composite
def transcripts(draw: st.DrawFn, max_events: int = 12, rich: bool = True) -> Transcript:
    """A random log in the company of the transcripts, with a frontier in or after it."""
    rows = draw(logs(max_events, rich))
    last = rows[-1]["time"]
    frontier = draw(st.sampled_from((400, 400, 0, 4, 12, 20, 34))) * 86_400 + last + 1
    return Transcript(
        name="random",
        events=tuple(rows),
        expect={},
        frontier={"crm": f"{frontier}s", "web": f"{frontier}s"},
        config=BASE,
    )


def case(transcript: Transcript) -> Case:
    """The transcript as the oracle's input."""
    return Case(
        events=builders.table(transcript.events),
        touchpoints=transcript.operational("touchpoints"),
        touchpoint_fields=transcript.operational("touchpoint_fields"),
        journey_types=transcript.operational("journey_types"),
        rules=transcript.rules,
        frontiers=transcript.frontiers,
    )
