"""Claims that no event delivers, judged by SQL of the user: counted by hand, sealed, published."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rejse.pipelines.config import raw_schema, settings
from rejse.pipelines.config.field_types import SettingsError
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.publication import catalogue, catalogue_build, publish
from rejse.pipelines.store import delta_store
from tests.support import store_builder
from tests.support.store_builder import journey, key_of

KEPT = "select customer_key, promise_id, 'kept' as status from v_promises"
#: Says something of p0 to p3 (open claims), p4 (a delivered claim), p5 (a callback), p9 (none).
FRESH = """
select v.customer_key, v.promise_id, v.status
from (values
    ('{key}', 'p0', 'broken'), ('{key}', 'p1', 'kept'), ('{key}', 'p2', 'kept'),
    ('{key}', 'p4', 'broken'), ('{key}', 'p5', 'broken'), ('{key}', 'p9', 'broken'),
    ('{other}', 'p3', 'broken')
) as v (customer_key, promise_id, status)
inner join v_journeys as j on v.customer_key = j.customer_key or v.promise_id = 'p3'
; -- a comment may follow
""".format(key=key_of(1), other=key_of(2))
SECOND = f"""
select status: 'broken', customer_key: '{key_of(1)}', promise_id: 'p2'
"""


def claims() -> store_builder.Rows:
    """Four open claims, a kept one and an open callback of one customer."""
    rows = journey(1, [{"touchpoint": "shop", "owner": "Shop"}])
    both = {"journey_id": "j0001", "customer_key": key_of(1), "owner": "Shop", "kind": "claim"}
    rows["promises"] = [
        *({**both, "promise_id": f"p{n}", "status": "open"} for n in range(4)),
        {**both, "promise_id": "p4", "status": "kept"},
        {**both, "promise_id": "p5", "status": "open", "kind": "callback"},
    ]
    return rows


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of these claims, to be copied."""
    place = tmp_path_factory.mktemp("claims")
    store_builder.published(place, claims())
    return place


def asked(place: Path, query: str) -> list[tuple[Any, ...]]:
    with catalogue.connect(place) as opened:
        rows: list[tuple[Any, ...]] = opened.execute(query).fetchall()
    return rows


KEPT_OF = "select {} from v_promises_kept where kind = '{}'"
COUNTS = "n_promises, n_kept, n_broken, n_open, n_judged, n_checked"


def test_without_checks_a_claim_stays_open(published: Path) -> None:
    assert asked(published, KEPT_OF.format(COUNTS, "claim")) == [(5, 1, 0, 4, 1, 0)]
    assert asked(published, "from v_promise_checks") == []


def test_open_claims_are_judged_and_nothing_else(tmp_path: Path) -> None:
    """p0 broken, p1 kept, p2 kept by one, broken by the other; p3 is of another customer."""
    checks = {"fresh": FRESH, "second-look": SECOND}
    store_builder.published(tmp_path, claims(), promise_checks=checks)
    assert asked(tmp_path, KEPT_OF.format(COUNTS, "claim")) == [(5, 2, 2, 1, 4, 3)]
    assert asked(tmp_path, KEPT_OF.format(COUNTS, "callback")) == [(1, 0, 0, 1, 0, 0)]
    assert asked(tmp_path, KEPT_OF.format("kept_share", "claim")) == [(0.5,)]
    counted = asked(tmp_path, "select check_name, count(*) from v_promise_checks group by all")
    assert sorted(counted) == [("fresh", 7), ("second-look", 1)]
    statuses = "select promise_id, status from promises where kind = 'claim' order by all"
    assert [row[1] for row in asked(tmp_path, statuses)] == [*["open"] * 4, "kept"]
    bare = "select view_name from duckdb_views() where not internal and coalesce(comment, '') = ''"
    assert asked(tmp_path, bare) == []
    assert "never evidence" in asked(
        tmp_path, "select comment from duckdb_views() where view_name = 'v_promise_checks'"
    )[0][0]  # fmt: skip


