"""The served SQL: what headers promise, intervals, contacts by hand, and the questions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from rejse.pipelines.publication import catalogue
from rejse.pipelines.publication.catalogue import Session
from rejse.sql import Script, parse, scripts, statements
from tests.support import store_builder
from tests.support.sql_world import DAY, HOUR, contact, counted_world, table
from tests.support.store_builder import START, journey, key_of

KINDS = ("macros", "views", "aggregates", "checks", "questions")
EVERY = [
    pytest.param(script, id=f"{kind}-{name}")
    for kind in KINDS[1:]
    for name, script in scripts(kind).items()
]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    root = tmp_path_factory.mktemp("sql") / "store"
    store_builder.published(root, counted_world())
    with catalogue.connect(root) as opened:
        yield opened


def of_contacts(place: Path, *contacts: dict[str, Any]) -> Session:
    """A store with these sessions, complete until 60 days after START."""
    until = int((START + 60 * DAY).timestamp()) * 1_000_000
    store_builder.published(place, {"sessions": list(contacts)}, frontiers={"crm": until})
    opened: Session = catalogue.connect(place)
    return opened


@pytest.fixture(scope="module")
def macros() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database of nothing but macros."""
    with duckdb.connect() as con:
        for macro in statements("macros"):
            con.execute(macro.text)
        yield con


@pytest.mark.parametrize("script", EVERY)
def test_the_header_names_what_the_script_reads(
    macros: duckdb.DuckDBPyConnection, script: Script
) -> None:
    query = "with " + script.text.partition("\nwith ")[2]
    # It binds no columns, and without them DuckDB finds no inequality for an asof join.
    plain = query.replace("asof left join", "left join")
    assert macros.get_table_names(plain.split(";")[0]) == set(script.sources)
    ends = script.text.split("comment on")[0].rstrip(";\n ")
    assert re.search(r"\nselect \* from \w+(\norder by [^\n]+)?$", ends)


@pytest.mark.parametrize("name", sorted(scripts("views")))
def test_a_view_has_the_key_that_it_says(session: Session, name: str) -> None:
    script = scripts("views")[name]
    if name == "v_publication":
        assert session.execute("select count(*) from v_publication").fetchall() == [(1,)]
    query = f"select {script.header['key']} from {name}"
    rows = session.execute(query).fetchall()
    assert len(rows) == len(set(rows))


def test_views_come_after_their_sources() -> None:
    order = [script.name for script in statements("views")]
    assert order.index("v_publication") < order.index("v_contacts") < order.index("v_channels")
    assert order.index("v_edges") < order.index("v_owners")


def test_a_script_without_purpose_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bare.sql"
    path.write_text("select 1\n")
    with pytest.raises(ValueError, match=r"bare\.sql: expected a header line"):
        parse(path)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe 1998, table I (Statistics in Medicine 17:857), method 3: score.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_are_the_published_ones(
    session: Session, k: int, n: int, low: float, high: float
) -> None:
    interval = session.execute(f"select wilson_lo({k}, {n}), wilson_hi({k}, {n})").fetchall()[0]
    assert interval == pytest.approx((low, high), abs=5e-5)


def test_of_nothing_there_is_no_rate(session: Session) -> None:
    query = "select share_of(0, 0), wilson_lo(0, 0), wilson_hi(0, 0), health_band(null)"
    assert session.execute(query).fetchall() == [(None, None, None, None)]


@pytest.mark.parametrize(("gap", "repeats"), [(7 * DAY, True), (7 * DAY + HOUR / 3600, False)])
def test_a_repeat_lies_within_the_window_start_to_start_inclusive(
    tmp_path: Path, gap: timedelta, repeats: bool
) -> None:
    first, second = contact(1, 10 * DAY), contact(2, 10 * DAY + gap)
    with of_contacts(tmp_path, contact(0, 0 * DAY, intent="x"), first, second) as opened:
        rows = table(opened, "from v_contacts where intent = 'bill' order by started_at")
    assert [(row["is_repeat"], row["is_repeated"]) for row in rows] == [
        (False, repeats),
        (repeats, False),
    ]


