"""Random actions on a store against a model of a few dictionaries; at the end against one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.config.retention import RetentionSettings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.maintenance.compact import compact
from rejse.pipelines.maintenance.erase import LinkedError, forget
from rejse.pipelines.maintenance.vacuum import vacuum
from rejse.pipelines.publication.catalogue import connect
from rejse.pipelines.store import delta_store
from tests.support.crashes import Crash, crash_after
from tests.support.increments import contents
from tests.support.installation import KEY, once
from tests.support.law import SOAK
from tests.support.linked_installation import linked_installation, write_links
from tests.support.model import LAST, Model, Row, Source, micros, pseudonym
from tests.support.naive_links import Link, Who
from tests.support.store_builder import files_apart

#: Actions of the soak, each row that comes being one; seeds, files, rows of a file.
ACTIONS = 10_000
SEEDS: Sequence[int]
SEEDS, FILES, ROWS = (range(1, 17), 8, (30, 70)) if SOAK else ((8, 9), 2, (9, 30))
COUNTS = ("read", "kept", "duplicate", "late", "erased")
#: What can happen to rows or to a store; all of it must have been seen.
KINDS = (
    "late", "duplicate", "correction", "erased", "link", "unlink", "moved", "moved late", "erase",
    "erase late", "refused", "repair", "kill", "compact", "vacuum", "late correction",
)  # fmt: skip
TABLES = {"events": "30d", "late": "20d", "journeys": "10d"}
RETAINED = '[types.other]\ngap = "2d"\n[retention.tables]\n' + "".join(
    f'{k} = "{v}"\n' for k, v in TABLES.items()
)


class Store:
    """A real store, and the model beside it."""

    def __init__(self, folder: Path, seed: int, patch: pytest.MonkeyPatch, more: str) -> None:
        self.folder, self.source, self.model = folder, Source(seed), Model(KEY)
        self.settings = linked_installation(folder, [], more=more)
        self._patch, self._files, self._is_apart = patch, 0, seed % 2
        self.links: list[Link] = []
        self.actions, self._clock = 0, 0
        since = RetentionSettings.since
        patch.setattr(RetentionSettings, "since", lambda kept, _: since(kept, self._clock))

    @property
    def chance(self) -> Any:
        """What decides on everything."""
        return self.source.chance

    @property
    def since(self) -> dict[str, int]:
        """From when rows are kept, by table."""
        return self.settings.retention.since(delta_store.now())

    def append(self) -> None:
        """Some rows arrive, and a run follows."""
        self.arrive(self.source.rows(self.chance.randrange(*ROWS)))

    def arrive(self, rows: Sequence[Row]) -> None:
        """These rows arrive, and a run follows."""
        self._files += 1
        name = f"{self._files:03d}.jsonl"
        (self.folder / name).write_text("".join(row.line() for row in rows), encoding="utf-8")
        self._done(lambda: once(self.settings))
        self.model.follow(self.links)
        self.model.run(rows)
        self.actions += len(rows) - 1  # a row is an action, the run is none

    def _done(self, work: Callable[[], Any]) -> Any:
        """What a piece of work gives; one in four, and all until it happens, is killed at some
        step, if it has so many, and repeated.

        By odd seeds runs leave small files, as earlier versions did, for `compact` to join.
        """
        with files_apart() if self._is_apart else nullcontext():
            return self._killed_or_done(work)

    def _killed_or_done(self, work: Callable[[], Any]) -> Any:
        is_killed, steps = self.chance.random() < 0.25, self.chance.randrange(25)
        if is_killed or not self.model.seen["kill"]:
            with self._patch.context() as patched:
                crash_after(patched, steps)
                try:
                    return work()  # which may be over before its end comes
                except Crash:
                    self.model.seen["kill"] += 1
                    self.actions += 1
        return work()

    def repair(self) -> None:
        """Late events of some days come in, where any wait."""
        waiting = [*self.model.late.values()] or [self.source.last()]
        since = self.chance.choice(waiting).time - timedelta(days=self.chance.randrange(9))
        until = since + timedelta(days=self.chance.randrange(10, 40))
        self._done(
            lambda: run(
                self.settings, RunRequest("repair", span=(micros(since), micros(until)), audit=None)
            )
        )
        self.model.follow(self.links)
        self.model.repair(since, until)

    def link(self) -> None:
        """Somebody is known to be another's."""
        drawn = [self.source.link() for _ in range(20)]
        self._relink("link", [[*self.links, new_link] for new_link in drawn])

    def unlink(self) -> None:
        """A link ends, or was none."""
        remaining = [[two for two in self.links if two != ended_link] for ended_link in self.links]
        at = micros(self.source.now - timedelta(days=5))
        ended = [
            [*some, ended_link._replace(end=at)]
            for ended_link, some in zip(self.links, remaining, strict=True)
        ]
        self._relink("unlink", [*remaining, *ended])

    def _relink(self, kind: str, candidates: Sequence[list[Link]]) -> None:
        """Some of these links, that move a row which waits if any do; rows follow now, or later."""
        late, kept = (
            [some for some in candidates if self.model.moved(self.links, some)[place]]
            for place in range(2)
        )
        if not late and not kept:
            return
        self.links = self.chance.choice(late or kept)
        self.model.seen[kind] += 1
        write_links(self.folder, self.links)
        if self.chance.random() < 0.5:
            self._done(lambda: run(self.settings, RunRequest("reconcile", audit=None)))
            self.model.follow(self.links)

    def erase(self) -> None:
        """Somebody goes who is nobody else's."""
        identity = self._somebody(is_another=False)
        self._done(lambda: forget(self.settings, *identity))
        self.model.forget(identity)

    def refuse(self) -> None:
        """Who is another's is not erased alone."""
        identity = self._somebody(is_another=True)
        if identity != LAST:
            with pytest.raises(LinkedError):
                self._done(lambda: forget(self.settings, *identity))
            self.model.seen["refused"] += 1

    def _somebody(self, is_another: bool) -> Who:
        """Of whom there are rows, or through whom; the last one where there is nobody."""
        identities = {row.owner for row in self.model.rows()} | {
            link.other for link in self.model.links
        }
        candidates = [
            identity
            for identity in sorted(identities)
            if self.model.is_another(identity) == is_another
        ]
        waiting = {self.model.person(row) for row in self.model.late.values()}
        late = [identity for identity in candidates if identity in waiting]
        return self.chance.choice(late or candidates or [LAST])

    def compact(self) -> None:
        """Small files are joined."""
        before = delta_store.latest(self.settings.store)
        self._done(lambda: compact(self.settings.store, self.since))
        if self.since:
            self.model.age(self.since["events"], self.since["late"], self._began())
        # One that is killed after its publication finds nothing to do when it is repeated.
        self.model.seen["compact"] += delta_store.latest(self.settings.store) != before

    def _began(self) -> dict[str, datetime]:
        """Since when there are journeys of each customer, by his pseudonym: the core's to say."""
        tables = [f"{name}{live}" for name in ("journeys", "steps") for live in ("", "_live")]
        starts = " union all ".join(f"select customer_key, started_at from {t}" for t in tables)
        with connect(self.settings.store) as con:
            rows = con.sql(f"select customer_key, min(started_at) from ({starts}) group by 1")
            return dict(rows.fetchall())

    def retain(self) -> None:
        """Time goes by, and what is past its retention goes."""
        self._clock = micros(self.source.now)
        self.compact()

    def vacuum(self) -> None:
        """All but the current publication goes."""
        done = vacuum(self.settings.store, 0, delta_store.now(), dry_run=False)
        self.model.seen["vacuum"] += len(done.files)

    def check(self) -> None:
        """Tables hold what the model holds."""
        with connect(self.settings.store) as con:
            for table, rows in (("events", self.model.events), ("late", self.model.late)):
                sql = f"select id, time, activity, recordedtime, customer_key from {table}"
                wanted = [
                    (r.id, r.time, r.activity, r.recorded, pseudonym(self.model.person(r), KEY))
                    for r in rows.values()
                ]
                assert sorted(con.execute(sql).fetchall()) == sorted(wanted), table
            counted = ", ".join(f"sum(n_{name})::bigint" for name in COUNTS)
            runs = con.execute(f"select {counted} from runs").fetchall()
            assert runs == [tuple(self.model.counts[name] for name in COUNTS)]
            if self.model.erased:
                assert len(con.execute("from erasures").fetchall()) == len(self.model.erased)


