"""One spelling of an identity: whole numbers, mail addresses, and nothing else."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rejse.pipelines.config.settings import Settings, load
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.maintenance.erase import forget
from rejse.pipelines.onboarding.scaffold import init
from rejse.pipelines.publication.catalogue import connect
from rejse.transforms.identity import erasure
from rejse.transforms.identity.link_table import FILE, pseudonymous
from rejse.transforms.identity.pseudonyms import Signer, customer_key, customer_keys, pseudonymise
from rejse.transforms.ingest.identity_spelling import canonical, canonical_name, spellings
from rejse.transforms.ingest.mapping import SourceMapping
from rejse.transforms.ingest.normalise import normalise
from tests.support.contract_events import batch, event
from tests.support.edge import KEY, PLAIN, RAW, raw, row

SIGN = Signer(KEY)
WHOLE = [
    ("1042", "1042"), ("1042.0", "1042"), ("1042.00", "1042"), ("-7.0", "-7"), ("-0.0", "0"),
    ("8.676220978733876e+18", "8676220978733876224"), ("1e+16", "10000000000000000"),
    ("00123", "00123"), ("00123.0", "00123"), ("1042.5", "1042.5"), ("1.23E+15", "1.23E+15"),
    ("1e5", "1e5"), ("1.", "1."), (".0", ".0"), ("inf", "inf"), ("nan", "nan"), ("", ""),
    ("v1.0", "v1.0"), ("1.0.0", "1.0.0"), ("1_0.0", "1_0.0"), ("٣.٠", "٣.٠"),
    ("1e+400", "1e+400"), (" 7.0", " 7.0"),
]  # fmt: skip
MAILS = ["ann@example.org", "Ann@example.org", " ann@example.org ", "ANN@EXAMPLE.ORG\t"]


@pytest.mark.parametrize(("given", "wanted"), WHOLE)
@pytest.mark.parametrize("kind", ["customer", "account", "phone", "cookie"])
def test_whole_numbers_have_one_text(kind: str, given: str, wanted: str) -> None:
    assert canonical_name(kind, given) == wanted


@given(st.integers(-(2**110), 2**110))
def test_a_float_column_and_a_column_of_texts_name_the_same_person(number: int) -> None:
    exact = int(float(number))
    assert canonical_name("customer", repr(float(exact))) == str(exact)
    assert canonical_name("customer", str(exact)) == str(exact)


@pytest.mark.parametrize("given", MAILS)
def test_a_mail_address_is_trimmed_and_folded_other_types_are_not(given: str) -> None:
    assert canonical_name("email", given) == MAILS[0]
    assert canonical_name("customer", given) == given


def test_blanks_alone_are_not_folded_into_one() -> None:
    assert canonical_name("email", "  ") == "  "


@given(st.data())
def test_rows_are_spelled_one_by_one_and_twice_is_once(data: st.DataObject) -> None:
    some = st.one_of(
        st.sampled_from([*MAILS, *(spelling for spelling, _ in WHOLE)]), st.text(), st.none()
    )
    kinds = st.sampled_from(["email", "customer", "case", None])
    rows = data.draw(st.lists(st.tuples(kinds, some), min_size=1))
    kind, name = (pa.array([row[i] for row in rows], pa.string()) for i in (0, 1))
    spelled = canonical(kind, name)
    assert spelled.to_pylist() == [
        None if n is None else canonical_name(k or "customer", n) for k, n in rows
    ]
    assert len(spelled.dictionary.unique()) == len(spelled.dictionary)
    assert canonical(kind, spelled).to_pylist() == spelled.to_pylist()
    keys, _ = customer_keys(kind, name, SIGN)
    assert keys.to_pylist() == [
        None if k is None or n is None else customer_key(k, n, SIGN) for k, n in rows
    ]


def test_events_links_and_tombstones_have_one_person() -> None:
    rows = [event(identity=spelling, identitytype="email") for spelling in MAILS]
    rows += [event(previousidentity=spelling, previousidentitytype="email") for spelling in MAILS]
    events, _ = pseudonymise(batch(*rows), KEY)
    (mail,) = set(events.column("customer_key").to_pylist()[:4])
    assert set(events.column("previous_key").to_pylist()[4:]) == {mail}
    assert customer_key("email", MAILS[3], SIGN) == mail
    owned = [
        {
            "previousidentity": spelling,
            "previousidentitytype": "email",
            "identity": number,
            "identitytype": "customer",
        }
        for spelling, number in zip(MAILS, ("7.0", "7", "8", "7"), strict=True)
    ]
    links = pseudonymous(pa.Table.from_pylist(owned, schema=FILE.schema), KEY)
    assert set(links.column("previous_key").to_pylist()) == {mail}
    assert len(set(links.column("identity_key").to_pylist())) == 2
    assert sorted(links.column("precedence").to_pylist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("given", MAILS)
def test_whoever_is_erased_in_one_spelling_is_in_all(given: str) -> None:
    stone = erasure.tombstone(SIGN, "email", given)
    tombstones = erasure.Erased(frozenset([stone]), ("email",))
    rows = batch(
        *(event(identity=spelling, identitytype="email") for spelling in [*MAILS, "bob@x.dk"])
    )
    assert tombstones.rows(rows, SIGN).tolist() == [True] * 4 + [False]
    naming = erasure.identity_matcher("email", given)
    assert all(naming(f'{{"who": "{spelling}"}}') for spelling in MAILS)


def test_a_tombstone_of_an_earlier_version_stands() -> None:
    """It was made of the address as it was spelled."""
    old = SIGN.digests([b"email:Ann@example.org"], erasure.PREFIX).hex()[:32]
    tombstones = erasure.Erased(frozenset([old]), ("email",))
    rows = batch(*(event(identity=spelling, identitytype="email") for spelling in MAILS))
    assert tombstones.rows(rows, SIGN).tolist() == [False, True, False, False]


def test_payloads_are_searched_for_numbers_as_floats_write_them() -> None:
    for spelling in ("1042", "1042.0"):
        naming = erasure.identity_matcher("customer", spelling)
        assert naming('{"id": 1042.0}') and naming("x,1042,y") and not naming("10420")
    assert "8.676220978733876e+18" in spellings("customer", "8676220978733876224")
    assert erasure.words("1042.0,b") >= {"1042", "1042.0"}


def test_nobody_is_nobody_as_a_float_too() -> None:
    rows = batch(event(identity="0.0"), event(identity="-1.0"), event(identity="10.0"))
    events, refused = pseudonymise(rows, KEY, ("0", "-1"))
    assert (events.num_rows, refused.num_rows) == (1, 2)


@pytest.mark.parametrize(
    ("kind", "number", "wanted"),
    [
        (pa.float64(), 1042.0, "1042"), (pa.float64(), 0.5, "0.5"),
        (pa.float64(), 2.0**63, "9223372036854775808"), (pa.float64(), 1e300, "1e+300"),
        (pa.float64(), float("nan"), "nan"), (pa.float64(), float("inf"), "inf"),
        (pa.float32(), 7.0, "7"), (pa.decimal128(10, 2), Decimal("1042.00"), "1042"),
        (pa.decimal128(38, 0), Decimal(10) ** 37, str(10**37)), (pa.int64(), 1042, "1042"),
        (pa.float64(), None, None),
    ],
)  # fmt: skip
def test_numbers_that_are_mapped_to_texts(kind: pa.DataType, number: Any, wanted: Any) -> None:
    schema = pa.schema([*RAW, ("number", kind)])
    select = PLAIN.replace("channel", "channel, number as case_id, number as intent")
    batch, refused = normalise(
        SourceMapping(select, schema, "crm"), raw([row(1, number=number)], schema)
    )
    assert refused.num_rows == 0
    (event_row,) = batch.to_pylist()
    assert (event_row["case_id"], event_row["intent"]) == (wanted, wanted)


def test_cases_join_however_their_number_is_written() -> None:
    select = PLAIN.replace("channel", "channel, activity as case_id")
    mapping = SourceMapping(select, RAW, "crm")
    batch, _ = normalise(mapping, raw([row(n, activity=a) for n, a in enumerate(("7", "7.0"))]))
    assert batch.column("case_id").to_pylist() == ["7", "7"]


def published(folder: Path, logs: list[Path]) -> tuple[Settings, list[tuple[Any, ...]]]:
    """A first run over logs as `init` maps them, and how many events each customer has."""
    init(logs, folder)
    project = load(folder)
    run(project, RunRequest(complete=True, audit=None))
    with connect(project.store) as con:
        query = "select customer_key, count(*) from events group by 1 order by 2, 1"
        return project, con.execute(query).fetchall()


def test_a_log_of_floats_and_a_log_of_texts_have_the_same_people(tmp_path: Path) -> None:
    numbers = [1042, 2077, 8676220978733876224]
    rows = {
        "event_id": [f"c{n}" for n in range(3)],
        "customer_id": pa.array(map(float, numbers)),
        "time": [f"2025-03-04 10:0{n}:00" for n in range(3)],
        "activity": ["call"] * 3,
        "channel": ["phone"] * 3,
    }
    pq.write_table(pa.table(rows), tmp_path / "crm.parquet")
    web = "".join(f"w{n},{n},2025-03-03 10:00:00,page,web\n" for n in numbers)
    (tmp_path / "web.csv").write_text(f"event_id,customer_id,time,activity,channel\n{web}")
    logs = [tmp_path / "crm.parquet", tmp_path / "web.csv"]
    _, people = published(tmp_path / "mine", logs)
    assert [n for _, n in people] == [2, 2, 2]


@pytest.mark.parametrize("asked", [MAILS[3], "ann@Example.ORG"])
def test_all_of_a_person_with_a_mail_address_is_forgotten(tmp_path: Path, asked: str) -> None:
    log = tmp_path / "mail.csv"
    rows = [
        f"{n},{identity},2025-03-0{n + 1} 10:00:00,form,web\n" for n, identity in enumerate(MAILS)
    ]
    rows.append("9,bob@example.org,2025-03-04 12:30:00,call,web\n")
    log.write_text("event_id,email,time,activity,channel\n" + "".join(rows))
    project, people = published(tmp_path / "mine", [log])
    assert [n for _, n in people] == [1, 4]
    assert forget(project, "email", asked).rows["events"] == 4
    with log.open("a") as more:
        more.write("10,aNN@example.org,2025-03-06 10:00:00,form,web\n")
    done = run(project, RunRequest(complete=True, audit=None))
    assert (done.counts["erased"], done.counts["kept"]) == (5, 0)
