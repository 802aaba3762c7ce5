"""Answers in both rivals: records without sense are joined, scored and counted as rejse does."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rejse.transforms.feedback.join import METHODS, UNJOINED
from rejse.transforms.feedback.schema import INSTRUMENTS, LEVELS, RESPONDENTS
from tests.bench import check, rival_duckdb, rival_polars, run_rejse
from tests.bench.log.write import write
from tests.bench.polars import codes
from tests.support.wild_log import KEY, RAW, WILD, Row, known_to_both, wild, written

CASES = "case_no", "customer_no", "opened_at", "journey_type"


def with_visits(rng: random.Random, rows: list[Row]) -> Iterator[Row]:
    """The same events, some of a visit; of every third customer each has a case."""
    for row in rows:
        visit = f"V{rng.randrange(40)}" if rng.random() < 0.5 else None
        has_case = row["identity"].endswith(("0", "3", "7"))
        case = f"K-{row['identity']}-{rng.randrange(2)}" if has_case else None
        yield {**row, "visit": visit, "case_no": case}


def cases(rows: list[Row]) -> Iterator[Row]:
    """What the desk says of each case: it was open before anything happened."""
    people = {row["case_no"]: row["identity"] for row in rows if row["case_no"]}
    begin = min(row["time"] for row in rows) - timedelta(days=1)
    for number, (case, customer) in enumerate(sorted(people.items())):
        yield dict(
            zip(CASES, (case, customer, begin, ("claim", "support")[number % 2]), strict=True)
        )


def answers(rng: random.Random, rows: list[Row], n: int) -> Iterator[Row]:
    """Records with any clues together, right or wrong, at, before and long after an event."""
    of: dict[str, list[Row]] = {}
    for row in rows:
        of.setdefault(row["identity"], []).append(row)
    for number in range(n):
        row = rng.choice(rows)
        other = rng.choice(of[row["identity"]])  # two clues may lead to two events
        days = rng.choice((-1, 0, 0, 0.01, 0.5, 2, 5, 20, 40))
        time = row["time"] + timedelta(days=days)
        least, most = rng.choice(((None, None), (0, 10), (1, 5), (2, 9), (0, None)))
        names = (
            f"events/{row['id']}",
            str(row["id"]),
            *2 * (other["visit"], other["touchpoint"]),
            "nowhere",
        )

        def perhaps(value: Any, chance: float = 0.3) -> Any:
            return value if rng.random() < chance else None

        yield {
            "answer_no": f"a{number}", "time": time, "who": rng.choice((*RESPONDENTS, "customer")),
            "customer_no": rng.choice((row["identity"],) * 9 + ("a stranger",)),
            "instrument": rng.choice(INSTRUMENTS), "level": rng.choice(LEVELS + LEVELS[:2]),
            "place": perhaps(rng.choice((row["touchpoint"], "web_help"))),
            "case_no": perhaps(row["case_no"] or "K-none"), "target": perhaps(rng.choice(names)),
            "visit": perhaps(row["visit"]), "flow": perhaps(rng.choice(WILD["journey_type"])),
            "points": perhaps(rng.randrange(-4, 44) / 4, 0.8), "lowest": least, "highest": most,
            "is_up": perhaps(rng.random() < 0.5), "was_asked": perhaps(rng.random() < 0.5),
            "invited_at": perhaps(time - timedelta(days=rng.choice((0, 3, 20))), 0.5),
            "responded_at": perhaps(time + timedelta(days=rng.choice((0, 14, 15))), 0.5),
            "acted_at": perhaps(time + timedelta(days=rng.choice((0, 7, 8)))),
        }  # fmt: skip


def put(folder: Path, like: Path, name: str, rows: Iterator[Row]) -> None:
    """Write rows as the only ones of a source, in the columns that the log has."""
    schema = pq.read_schema(next((like / "data" / name).glob("*.parquet")))
    shutil.rmtree(folder / "data" / name, ignore_errors=True)
    (folder / "data" / name).mkdir()
    file = folder / "data" / name / "part-0000.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows), schema), file)


RIVALS: dict[str, Callable[[Path, Path], object]] = {
    "polars": rival_polars.work,
    "duckdb": lambda log, out: rival_duckdb.work(rival_duckdb.connect(log, 1), out),
}


def by_rival(name: str, log: Path) -> check.Side:
    out = log / name
    out.mkdir()
    RIVALS[name](log, out)
    return check.of_rival(name, out)


def by_rivals(log: Path) -> dict[str, check.Side]:
    return {name: by_rival(name, log) for name in RIVALS}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The events of the synthetic company, with answers without sense."""
    folder = tmp_path_factory.mktemp("log")
    write(folder, 6_000, 11, key=KEY.hex())
    rows = pq.read_table(next((folder / "data").glob("*.parquet"))).to_pylist()
    put(folder, folder, "surveys", answers(random.Random(3), rows, 6_000))
    return folder


