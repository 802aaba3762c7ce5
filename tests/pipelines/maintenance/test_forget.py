"""Erasure: nothing of one person is found anywhere, and nobody else's rows are touched."""

from __future__ import annotations

import io
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rejse.pipelines.config import fingerprint, settings
from rejse.pipelines.config.settings import Settings, load
from rejse.pipelines.jobs.increment import SourcesGoneError
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.maintenance import erase as forgetting
from rejse.pipelines.maintenance.erase import forget
from rejse.pipelines.publication import catalogue, publish
from rejse.pipelines.reporting.html import page
from rejse.pipelines.store import delta_store, staging
from rejse.pipelines.store.erasure_receipts import KeyChangedError
from tests.support import erasing, store_builder
from tests.support.cli import Command
from tests.support.erasing import KEY, WHO, WORD, pseudonym
from tests.support.law import SOAK

MANY = 1_000_000 if SOAK else 100
CANARIES = (WHO, pseudonym(), WORD)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(settings.KEY_VARIABLE, raising=False)
        there = erasing.history(folder)
    with catalogue.connect(there.store) as con:
        page.write(con, folder / "report.html")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of a test's own."""
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    return Path(shutil.copytree(made, tmp_path / "place"))


@pytest.fixture
def there(folder: Path) -> Settings:
    return load(folder)


def outputs(there: Settings) -> Path:
    """Store and reports in a folder of their own: all that rejse wrote."""
    place = there.root / "outputs"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(there.store, place / "store")
    for report in there.root.glob("*.html"):
        shutil.copy(report, place)
    return place


def rows(there: Settings, sql: str) -> list[tuple[Any, ...]]:
    with catalogue.connect(there.store) as con:
        return list(con.execute(sql).fetchall())


def test_nothing_of_the_erased_is_found_anywhere(there: Settings) -> None:
    before = erasing.files_with(outputs(there), *CANARIES, KEY)
    places = {name.split("/")[1] for name in before[pseudonym()]}
    assert {
        "events", "late", "answers", "customers", "journeys", "journeys_live", "steps", "pending",
        "experience", "texts", "sessions",
    } <= places  # fmt: skip
    assert {name.split("/")[1] for name in before[WHO]} == {"quarantine"}
    assert any("texts" in name for name in before[WORD])
    assert before[KEY] == set()

    forget(there, "customer", WHO)
    after = erasing.files_with(outputs(there), *CANARIES, KEY)
    assert after == {canary: set() for canary in (*CANARIES, KEY)}


def test_rows_of_others_are_as_they_were(there: Settings) -> None:
    before = erasing.contents(there)
    mine = [
        name
        for name, content in erasing.contents(there, "nobody").items()
        if content != before[name]
    ]
    assert len(mine) > 10
    n_rejects = len(before["rejects"])
    refused = rows(there, "select count(*) from rejects")
    done = forget(there, "customer", WHO)
    after = erasing.contents(there)
    before.pop("rejects"), after.pop("rejects")
    assert after == before
    assert set(done.rows) == {*mine, "rejects"}
    assert done.rows["rejects"] == done.quarantined == 9, "three a month"
    assert rows(there, "select count(*) from rejects") == [(n_rejects - 9,)]
    assert refused == [(n_rejects,)]


def test_files_without_a_row_of_it_are_not_written_again(there: Settings) -> None:
    base = delta_store.latest(there.store)
    assert base is not None
    before = {n: set(delta_store.files(there.store, n, at)) for n, at in base.versions.items()}
    forget(there, "customer", "nobody at all")
    after = delta_store.latest(there.store)
    assert after is not None
    for name, files in before.items():
        assert set(delta_store.files(there.store, name, after.versions[name])) == files


def test_the_receipt_names_nobody_and_stands(there: Settings) -> None:
    done = forget(there, "customer", WHO)
    assert done.status == "erased"
    assert done.tombstone == pseudonym(prefix="erased\x1fcustomer:")
    assert rows(there, "select tombstone, identitytype, publication from erasures") == [
        (done.tombstone, "customer", done.publication)
    ]
    receipt = dict(
        rows(there, "select unnest(map_keys(rows)), unnest(map_values(rows)) from erasures")
    )
    assert receipt == dict(done.rows)
    again = forget(there, "customer", WHO)
    assert (again.status, again.tombstone) == ("already_erased", done.tombstone)
    assert (again.publication, again.rows) == (done.publication, done.rows)
    assert rows(there, "select count(*) from erasures") == [(1,)]