def test_the_past_is_known_of_each_source_from_a_window_after_its_beginning(
    tmp_path: Path,
) -> None:
    def of(number: int, source: str, at: timedelta, **own: Any) -> dict[str, Any]:
        customer = {"customer_key": key_of(number), "outcome": "resolved", "source": source}
        return contact(number, at, **customer, **own)

    contacts = [
        of(1, "crm", 0 * DAY), of(2, "crm", 7 * DAY - HOUR), of(3, "crm", 7 * DAY),
        of(4, "bot", 20 * DAY, is_contact=False, direction="internal"),  # it begins with work
        of(5, "bot", 22 * DAY), of(6, "crm", 22 * DAY), of(7, "bot", 27 * DAY),
        of(8, "new", 60 * DAY),  # its beginning takes nothing from the others
    ]  # fmt: skip
    with of_contacts(tmp_path, *contacts) as opened:
        rows = table(opened, "from v_contacts order by length(session_id), session_id")
        [first] = table(opened, "from v_first_contacts")
        [repeats] = table(opened, "from v_repeat_contacts")
    known = {row["session_id"]: row["is_past_known"] for row in rows}
    assert known == {"s1": False, "s2": False, "s3": True, "s5": False, "s6": True, "s7": True,
                     "s8": False}  # fmt: skip
    assert {row["source"] for row in rows} == {"crm", "bot", "new"}
    assert (first["n_first"], repeats["n_contacts"]) == (3, 3)


def test_first_contacts_are_matured_with_a_known_past(tmp_path: Path) -> None:
    resolved = {"outcome": "resolved"}
    contacts = [
        contact(0, 0 * DAY, **resolved),  # the window before it is unknown
        contact(1, 20 * DAY, **resolved),  # first, resolved, held
        contact(2, 30 * DAY, **resolved),  # first, resolved, but repeated
        contact(3, 32 * DAY, **resolved),  # a repeat is no first contact
        contact(4, 45 * DAY, fcr_flag=True),  # first, held, outcome unknown, flagged
        contact(5, 56 * DAY, **resolved),  # its window has not passed
        contact(6, 20 * DAY, customer_key=key_of(2), intent=None),  # no intent
        contact(7, 20 * DAY, customer_key=key_of(3), direction="outbound"),
    ]
    with of_contacts(tmp_path, *contacts) as opened:
        [row] = table(opened, "from v_first_contacts")
        [repeats] = table(opened, "select * from v_repeat_contacts")
    columns = ("n_first", "n_resolved", "n_not_repeated", "n_outcome_known", "n_flagged_resolved")
    assert [row[name] for name in columns] == [3, 1, 2, 2, 1]
    assert (row["fcr"], row["n_outcome_unknown"]) == (0.5, 1)
    assert row["outcome_unknown_share"] == pytest.approx(1 / 3)
    assert row["fcr_proxy"] == pytest.approx(2 / 3)
    assert row["fcr_flagged"] == 1
    assert (repeats["n_contacts"], repeats["n_repeats"]) == (5, 1), "outbound is none"


def test_channels_count_handling_abandonment_and_containment(tmp_path: Path) -> None:
    phone = {"channel": "phone", "channel_family": "voice", "intent": None}
    bot = {"channel": "chatbot", "channel_family": "chat", "has_machine": True, "intent": "bill"}
    contacts = [
        contact(1, DAY, **phone, talk_s=100, hold_s=20, wait_s=500, outcome="resolved"),
        contact(2, DAY, **phone, talk_s=200, wrap_s=40, outcome="transferred"),
        contact(3, DAY, **phone, wait_s=9, outcome="abandoned"),  # too short to count
        contact(4, DAY, **phone, wait_s=10, outcome="abandoned"),
        contact(5, DAY, **phone, outcome="abandoned"),  # an unknown wait counts
        contact(6, DAY, **bot, has_human=True),
        contact(7, DAY, **bot),
    ]
    with of_contacts(tmp_path, *contacts) as opened:
        by_channel = {row["channel"]: row for row in table(opened, "from v_channels")}
    voice, chatbot = by_channel["phone"], by_channel["chatbot"]
    assert (voice["n_handled"], voice["handle_s"]) == (2, 180)
    assert (voice["n_offered"], voice["n_abandoned"], voice["n_transferred"]) == (5, 2, 1)
    assert voice["abandoned_share"] == pytest.approx(0.4)
    assert (chatbot["n_automated"], chatbot["n_contained"]) == (2, 1)
    assert chatbot["contained_no_repeat_share"] == 0.5


