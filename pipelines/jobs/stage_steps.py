"""The steps that stage: scored tables and rejects become files that a commit can take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rejse.pipelines.jobs import scratch
from rejse.pipelines.jobs.plan import Plan
from rejse.pipelines.runtime import process_limits, signals
from rejse.pipelines.store import quarantine, staging
from rejse.pipelines.store.staged_file import StagedFile
from rejse.transforms import published_tables
from rejse.transforms.columnar.arrays import arrow, values
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.identity.pseudonyms import signer
from rejse.transforms.incremental.revisions import JOURNEYS
from rejse.transforms.incremental.table_rows import REPLACED, TableRows
from rejse.transforms.ingest import rejects as refusals
from rejse.transforms.schema.registry import LIVE
from rejse.transforms.scoring.output_tables import FINAL
from rejse.transforms.steps import COUNTS, ERASED, KEPT, Output, Step, count

#: Events scored between two times that freed memory goes back: it is faulted in again, in 50 ms.
EVENTS_PER_TRIM = 1_000_000


class Stage(Step):
    """Tables -> staged files: final rows in the table, others in its `_live` twin."""

    element = Any
    outputs = ()

    def __init__(self, plan: Plan) -> None:
        self._store, self._scratch = plan.store, plan.scratch
        self._stamp = (plan.run_id, plan.config_version, plan.known_at)
        self._texts_from = plan.texts_from

    def start_bundle(self) -> None:
        """Begin files of their own."""
        self._stage, self._n_scored = staging.Stage(self._store), EVENTS_PER_TRIM
        self._replaced = staging.Stage(self._scratch)

    def process(self, scored: TableRows) -> Iterator[Output]:
        """Take rows of one table; yield the files that are full."""
        signals.check()
        self._trim_memory()
        if scored.table == REPLACED:
            yield from _staged(self._replaced.add(scored.table, scored.rows))
            return
        for target, part in self.parts(scored.table, scored.rows):
            yield from _staged(self._stage.add(target, part))
        if scored.table == JOURNEYS:
            n_scored = pc.sum(scored.rows.column("n_events")).as_py() or 0
            self._n_scored += n_scored
            scratch.report(self._scratch, "scored", n_scored)

    def _trim_memory(self) -> None:
        # At first what reading needed, later holes in the heap.
        if self._n_scored >= EVENTS_PER_TRIM:
            process_limits.trim_malloc()
            self._n_scored = 0

    def finish_bundle(self) -> Iterator[Output]:
        """Yield all other files."""
        yield from _staged(self._stage.close())
        yield from _staged(self._replaced.close())

    def parts(self, name: str, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """Yield the rows of a scored table by the stored tables that take them."""
        if FINAL.name not in table.column_names:  # inputs: events, records
            yield name, table
            return
        declared = published_tables.TABLES[name]
        if declared.is_private and self._texts_from is not None:
            time = values(table.column(declared.retention))
            table = table.filter(arrow(time >= self._texts_from))
        final = values(table.column(FINAL.name))
        if final.all():
            yield name, staging.stamped(table, *self._stamp)
        else:
            yield name, staging.stamped(table.filter(arrow(final)), *self._stamp)
            yield name + LIVE, staging.stamped(table.filter(arrow(~final)), *self._stamp)


class StageRejects(Step):
    """Rejects -> staged rows with keyed hashes; payloads go to quarantine, mode 0600.

    Those that hold an erased identity are not kept, and are counted as erased instead.
    """

    element = Any
    outputs = (COUNTS,)

    def __init__(self, plan: Plan) -> None:
        self._store, self._run_id, self._ask = plan.store, plan.run_id, plan.key
        self._erased = plan.erased

    def start_bundle(self) -> None:
        """Begin to gather rejects."""
        self._tables: list[pa.Table] = []

    def process(self, refused: pa.Table) -> Iterator[Output]:
        """Gather rejects; yield counts of those that are not kept."""
        if self._erased.tombstones:
            is_erased = self._erased.rejects_mentioning(refused, signer(self._ask()))
            reasons = refused.column("reason").filter(arrow(is_erased)).to_pylist()
            yield from count(ERASED, len(reasons))
            for reason in reasons:  # as which it was counted where it was refused
                yield from count(f"rejected:{reason}", -1)
            refused = refused.filter(arrow(~is_erased))
        if refused.num_rows:
            self._tables.append(refused)

    def finish_bundle(self) -> Iterator[Output]:
        """Write the payloads to quarantine and yield the staged file."""
        signer.cache_clear()
        if not self._tables:
            return
        refused = refusals.join(self._tables)
        quarantine.write(self._store, self._run_id, refused)
        file = staging.write(self._store, "rejects", published_rejects(refused, self._ask()))
        yield Output(KEPT, file)


def _staged(files: Iterable[StagedFile]) -> Iterator[Output]:
    for file in files:
        yield Output(KEPT, file)


def published_rejects(refused: pa.Table, key: bytes) -> pa.Table:
    """Return rejects as they are published.

    Payload and id are keyed hashes (first 32 hex digits), also where the id is the position;
    details are without what they quote.
    """

    def keyed(name: str) -> pa.Array:
        payloads = refused.column(name).to_pylist()
        return text([None if p is None else refusals.keyed_hash(key, name, p) for p in payloads])

    ids = keyed("id")
    reasons, positions, details = (
        refused.column(name).to_pylist() for name in ("reason", "position", "detail")
    )
    placed = zip(reasons, positions, ids.to_pylist(), strict=True)
    columns = {
        "source": refused.column("source"),
        "position": text([refusals.keyed_position(*row) for row in placed]),
        "id": ids,
        "reason": refused.column("reason"),
        "detail": text(list(map(refusals.unquoted, reasons, details))),
        "payload_hmac": keyed("payload"),
    }
    return pa.table(columns)