def test_an_identity_that_nobody_has_leaves_a_tombstone(there: Settings) -> None:
    before = erasing.contents(there)
    done = forget(there, "cookie", "nobody at all")
    assert (done.status, dict(done.rows), done.quarantined) == ("erased", {}, 0)
    assert erasing.contents(there) == before
    assert rows(there, "select identitytype from erasures") == [("cookie",)]


def test_only_the_newest_publication_is_left(there: Settings) -> None:
    done = forget(there, "customer", WHO)
    left = [path.name for path in there.store.glob("catalog-*")]
    assert left == [f"catalog-{done.publication}.duckdb"]
    assert done.files > 0
    with pytest.raises(catalogue.NotPublishedError):
        catalogue.connect(there.store, done.publication - 1)


def test_a_report_that_shows_a_journey_of_it_is_deleted(there: Settings) -> None:
    mine = there.root / "mine.html"
    mine.write_text(f"somebody's own page about {pseudonym()}")
    (there.root / "other.html").write_text("Drawn by rejse")
    shown = rows(there, f"select journey_id from v_journeys where customer_key = '{pseudonym()}'")
    page = (there.root / "report.html").read_text()
    (there.root / "report.html").write_text(f"{page}<p>{shown[0][0]}</p>")
    done = forget(there, "customer", WHO)
    assert done.reports == (str(there.root / "report.html"),)
    assert sorted(p.name for p in there.root.glob("*.html")) == ["mine.html", "other.html"]