def test_channel_switches_leave_messages_out(tmp_path: Path) -> None:
    message = contact(2, 2 * DAY, channel_family="written", is_message=True)
    calls = [contact(n, n * DAY, channel_family="voice") for n in (3, 4)]
    with of_contacts(tmp_path, contact(1, DAY), message, *calls) as opened:
        pairs = table(opened, "from v_channel_switches order by from_family")
        visits = table(opened, "select session_id, duration_s from v_visits order by 1")
    assert [(p["from_family"], p["to_family"], p["n_switches"]) for p in pairs] == [
        ("digital", "voice", 1),
        ("voice", "voice", 0),
    ]
    assert [row["session_id"] for row in visits] == ["s1", "s3", "s4"]
    assert visits[0]["duration_s"] == 3600


def test_friction_is_summed_by_kind_edge_and_owner(session: Session) -> None:
    hazard_fallback, hazard_bare = -math.log(0.8), -math.log(0.7)
    edges = table(session, "from v_edges")
    assert [(e["from_owner"], e["to_owner"], e["n_journeys"]) for e in edges] == [
        ("Online", "Care", 2)
    ]
    assert edges[0]["hazard"] == pytest.approx(
        hazard_bare + 0.5 * hazard_fallback + hazard_fallback
    )
    assert (edges[0]["n_none"], edges[0]["n_context_known"]) == (2, 3)
    assert edges[0]["no_context_share"] == pytest.approx(2 / 3)
    kinds = {(k["kind"], k["locus"]): k for k in table(session, "from v_friction_by_kind")}
    assert kinds["channel_fallback", "edge"]["n_evidence"] == 2
    assert kinds["channel_fallback", "edge"]["journey_share"] == pytest.approx(2 / 4)
    assert sum(k["hazard_share"] for k in kinds.values()) == pytest.approx(1)
    owners = {o["owner"]: o for o in table(session, "from v_owners")}
    assert owners["Online"]["n_steps"] == 3
    assert owners["Care"]["promises_kept_share"] == pytest.approx(2 / 4)
    touchpoints = {t["touchpoint"]: t for t in table(session, "from v_touchpoints")}
    assert (touchpoints["hotline"]["n_rough"], touchpoints["hotline"]["n_evidence"]) == (3, 4)
    assert touchpoints["web_form"]["hazard"] == 0


def test_types_and_months_show_health_in_bands(session: Session) -> None:
    types = {t["owner"]: t for t in table(session, "from v_journey_types")}
    online = types["Online"]
    assert (online["n_journeys"], online["n_poor"], online["n_fair"]) == (2, 1, 1)
    assert (online["health_ops_median"], online["band"]) == (60, None), "of two only"
    assert online["resolved_share"] == pytest.approx(0.5)
    assert types[None]["n_open"] == 1
    [month] = table(session, "from v_months")
    assert str(month["started_month"]) == "2026-03-01"
    assert (month["n_journeys"], month["n_open"]) == (4, 1)
    assert (month["n_judged"], month["n_resolved"], month["n_undecided"]) == (4, 2, 1)


#: Shares of all there is, not of a sample that says something of others.
WHOLE = {"row_share", "measured_share"}


@pytest.mark.parametrize("script", EVERY)
def test_a_share_of_counts_comes_with_its_interval(script: Script) -> None:
    text = " ".join(script.text.split())
    shares = re.findall(r"share_of\( ?[\w.]*\bn_\w+, [\w.]*\bn_\w+ ?\) as (\w+)", text)
    wanted = [f"{name}_{end}" for name in shares if name not in WHOLE for end in ("lo", "hi")]
    assert [name for name in wanted if f" as {name}" not in text] == []


