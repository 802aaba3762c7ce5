"""What looks personal is mapped by nobody but its owner; ordinary columns are kept."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rejse.pipelines.onboarding.column_profile import profiles
from rejse.pipelines.onboarding.personal_columns import reason
from rejse.pipelines.onboarding.sample import _rows, sample
from rejse.pipelines.onboarding.scaffold import init

N = 40
WORDS = ("late", "parcel", "again", "nobody", "called", "invoice", "wrong", "driver", "broken")


def prose(n: int) -> str:
    return f"the {WORDS[n % 9]} was {WORDS[n // 9 % 9]} and {WORDS[(n + 4) % 9]} no {n}"


#: Name of a column and what it holds, by the number of the row: each is personal by its name, its
#: values or both, in one of five languages.
PERSONAL: tuple[tuple[str, Any], ...] = (
    ("comment", lambda n: "ok"), ("Kommentar", lambda n: "fint"), ("bemærkning", lambda n: "x"),
    ("Beskrivelse", prose), ("fritekst", prose), ("treść", prose), ("uwagi", lambda n: "brak"),
    ("observaciones", lambda n: "nada"), ("Bemerkung", lambda n: "gut"), ("note_text", prose),
    ("messageBody", prose), ("ticket.subject", lambda n: "s"), ("tweet", prose),
    ("searchQuery", lambda n: f"red shoes {n}"), ("col7", prose),
    ("f_12", lambda n: f"{prose(n)}.\nBye"),
    ("email", lambda n: f"a{n}@x.dk"), ("contact", lambda n: f"A{n}@Example.org"),
    ("via", lambda n: f"mailto:jens.{n}@firma.dk"), ("correo", lambda n: "yes please"),
    ("phone", lambda n: 4512340000 + n), ("Telefonnummer", lambda n: f"{n:02d}345678"),
    ("ANI", lambda n: f"45123400{n:02d}"), ("col8", lambda n: f"+45 12 34 56 {n:02d}"),
    ("col9", lambda n: f"12 34 56 {n:02d}"), ("mobil_nr", lambda n: f"123456{n:02d}"),
    ("firstName", lambda n: "Zyx"), ("efternavn", lambda n: "Q"), ("Kundenname", lambda n: "Q"),
    ("apellidos", lambda n: "Q"), ("imię", lambda n: "Q"), ("customer_name", lambda n: "Q"),
    ("navn", lambda n: ("Mette Hansen", "Jens Holm")[n % 2]),
    ("who_was_it", lambda n: ("Anna Kowalska", "José Pérez Gil")[n % 2]),
    ("handler", lambda n: ("Hr. Quux", "Fru Quuz")[n % 2]), ("created_by", lambda n: f"u{n}"),
    ("ip", lambda n: f"10.0.0.{n}"), ("col10", lambda n: f"192.168.7.{n}"),
    ("col11", lambda n: f"2001:db8::{n:x}"),
    ("user_agent", lambda n: "curl"), ("col12", lambda n: f"Mozilla/5.0 (X11; Linux) Firefox/{n}"),
    ("landing", lambda n: f"https://x.dk/a?mail=q{n}"), ("ref", lambda n: f"/search?q=divorce+{n}"),
    ("access_token", lambda n: f"t{n}"), ("password", lambda n: "x"),
    ("col13", lambda n: f"eyJhbGciOiJIUzI1{n}.eyJzdWIiOiIx.abc"),
    ("sess", lambda n: f"a{n}B9c8D7e6F5g4H3i2J1k0L9m8"),
    ("gender", lambda n: "MF"[n % 2]), ("Diagnose", lambda n: f"J{n % 4}"),
    ("annual_income", lambda n: 200_000 + n), ("nationalitet", lambda n: ("DK", "SE")[n % 2]),
    ("passnr", lambda n: f"20{n:07d}"), ("col35", lambda n: f"@quux{n}"),
    ("col36", lambda n: f"https://www.facebook.com/quux.{n}"),
    ("col37", lambda n: f"https://dk.linkedin.com/in/quux-{n}"),
    ("latitude", lambda n: 55.6 + n), ("længdegrad", lambda n: 12.5),
    ("col14", lambda n: f"55.67{n:03d}, 12.56789"),
    ("birth_date", lambda n: f"19{50 + n}-01-02"), ("fødselsdato", lambda n: f"19{50 + n}-01-02"),
    ("Geburtsdatum", lambda n: "x"),
    ("fecha_nacimiento", lambda n: "x"), ("data_urodzenia", lambda n: "x"),
    ("dob", lambda n: f"02/01/19{50 + n}"),
    ("cpr", lambda n: f"01019012{n:02d}"), ("col15", lambda n: f"010190-12{n:02d}"),
    ("pesel", lambda n: f"440514013{n:02d}"),
    ("col16", lambda n: "44051401359"), ("DNI", lambda n: "12345678Z"),
    ("nummerplade", lambda n: f"AB123{n:02d}"),
    ("iban", lambda n: "x"), ("col17", lambda n: "DK5000400440116243"),
    ("col18", lambda n: "GB29 NWBK 6016 1331 9268 19"),
    ("kortnummer", lambda n: f"{n}"), ("col19", lambda n: "4111111111111111"),
    ("address", lambda n: "x"), ("Straße", lambda n: "x"), ("ulica", lambda n: "x"),
    ("dirección", lambda n: "x"),
    ("postnr", lambda n: 2100 + n), ("zip_code", lambda n: 10000 + n), ("city", lambda n: "Aarhus"),
    ("col20", lambda n: f"Nørrebrogade {n}, 2200 København"),
    ("col21", lambda n: f"{n} Baker Street"),
    ("visitor_id", lambda n: f"v{n}"), ("user_pseudo_id", lambda n: f"{n}.{n}"),
    ("Kundenummer", lambda n: f"{n}"),
    ("device_id", lambda n: f"d{n}"), ("col22", lambda n: f"C{1000 + n % 8}"),
    ("payload", lambda n: json.dumps({"k": n})), ("given", lambda n: f"plate=AB{n};phone=12"),
    ("always_empty", lambda n: ""),
)  # fmt: skip
#: Columns that every log has and whose loss would be felt.
ORDINARY: tuple[tuple[str, Any], ...] = (
    ("state_before", lambda n: ("open", "pending", "solved")[n % 3]), ("priority", lambda n: n % 4),
    ("severity", lambda n: ("1 - Critical", "2 - High", "3 - Moderate")[n % 3]),
    ("subcategory", lambda n: ("Question about my invoice", "Delivery is late")[n % 2]),
    ("article", lambda n: ("Home Insurance Plus", "Car Insurance", "Travel Basic")[n % 3]),
    ("product_description", lambda n: ("A warm coat of wool for cold days", "Two shoes")[n % 2]),
    ("amount", lambda n: 12.5 + n), ("total_price", lambda n: f"{n},50"),
    ("currency_code", lambda n: "DKK"),
    ("order_no", lambda n: f"O-2025-{1000 + n}"), ("order_id", lambda n: 100000 + n),
    ("basket_uuid", lambda n: f"018d3c5e-7b1a-7c2d-9e3f-{n:012x}"),
    ("invoice_number", lambda n: f"{20250000 + n}"), ("parcel_no", lambda n: f"0037{n:010d}"),
    ("created_on", lambda n: f"2025-03-{n % 28 + 1:02d} 10:00:00"),
    ("opened", lambda n: f"{n % 28 + 1}/3/2025 09:10"),
    ("said_at", lambda n: f"Mon, {n % 28 + 1:02d} Mar 2025 09:04:11"),
    ("due", lambda n: f"{n % 28 + 1} March 2025 10:00"),
    ("queue_time", lambda n: f"00:00:{n:02d}"), ("message_type", lambda n: "reply"),
    ("message_ref", lambda n: f"m{n}"), ("comment_count", lambda n: n),
    ("email_opened", lambda n: "clicked"),
    ("has_phone", lambda n: "maybe"), ("phone_type", lambda n: "mobile"),
    ("device_category", lambda n: "mobile"), ("mobile", lambda n: ("true", "false")[n % 2]),
    ("country", lambda n: "Denmark"), ("region", lambda n: "Sjælland"),
    ("os", lambda n: ("iOS", "Android 14")[n % 2]), ("app_version", lambda n: f"2.1.0.{n % 9}"),
    ("campaign_name", lambda n: ("Spring sale", "New members")[n % 2]),
    ("event_label", lambda n: ("Add to cart", "Buy now")[n % 2]),
    ("page_title", lambda n: ("Our shop", "Your basket")[n % 2]),
    ("landing_page", lambda n: f"https://x.dk/products/{n % 5}"),
    ("segment", lambda n: ("gold", "silver")[n % 2]), ("plan", lambda n: "Premium"),
    ("reassignment_count", lambda n: n % 7), ("made_sla", lambda n: ("true", "false")[n % 2]),
    ("group_no", lambda n: n % 5), ("desk", lambda n: ("Claims North", "Billing")[n % 2]),
    ("retries", lambda n: n % 2), ("file_name", lambda n: f"scan{n % 3}.pdf"),
    ("weight_kg", lambda n: 1.5 * n), ("store_no", lambda n: f"S{n % 9}"),
    ("close_code", lambda n: ("Solved (Permanently)", "Not Solved")[n % 2]),
    ("came_from", lambda n: ("https://www.facebook.com/", "https://x.com/")[n % 2]),
    ("customer_segment", lambda n: "B2B"), ("ip_blocked", lambda n: "partly"),
    ("address_changed", lambda n: "maybe"),
)  # fmt: skip


def str_only(value: Any) -> str:
    return value if isinstance(value, str) else ""


def log(folder: Path, columns: Sequence[tuple[str, Any]]) -> Path:
    """A log of 40 events of eight customers with further columns."""
    path = folder / "log.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(["event_no", "customer_id", "time", "activity", "channel", *dict(columns)])
        for n in range(N):
            row = [n, f"C{1000 + n % 8}", f"2025-03-03 10:00:{n:02d}", f"a{n % 3}", "web"]
            table.writerow([*row, *(of(n) for _, of in columns)])
    return path


def kept(folder: Path, path: Path) -> tuple[dict[str, str], str]:
    """Attributes of the first row under the mapping that `init` writes, and its text."""
    init([path], folder)
    text = (folder / f"{path.stem}.sql").read_text(encoding="utf-8")
    return dict(rows(text, sample(path).table)[0].get("attrs") or []), text


def rows(select: str, table: pa.Table) -> list[dict[str, Any]]:
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        con.register("source", table)
        mapped: list[dict[str, Any]] = con.sql(select).to_arrow_table().to_pylist()
        return mapped


def test_each_name_is_tried_once() -> None:
    names = [name for name, _ in (*PERSONAL, *ORDINARY)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("name", "of"), PERSONAL, ids=str_only)
def test_what_looks_personal_is_left_out(tmp_path: Path, name: str, of: Any) -> None:
    attrs, text = kept(tmp_path / "out", log(tmp_path, [(name, of)]))
    assert attrs == {}
    assert f"-- '{name}': " in text and "left out, " in text


def test_ordinary_columns_are_kept(tmp_path: Path) -> None:
    attrs, text = kept(tmp_path / "out", log(tmp_path, ORDINARY))
    mapped = text[: text.index("map {")]
    lost = [
        name
        for name, _ in ORDINARY
        if name not in attrs and not re.search(rf"guessed from .*\b{name}$", mapped, re.M)
    ]
    assert lost == [], text


def test_a_line_without_its_dashes_is_kept_again(tmp_path: Path) -> None:
    path = log(tmp_path, PERSONAL)
    attrs, text = kept(tmp_path / "out", path)
    assert attrs == {}
    again = "\n".join(
        line.replace("-- '", "'", 1) if "  -- left out, " in line else line
        for line in text.splitlines()
    )
    assert list(dict(rows(again, sample(path).table)[1]["attrs"])) == list(dict(PERSONAL))


def contract_log(folder: Path, name: str, of: Any) -> str:
    """Mapping of a log whose column of a name that the contract knows holds something."""
    path = folder / "log.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(["customer_id", "time", name])
        for n in range(N):
            table.writerow([f"C{1000 + n % 8}", f"2025-03-03 10:00:{n:02d}", of(n)])
    init([path], folder / "out")
    return (folder / "out" / "log.sql").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("activity", prose), ("event", lambda n: f"mail from a{n % 3}@x.dk"),
        ("status", lambda n: f"{prose(n % 7)} {prose(n)}"),
        ("owner", lambda n: ("Mette Hansen", "Jens Holm")[n % 2]),
        ("group", lambda n: f"jens{n % 3}@firma.dk"),
        ("topic", prose), ("reason", lambda n: f"{WORDS[n % 9]} at jens@firma.dk"),
        ("outcome_x", prose),
        ("page", lambda n: f"/reset/a{n}@x.dk?token=1"),
        ("screen", lambda n: f"+45 12 34 56 {n:02d}"),
        ("session_id", lambda n: f"eyJhbGciOiJIUzI1{n}.eyJzdWIiOiIx.abc"),
        ("case_id", lambda n: f"a{n}@x.dk"),
        ("error", lambda n: f"user a{n}@x.dk not found"),
        ("campaign", lambda n: f"https://x.dk/?mail=a{n}"),
        ("site", lambda n: f"Nørrebrogade {n}, 2200 København"),
        ("product", lambda n: json.dumps({"k": n})),
        ("id", lambda n: f"a{n}@x.dk"), ("source", lambda n: f"10.0.0.{n % 9}"),
        ("language", lambda n: ("Anna Holm", "Jens Holm")[n % 2]),
    ],
    ids=str_only,
)  # fmt: skip
def test_nothing_personal_becomes_a_column_of_the_contract(
    tmp_path: Path, name: str, of: Any
) -> None:
    text = contract_log(tmp_path, name, of)
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    assert not any(re.search(rf"\b{name}\b.* as (?!attrs)", line) for line in lines), text
    assert f"-- '{name}': " in text
    assert not (tmp_path / "out" / "touchpoints.csv").read_text().count("@")


def test_agents_are_hashed_and_texts_of_answers_kept_apart(tmp_path: Path) -> None:
    text = contract_log(tmp_path, "agent", lambda n: ("Mette Hansen", "Jens Holm")[n % 2])
    assert "agent as actor_id" in text


def test_what_is_asked_of_a_page_is_cut_off(tmp_path: Path) -> None:
    text = contract_log(tmp_path, "url", lambda n: f"https://x.dk/p{n % 3}?mail=a{n}@x.dk#top")
    assert "regexp_replace(url, '[?#].*$', '') as touchpoint" in text
    (path,) = tmp_path.glob("log.csv")
    mapped = rows(text.replace("-- MISSING", "--"), sample(path).table)
    assert {row["touchpoint"] for row in mapped} == {f"https://x.dk/p{n}" for n in range(3)}


def test_customers_known_by_mail_are_of_that_type(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,time,activity\nAnn@x.dk,2025-01-01,a\n")
    init([tmp_path / "log.csv"], tmp_path / "out")
    assert "'email' as identitytype" in (tmp_path / "out" / "log.sql").read_text()


def test_one_address_among_thousands_of_rows_is_enough(tmp_path: Path) -> None:
    lines = [f"{n},C{n % 99},2025-03-03 10:00:00,a,{('one', 'two')[n % 2]}" for n in range(9001)]
    lines[4567] = "4567,C1,2025-03-03 10:00:00,a,ann@example.org"
    (tmp_path / "log.csv").write_text("\n".join(["no,customer,time,event,kind", *lines]) + "\n")
    attrs, text = kept(tmp_path / "out", tmp_path / "log.csv")
    assert list(attrs) == ["no"] and "-- 'kind': kind,  -- left out, a mail address" in text


DEEP = [
    {
        "customer_id": f"C{n}", "time": "2025-03-03T10:00:00Z", "event": "view",
        "device": {"category": "mobile", "os": "ios"},
        "geo": {"country": "Denmark", "pos": {"lat": 55.6, "lon": 12.5}, "zone": {"n": 3}},
        "params": [
            {"key": "page", "value": {"text": "home", "number": None}},
            {"key": "query", "value": {"text": f"red shoes {n}", "number": None}},
            {"key": "score", "value": {"text": None, "number": 3}},
        ],
        "people": [{"role": "caller", "name": "Mette Hansen"}],
        "tags": ["a", "b"], "extra": {}, "later": [],
    }
    for n in range(12)
]  # fmt: skip


def test_nested_columns_are_walked(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in DEEP))
    attrs, text = kept(tmp_path / "out", path)
    assert set(attrs) == {"device", "geo.country", "geo.zone", "params", "tags"}
    assert json.loads(attrs["geo.zone"]) == {"n": 3}
    assert [row["key"] for row in json.loads(attrs["params"])] == ["page", "score"]
    for name in ("geo", "people", "extra", "later"):
        assert f"-- '{name}': " in text
    assert "pos.lat: a position on the map by its name" in text


def test_what_comes_later_does_not_slip_in(tmp_path: Path) -> None:
    """Columns, keys, and fields that the sample did not have, and types that were open in it."""
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in DEEP))
    _, text = kept(tmp_path / "out", path)
    schema = sample(path).schema
    secret = "mette.hansen@example.org"
    new = {
        **DEEP[0], "comment": secret, "extra": {"k": secret}, "later": [secret],
        "device": {"category": "mobile", "os": "ios", "owner": secret},
        "geo": {"country": "Denmark", "pos": None, "zone": {"n": 4, "text": secret}},
        "params": [{"key": "mail", "value": {"text": secret, "number": None}}],
    }  # fmt: skip
    path.write_text(json.dumps(new) + "\n")
    (row,) = rows(text, _rows(path, schema, 9))
    assert secret not in str(row)
    assert row["attrs"] and dict(row["attrs"])["geo.country"] == "Denmark"


def test_maps_keep_the_keys_that_were_seen(tmp_path: Path) -> None:
    kind = pa.map_(pa.string(), pa.string())
    pairs = [[("plan", "gold"), ("email", "a@x.dk"), ("b@x.dk", "1")]] * 9
    table = {
        "customer_id": [f"C{n}" for n in range(9)],
        "time": ["2025-03-03 10:00:00"] * 9,
        "event": ["a"] * 9,
        "traits": pa.array(pairs, kind),
    }
    pq.write_table(pa.table(table), tmp_path / "log.parquet")
    attrs, text = kept(tmp_path / "out", tmp_path / "log.parquet")
    assert json.loads(attrs["traits"]) == {"plan": "gold"}
    assert "a mail address" in text and "b@x.dk" not in text


def test_what_may_be_the_identity_is_not_kept_in_clear(tmp_path: Path) -> None:
    """Also not once the line that makes it the identity is taken in."""
    path = tmp_path / "log.csv"
    path.write_text(
        "whom,doing,day,desk\n"
        + "".join(
            f"K{100 + n % 8},{('called', 'wrote')[n % 2]},2025-01-{n % 28 + 1:02},desk\n"
            for n in range(N)
        )
    )
    attrs, text = kept(tmp_path / "out", path)
    assert attrs == {"desk": "desk"}
    text = text.replace("-- whom as identity,", "whom as identity,")
    row = rows(text, sample(path).table)[0]
    assert row["identity"] == "K100" and "K100" not in dict(row["attrs"]).values()


def test_whole_lines_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"customer": "c1", "event": "a", "time": "2025-01-01", "_line": "x"}\n')
    attrs, text = kept(tmp_path / "out", path)
    assert attrs == {} and "-- '_line': " in text


def test_reasons_name_no_value(tmp_path: Path) -> None:
    """A mapping goes into version control."""
    _, text = kept(tmp_path / "out", log(tmp_path, PERSONAL))
    for raw in ("Mette", "Jens", "4512340000", "10.0.0", "440514", "DK50", "x.dk"):
        assert raw not in text


def test_columns_of_no_rows_and_of_numbers_have_reasons_too() -> None:
    table = pa.table({"a": pa.array([None, None], pa.string()), "b": pa.array([b"x", b"y"])})
    assert [reason(profile) is None for profile in profiles(table)] == [False, False]