@pytest.fixture(scope="module")
def sides(log: Path) -> dict[str, check.Side]:
    run_rejse.run(log)
    return {"rejse": check.of_rejse(log / "store"), **by_rivals(log)}


@pytest.mark.parametrize("rival", ["polars", "duckdb"])
def test_all_rows_are_those_of_rejse(rival: str, sides: dict[str, check.Side]) -> None:
    assert check.differences(sides["rejse"], sides[rival]) == []


def test_every_way_of_joining_and_every_score_occurs(sides: dict[str, check.Side]) -> None:
    side = sides["polars"]
    ways = side.ask("select join_method, count(*) from experience group by join_method")
    assert {way for way, _ in ways} == {*METHODS, None}
    assert min(n for _, n in ways) >= 20, ways
    real = [c for c, kind in side.columns("journey_experience").items() if kind == "DOUBLE"]
    known = side.ask(f"select {', '.join(f'count({c})' for c in real)} from journey_experience")
    assert min(known[0]) > 0, dict(zip(real, known[0], strict=True))
    statuses = {status for (status,) in side.ask("select distinct status from sla_results")}
    assert statuses == {"achieved", "breached", "open"}
    cases = side.ask("select count(case_id), count(*) from journeys")
    assert 0 < cases[0][0] < cases[0][1]


def test_every_end_and_every_reason_to_join_nothing_occurs(sides: dict[str, check.Side]) -> None:
    side = sides["duckdb"]
    closed = side.ask("select distinct close_reason, outcome_basis from journeys")
    assert {reason for reason, _ in closed} >= {"end rule", "new need", "silence", None}
    assert {basis for _, basis in closed} == {"recorded", "assumed", None}
    why = side.ask("select distinct unjoined from experience")
    assert {reason for (reason,) in why} == {*UNJOINED, None}
    halves = "select distinct confidence from friction_evidence where kind = 'ping_pong'"
    assert (0.5,) in side.ask(halves)
    (known,) = side.ask(
        "select max(busy_s), min(busy_s), count(*) - count(n_repeat_contacts) from journeys"
    )
    assert known[0] > 0 == known[1] < known[2]


def test_the_oracle_reads_any_log_as_rejse_does(log: Path, tmp_path: Path) -> None:
    """Also the forms that Polars leaves out; all kinds that this log can have occur."""
    rng = random.Random(3)
    rows = list(with_visits(rng, list(wild(random.Random(7), 3_000))))
    folder = written(rows, log, tmp_path / "log")
    put(folder, log, "cases", cases(rows))
    put(folder, log, "surveys", answers(rng, rows, 3_000))
    run_rejse.run(folder)
    rejse, oracle = check.of_rejse(folder / "store"), by_rival("duckdb", folder)
    assert check.differences(rejse, oracle) == []
    assert {kind for kind, _, _ in oracle.ask(check.BY_KIND)} == set(codes.KIND.categories)


