"""The law of rescoring: stored rows scored anew are what a rebuild from all sources makes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.config.settings import Settings, load
from rejse.pipelines.jobs.increment import (
    NothingToBuildOnError,
    RescoreRefusedError,
    SourcesGoneError,
)
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.maintenance import compact, erase
from rejse.pipelines.publication import audit
from rejse.pipelines.store import delta_store
from tests.support import crashes, equal_stores, erasing, strategies
from tests.support.increments import Arrivals, contents, with_copies
from tests.support.installation import DAY, fetch, installation, lines, once, row, row_on
from tests.support.law import SOAK
from tests.support.linked_transcripts import (
    on_devices,
    put_links,
    tables_that_differ,
)
from tests.support.rescored import OF_RUNS, Change, differences, replacing, setting
from tests.support.transcript import Transcript, all_transcripts, group_of

CUSTOMERS = 40 if SOAK else 16
#: Folder of files that have not arrived yet.
LATER = "later"


def all_of(*changes: Change) -> Change:
    def change(folder: Path) -> None:
        for apply in changes:
            apply(folder)

    return change


WINDOWS = {
    "gap": '"3d"', "case_gap": '"5d"', "reopen_window": '"1d"', "cap": '"20d"',
    "handoff_due": '"1d"', "session_gap": '"5min"', "repeat": '"2d"', "promise_give_up": '"2d"',
    "lateness": '"9d"', "coverage_floor": "0.9", "short_abandon": '"1min"', "ignored": '"1d"',
    "pressure_window": '"1d"', "pressure_cap": "1", "quick_intents": '["pay"]',
    "volatile_fields": '["date"]', "question_activities": '["call"]', "x_touchpoint": '"1d"',
    "survey": '"1d"', "follow_up": '"9d"', "relief_friction": "1",
}  # fmt: skip
CHANGES: Mapping[str, Change] = {
    "windows": all_of(*(setting("windows", f"{name} = {at}") for name, at in WINDOWS.items())),
    "weights and types": all_of(
        setting("weights", "reasked_info = 0.05"),
        setting("weights", "promise_late = 0.05"),
        setting("types.claim", 'cap = "9d"'),
        setting("types.short", 'end_outcomes = ["informed"]'),
        replacing("declares = []", 'declares = ["outcome"]'),
    ),
}
ALONE = {name: setting("windows", f"{name} = {at}") for name, at in WINDOWS.items()}


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> Arrivals:
    """Answers, records, links, copies and late events, in three runs; the last ones wait."""
    folder = tmp_path_factory.mktemp("arrived")
    transcript = with_copies(strategies.many_felt(3, CUSTOMERS), 3)
    arrivals = Arrivals([transcript], folder, 4, "late", 3)
    for part in range(3):
        arrivals.arrive(part)
        result = arrivals.run(is_last=part == 2)
    assert result.tables["late"] > 0
    arrivals.arrive(3)  # beside what has arrived, for whoever lets it
    (folder / LATER).mkdir()
    for path in (folder / "arrived").glob("003.*"):
        path.rename(folder / LATER / path.name)
    return arrivals


@pytest.mark.parametrize("name", [*CHANGES, *(ALONE if SOAK else ())])
def test_stored_rows_scored_anew_are_those_of_a_rebuild(
    arrived: Arrivals, tmp_path: Path, name: str
) -> None:
    root = arrived.settings.root
    until = complete_until(arrived.settings)
    given: dict[str, Any] = {"complete_until": until, "workers": 1}
    result, differing = differences(root, tmp_path, {**CHANGES, **ALONE}[name], **given)
    assert differing == {}
    assert (result.mode, result.counts["read"]) == ("rescore", 0)
    assert result.counts["late"] < 0, "late events are accepted, as a rebuild does"
    stores = (arrived.settings.store, tmp_path / "rescored" / "store")
    others = {c.table for c in equal_stores.compare(*stores) if c.differences}
    assert {"journeys", "friction_evidence", "journey_experience"} <= others


def stories() -> list[list[Transcript]]:
    """Transcripts that share a run, the most first; all of them in the soak."""
    groups: dict[str, list[Transcript]] = {}
    for transcript in all_transcripts():
        groups.setdefault(group_of(transcript), []).append(transcript)
    ordered = sorted(groups.values(), key=len, reverse=True)
    return ordered if SOAK else ordered[:1]


@pytest.mark.parametrize("number", range(len(stories())))
def test_stories_scored_anew(tmp_path: Path, number: int) -> None:
    (tmp_path / "installed").mkdir()
    arrivals = Arrivals(stories()[number], tmp_path / "installed", 2, "in order")
    for part in range(2):
        arrivals.arrive(part)
        if arrivals.has_links:
            arrivals.tell(part)
        arrivals.run(is_last=part == 1)
    given: dict[str, Any] = {"complete_until": complete_until(arrivals.settings), "workers": 1}
    result, differing = differences(
        tmp_path / "installed", tmp_path, CHANGES["windows"], "rescore", **given
    )
    assert differing == {}
    assert result.mode == "rescore"


def complete_until(installed: Settings) -> dict[str, int]:
    publication = delta_store.latest(installed.store)
    assert publication is not None
    return {name: at for name, at in publication.frontiers.items() if name in installed.sources}


def test_new_rows_are_scored_with_stored_ones(arrived: Arrivals, tmp_path: Path) -> None:
    """Whatever the groups of buckets; by Beam too in the soak."""
    root = tmp_path / "whole"
    shutil.copytree(arrived.settings.root, root)
    for path in (root / LATER).iterdir():
        path.rename(root / "arrived" / path.name)
    until = complete_until(arrived.settings)
    beam_args = ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]
    executors: list[dict[str, Any]] = [{"min_groups": 7}, {"beam_args": beam_args}]
    for number, executor in enumerate(executors if SOAK else executors[:1]):
        scratch = tmp_path / str(number)
        scratch.mkdir()
        result, differing = differences(
            root, scratch, setting("windows", 'gap = "3d"'), complete_until=until, **executor
        )
        assert differing == {}
        assert result.mode == "rescore"
        assert result.counts["read"] > 0


def test_erased_customers_texts_and_refused_rows(tmp_path: Path) -> None:
    """After a compaction, an erasure, and with texts that only tables of feedback store."""
    (tmp_path / "installed").mkdir()
    installed = erasing.history(tmp_path / "installed", customers=6)
    erase.forget(installed, "customer", erasing.WHO)
    erasing.arrive(tmp_path / "installed", 4, [erasing.WHO, *erasing.people(6)], seed=9)
    change = all_of(setting("windows", 'gap = "3d"'), setting("weights", "repeat_contact = 0.1"))
    result, differing = differences(tmp_path / "installed", tmp_path, change, complete=True)
    # An erasure leaves the kind of a link to somebody erased, which a reading drops.
    (left,) = differing.pop("events")
    assert left.startswith("previousidentitytype: ")
    assert differing == {}
    assert result.mode == "rescore"
    assert result.counts["erased"] > 0
    assert result.tables["texts"] + result.tables["texts_live"] > 0


def relinked(folder: Path, seed: int) -> tuple[Arrivals, Any]:
    """A store whose links have changed once."""
    transcript = on_devices(seed)
    folder.mkdir()
    arrivals = Arrivals([transcript], folder, 1, "in order")
    arrivals.arrive(0)
    arrivals.settings = put_links(folder, transcript, DEVICES)
    arrivals.run(is_last=True)
    return arrivals, transcript


DEVICES = [{"previous": "device shared", "is": "customer a"}]
OTHERS = [{"previous": "device shared", "is": "customer b"}]


def test_relinked_customers(tmp_path: Path) -> None:
    arrivals, transcript = relinked(tmp_path / "installed", 1)
    arrivals.settings = put_links(tmp_path / "installed", transcript, OTHERS)
    assert arrivals.run(is_last=True).status == "published"
    result, differing = differences(
        tmp_path / "installed", tmp_path, setting("windows", 'gap = "3d"'),
        complete_until=transcript.frontiers,
    )  # fmt: skip
    assert differing == {}
    assert result.mode == "rescore"


def test_links_that_change_together_with_settings(tmp_path: Path) -> None:
    """The stored rows first, under their links; then these, as ever."""
    _, transcript = relinked(tmp_path / "installed", 1)
    shutil.copytree(tmp_path / "installed", tmp_path / "rebuilt")
    after = []
    for name, mode in (("installed", "increment"), ("rebuilt", "rebuild")):
        put_links(tmp_path / name, transcript, OTHERS)
        setting("windows", 'gap = "3d"')(tmp_path / name)
        changed = load(tmp_path / name / "rejse.toml")
        request = RunRequest(mode, complete_until=transcript.frontiers, audit=None)
        assert run(changed, request).status == "published"
        after.append(changed)
    assert tables_that_differ(*map(contents, after)) == set()
    modes = fetch(after[0], "select mode from runs order by publication")
    assert modes[:3] == [("increment",), ("rescore",), ("reconcile",)]


# --- small installations --------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two customers, each with contacts some days apart; published as final."""
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    (tmp_path / "p").mkdir()
    rows = [row_on("01-05", "e1"), row_on("01-07", "e2"), row_on("01-20", "e3")]
    rows += [row(1, id="f1"), row(1, id="summer", time="2026-07-01T12:00:00Z")]
    files = {"a.jsonl": lines(rows)}
    made = installation(tmp_path / "p", files, more="[windows]\nlateness = '1d'\n")
    assert once(made).status == "published"
    return made