def test_a_crashed_publication_keeps_its_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        pass

    def crashing(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patched, pytest.raises(Crash):
        patched.setattr(catalogue, "activate", crashing)
        store_builder.published(tmp_path, claims(), promise_checks={"fresh": FRESH})
    with publish.writing(tmp_path):
        pass
    assert asked(tmp_path, "select distinct check_name from v_promise_checks") == [("fresh",)]
    newest = delta_store.latest(tmp_path)
    assert newest is not None and newest.promise_checks == {"fresh": FRESH}


HOSTILE = {
    "select customer_key, promise_id, status from read_csv('{outside}')": r"came read_csv\(…\)",
    "select customer_key, promise_id, status from '{outside}'": "disabled",
    "select customer_key, promise_id, status"
    " from read_parquet('{store}/promises/*.parquet')": r"came read_parquet\(…\)",
    "select * from query('from read_csv(''{outside}'')')": r"came query\(…\)",
    "attach '{store}/mine.db'": r"came 1 \(attach\)",
    "copy (select 1) to '{store}/mine.csv'": r"came 1 \(copy\)",
    "install httpfs": "came 1",
    "set enable_external_access = true": r"came 1 \(set\)",
    KEPT + "; " + KEPT: r"came 2 \(select, select\)",
    KEPT + "; drop view v_journeys": r"came 2 \(select, drop\)",
    "": "came 0",
    "selekt 1": "one that fails",
    "select * from nowhere": "nowhere does not exist",
    "select customer_key, promise_id from v_promises": "came the columns customer_key, promise_id;",
    KEPT.replace("select", "select kind,"): "came the columns kind, customer_key",
    KEPT.replace("'kept'", "$1"): "came one that fails",
    KEPT.replace("'kept'", "'fine'"): "came status 'fine' in 6",
    KEPT.replace("'kept'", "cast(null as varchar)"): "came status None in 6",
    KEPT.replace("customer_key", "null as customer_key"): "came no customer_key or no promise_id",
    KEPT.replace("'kept'", "cast(cast(promise_id as int) as varchar)"): "Could not convert",
    KEPT + " where made_at < now()": r"promise_checks\.fresh: .* came now, which gives another",
    KEPT + " where made_at < current_timestamp": "came current_timestamp, which",
    KEPT + " where made_at::date < current_date - 30": "came current_date, which",
    KEPT + " where made_at::date < today()": "came today, which",
    KEPT + " where age(made_at) > interval 30 days": "came age, which",
    KEPT + " where random() < 0.5": "came random, which",
    KEPT.replace("'kept'", "if(uuid() < '8', 'kept', 'broken')"): "came uuid, which",
    "with late as (" + KEPT + " where made_at < now()) select * from late": "came now, which",
    KEPT + " where exists (select 1 where random() < 0.5)": "came random, which",
    "select * from (" + KEPT + " using sample 1)": "came sample, which",
    KEPT.replace("v_promises", "v_promises tablesample 50%"): "came sample, which",
    "select * from query('" + KEPT.replace("'kept'", "''kept''") + "')": "came query",
    "select c.customer_key, 'p' as promise_id, 'kept' as status from v_promises_kept as k, "
    "v_promises as c": "recursion",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_an_unlawful_check_publishes_nothing(published: Path, tmp_path: Path, text: str) -> None:
    outside, root = tmp_path / "outside.csv", tmp_path / "store"
    outside.write_text("customer_key,promise_id,status\na,b,kept\n")
    shutil.copytree(published, root)
    before = sorted(path for path in root.glob("*") if "making" not in path.name)
    checks = {"fresh": text.format(outside=outside, store=root)}
    with pytest.raises(SettingsError, match=HOSTILE[text]) as caught:
        store_builder.published(root, claims(), number=2, promise_checks=checks)
    assert str(caught.value).startswith("promise_checks")
    assert sorted(path for path in root.glob("*") if "making" not in path.name) == before
    newest = delta_store.latest(root)
    assert newest is not None and newest.number == catalogue.current(root) == 1


@pytest.mark.parametrize(
    "text",
    [
        KEPT + " where age(due_at, made_at) > interval 30 days",
        KEPT.replace("'kept'", "if(now > 0, 'kept', 'broken')") + " cross join (select 1 as now)",
        KEPT + " where made_at < (select max(made_at) from v_promises)",
    ],
)
def test_what_gives_the_same_at_any_time_is_lawful(tmp_path: Path, text: str) -> None:
    catalogue_build.validate_checks({"fresh": text})
    store_builder.published(tmp_path, claims(), promise_checks={"fresh": text})


def test_a_store_of_an_earlier_version_gets_the_new_column() -> None:
    shape = pa.schema([("number", pa.int64()), ("checks", pa.map_(pa.string(), pa.string()))])
    rows = publish._widened(pa.table({"number": pa.array([1], pa.int32())}), shape)
    assert (rows.schema, rows.to_pylist()) == (shape, [{"number": 1, "checks": None}])


# --- from rejse.toml to the verdict -------------------------------------------------------------

#: So far the source is said to be complete: the journeys are closed and have an outcome.
MONTHS_LATER = {"crm": 1_780_000_000_000_000}
NAMES = ("id", "time", "identity", "activity", "channel", "direction", "outcome", "promise_no")
MAPPING = """
select
    id, cast(time as timestamptz) as time, identity, activity, channel, direction, outcome,
    case when direction = 'outbound' then 'system' else 'customer' end as actor_type,
    case
        when promise_no is not null then struct_pack(
            id := promise_no, kind := 'claim', op := 'made', due_time := null,
            value := 'freshest bananas'
        )
    end as promise
from source
"""
BANANAS = """
select p.customer_key, p.promise_id, 'broken' as status
from v_promises as p
inner join v_journeys as j
    on p.customer_key = j.customer_key and j.started_at > p.made_at and j.outcome = 'unresolved'
where p.kind = 'claim' and p.status = 'open'
"""


def installation(folder: Path, checks: Mapping[str, str]) -> settings.Settings:
    """Two customers are promised the freshest bananas; one of them gets brown ones."""
    events = [
        ("e1", "2026-01-05T09:00:00Z", "C1", "offer", "email", "outbound", None, "P1"),
        ("e2", "2026-01-05T09:00:00Z", "C2", "offer", "email", "outbound", None, "P2"),
        ("e3", "2026-01-07T09:00:00Z", "C1", "complaint", "phone", "inbound", "unresolved", None),
        ("e4", "2026-01-07T09:00:00Z", "C2", "purchase", "web", "inbound", "sold", None),
    ]
    lines = [json.dumps(dict(zip(NAMES, row, strict=True))) for row in events]
    (folder / "crm.jsonl").write_text("\n".join(lines) + "\n")
    raw_schema.write(folder / "raw.json", pa.schema([(name, pa.string()) for name in NAMES]))
    (folder / "map.sql").write_text(MAPPING)
    (folder / "rejse.key").write_text("5ec4e7" * 8)
    for name, text in checks.items():
        (folder / f"{name}.sql").write_text(text)
    (folder / "rejse.toml").write_text(
        "[promise_checks]\n"
        + "".join(f'{name} = "{name}.sql"\n' for name in checks)
        + '[sources.crm]\nfiles = ["*.jsonl"]\nmapping = "map.sql"\nschema = "raw.json"\n'
    )
    return settings.load(folder)


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)


def test_a_claim_of_a_campaign_is_judged_by_what_came_later(tmp_path: Path) -> None:
    project = installation(tmp_path, {"bananas": BANANAS})
    assert (
        run(project, RunRequest(complete=True, complete_until=MONTHS_LATER, audit=None)).status
        == "published"
    )
    counts = asked(project.store, KEPT_OF.format(COUNTS, "claim"))
    assert counts == [(2, 0, 1, 1, 1, 1)]
    judged = asked(project.store, "select check_name, promise_id, status from v_promise_checks")
    statuses = asked(project.store, "select promise_id, status from v_promises order by all")
    assert [row[1] for row in statuses] == ["open", "open"]
    assert [row[::2] for row in judged] == [("bananas", "broken")]
    scores = "select friction_hazard, health_ops from v_journeys order by all"
    with_check = asked(project.store, scores)
    (tmp_path / "bananas.sql").write_text(BANANAS.replace("'broken'", "'kept'"))
    other = settings.load(tmp_path)
    assert other.version != project.version
    assert (
        run(other, RunRequest(complete=True, complete_until=MONTHS_LATER, audit=None)).publication
        == 2
    )
    assert asked(project.store, KEPT_OF.format(COUNTS, "claim")) == [(2, 1, 0, 1, 1, 1)]
    assert asked(project.store, scores) == with_check


def test_an_unlawful_check_stops_the_run_before_it_reads(tmp_path: Path) -> None:
    project = installation(tmp_path, {"bananas": "select 1 as one"})
    with pytest.raises(SettingsError, match=r"promise_checks\.bananas: .* came the columns one"):
        run(project, RunRequest(complete=True, audit=None))
    assert not project.store.exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('gone = "gone.sql"', r"promise_checks\.gone: expected the file gone\.sql"),
        ('"a b" = "bananas.sql"', "expected names of letters"),
        ('BANANAS = "bananas.sql"', "more than upper and lower case"),
        ("number = 1", r"promise_checks\.number: expected a path"),
    ],
)
def test_wrong_settings_of_checks_are_named(tmp_path: Path, line: str, message: str) -> None:
    installation(tmp_path, {"bananas": BANANAS})
    text = (tmp_path / "rejse.toml").read_text()
    (tmp_path / "rejse.toml").write_text(text.replace("[sources.crm]", f"{line}\n[sources.crm]"))
    with pytest.raises(SettingsError, match=message):
        settings.load(tmp_path)
