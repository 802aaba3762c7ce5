"""A store in a bucket: several machines, each with a mirror, writers that meet, and kills."""

from __future__ import annotations

import contextlib
import io
import math
import multiprocessing
import shutil
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from rejse.pipelines.cli.main import main
from rejse.pipelines.config.field_types import SettingsError
from rejse.pipelines.config.settings import Settings, load
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import RunResult, run
from rejse.pipelines.maintenance import compact, erase, vacuum, verify
from rejse.pipelines.publication.catalogue import connect
from rejse.pipelines.store import delta_store, mirror
from rejse.pipelines.store.lock import AnotherWriter
from rejse.pipelines.store.objects import Objects, ObjectStoreError
from rejse.transforms.errors import MisuseError
from tests.support import equal_stores, s3
from tests.support.installation import PEOPLE, installation, lines, row
from tests.support.law import SOAK

ROUNDS, WRITERS = (100, 8) if SOAK else (3, 4)


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[s3.Server]:
    mirror._objects.cache_clear()
    with s3.running() as started:
        yield started


class Project:
    """A project whose store is in a bucket; each machine has a mirror of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self._files = folder, url, 0
        folder.mkdir(exist_ok=True)
        store = f'[store]\nurl = "{url}"\nprivate = "mirror"'
        installation(folder, {"0.jsonl": lines([row(n) for n in range(20)])}, more=store)

    def machine(self, name: str = "a") -> Settings:
        """The settings on one machine."""
        return load(self.folder).model_copy(update={"store": self.folder / f"mirror-{name}"})

    def arrive(self) -> None:
        """Let another file arrive."""
        self._files += 1
        rows = [row(n) for n in range(20 * self._files, 20 * self._files + 20)]
        (self.folder / f"{self._files}.jsonl").write_text(lines(rows))

    def objects(self) -> Objects:
        """What is in the bucket."""
        return Objects(self.url)


@pytest.fixture
def project(tmp_path: Path, server: s3.Server) -> Project:
    return Project(tmp_path / "project", server.url())


def publish(settings: Settings) -> RunResult:
    return run(settings, RunRequest(complete=True))


def on_disk(project: Project) -> Path:
    """The store that the same runs make on a disk; one run suffices, as no result depends on it."""
    here = project.machine().model_copy(
        update={"store_url": None, "store": project.folder / "disk"}
    )
    shutil.rmtree(here.store, ignore_errors=True)
    publish(here)
    return here.store


def different(first: Path, second: Path) -> list[str]:
    """Tables that differ, but for how many runs and publications made them."""
    apart = ("runs", "publications")
    return [
        str(table)
        for table in equal_stores.compare(first, second)
        if table.differences and table.table not in apart
    ]


def n_events(settings: Settings) -> int:
    with connect(settings.store) as con:
        ((n,),) = con.execute("select count(*) from events").fetchall()
    return int(n)


def reader(project: Project, name: str) -> Settings:
    """A machine that only reads."""
    settings = project.machine(name)
    mirror.attach(settings.store, settings.store_url)
    mirror.refresh(settings.store)
    return settings


def test_another_machine_reads_rows_where_they_are(project: Project) -> None:
    assert publish(project.machine("a")).publication == 1
    other = reader(project, "b")
    assert n_events(other) == 20
    assert not list(other.store.glob("events/part-*")), "expected rows to stay in the bucket"


def test_another_machine_goes_on(project: Project) -> None:
    publish(project.machine("a"))
    project.arrive()
    assert publish(project.machine("b")).publication == 2
    assert publish(project.machine("a")).status == "nothing_new"
    project.arrive()
    assert publish(project.machine("a")).publication == 3
    fresh = project.machine("c")
    assert publish(fresh).status == "nothing_new"
    assert n_events(fresh) == 60
    assert different(on_disk(project), fresh.store) == []
    assert verify.verify(fresh.store, 0).damaged == ()


def test_a_reader_follows_the_pointer(project: Project) -> None:
    publish(project.machine("a"))
    other = reader(project, "b")
    project.arrive()
    publish(project.machine("a"))
    assert n_events(other) == 20
    mirror.refresh(other.store)
    assert n_events(other) == 40


def test_a_session_reaches_no_other_object(project: Project) -> None:
    publish(project.machine("a"))
    secret = project.url.replace("/stores/one", "/secret.parquet")
    bucket, _, name = secret.removeprefix("s3://").partition("/")
    source = next(project.machine("a").store.glob("events/part-*"))
    Objects(f"s3://{bucket}").put({name: source})
    with connect(reader(project, "b").store) as con:
        assert con.execute("select count(*) from events").fetchall() == [(20,)]
        with pytest.raises(duckdb.PermissionException):
            con._con.execute(f"from read_parquet('{secret}')")  # past the look at the statement


def test_private_files_stay_in_the_mirror(project: Project) -> None:
    (project.folder / "bad.jsonl").write_text('{"id": "x"}\n')
    publish(project.machine("a"))
    assert list(project.machine("a").store.glob("quarantine/*.jsonl"))
    names = project.objects().listed()
    assert not [name for name in names if name.startswith((".", "quarantine", "archive"))]
    assert {name.partition("/")[0] for name in names} >= {"events", "rejects", "current"}


def test_of_two_writers_one_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(project.machine("a"))
    project.arrive()
    slow, fast, push = project.machine("a"), project.machine("b"), mirror.push

    def overtaken(*given: Any) -> None:
        monkeypatch.setattr(mirror, "push", push)
        publish(fast)
        push(*given)

    monkeypatch.setattr(mirror, "push", overtaken)
    with pytest.raises(AnotherWriter, match="another writer has published meanwhile"):
        publish(slow)
    assert n_events(reader(project, "c")) == 40
    assert publish(slow).status == "nothing_new"
    project.arrive()
    assert publish(slow).publication == 3
    assert different(on_disk(project), slow.store) == []


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


def killed_at(request: float, project: Project, monkeypatch: pytest.MonkeyPatch) -> int:
    """Publish from a machine that dies at a writing request; return how many it made."""
    count, made = Objects._count, []

    def dying(self: Objects, kind: str) -> None:
        if kind in ("put", "delete"):
            if len(made) >= request:
                raise KilledError
            made.append(kind)
        count(self, kind)

    with monkeypatch.context() as patched, contextlib.suppress(KilledError):
        patched.setattr(Objects, "_count", dying)
        publish(project.machine("killed"))
    return len(made)


def test_a_kill_at_any_request_leaves_one_publication_or_the_next(
    tmp_path: Path, server: s3.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun(name: str) -> Project:
        project = Project(tmp_path / name, server.url())
        publish(project.machine("a"))
        project.arrive()
        return project

    n_requests, states = killed_at(math.inf, begun("whole"), monkeypatch), set()
    for kill in range(n_requests - 1, -1, -1 if SOAK else -6):
        project = begun(f"{kill}")
        assert killed_at(kill, project, monkeypatch) == kill
        states.add(n_events(reader(project, "b")))
        assert publish(project.machine("c")).status in ("published", "nothing_new")
        assert n_events(reader(project, "b")) == 40
        assert different(on_disk(project), project.machine("c").store) == []
    assert states == {20, 40}


def _write(folder: Path, url: str, name: str, barrier: Barrier, outcomes: Any) -> None:
    mirror._objects.cache_clear()
    settings = load(folder).model_copy(update={"store": folder / f"mirror-{name}"})
    assert settings.store_url == url
    for _ in range(ROUNDS):
        barrier.wait()
        try:
            outcome = publish(settings).status
        except AnotherWriter:
            outcome = "refused"
        outcomes.put(outcome)
        barrier.wait()


def test_of_many_writers_one_publishes_each_round(project: Project) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, outcomes = context.Barrier(WRITERS + 1), context.Queue()
    writers = [
        context.Process(
            target=_write, args=(project.folder, project.url, f"w{n}", barrier, outcomes)
        )
        for n in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    for number in range(1, ROUNDS + 1):
        barrier.wait()
        barrier.wait()
        of_round = sorted(outcomes.get() for _ in range(WRITERS))
        assert set(of_round) <= {"published", "refused", "nothing_new"}
        assert of_round.count("published") == 1, of_round
        newest = delta_store.latest(reader(project, "r").store)
        assert newest is not None and newest.number == number
        project.arrive()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    (project.folder / f"{project._files}.jsonl").unlink()  # it arrived after the last round
    assert n_events(reader(project, "r")) == 20 * ROUNDS


def test_maintenance_reaches_the_bucket(project: Project) -> None:
    for _ in range(3):
        publish(project.machine("a"))
        project.arrive()
    before = project.objects().listed()
    keeper = project.machine("b")
    publish(keeper)
    compact.compact(keeper.store)
    vacuum.vacuum(keeper.store, 0, delta_store.now(), dry_run=False)
    after = project.objects().listed()
    assert before.keys() - after.keys(), "expected files that nothing names any more to be gone"
    fresh = project.machine("c")
    assert publish(fresh).status == "nothing_new"
    assert verify.verify(fresh.store, 0).damaged == ()
    assert different(on_disk(project), fresh.store) == []


def test_an_erased_customer_leaves_the_bucket(project: Project) -> None:
    publish(project.machine("a"))
    project.arrive()
    publish(project.machine("a"))
    with connect(project.machine("a").store) as con:
        keys = [k for (k,) in con.execute("select distinct customer_key from events").fetchall()]
    erase.forget(reader(project, "b"), "customer", PEOPLE[0])
    left: set[str] = set()
    objects = project.objects()
    for name in objects.listed():
        if name.endswith(".parquet") and "_delta_log" not in name:
            content = objects.get(name)
            assert content is not None
            table = pq.read_table(io.BytesIO(content[0]))
            if "customer_key" in table.column_names:
                left |= set(table.column("customer_key").to_pylist())
    assert len(keys) == 4 and len(left & set(keys)) == 3


def test_the_past_is_read_from_another_machine(project: Project) -> None:
    publish(project.machine("a"))
    project.arrive()
    publish(project.machine("a"))
    with connect(reader(project, "b").store, 1) as con:
        assert con.execute("select count(*) from events").fetchall() == [(20,)]


def test_commands_find_the_bucket(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    publish(project.machine("a"))
    for command in (["sql", "select count(*) as n from events", "--json"], ["status"]):
        with pytest.raises(SystemExit) as left:
            main([*command, "--config", str(project.folder)])
        assert not left.value.code
    assert '"n": 20' in capsys.readouterr().out


def test_a_bucket_that_does_not_answer(tmp_path: Path, server: s3.Server) -> None:
    url = server.url().replace("s3://b", "s3://c")
    with pytest.raises(ObjectStoreError, match="expected the object store to answer"):
        publish(Project(tmp_path / "project", url).machine("a"))


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ('store = "s3://bucket/x"', "say where refused rows"),
        ('store = "ftp://bucket/x"', "expected a URL such as s3://bucket/folder"),
        ('store = "s3://key:secret@bucket/x"', "without credentials"),
        ('store = "s3://bucket/x"\ntexts = {keep = "redacted"}', "a table of texts is private"),
        ('[store]\nurl = "s3://bucket/x"\nplace = "y"', "expected path, mode, url and private"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, store: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        installation(tmp_path, {}, more=store)


def test_nothing_private_needs_no_place(tmp_path: Path) -> None:
    more = 'store = "s3://bucket/x/"\nkeep_quarantine = "0s"'
    assert installation(tmp_path, {}, more=more).store_url == "s3://bucket/x"


def test_a_folder_mirrors_one_bucket(project: Project, tmp_path: Path) -> None:
    store = project.machine("a").store
    publish(project.machine("a"))
    with pytest.raises(MisuseError, match="name another folder"):
        mirror.attach(store, "s3://other/place")
    with pytest.raises(MisuseError, match="expected `url` of the store"):
        mirror.attach(store, None)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "file").touch()
    with pytest.raises(MisuseError, match="expected an empty folder"):
        mirror.attach(tmp_path / "store", project.url)
