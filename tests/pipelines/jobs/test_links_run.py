"""Identity links in a running store: whatever links held before, the result is that of a batch."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import RunResult, run
from tests.support.increments import Arrivals, contents
from tests.support.installation import fetch
from tests.support.law import examples
from tests.support.linked_transcripts import (
    Links,
    links,
    on_devices,
    put_links,
    started_arrivals,
    tables_that_differ,
    transcript_named,
)
from tests.support.transcript import Transcript, alias, group_of


def batch(folder: Path, transcript: Transcript, links_given: Links) -> dict[str, list[str]]:
    """What one run over everything makes of it."""
    folder.mkdir()
    arrivals = Arrivals([transcript], folder, 1, "in order")
    arrivals.arrive(0)
    arrivals.settings = put_links(folder, transcript, links_given)
    arrivals.run(is_last=True)
    return contents(arrivals.settings)


@pytest.mark.parametrize("seed", range(1, 1 + examples(1)))
def test_stored_rows_follow_links_that_change(tmp_path: Path, seed: int) -> None:
    """Without links, with some, with others: then as if these had always been."""
    transcript = on_devices(seed)
    first, last = links(transcript, seed), links(transcript, seed + 1000)
    (tmp_path / "store").mkdir()
    arrivals = Arrivals([transcript], tmp_path / "store", 3, "in order", seed)
    arrivals.arrive(0)
    arrivals.run(is_last=False)
    for part, given in ((1, first), (2, last)):
        arrivals.settings = put_links(tmp_path / "store", transcript, given)
        arrivals.arrive(part)
        arrivals.run(is_last=part == 2)
    assert (
        tables_that_differ(batch(tmp_path / "batch", transcript, last), contents(arrivals.settings))
        == set()
    )


@pytest.mark.parametrize("seed", range(1, 1 + examples(1)))
def test_reconcile_needs_no_source(tmp_path: Path, seed: int) -> None:
    transcript = on_devices(seed)
    first, last = links(transcript, seed), links(transcript, seed + 1000)
    (tmp_path / "store").mkdir()
    arrivals = Arrivals([transcript], tmp_path / "store", 1, "in order")
    arrivals.arrive(0)
    arrivals.settings = put_links(tmp_path / "store", transcript, first)
    arrivals.run(is_last=True)
    for path in (tmp_path / "store" / "arrived").iterdir():
        path.unlink()
    settings = put_links(tmp_path / "store", transcript, last)
    done = run(settings, RunRequest("reconcile"))
    assert done.status == "published", done.findings
    assert (
        tables_that_differ(batch(tmp_path / "batch", transcript, last), contents(settings)) == set()
    )
    assert run(settings, RunRequest("reconcile")).status == "nothing_new"


# --- small stories --------------------------------------------------------------------------------


def test_final_answers_go_over_to_the_customer_whose_they_are(tmp_path: Path) -> None:
    """Their key stays: the row of the customer who had them goes all the same."""
    transcript = transcript_named("an answer by a cookie is the customer's, as of its time")
    answers = [{k: v for k, v in row.items() if k != "target"} for row in transcript.experience]
    about = [{**row, "touchpoint": "claims desk"} for row in answers]
    said_of, last = transcript.links, {"time": "300d", "raw": 5}
    transcript = replace(transcript, links=(), experience=(*about, last))
    (tmp_path / "store").mkdir()
    arrivals = started_arrivals(tmp_path / "store", transcript, ())
    ((before,),) = fetch(arrivals.settings, "select count(*) from experience")
    assert before == 3, "expected final answers"
    settings = put_links(tmp_path / "store", transcript, said_of)
    assert run(settings, RunRequest("reconcile")).status == "published"
    assert (
        tables_that_differ(batch(tmp_path / "batch", transcript, said_of), contents(settings))
        == set()
    )


ROTATING = "a rotating device is one customer"


def test_superseded_journeys_name_their_successors_over_customers(tmp_path: Path) -> None:
    transcript = replace(transcript_named(ROTATING), links=())
    arrivals = started_arrivals(tmp_path, transcript, ())
    before = fetch(arrivals.settings, "select journey_id from journeys")
    assert len(before) == 3
    settings = put_links(tmp_path, transcript, transcript_named(ROTATING).links)
    result = run(settings, RunRequest("reconcile"))
    assert result.status == "published"
    ((journey, reason, revision),) = fetch(
        settings, "select journey_id, revision_reason, revision from journeys"
    )
    assert (reason, revision) == ("first", 1)
    superseded = fetch(
        settings, "select journey_id, successor_id from superseded order by journey_id"
    )
    assert superseded == sorted((old, journey) for (old,) in before)


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory: pytest.TempPathFactory) -> tuple[Transcript, Path]:
    """An event of two devices, and a store of it."""
    event = {"id": "x", "identitytype": "device", "activity": "one", "time": "1h"}
    two = tuple({**event, "customer": name} for name in ("d1", "d2"))
    transcript = replace(transcript_named(ROTATING), links=(), events=two)
    folder = tmp_path_factory.mktemp("devices")
    started_arrivals(folder, transcript, ())
    return transcript, folder


@pytest.mark.parametrize("owner", ["ann", "ben", "cai", "dan"])
def test_an_id_of_two_devices_stays_where_it_was_when_one_is_linked(
    two_devices: tuple[Transcript, Path], tmp_path: Path, owner: str
) -> None:
    """The other row is not stored any more: no link may say that it should have stayed."""
    transcript, made = two_devices
    link = [{"previous": "device d1", "is": f"customer {owner}"}]
    settings = put_links(Path(shutil.copytree(made, tmp_path / "store")), transcript, link)
    run(settings, RunRequest("reconcile"))
    assert fetch(settings, "select count(*) from events") == [(1,)]
    assert (
        tables_that_differ(batch(tmp_path / "batch", transcript, link), contents(settings)) == set()
    )


def test_an_unlink_falls_back_to_what_the_rows_bear(tmp_path: Path) -> None:
    transcript = transcript_named(ROTATING)
    arrivals = started_arrivals(tmp_path, transcript, transcript.links)
    joined = fetch(arrivals.settings, "select distinct customer_key from events")
    borne = fetch(arrivals.settings, "select identity_key from events order by time")
    assert len(joined) == 1
    settings = put_links(tmp_path, transcript, transcript.links[:1])
    assert run(settings, RunRequest("reconcile")).status == "published"
    after = fetch(settings, "select customer_key, identity_key from events order by time")
    assert after == [(joined[0][0], borne[0][0]), (borne[1][0], None), (borne[2][0], None)]


def test_a_run_reconciles_first(tmp_path: Path) -> None:
    transcript = replace(transcript_named(ROTATING), links=())
    arrivals = started_arrivals(tmp_path, transcript, ())
    settings = put_links(tmp_path, transcript, transcript_named(ROTATING).links)
    result: RunResult = run(settings, RunRequest(complete_until=transcript.frontiers, audit=None))
    assert result.status == "published"
    assert fetch(settings, "select count(*) from journeys") == [(1,)]
    assert (
        run(settings, RunRequest(complete_until=transcript.frontiers, audit=None)).status
        == "nothing_new"
    )
    assert arrivals.settings.versions == settings.versions


def test_links_are_published_pseudonymous_and_explained(tmp_path: Path) -> None:
    transcript = transcript_named("two owners in turn, and nobody's between them")
    arrivals = started_arrivals(tmp_path, transcript, transcript.links)
    rows = fetch(arrivals.settings, "select * from identity_links order by valid_from")
    assert len(rows) == 2
    text = str(rows)
    assert alias(0, "d1") not in text
    assert alias(0, "ann") not in text
    told_of = fetch(
        arrivals.settings,
        "select comment from duckdb_columns() where table_name = 'identity_links'"
        " and comment is null",
    )
    assert told_of == []
    assert group_of(transcript) == group_of(transcript_named(ROTATING))


def test_customers_who_are_linked_may_be_a_crowd(tmp_path: Path) -> None:
    """Above the event cap nobody is a person, also when links make him one of several."""
    transcript = transcript_named(ROTATING)
    for name, given in (("store", transcript.links[:2]), ("batch", transcript.links)):
        (tmp_path / name).mkdir()
        arrivals = Arrivals([transcript], tmp_path / name, 1, "in order")
        arrivals.arrive(0)
        text = (tmp_path / name / "rejse.toml").read_text()
        text = text.replace("[windows]", "[windows]\nmax_events = 2")
        (tmp_path / name / "rejse.toml").write_text(text)
        arrivals.settings = put_links(tmp_path / name, transcript, given)
        arrivals.run(is_last=True)
    settings = put_links(tmp_path / "store", transcript, transcript.links)
    assert run(settings, RunRequest("reconcile")).status == "published"
    assert tables_that_differ(contents(arrivals.settings), contents(settings)) == set()
    queries = (
        "select customer_key, kind from excluded",
        "select id, reason from rejects order by id",
    )
    for query in queries:
        assert fetch(settings, query) == fetch(arrivals.settings, query)


def test_late_events_wait_with_the_customer_whose_they_are(tmp_path: Path) -> None:
    transcript = replace(transcript_named(ROTATING), links=())
    arrivals = Arrivals([transcript], tmp_path, 3, "in order")
    arrivals.arrive(1, 2)
    arrivals.run(is_last=True)
    arrivals.arrive(0)
    assert arrivals.run(is_last=True).counts["late"] == 1
    ((bears, *_),) = fetch(arrivals.settings, "select customer_key from late")
    settings = put_links(tmp_path, transcript, transcript_named(ROTATING).links)
    assert run(settings, RunRequest("reconcile")).status == "published"
    ((customer,),) = fetch(settings, "select distinct customer_key from events")
    assert fetch(settings, "select customer_key, identity_key from late") == [(customer, bears)]
    everything = (0, 4_000_000_000_000_000)
    assert run(settings, RunRequest("repair", span=everything)).status == "published"
    assert fetch(settings, "select n_events from journeys") == [(3,)]


def test_somebody_refused_is_made_anew_from_the_sources(tmp_path: Path) -> None:
    """Rows above the event cap are stored nowhere: unlinked, they are found in the files."""
    transcript = transcript_named(ROTATING)
    folder = tmp_path / "store"
    folder.mkdir()
    (tmp_path / "batch").mkdir()

    def capped(place: Path, given: Links) -> Arrivals:
        arrivals = Arrivals([transcript], place, 1, "in order")
        arrivals.arrive(0)
        text = (place / "rejse.toml").read_text()
        (place / "rejse.toml").write_text(text.replace("[windows]", "[windows]\nmax_events = 2"))
        arrivals.settings = put_links(place, transcript, given)
        arrivals.run(is_last=True)
        return arrivals

    arrivals = capped(folder, transcript.links)
    assert fetch(arrivals.settings, "select count(*) from events") == [(0,)]
    arrivals.settings = put_links(folder, transcript, transcript.links[:2])
    arrivals.run(is_last=True)
    expected = contents(capped(tmp_path / "batch", transcript.links[:2]).settings)
    assert tables_that_differ(expected, contents(arrivals.settings)) == set()


def test_after_a_reconcile_a_run_has_nothing_to_do(tmp_path: Path) -> None:
    transcript = replace(transcript_named(ROTATING), links=())
    arrivals = started_arrivals(tmp_path, transcript, ())
    run(arrivals.settings, RunRequest(complete_until=transcript.frontiers, audit=None))
    settings = put_links(tmp_path, transcript, transcript_named(ROTATING).links)
    done = run(settings, RunRequest("reconcile"))
    assert done.status == "published"
    after = run(settings, RunRequest(complete_until=transcript.frontiers, audit=None))
    assert (after.status, after.publication) == ("nothing_new", done.publication)