def changed(project: Settings, change: Change) -> Settings:
    change(project.root)
    return load(project.root)


GAP = setting("windows", "gap = '5d'")
JOURNEYS = "select count(*) from journeys"


def test_the_run_says_what_it_did_and_why(project: Settings) -> None:
    assert fetch(project, "select mode, reason from runs") == [("increment", None)]
    assert fetch(project, JOURNEYS) == [(2,)]
    after = changed(project, GAP)
    result = once(after)
    why = "changed: windows, weights or journey types"
    assert (result.status, result.mode, result.reason) == ("published", "rescore", why)
    modes = fetch(after, "select mode, reason, n_read from runs order by publication")
    assert modes[1:] == [("rescore", why, 0)]
    assert fetch(after, JOURNEYS) == [(3,)], "the silence of 13 days cuts one now"
    assert once(after).status == "nothing_new"


def test_files_that_are_gone_are_not_needed(project: Settings) -> None:
    """A rebuild would lose what they held."""
    (project.root / "a.jsonl").unlink()
    after = changed(project, GAP)
    assert once(after).status == "published"
    assert fetch(after, "select count(*) from events") == [(5,)]
    assert once(after, mode="rebuild").status == "published"
    assert fetch(after, "select count(*) from events") == [(0,)]


def test_a_rescoring_on_request_needs_no_change(project: Settings) -> None:
    result = once(project, mode="rescore")
    assert (result.status, result.mode, result.reason) == ("published", "rescore", "asked for")
    shutil.copytree(project.root, project.root.parent / "b")
    rebuilt = load(project.root.parent / "b")
    once(rebuilt, mode="rebuild")
    tables = [c for c in equal_stores.compare(project.store, rebuilt.store) if c.differences]
    assert {c.table for c in tables} <= {*OF_RUNS}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (setting("windows", "max_events = 9"), "identity_wait or max_events"),
        (replacing("activity,", "upper(activity) as activity,", "map.sql"), "of the source crm"),
        (replacing("sources.crm", "sources.web"), "the source crm, which is gone"),
        (replacing("5ec4e7", "5ec4e8", "rejse.key"), "the key"),
    ],
)
def test_where_stored_rows_do_not_suffice_it_is_said(
    project: Settings, change: Change, words: str
) -> None:
    after = changed(project, change)
    with pytest.raises(RescoreRefusedError, match=f"{words}.*rejse run --rebuild"):
        once(after, mode="rescore")
    assert fetch(project, "select count(*) from runs") == [(1,)]
    if "gone" not in words:
        result = once(after)
        assert result.mode == "rebuild"
        assert words in str(result.reason)