def acted(real: Store, *more: Callable[[], None]) -> None:
    """Every action where it has something to do, then any in any order; checked after each."""
    come, actions = real.append, (real.link, real.unlink, real.repair, real.refuse, real.erase,
                                real.compact, real.vacuum, *more)  # fmt: skip
    first = (
        come, come, come, real.link, come, real.refuse, real.unlink, come, real.link, real.erase,
        *more, come, real.repair, *more, real.compact, real.vacuum,
    )  # fmt: skip
    chosen = [*real.chance.choices(actions, k=2 * FILES), *([come] * FILES)]
    real.chance.shuffle(chosen)
    for action in (*first, *chosen):
        real.actions += 1
        action()
        real.check()
    real.arrive([real.source.last()])
    real.check()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_store_after_random_actions_is_as_the_model_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    seed: int,
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    is_kept = seed % 2
    real = Store(tmp_path / "store", seed, monkeypatch, "" if is_kept else RETAINED)
    acted(real, *(() if is_kept else (real.retain,)))
    record_property("actions", real.actions)
    if is_kept:
        batch = linked_installation(
            tmp_path / "batch", list(real.model.events.values()), real.model.links
        )
        once(batch)
        assert contents(real.settings) == contents(batch)
    seen = {**real.model.counts, **real.model.seen}
    record_property("seen", seen)
    assert not [kind for kind in KINDS if not seen.get(kind)]
    assert is_kept or (real.model.seen["retention"] and real.model.seen["retention late"])
    assert not SOAK or real.actions >= ACTIONS / len(SEEDS)