def test_polars_cuts_threads_as_the_fold_of_rejse_does(log: Path, tmp_path: Path) -> None:
    """Purchases after purchases, caps, ends that are taken back; DuckDB cuts at no cap."""
    rng, begin = random.Random(3), RAW["time"]
    outcomes = ("sold", "sold", "resolved", "unresolved", "declined", "informed", *[None] * 4)
    rows = [
        known_to_both(row)
        | {
            "time": begin + 8 * (row["time"] - begin),
            "outcome": rng.choice(outcomes),
            "talk_s": rng.choice((None, 100, 20_000)),
            **dict.fromkeys(("promise_no", "promise_op")),
        }
        for row in wild(random.Random(7), 1_500)
    ]
    rows = list(with_visits(rng, rows))
    folder = written(rows, log, tmp_path / "log")
    put(folder, log, "cases", cases(rows))
    put(folder, log, "surveys", iter(()))
    run_rejse.run(folder)
    (folder / "polars").mkdir()
    rival_polars.work(folder, folder / "polars")
    sides = check.of_rejse(folder / "store"), check.of_rival("polars", folder / "polars")
    columns = (
        "journey_id, case_id, n_events, n_sessions, state, close_reason, outcome, outcome_basis,"
        " throughput_s, busy_s, time_to_resolution_s, n_reopens, n_channel_switches, n_ping_pong"
    )
    query = f"select {columns} from journeys order by journey_id"
    theirs, mine = (side.ask(query) for side in sides)
    assert set(theirs) ^ set(mine) == set()
    reasons = {row[5] for row in mine}
    assert reasons == {"new need", "cap", "end rule", "silence", None}


def known_to_rejse(rng: random.Random, row: Row) -> Row:
    """Without what rejse looks for and the rivals leave out, with purchases and with talk."""
    inside = row["channel"] == "internal"
    way = "inbound" if row["direction"] == "internal" else row["direction"]
    has_owner = row["touchpoint"] is not None or row["owner"] is not None
    ends = (*4 * ("sold",), "resolved", "declined", *8 * (row["outcome"],))
    # of every second customer silences are long enough for windows and gaps to differ
    slow = 2 if row["identity"].endswith(("1", "3", "5", "7", "9")) else 1
    return known_to_both(row) | {
        "time": RAW["time"] + slow * (known_to_both(row)["time"] - RAW["time"]),
        "direction": "internal" if inside else way,
        "channel": "app" if row["channel"] == "chatbot" else row["channel"],
        "promise_no": str(row["id"]) if row["promise_op"] == "made" else row["promise_no"],
        "info": known_to_both(row)["info"] if has_owner else [],
        "outcome": rng.choice(ends),
        "talk_s": rng.choice((None, None, 30, 4_000)),
    }


@pytest.fixture(scope="module")
def senseless(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(4)
    rows = list(with_visits(rng, [known_to_rejse(rng, row) for row in wild(rng, 3_000)]))
    folder = written(rows, log, tmp_path_factory.mktemp("senseless") / "log")
    put(folder, log, "cases", cases(rows))
    put(folder, log, "surveys", answers(rng, rows, 3_000))
    run_rejse.run(folder)
    return folder


@pytest.mark.parametrize("rival", list(RIVALS))
def test_a_log_without_sense_gives_the_rows_of_rejse(rival: str, senseless: Path) -> None:
    rejse = check.of_rejse(senseless / "store")
    assert check.differences(rejse, by_rival(rival, senseless)) == []


def test_needs_ends_and_talk_that_overlaps_occur_without_sense(senseless: Path) -> None:
    rejse = check.of_rejse(senseless / "store")
    ends = rejse.ask("select close_reason, count(*) from journeys where is_final group by all")
    assert {reason for reason, n in ends if n >= 5} == {"end rule", "new need", "silence"}
    bases = rejse.ask("select outcome_basis, count(*) from journeys group by all order by all")
    assert min(n for basis, n in bases if basis) >= 10, bases
    declined = "select count(time_to_resolution_s) from journeys where outcome = 'declined'"
    overlap = """
        select count(*) from journeys as j
        where busy_s < (select sum(talk_s) from sessions as s where s.journey_id = j.journey_id)
    """
    (held,), (overlapping,) = rejse.ask(declined)[0], rejse.ask(overlap)[0]
    assert held > 0 < overlapping, (held, overlapping)