def test_one_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under soak one of a million customers."""
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    there = erasing.history(tmp_path, customers=MANY)
    before = erasing.digests(there)
    assert all(erasing.files_with(there.store, *CANARIES).values())
    done = forget(there, "customer", WHO)
    assert erasing.files_with(there.store, *CANARIES) == {canary: set() for canary in CANARIES}
    after = erasing.digests(there)
    before.pop("rejects"), after.pop("rejects")
    assert after == before
    assert before["customers"][0] > MANY
    assert done.rows["events"] > 3


# --- what comes again --------------------------------------------------------------------------


def is_about(line: str) -> bool:
    """Whether a line of a source is of the erased; a link of somebody else is not."""
    near, mine = json.dumps(erasing.NEAR)[1:-1], json.dumps(WHO)[1:-1]
    is_broken = not line.endswith("}")
    return mine in line.replace(near, "") and (is_broken or json.loads(line)["identity"] == WHO)


def n_lines(there: Settings) -> int:
    """Rows of the sources that are about the erased."""
    files = (path.read_text().splitlines() for path in there.root.glob("*/*.jsonl"))
    return sum(is_about(line) for lines in files for line in lines)


def test_the_same_files_bring_nothing_back(there: Settings) -> None:
    """The files have grown by an empty line: they are read again, with rows that the run knows."""
    forget(there, "customer", WHO)
    before = erasing.contents(there)
    for path in there.root.glob("*/*.jsonl"):
        path.write_text(path.read_text() + "\n")
    again = erasing.advance(there, 3)
    assert again.counts["erased"] == n_lines(there) > 20
    assert again.counts["kept"] == 0
    after = erasing.contents(there)
    before.pop("rejects"), after.pop("rejects")  # they are told again
    assert after == before
    assert erasing.advance(there, 3).status == "nothing_new"
    anew = erasing.advance(there, 3, mode="rebuild")
    assert anew.counts["erased"] == again.counts["erased"]
    assert erasing.files_with(outputs(there), *CANARIES) == {canary: set() for canary in CANARIES}
    assert rows(there, "select count(*) from erasures") == [(1,)], "a rebuild keeps tombstones"


def test_a_rebuild_is_as_if_the_erased_had_never_been_there(
    there: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    forget(there, "customer", WHO)
    erasing.advance(there, 3, mode="rebuild")
    bare = erasing.installation(tmp_path_factory.mktemp("bare"))
    arrived = [path for path in there.root.glob("*/*.jsonl") if path.parent != there.store]
    for path in arrived:
        lines = path.read_text().splitlines()
        kept = [line.replace(f'"previous": {json.dumps(WHO)}', '"previous": null')
                for line in lines if not is_about(line)]  # fmt: skip
        (bare.root / path.relative_to(there.root)).write_text("\n".join(kept) + "\n")
    assert erasing.advance(bare, 3).counts["erased"] == 0
    here, other = erasing.contents(there), erasing.contents(bare)
    here.pop("rejects"), other.pop("rejects")  # their lines have other numbers
    assert here == other


def test_new_rows_of_it_are_counted_and_not_kept(there: Settings) -> None:
    forget(there, "customer", WHO)
    erasing.arrive(there.root, 4, [WHO, *erasing.people(3)])
    done = erasing.advance(there, 4)
    assert done.status == "published"
    assert done.counts["erased"] > 5
    assert done.counts["rejected"] == 3, "those of somebody else"
    assert erasing.files_with(outputs(there), *CANARIES) == {canary: set() for canary in CANARIES}
    assert rows(there, "select n_erased from runs order by publication desc limit 1") == [
        (done.counts["erased"],)
    ]
    run(there, RunRequest("repair", span=(0, 1_800_000_000_000_000), audit=None))
    assert erasing.files_with(outputs(there), *CANARIES) == {canary: set() for canary in CANARIES}


def test_a_run_over_a_store_in_which_only_tombstones_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    there = erasing.installation(tmp_path)
    assert forget(there, "customer", WHO).publication == 1
    erasing.arrive(tmp_path, 1, [WHO, *erasing.people(3)])
    done = erasing.advance(there, 1)
    assert (done.publication, done.counts["erased"] > 5) == (2, True)
    assert erasing.files_with(there.store, *CANARIES) == {canary: set() for canary in CANARIES}


def test_links_of_other_rows_go_and_rows_that_are_links(tmp_path: Path) -> None:
    """A row of a customer keeps all but its link; a table without customers loses the row."""
    mine, other, none = "a" * 32, "b" * 32, None
    asked = forgetting._Request(mine, "", "customer", "", (), ())
    keys = [other, mine, none]
    coded = pa.array(keys).dictionary_encode()
    made = {
        "events": {"customer_key": [other] * 3, "previous_key": pa.array(keys), "who_key": coded},
        "links": {"previous_key": pa.array(keys), "who_key": pa.array([other, other, mine])},
        "plain": {"key": ["x"]},
    }
    left = {}
    for name, columns in made.items():
        staged = staging.write(tmp_path, name, pa.table(columns))
        assert staged is not None
        (kept,) = forgetting._without_identity(tmp_path, staged, asked)
        assert (kept == staged) is (name == "plain")
        rows = delta_store.read(tmp_path / kept.path)
        texts = [
            t
            for column in rows.columns
            for texts_of_row in erasing.leaves(column)
            for t in texts_of_row
        ]
        assert texts and mine not in map(str, texts)
        assert rows.schema == delta_store.read(tmp_path / staged.path).schema
        left[name] = rows.to_pydict()
    assert left["events"] == {
        "customer_key": [other] * 3,
        "previous_key": [other, none, none],
        "who_key": [other, none, none],
    }
    assert left["links"] == {"previous_key": [other], "who_key": [other]}


# --- others, over many made stores ---------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60 if SOAK else 3))
def test_any_one_goes_and_all_others_stay(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Journeys in files of all sizes, with the erased in some, many or none of them."""
    draw = random.Random(seed)
    keys = {f"c{n}": pseudonym(f"c{n}") for n in range(6)}
    monkeypatch.setenv(settings.KEY_VARIABLE, KEY)
    there = erasing.installation(tmp_path)
    core = f"rules-{fingerprint.key_id(bytes.fromhex(KEY))}"
    for number in (1, 2):
        with publish.writing(there.store) as writer:
            files = [
                file
                for part in range(draw.randint(1, 4))
                for file in store_builder.staged(there.store, store_builder.joined(*(
                    store_builder.journey(
                        100 * number + 10 * part + n, [{}, {}],
                        [{"kind": "transfer", "severity": 0.2, "at": 0}],
                        customer_key=keys[draw.choice(sorted(keys))],
                    )
                    for n in range(draw.randint(1, 6))
                )))
            ]  # fmt: skip
            publish.publish(
                writer, files, store_builder.run_of(number, core_version=core), audit=None
            )
    erased = draw.choice([*keys, "c99"])
    before, n = erasing.contents(there, pseudonym(erased)), erasing.contents(there, "nobody")
    done = forget(there, "customer", erased)
    assert erasing.contents(there, pseudonym(erased)) == before
    lost = {name: len(rows) - len(before[name]) for name, rows in n.items()}
    assert dict(done.rows) == {name: count for name, count in lost.items() if count}
    assert erasing.files_with(there.store, pseudonym(erased)) == {pseudonym(erased): set()}


