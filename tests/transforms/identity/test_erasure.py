"""Tombstones: which rows and rejects are of an erased identity, and which are not."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rejse.pipelines.store import staging
from rejse.transforms.identity import erasure
from rejse.transforms.identity.erasure import Erased
from rejse.transforms.identity.pseudonyms import signer
from rejse.transforms.ingest import rejects
from tests.support.contract_events import batch, event, sign
from tests.support.edge import KEY

SIGN = signer(KEY)
WHO = "Zoë O'Quixote, 7"


def erased(*people: tuple[str, str]) -> Erased:
    stones = frozenset(erasure.tombstone(SIGN, kind, name) for kind, name in people)
    return Erased(stones, tuple(sorted({kind for kind, _ in people})))


def test_a_tombstone_is_the_agreed_hash_and_no_customers_key() -> None:
    assert erasure.tombstone(SIGN, "customer", WHO) == sign(f"erased\x1fcustomer:{WHO}", 32)
    assert erasure.tombstone(SIGN, "customer", WHO) != sign(f"customer:{WHO}", 32)


PEOPLE = st.tuples(st.sampled_from(["customer", "cookie"]), st.sampled_from(["a", "b", "a b"]))


@given(st.lists(PEOPLE, min_size=1), st.sets(PEOPLE))
def test_rows_of_erased_identities_are_split_off(
    people: list[tuple[str, str]], erased_people: set[tuple[str, str]]
) -> None:
    rows = [event(id=str(n), identitytype=k, identity=i) for n, (k, i) in enumerate(people)]
    kept, others = erased(*erased_people).split(batch(*rows), SIGN)
    for rows_left, is_gone in ((kept, False), (others, True)):
        assert rows_left.column("id").to_pylist() == [
            str(n) for n, person in enumerate(people) if (person in erased_people) is is_gone
        ]


def test_a_link_of_somebody_else_is_blanked_and_nothing_but_it() -> None:
    linked = event(id="1", previousidentity="mine", previousidentitytype="cookie", actor_id="x")
    other = event(id="2", previousidentity="other", previousidentitytype="cookie")
    rows = batch(linked, other, event(id="3")).replace_schema_metadata({rejects.SOURCE: b"crm"})
    kept, removed = erased(("cookie", "mine")).split(rows, SIGN)
    assert removed.num_rows == 0
    blank = {"previousidentity": None, "previousidentitytype": None}
    assert kept.to_pylist() == [{**rows.to_pylist()[0], **blank}, *rows.to_pylist()[1:]]
    assert kept.schema.equals(rows.schema, check_metadata=True)


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps({"identity": WHO}), json.dumps({"a": [{"b": {"c": f" {WHO} "}}]}),
        json.dumps({"identity": WHO}, ensure_ascii=False), f'1;"{WHO}";web'.replace(",", " -"),
        json.dumps({"identity": WHO.upper()})[:-1], f"a\t{WHO}\tb",
    ],
)  # fmt: skip
def test_the_search_in_quarantine_knows_an_identity_in_many_forms(payload: str) -> None:
    wanted = WHO.replace(",", " -") if " -" in payload else WHO
    assert erasure.identity_matcher("customer", wanted)(payload)
    assert not erasure.identity_matcher("customer", wanted)(payload.replace("7", "77"))
    assert not erasure.identity_matcher("customer", "uixote")(payload)


def is_mentioned(payload: str | None, tombstones: Erased) -> bool:
    refused = rejects.refuse("crm", ["a:1"], "not_json", "", [payload])
    (mentioned,) = tombstones.rejects_mentioning(refused, SIGN).tolist()
    return bool(mentioned)


@pytest.mark.parametrize("identity", ["C-17", "zoë@example.test", "+45 12 34", WHO, "😀1"])
def test_a_reject_that_holds_an_erased_identity_is_told(identity: str) -> None:
    tombstones = erased(("customer", identity), ("cookie", "k"))
    for payload in (
        json.dumps({"id": 1, "person": identity}),
        json.dumps({"id": 1, "person": {"name": [identity]}}),
        json.dumps({"id": 1, "person": identity}, ensure_ascii=False),
    ):
        assert is_mentioned(payload, tombstones)
        assert not is_mentioned(payload.replace(identity[-1], identity[-1] + "x"), tombstones)
    if "," not in identity:
        assert is_mentioned(f'1,2026-01-01,"{identity}",web', tombstones)
    assert not is_mentioned(None, tombstones)
    assert not is_mentioned(f'{{"person": "{identity}"}}', Erased())


def test_a_number_is_an_identity_too_and_any_case_counts() -> None:
    assert is_mentioned('{"person": 17}', erased(("customer", "17")))
    assert not is_mentioned('{"person": 117}', erased(("customer", "17")))
    assert is_mentioned('{"person": "ZOE@X.TEST", "broken', erased(("customer", "zoe@x.test")))


def test_files_hold_no_value_that_no_row_has(tmp_path: Path) -> None:
    """Broken once on purpose: without `without_spares` all three keys are in the file."""
    keys = ["a" * 32, "b" * 32, "c" * 32]
    rows = pa.table({"customer_key": pa.array([*keys, None, keys[1]]).dictionary_encode()})
    for wanted in ([keys[1]], [keys[0], keys[2]], [], keys):
        chosen = pc.is_in(rows["customer_key"].cast("string"), pa.array(wanted, pa.string()))
        some = rows.filter(pc.or_(chosen, pc.is_null(rows["customer_key"])))
        file = staging.write(tmp_path, "sessions", some)
        assert file is not None
        back = pq.ParquetFile(tmp_path / file.path).read()
        assert sorted(map(str, back.to_pylist())) == sorted(map(str, some.to_pylist()))
        assert back["customer_key"].chunk(0).dictionary.to_pylist() == wanted
        raw = (tmp_path / file.path).read_bytes()
        assert not any(key.encode() in raw for key in keys if key not in wanted)


def test_dictionaries_of_many_chunks_are_cut_alike(tmp_path: Path) -> None:
    parts = [pa.array(values).dictionary_encode() for values in (["x", "y", "z"], ["w", None, "x"])]
    rows = pa.table({"channel": pa.chunked_array(parts)}).unify_dictionaries()
    some = rows.filter(pa.array([True, False, False, False, True, True]))
    file = staging.write(tmp_path, "sessions", some)
    assert file is not None
    back = pq.ParquetFile(tmp_path / file.path).read()["channel"]
    assert (back.to_pylist(), back.chunk(0).dictionary.to_pylist()) == (["x", None, "x"], ["x"])
