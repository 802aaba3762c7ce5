"""A store on an object store: the same tables, whoever reads, writes, or is killed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from obstore.exceptions import AlreadyExistsError

from rejse.pipelines.cli import exit_codes
from rejse.pipelines.config import settings
from rejse.pipelines.maintenance import compact, diff, vacuum, verify
from rejse.pipelines.maintenance.erase import forget
from rejse.pipelines.places import client, object_place, place
from rejse.pipelines.places.object_place import ObjectPlace
from rejse.pipelines.places.place import MARK, is_here
from rejse.pipelines.publication import catalogue, publish
from rejse.pipelines.store import delta_store, lock, quarantine, traces
from rejse.pipelines.store.lock import AnotherWriter
from rejse.transforms.errors import MisuseError
from tests.support import erasing, objects, processes, store_builder
from tests.support.equal_stores import compare
from tests.support.faults import DEAD
from tests.support.installation import installation
from tests.support.law import SOAK
from tests.support.store_builder import joined, journey, run_of, staged

pytestmark = pytest.mark.usefixtures("s3")
WRITERS, ROUNDS = 8, 100 if SOAK else 1
forks = processes.forking("tests.support.objects", "tests.support.store_builder")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The working copy of a store with one publication."""
    made = objects.fresh(tmp_path / "near")
    store_builder.published(made)
    return made


def names(store: Path) -> set[str]:
    """All objects of a store."""
    at = place.of(store)
    assert isinstance(at, ObjectPlace)
    return set(at._list(None))


def journeys(store: Path, number: int | None = None) -> int:
    with catalogue.connect(store, number) as session:
        ((n,),) = session.execute("select count(*) from v_journeys").fetchall()
        return int(n)


def here(store: Path) -> list[Path]:
    """Data files of a working copy whose bytes are in it."""
    return [path for path in store.glob("*/part-*.parquet") if is_here(path)]


# --- the same tables ----------------------------------------------------------------------------


def test_increments_publish_the_same_tables_as_in_a_folder(tmp_path: Path) -> None:
    """The last one on another machine, with nothing but the address and what is private."""
    folders = [tmp_path / name for name in ("folder", "objects")]
    for folder in folders:
        folder.mkdir()
    there = [erasing.history(folders[0], 4).store]
    near = objects.fresh(folders[1] / "store")
    erasing.history(folders[1], 4)
    assert [str(c) for c in compare(there[0], near) if c.differences] == []
    (folders[1] / "store").rename(tmp_path / "before")
    objects.elsewhere(tmp_path / "before", near)
    for private in ("texts", "texts_live", "quarantine"):
        shutil.copytree(tmp_path / "before" / private, near / private, dirs_exist_ok=True)
    for folder in folders:
        erasing.arrive(folder, 4, erasing.people(4))
        assert erasing.advance(erasing.load(folder), 4).status == "published"
    rows = list(compare(there[0], near))
    assert [str(c) for c in rows if c.differences] == []
    assert sum(c.rows[0] for c in rows) > 100


# --- readers ------------------------------------------------------------------------------------


def test_whoever_asks_fetches_no_data_file(store: Path, tmp_path: Path) -> None:
    far = objects.elsewhere(store, tmp_path / "far")
    assert journeys(far) == 3
    assert len(list(far.glob("*/part-*.parquet"))) > 5
    assert here(far) == []
    (file,) = publish.files_of(far, _latest(far))["journeys"]
    with place.of(far).whole([file]) as folder:  # as for Great Expectations
        assert (folder / file).read_bytes() == (store / file).read_bytes()
    assert here(far) == [far / file]


def _latest(store: Path) -> delta_store.Publication:
    latest = delta_store.latest(store)
    assert latest is not None
    return latest


@pytest.mark.parametrize(
    "query",
    (
        "select * from read_text('{base}/current')",
        "select * from read_text('/etc/hostname')",
        "select * from read_parquet('{base}/../other/x.parquet')",
        "copy (select 1) to '{base}/events/part-x.parquet'",
        "select * from glob('{base}/*')",
    ),
)
def test_a_session_reaches_nothing_but_its_publication(store: Path, query: str) -> None:
    with (
        catalogue.connect(store) as session,
        pytest.raises((duckdb.Error, catalogue.ReadOnlyError)),
    ):
        session.execute(query.format(base=place.of(store).base)).fetchall()


