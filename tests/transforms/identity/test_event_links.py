"""Identity links that events tell, against a plain loop, and in a running store."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.identity.link_table import LINKS
from rejse.transforms.identity.links_from_events import (
    distinct_links,
    links_from_rows,
    stated_links,
    with_ends,
)
from rejse.transforms.ingest.validate import accept
from rejse.transforms.schema.contract import INTERACTIONS
from tests.support import builders
from tests.support.identity_links import ANN, BEN, COOKIE, KEY, MAIL, key_of
from tests.support.increments import Arrivals, contents
from tests.support.installation import fetch
from tests.support.law import examples
from tests.support.linked_transcripts import on_devices, tables_that_differ
from tests.support.transcript import Transcript

LAWS = settings(max_examples=examples(100))
ROWS = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 6),
        st.sampled_from(("event", "table", "case")), st.one_of(st.none(), st.integers(7, 9)),
    ),
    max_size=8,
)  # fmt: skip


def links(rows: list[tuple[str, str, int, str, int | None]]) -> pa.Table:
    told_of = [
        {
            "previous_key": previous, "previous_type": "cookie", "identity_key": other,
            "identity_type": "customer", "method": method, "valid_from": begin,
            "valid_to": None if method == "event" else end,
        }
        for previous, other, begin, method, end in rows
    ]  # fmt: skip
    return pa.Table.from_pylist(told_of, schema=LINKS)


@LAWS
@given(ROWS)
def test_a_link_of_an_event_ends_where_the_next_begins(
    rows: list[tuple[str, str, int, str, int | None]],
) -> None:
    wanted = set()
    for previous, other, begin, method, end in rows:
        later = [row[2] for row in rows if row[0] == previous and row[2] > begin]
        until = min(later, default=None) if method == "event" else end
        wanted.add((previous, other, begin, method, until))
    links_ended = with_ends(links(rows))
    names = ("previous_key", "identity_key", "valid_from", "method", "valid_to")
    plain = links_ended.set_column(6, "valid_from", links_ended.column("valid_from").cast("int64"))
    plain = plain.set_column(7, "valid_to", links_ended.column("valid_to").cast("int64"))
    rows_made = [tuple(row[name] for name in names) for row in plain.to_pylist()]
    assert len(rows_made) == len(set(rows_made)) == len(wanted)
    assert set(rows_made) == wanted
    again = with_ends(pa.concat_tables([stated_links(links_ended), links(rows)]))
    assert again.equals(links_ended)


def test_what_accepted_rows_tell() -> None:
    base = {
        "source": "crm", "time": builders.START, "activity": "login", "channel": "web",
        "direction": "inbound", "actor_type": "customer", "identity": "ann",
        "identitytype": "customer",
    }  # fmt: skip
    previous_identities = [
        (COOKIE[1], "cookie"), (COOKIE[1], "cookie"), (MAIL[1], "email"), ("ben", "customer"),
        ("undefined", "cookie"), (None, "cookie"),
    ]  # fmt: skip
    rows = [
        {**base, "id": str(n), "previousidentity": identity, "previousidentitytype": kind}
        for n, (identity, kind) in enumerate(previous_identities)
    ]
    shape = INTERACTIONS.canonical({*rows[0]})
    accepted, refused, _ = accept(pa.RecordBatch.from_pylist(rows, schema=shape))
    assert not refused.num_rows
    links_read = links_from_rows(accepted, KEY, ("undefined",))
    pairs = zip(
        *(links_read.column(f"{n}_key").to_pylist() for n in ("previous", "identity")), strict=True
    )
    assert sorted(pairs) == sorted((key_of(identity), key_of(ANN)) for identity in (COOKIE, MAIL))
    assert set(links_read.column("valid_from").to_pylist()) == {builders.START}
    assert links_read.equals(distinct_links(pa.concat_tables([links_read, links_read])))
    assert key_of(BEN) not in str(links_read.to_pylist())


def test_a_batch_without_previous_identities_tells_nothing() -> None:
    shape = INTERACTIONS.canonical({"id", "time"})
    batch = pa.RecordBatch.from_pylist([], schema=shape)
    assert links_from_rows(batch, KEY, ()).num_rows == 0


def logged_in(seed: int) -> Transcript:
    """A log on devices, in which some customers' events say which devices are theirs."""
    made, chance = on_devices(seed), random.Random(f"logins {seed}")

    def login(row: object) -> object:
        assert isinstance(row, dict)
        if "identitytype" in row or chance.random() < 0.5:
            return row
        device = "shared" if chance.random() < 0.2 else f"{row['customer']}-device"
        return {**row, "previousidentity": device, "previousidentitytype": "device"}

    return replace(made, events=tuple(login(dict(row)) for row in made.events))  # type: ignore[misc]


def test_links_that_come_with_later_events_move_stored_rows(tmp_path: Path) -> None:
    """Whichever parts the rows come in, the result is that of one batch."""
    made = logged_in(5)
    for name, parts in (("batch", 1), ("parts", 3)):
        (tmp_path / name).mkdir()
        arrivals = Arrivals([made], tmp_path / name, parts, "wholly shuffled", 5)
        for part in range(parts):
            arrivals.arrive(part)
            arrivals.run(is_last=part == parts - 1)
        if name == "batch":
            expected = contents(arrivals.settings)
    moved = "select count(*) from events where identity_key is not null"
    assert fetch(arrivals.settings, moved)[0][0] > 10
    changed = "select count(*) from publications"
    assert fetch(arrivals.settings, changed)[0][0] > 3, "expected runs to reconcile first"
    assert tables_that_differ(expected, contents(arrivals.settings)) == set()