def test_nothing_published_cannot_be_scored_anew(tmp_path: Path) -> None:
    bare = installation(tmp_path, {"a.jsonl": lines([row(0)])})
    with pytest.raises(NothingToBuildOnError, match="found none; `rejse run` makes it"):
        once(bare, mode="rescore")


def test_files_that_are_gone_are_named_with_what_needs_them(project: Settings) -> None:
    (project.root / "a.jsonl").unlink()
    after = changed(project, setting("windows", "future = '2d'"))
    with pytest.raises(SourcesGoneError, match=r"\(changed: non_persons.*a\.jsonl"):
        once(after)


def test_times_of_a_rescoring_are_those_of_new_rows(project: Settings) -> None:
    rows = lines([row_on("08-01", "g1"), row_on("08-02", "g2")])
    (project.root / "b.jsonl").write_text(rows)
    after = changed(project, GAP)
    span = (1_785_542_400_000_000, 1_785_542_400_000_000 + DAY)  # the first of August
    result = once(after, span=span)
    assert (result.mode, result.counts["kept"]) == ("rescore", 1)
    assert once(after).counts["kept"] == 1


def test_retention_has_removed_what_no_rescoring_brings_back(project: Settings) -> None:
    """A rebuild would; what is kept is scored in the same way."""
    keep = setting("retention", "tables = {journeys = '1d', events = '1d'}")
    after = changed(project, keep)
    now = delta_store.now()
    compact.compact(after.store, after.retention.since(now))
    assert fetch(after, "select count(*) from journeys") == [(0,)]
    result = once(changed(after, GAP))
    assert result.mode == "rescore"
    assert fetch(after, "select count(*) from journeys") == [(0,)]


def test_the_audit_sees_stored_rows_too(project: Settings) -> None:
    audited: dict[str, int] = {}

    def counting(store: Path, staged: Any, carried: Any, run_id: str) -> audit.Report:
        assert carried is None
        audited.update({name: sum(f.rows for f in files) for name, files in staged.items()})
        return audit.audit(store, staged, carried, run_id)

    after = changed(project, GAP)
    result = once(after, audit=counting)
    assert (result.status, result.findings) == ("published", ())
    assert {name: audited[name] for name in ("events", "journeys", "steps")} == {
        name: result.tables[name] for name in ("events", "journeys", "steps")
    }
    assert audited["events"] == 5


@pytest.mark.parametrize("after", [0, 3, 8])
def test_a_killed_rescoring_leaves_the_publication_before(
    project: Settings, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(project)
    other = changed(project, GAP)
    with monkeypatch.context() as patched, pytest.raises(crashes.Crash):
        crashes.crash_after(patched, after)
        once(other)
    published = delta_store.latest(project.store)
    assert published is not None
    assert published.number == 1
    assert contents(project) == before
    once(other)
    shutil.copytree(project.root, project.root.parent / "b")
    rebuilt = load(project.root.parent / "b")
    once(rebuilt, mode="rebuild")
    assert contents(other) == contents(rebuilt)
    modes = fetch(other, "select mode, status from runs order by started_at")
    assert modes == [
        ("increment", "published"), ("increment", "failed"), ("rescore", "published"),
    ]  # fmt: skip