def test_a_catalogue_finds_its_files_wherever_it_is(store: Path) -> None:
    """A tool that reads the object store itself needs nothing of rejse."""
    with duckdb.connect(str(traces.path(store, 1)), read_only=True) as con:
        place.of(store).attach(con)
        assert con.execute("select count(*) from journeys").fetchall() == [(3,)]


def test_earlier_publications_are_read_and_compared_elsewhere(store: Path, tmp_path: Path) -> None:
    store_builder.published(store, journey(9, [{}]), number=2)
    far = objects.elsewhere(store, tmp_path / "far")
    assert (journeys(far, 1), journeys(far, 2)) == (3, 1)
    assert diff.publications(far, 1, 2).n_journeys == 4


def test_a_publication_made_while_it_is_listed_is_not_seen_in_half(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = objects.elsewhere(store, tmp_path / "far")
    lists = ObjectPlace._list

    def slow(self: ObjectPlace, prefix: str | None) -> dict[str, Any]:
        seen = lists(self, prefix)
        if prefix is None:  # as if a page with `publications` came late
            with monkeypatch.context() as patch:
                patch.setattr(ObjectPlace, "_list", lists)
                store_builder.published(store, journey(9, [{}]), number=2)
            last = lists(self, "publications/")
            return {**seen, **last}
        return seen

    monkeypatch.setattr(ObjectPlace, "_list", slow)
    place.of(far).refresh(is_held=False)
    assert [publication.number for publication in delta_store.publications(far)] == [1]
    monkeypatch.setattr(ObjectPlace, "_list", lists)
    place.of(far).refresh(is_held=False)
    assert journeys(far) == 1


# --- writers ------------------------------------------------------------------------------------


def _races(
    s3: Mapping[str, str], near: str, far: str, number: int, barrier: Any, results: Any
) -> None:
    """Try to publish in every round at once with the others, each as a machine of its own."""
    os.environ.update(s3)
    store = objects.elsewhere(Path(near), Path(far))
    for n in range(ROUNDS):
        barrier.wait()
        with publish.writing(store) as writer:
            files = staged(store, journey(number, [{}]))
            barrier.wait()
            try:
                run = run_of(n * WRITERS + number)
                results.put(("published", publish.publish(writer, files, run, audit=None).number))
            except AnotherWriter as refused:
                results.put((str(refused), exit_codes.code_of(refused)))
            barrier.wait()


def test_of_eight_machines_at_once_one_publishes_and_the_others_are_told(
    store: Path, tmp_path: Path, s3: Mapping[str, str]
) -> None:
    barrier, results = forks.Barrier(WRITERS, timeout=600), forks.Queue()
    writers = [
        forks.Process(
            target=_races, args=(s3, str(store), str(tmp_path / f"{n}"), n, barrier, results)
        )
        for n in range(WRITERS)
    ]
    reports = processes.reports(writers, results, WRITERS * ROUNDS)
    won = sorted(number for what, number in reports if what == "published")
    assert won == list(range(2, ROUNDS + 2)), "one winner a round, each on the last one's"
    assert {code for what, code in reports if what != "published"} == {75}
    last = objects.elsewhere(store, tmp_path / "last")
    numbers = [publication.number for publication in delta_store.publications(last)]
    assert numbers == list(range(1, ROUNDS + 2))
    assert journeys(last) == 1
    assert verify.verify(last, 0).damaged == ()


def test_a_commit_whose_answer_is_lost_counts(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    puts = ObjectPlace._put

    def lossy(self: ObjectPlace, name: str, content: Any, mode: Any) -> str | None:
        tag = puts(self, name, content, mode)
        if mode == "create":  # the request is repeated, and finds what it has put itself
            raise AlreadyExistsError
        return tag

    monkeypatch.setattr(ObjectPlace, "_put", lossy)
    assert store_builder.published(store, journey(9, [{}]), number=2).number == 2
    assert journeys(store) == 1


def test_current_never_goes_back(store: Path, tmp_path: Path) -> None:
    far = objects.elsewhere(store, tmp_path / "far")
    store_builder.published(store, journey(9, [{}]), number=2)
    place.of(far).point(traces.CURRENT, lambda text: catalogue.number(text.strip()))
    assert traces.pointed(objects.elsewhere(store, tmp_path / "third")) == 2


# --- kills --------------------------------------------------------------------------------------


def _dying(s3: Mapping[str, str], store: str, at: int, counted: Any) -> None:
    """Publish, and die before the put number `at`; tell the names of all."""
    os.environ.update(s3)
    puts, n = ObjectPlace._put, 0

    def put(self: ObjectPlace, name: str, content: Any, mode: Any) -> str | None:
        nonlocal n
        if n == at:
            os._exit(DEAD)
        n += 1
        counted.put(name)
        return puts(self, name, content, mode)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ObjectPlace, "_put", put)
        patch.setattr(ObjectPlace, "lanes", 1)  # so that a number is a moment
        rows = joined(store_builder.world(), journey(9, [{}]))
        store_builder.published(Path(store), rows, number=2)
        counted.put(None)


def _killed(s3: Mapping[str, str], store: Path, at: int) -> tuple[list[str], int | None]:
    """What a publication puts, in order, up to a kill; and how its process ended."""
    counted = forks.Queue()
    process = forks.Process(target=_dying, args=(s3, str(store), at, counted))
    process.start()
    passed = list(iter(lambda: counted.get(timeout=60), None)) if at < 0 else []
    process.join()
    return passed, process.exitcode


def test_a_kill_before_any_put_harms_nobody(tmp_path: Path, s3: Mapping[str, str]) -> None:
    template = objects.fresh(tmp_path / "template")
    store_builder.published(template)
    order, code = _killed(s3, template, -1)
    assert code == 0
    truth = next(at for at, name in enumerate(order) if name.startswith("publications/_delta_log"))
    tables = [at for at, name in enumerate(order) if "/_delta_log/" in name]
    parts = {tables[3], truth, truth + 1, len(order) - 1}
    moments = set(range(len(order))) if SOAK else parts
    assert order[-1] == "current"
    for at in sorted(moments):
        near = objects.fresh(tmp_path / f"near{at}")
        store_builder.published(near)
        assert _killed(s3, near, at) == ([], DEAD)
        far = objects.elsewhere(near, tmp_path / f"far{at}")
        assert journeys(far) == (4 if at == len(order) else 3), "readers see the old one, whole"
        with publish.writing(far) as writer:  # on another machine
            assert writer.previous is not None
            assert writer.previous.number == (2 if at > truth else 1)
            if writer.previous.number == 1:
                rows = joined(store_builder.world(), journey(9, [{}]))
                publish.publish(writer, staged(far, rows), run_of(2), audit=None)
        for again in (near, objects.elsewhere(far, tmp_path / f"third{at}")):
            with publish.writing(again) as writer:
                assert [p.run_id for p in delta_store.publications(again)] == ["run-1", "run-2"]
            assert journeys(again) == 4
        assert verify.missing(again, _latest(again)) == []


# --- care ---------------------------------------------------------------------------------------


def test_verify_finds_an_object_that_is_gone_or_another(store: Path, tmp_path: Path) -> None:
    """Also where the working copy still has it as it was."""
    import obstore

    assert verify.verify(store, 0).damaged == ()
    at = place.of(store)
    assert isinstance(at, ObjectPlace)
    lost, other = (delta_store.files(store, name, 0)[0] for name in ("steps", "events"))
    size = (store / other).stat().st_size
    obstore.delete(at._client, lost)
    obstore.put(at._client, other, b"x" * size)
    for machine in (store, tmp_path / "far"):
        copy = machine if machine == store else objects.elsewhere(store, machine)
        seen = {finding.place for finding in verify.verify(copy, 0).damaged}
        assert {lost, other} <= seen


def test_compaction_and_vacuum_leave_no_object_behind(store: Path, tmp_path: Path) -> None:
    with store_builder.files_apart(), publish.writing(store) as writer:
        worlds = (journey(7, [{}]), store_builder.world())
        files = [file for world in worlds for file in staged(store, world)]
        publish.publish(writer, files, run_of(2), audit=None)
    far = objects.elsewhere(store, tmp_path / "far")
    assert compact.compact(far).status == "published"
    now = delta_store.now() + 1
    done = vacuum.vacuum(far, 0, now, dry_run=False)
    assert (done.kept, done.expired) == ((3,), (1, 2))
    named = {file for files in publish.files_of(far, _latest(far)).values() for file in files}
    assert {name for name in names(far) if "/part-" in name} == named
    place.of(store).refresh(is_held=False)
    with publish.writing(store):
        left = {path.relative_to(store).as_posix() for path in store.glob("*/part-*.parquet")}
    assert left == named
    assert journeys(store) == 4


def test_the_erased_are_in_no_object_and_in_no_copy(tmp_path: Path) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    near = objects.fresh(folder / "store")
    there = erasing.history(folder, 4)
    far = objects.elsewhere(near, tmp_path / "far")
    read = publish.files_of(far, _latest(far))["events"]
    for file in read:
        place.here(far / file)
    before = names(near)
    forget(there, "customer", erasing.WHO)
    place.of(far).refresh(is_held=False)
    fresh = objects.elsewhere(near, tmp_path / "fresh")
    canaries = (erasing.WHO, erasing.pseudonym(), erasing.WORD)
    for copy in (fresh, far, near):
        for file in (*copy.glob("*/part-*.parquet"), *copy.glob("catalog-*")):
            place.here(file)
        assert {c: f for c, f in erasing.files_with(copy, *canaries).items() if f} == {}
    assert before - names(near), "objects have gone"
    assert verify.verify(near, 0).damaged == ()


def test_objects_of_a_dead_writer_go_when_no_writer_can_be_at_work(store: Path) -> None:
    (file,) = staged(store, {"events": store_builder.world()["events"]})
    place.of(store).send([file.path])
    with publish.writing(store):
        pass
    assert file.path in names(store), "its writer may be about to commit it"
    at = place.of(store)
    at.refresh(is_held=True)
    assert isinstance(at, ObjectPlace)
    at.abandon([store / file.path], age=timedelta(seconds=-1))
    assert file.path not in names(store)
    assert journeys(store) == 3


# --- what is refused ----------------------------------------------------------------------------


def test_private_data_need_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    address = f"s3://company/{tmp_path.name}"
    with pytest.raises(ValueError, match=r'local = "/a/private/folder".*keep_quarantine = 0$'):
        installation(tmp_path, {}, more=f'store = "{address}"')

    def installed(name: str, more: str) -> settings.Settings:
        folder = tmp_path / name
        folder.mkdir()
        return installation(folder, {}, more=more)

    with pytest.raises(ValueError, match=r'keep none: texts\.keep = "dropped"'):
        installed("texts", f'store = "{address}"\nkeep_quarantine = 0\n[texts]\nkeep = "redacted"')
    with pytest.raises(ValueError, match="expected `local` with an address"):
        installed("folder", 'store = { path = "here", local = "near" }')
    stated = installed("stated", f'store = {{ path = "{address}", local = "near" }}')
    assert stated.store == tmp_path.resolve() / "stated" / "near"
    none = installed("none", f'store = "{address}"\nkeep_quarantine = 0')
    assert (tmp_path / "cache") in none.store.parents
    refused = pa.table({"payload": ["raw"]})
    quarantine.write(none.store, "run", refused)
    assert list(none.store.glob("quarantine/*")) == []
    quarantine.write(stated.store, "run", refused)
    assert len(list(stated.store.glob("quarantine/*"))) == 1


def test_what_an_object_store_cannot_is_refused(store: Path) -> None:
    with pytest.raises(MisuseError, match="hot core"), lock.hot(store):
        raise AssertionError


def test_a_folder_of_another_store_is_refused(tmp_path: Path) -> None:
    near = objects.fresh(tmp_path / "near")
    with pytest.raises(client.PlaceError, match="another folder as `local`"):
        object_place.opened("s3://company/another", near)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letters").write_text("x")
    with pytest.raises(client.PlaceError, match="name a new folder"):
        object_place.opened("s3://company/another", tmp_path / "full")
    for wrong in ("s4://company/x", "s3://", "s3://company/*"):
        with pytest.raises(client.PlaceError, match="s3://bucket/folder"):
            object_place.opened(wrong, tmp_path / "none")


def test_a_bucket_that_is_missing_is_told_in_words(tmp_path: Path) -> None:
    store = object_place.opened("s3://nobodys/x", tmp_path / "near")
    with pytest.raises(client.UnreachableError, match="look at its bucket") as raised:
        store_builder.published(store)
    assert exit_codes.code_of(raised.value) == client.UnreachableError.exit_code
    assert (store / MARK).exists()


def test_the_environment_says_where(s3: Mapping[str, str]) -> None:
    """No setting holds a secret."""
    assert {"AWS_ENDPOINT_URL", "AWS_SECRET_ACCESS_KEY"} <= s3.keys()
