"""Random actions on a store against a model of a few dictionaries; at the end against one batch."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rejse.pipelines import raw_schema, settings, store
from rejse.pipelines.catalogue import connect
from rejse.pipelines.compaction import compact
from rejse.pipelines.run import repair
from rejse.pipelines.vacuum import vacuum
from tests.increments import contents
from tests.law import FACTOR
from tests.model import START, Model, Row, Source
from tests.test_publish import Crash, crash
from tests.test_run import SELECT, TEXTS, installation, once

#: Seeds and rounds: some 10,000 actions in the soak.
SEEDS, ROUNDS, ROWS = (40, 20, 12) if FACTOR > 1 else (2, 8, 12)
COUNTS = ("read", "kept", "duplicate", "late")


class Store:
    """A real store, and the model beside it."""

    def __init__(self, folder: Path, seed: int, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.source, self.model = folder, Source(seed), Model()
        self.settings, self._patch, self._files = made(folder, []), patch, 0

    @property
    def chance(self) -> Any:
        """What decides on everything."""
        return self.source.chance

    def append(self) -> None:
        """Some rows arrive, and a run follows; one in four is killed and repeated."""
        rows = self.source.rows(self.chance.randrange(1, 2 * ROWS))
        self._files += 1
        name = f"{self._files:03d}.jsonl"
        (self.folder / name).write_text("".join(row.line() for row in rows), encoding="utf-8")
        if self.chance.random() < 0.25:
            self._killed()
        once(self.settings)
        self.model.run(rows)

    def _killed(self) -> None:
        with self._patch.context() as patched, contextlib.suppress(Crash):
            crash(patched, self.chance.randrange(25))
            once(self.settings)  # which may be over before its end comes

    def repair(self) -> None:
        """Late events of some days come in."""
        since = START + timedelta(days=self.chance.randrange(-40, 60))
        until = since + timedelta(days=self.chance.randrange(1, 60))
        micros = (int(at.timestamp()) * 1_000_000 for at in (since, until))
        repair(self.settings, *micros, audit=False)
        self.model.repair(since, until)

    def compact(self) -> None:
        """Small files are joined."""
        compact(self.settings.store)

    def vacuum(self) -> None:
        """All but the current publication goes."""
        vacuum(self.settings.store, 0, store.now(), dry_run=False)

    def check(self) -> None:
        """Tables hold what the model holds."""
        with connect(self.settings.store) as con:
            for table, rows in (("events", self.model.events), ("late", self.model.late)):
                sql = f"select id, time, activity, recordedtime from {table} order by id"
                wanted = [(r.id, r.time, r.activity, r.recorded) for r in rows.values()]
                assert con.sql(sql).fetchall() == sorted(wanted), table
            counted = ", ".join(f"sum(n_{name})::bigint" for name in COUNTS)
            told = con.sql(f"select {counted} from runs").fetchall()
            assert told == [tuple(self.model.counts[name] for name in COUNTS)]


def made(folder: Path, rows: list[Row]) -> settings.Settings:
    """An installation whose rows have a time of recording."""
    folder.mkdir(exist_ok=True)
    found = installation(folder, {"000.jsonl": "".join(row.line() for row in rows)})
    (folder / "raw.json").unlink()
    columns = [(name, pa.string()) for name in (*TEXTS, "recorded")]
    raw_schema.write(folder / "raw.json", pa.schema(columns))
    recorded = "cast(recorded as timestamptz) as recordedtime"
    (folder / "map.sql").write_text(SELECT.replace(" from source", f", {recorded} from source"))
    return settings.load(found.root)


@pytest.mark.parametrize("seed", range(1, 1 + SEEDS))
def test_a_store_after_random_actions_is_as_the_model_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    real = Store(tmp_path / "store", seed, monkeypatch)
    real.append()
    for _ in range(ROUNDS):
        chosen = real.chance.choices(
            (real.append, real.repair, real.compact, real.vacuum), (7, 1, 1, 1)
        )
        chosen[0]()
        real.check()
    assert real.model.corrected and real.model.counts["late"], "else it shows nothing"
    batch = made(tmp_path / "batch", list(real.model.events.values()))
    once(batch)
    assert contents(real.settings) == contents(batch)