def test_the_flow_starts_nowhere_and_splits_by_share(session: Session) -> None:
    flow = table(session, "from v_flow")
    first = [f for f in flow if f["from_touchpoint"] is None]
    assert {f["to_touchpoint"]: f["n_transitions"] for f in first} == {"web_form": 3, "hotline": 1}
    assert sum(f["next_share"] for f in first) == pytest.approx(1)


def test_the_balance_tells_every_row_read(session: Session) -> None:
    rows = table(session, "from v_balance")
    assert sum(row["n_rows"] for row in rows) == rows[0]["n_read"] == 5
    assert ("rejected: missing_time", 1) in [(row["reason"], row["n_rows"]) for row in rows]


ANSWERS: dict[str, dict[str, Any]] = {
    "silo_gap": {"owner": "Online", "n_journeys": 2, "edge_share": pytest.approx(1),
                 "n_gaps": 1, "silo_gap": pytest.approx(0.25), "response_share": 0.5},
    "relief": {"owner": "Online", "n_judged": 2, "n_relief": 1, "n_next": 1, "relief_share": 0.5,
               "next_health_ops_median": 70},
    "pressed_customers": {"customer_key": key_of(1), "n_over_pressure": 1, "pressure_max": 2,
                          "n_upsells_in_problem": 1, "n_ignored": 1, "n_asked": 2,
                          "n_answered": 1},
    "reasking_systems": {"field": "iban", "system_known": "web", "system_asking": "crm",
                         "n_reasked": 2, "n_conflicts": 1, "reasked_share": 1},
    "digital_dead_ends": {"touchpoint": "web_form", "n_fallbacks": 2, "n_dead_ends": 1,
                          "n_journeys": 2, "n_steps": 3, "fallback_share": pytest.approx(2 / 3),
                          "dead_end_share": pytest.approx(1 / 3)},
    "handoffs_without_context": {"from_owner": "Online", "to_owner": "Care", "n_none": 2,
                                 "n_handoffs": 4},
    "broken_promises": {"kind": "callback", "status": "broken", "n_promises": 1,
                        "health_ops_median": 50, "status_share": pytest.approx(1 / 6)},
    "friction_cost": {"kind": "channel_fallback", "owner": "Online", "minutes_customer": 36,
                      "measured_share": 1},
    "open_at_risk": {"journey_id": "j0004", "reasons": ["channel_fallback"]},
    "headline": {"journey_type": "claim", "owner": "Online", "health_ops": 60, "n_journeys": 2,
                 "edge_percent": 100, "resolved_percent": 50},
    "next_journey": {"measure": "health_ops", "tenth": 1, "points_from": 50, "n_next": 1,
                     "next_health_ops_median": 70, "next_resolved_share": 1},
    "score_validity": {"journey_type": "claim", "n_outcome_known": 3, "n_bad_ends": 0,
                       "bad_end_auc": None},
    "text_languages": {"language": "da", "n_texts": 1, "n_scored": 0, "scored_percent": 0},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_a_question_finds_what_was_planted(session: Session, name: str) -> None:
    rows = table(session, scripts("questions")[name].text)
    expected = ANSWERS[name]
    first = next(row for row in rows if name != "broken_promises" or row["status"] == "broken")
    assert {column: first[column] for column in expected} == expected


def test_what_changed_names_table_and_possible_reason(tmp_path: Path) -> None:
    store_builder.published(tmp_path, counted_world())
    rows = store_builder.joined(counted_world(), journey(9, [{}]))
    store_builder.published(tmp_path, rows, number=2, positions={"crm": "a.csv:6"})
    with catalogue.connect(tmp_path) as opened:
        records = table(opened, scripts("questions")["what_changed"].text)
    changed = {row["table_name"]: row["n_more"] for row in records}
    assert changed["journeys"] == 1
    assert "promises" not in changed
    assert {(r["is_new_data"], r["is_new_configuration"]) for r in records} == {(True, False)}


def test_every_question_is_asked_by_a_test() -> None:
    assert set(scripts("questions")) == set(ANSWERS) | {"what_changed"}