# --- the key -----------------------------------------------------------------------------------


def test_another_key_is_refused_where_tombstones_stand(there: Settings) -> None:
    forget(there, "customer", WHO)
    (there.root / "rejse.key").write_text("ab" * 24)
    for mode in ("increment", "rebuild"):
        with pytest.raises(KeyChangedError, match=r"1 identities were erased.*new, empty `store`"):
            erasing.advance(load(there.root), 3, mode=mode)
    with pytest.raises(KeyChangedError, match="whose rows are whose cannot be told"):
        forget(load(there.root), "customer", erasing.NEAR)
    (there.root / "rejse.key").write_text(KEY)
    assert forget(there, "customer", erasing.NEAR).rows["events"] > 3


def test_another_key_cannot_erase_what_it_cannot_tell(there: Settings) -> None:
    before = erasing.contents(there)
    (there.root / "rejse.key").write_text("ab" * 24)
    with pytest.raises(KeyChangedError, match="put that key back"):
        forget(load(there.root), "customer", WHO)
    assert erasing.contents(there) == before


def test_without_tombstones_another_key_reads_the_sources_again(there: Settings) -> None:
    (there.root / "rejse.key").write_text("ab" * 24)
    lost = next(there.root.glob("*/*.jsonl"))
    held = lost.read_bytes()
    lost.unlink()
    with pytest.raises(SourcesGoneError, match=r"read again \(changed: the key\)"):
        erasing.advance(load(there.root), 3)
    lost.write_bytes(held)
    assert erasing.advance(load(there.root), 3).status == "published"
    assert erasing.files_with(there.store, pseudonym(erasing.NEAR))[pseudonym(erasing.NEAR)]
    assert forget(load(there.root), "customer", WHO).rows["events"] > 3


# --- the command -------------------------------------------------------------------------------


def test_the_command_asks_first(rejse: Command, folder: Path) -> None:
    code, out, err = rejse("forget", WHO, "--config", str(folder))
    assert (code, out) == (2, "")
    assert "expected --yes" in err and "Canary" not in err
    code, out, _ = rejse("forget", f"customer:{WHO}", "--config", str(folder), "--yes")
    assert code == 0
    assert "Canary" not in out and "events" in out and "receipt " in out
    code, out, _ = rejse("forget", WHO, "--config", str(folder), "--yes")
    assert (code, "it was erased before" in out) == (0, True)


def test_an_identity_may_come_by_standard_input(
    rejse: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"cookie:{WHO}\n"))
    code, out, _ = rejse("forget", "-", "--config", str(folder), "--yes", "--json")
    report = json.loads(out)
    assert (code, out.count("\n"), report["status"]) == (0, 1, "erased")
    assert report["tombstone"] == pseudonym(prefix="erased\x1fcookie:")
    assert (report["rows"], report["quarantined"]) == ({"rejects": 9}, 9), (
        "as a cookie it has no rows"
    )


def test_no_identity_is_misuse(rejse: Command, folder: Path) -> None:
    code, _, err = rejse("forget", "customer:", "--config", str(folder), "--yes")
    assert (code, "expected an identity" in err) == (2, True)
