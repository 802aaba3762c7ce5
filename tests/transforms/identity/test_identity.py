"""Pseudonyms: the hash that was agreed, of the right rows, and nothing raw left."""

from __future__ import annotations

import hmac
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rejse.transforms.identity.pseudonyms import CACHE_SIZE, Signer, pseudonymise
from rejse.transforms.ingest import rejects
from rejse.transforms.schema.contract import event_schema
from tests.support.contract_events import NOON, PRESENT, batch, event, sign
from tests.support.edge import KEY


@given(
    st.lists(st.tuples(st.sampled_from(["customer", "cookie"]), st.text(min_size=1)), min_size=1)
)
def test_keys_are_the_agreed_hash(people: list[tuple[str, str]]) -> None:
    rows = [event(identitytype=kind, identity=name) for kind, name in people]
    events, refused = pseudonymise(batch(*rows), KEY)
    wanted = [sign(f"{kind}:{name}", 32) for kind, name in people]
    assert events.column("customer_key").to_pylist() == wanted
    assert events.column("bucket").to_pylist() == [int(key[:3], 16) for key in wanted]
    assert refused.num_rows == 0


def test_schema_and_nothing_raw() -> None:
    given = event(
        identity="Ida Raw", previousidentity="raw-cookie", previousidentitytype="cookie",
        actor_id="Agent Raw", info=[{"field": "mail", "op": "given", "value_hmac": "ida@raw.dk"}],
        claims=[{"topic": "price", "value_hmac": "raw 12", "valid_to": NOON}],
    )  # fmt: skip
    events, _ = pseudonymise(batch(given, event()), KEY)
    assert events.schema.equals(event_schema(PRESENT))
    event_row, other = events.to_pylist()
    assert "raw" not in str(event_row).lower()
    assert event_row["previous_key"] == sign("cookie:raw-cookie", 32)
    assert event_row["actor_id"] == sign("actor_id\x1fAgent Raw", 16)
    assert event_row["info"][0]["value_hmac"] == sign("mail\x1fida@raw.dk", 16)
    assert event_row["claims"][0]["value_hmac"] == sign("price\x1fraw 12", 16)
    assert (other["previous_key"], other["actor_id"], other["info"]) == (None, None, None)


def test_lists_keep_their_shape_in_a_slice() -> None:
    rows = [
        event(id="0", info=[{"field": "a", "op": "given", "value_hmac": "x"}]),
        event(id="1", info=[]),
        event(id="2"),
        event(id="3", info=[
            {"field": "a", "op": "given", "value_hmac": None},
            {"field": None, "op": "given", "value_hmac": "x"},
            {"field": "b", "op": "asked", "value_hmac": "x"}]),
    ]  # fmt: skip
    events, _ = pseudonymise(batch(*rows).slice(1), KEY)
    info = events.column("info").to_pylist()
    assert info[:2] == [[], None]
    assert [item["value_hmac"] for item in info[2]] == [None, None, sign("b\x1fx", 16)]


@pytest.mark.parametrize(
    ("listed", "identity", "refused"),
    [
        ("undefined", "undefined", True), ("undefined", " UNDEFINED ", True),
        ("undefined", "undefined1", False), ("cookie:opt-out", "opt-out", False),
        ("customer:opt-out", "opt-out", True), ("", " ", True), ("urn:x", "urn:x", True),
    ],
)  # fmt: skip
def test_non_persons(listed: str, identity: str, refused: bool) -> None:
    events, rejects = pseudonymise(batch(event(identity=identity), event()), KEY, (listed,))
    assert events.num_rows == (1 if refused else 2)
    assert rejects.column("reason").to_pylist() == ["non_person"] * refused


def test_as_many_topics_as_values_need_no_table_of_all_pairs() -> None:
    claims = [{"topic": f"order {n}", "value_hmac": f"{n}", "valid_to": None} for n in range(3000)]
    given = batch(*(event(claims=[claim]) for claim in claims))
    tracemalloc.start()
    events, _ = pseudonymise(given, KEY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000  # a table of all pairs takes 81 million bytes
    signatures = [
        claims_of_row[0]["value_hmac"] for claims_of_row in events.column("claims").to_pylist()
    ]
    assert signatures == [sign(f"order {n}\x1f{n}", 16) for n in range(3000)]


def test_ids_made_of_raw_rows_are_hashed_under_the_key() -> None:
    """A plain hash of a row tells its identity to whoever can guess the rest of it."""
    raw_batch = batch(event(id="0123456789abcdef"))
    marked = raw_batch.replace_schema_metadata({rejects.ROW_IDS: b""})
    events, _ = pseudonymise(marked, KEY)
    assert events.column("id").to_pylist() == [sign("id\x1f0123456789abcdef", 16)]
    plain, _ = pseudonymise(raw_batch, KEY)
    assert plain.column("id").to_pylist() == ["0123456789abcdef"]


def test_no_rows() -> None:
    events, refused = pseudonymise(batch(event()).slice(1), KEY, ("undefined",))
    assert (events.num_rows, refused.num_rows) == (0, 0)
    assert events.schema.equals(event_schema(PRESENT))


def test_memory_of_the_signer_changes_nothing() -> None:
    signer = Signer(KEY)
    many = [b"%d" % n for n in range(CACHE_SIZE + 10)]
    first = signer.cached_digests(many, b"customer:")
    assert signer.digests(many, b"customer:") == first
    assert signer.cached_digests([*many[:5], b"new"], b"customer:")[:160] == first[:160]
    assert signer.cached_digests(many[:1], b"cookie:") == hmac.digest(KEY, b"cookie:0", "sha256")
    assert signer.digests([b"customer:0"]) == first[:32]


@pytest.mark.parametrize("size", [16, 64, 65, 200])
def test_keys_of_any_length(size: int) -> None:
    assert Signer(b"k" * size).digests([b"x"]) == hmac.digest(b"k" * size, b"x", "sha256")
