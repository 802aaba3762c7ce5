"""What a run says about itself: the row of the table `runs`, and its part of `publications`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rejse.pipelines.store.delta_store import Publication
from rejse.transforms.schema.log_tables import COUNTS


@dataclass(frozen=True)
class Run:
    """What a run says about itself; times are microseconds since 1970.

    Attributes:
        run_id: Its name in every row that it publishes.
        fingerprint: Hash of all that the result depends on.
        config_version: Hash of the configuration.
        started_at: The run clock.
        counts: Rows read, kept, duplicate, late, rejected, erased (absent = 0).
        reasons: Rejected rows by reason.
        notes: Values changed in kept rows, and rows that join nothing, by name of the note.
        positions: How far each file was read.
        frontiers: Watermarks of the sources of interactions.
        x_frontiers: Watermarks of the sources of answers.
        windows: Windows that served views need (`repeat`: W of the contact rates).
        thresholds: Those of the answers (`csat.satisfied_from`), in points of their own scale.
        promise_checks: The SQL that judges claims, by name.
        core_version: Hash of rules, code and key.
        core_versions: Hashes of rules and code by part.
        sources: Hash of each source's mapping and schema.
        latest: Latest time read, by kind of input, source and delivered name.
        mode: What kind of run it was.
        reason: Why all was read or scored again.
    """

    run_id: str
    fingerprint: str
    config_version: str
    started_at: int
    counts: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    positions: Mapping[str, str] = field(default_factory=dict)
    frontiers: Mapping[str, int] = field(default_factory=dict)
    x_frontiers: Mapping[str, int] = field(default_factory=dict)
    windows: Mapping[str, int] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    promise_checks: Mapping[str, str] = field(default_factory=dict)
    core_version: str = ""
    core_versions: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    latest: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    mode: str = "increment"
    reason: str | None = None

    @property
    def difference(self) -> int:
        """Rows read that are accounted for nowhere (negative: accounted for twice)."""
        rows = {name: self.counts.get(name, 0) for name in COUNTS}
        return rows.pop("read") - sum(rows.values())

    def publication(self, number: int, published_at: int, audit: str) -> Publication:
        """Return the publication of the run, before the versions of its tables are known."""
        return Publication(
            number=number, run_id=self.run_id, fingerprint=self.fingerprint,
            config_version=self.config_version, published_at=published_at,
            positions=self.positions, frontiers=self.frontiers, x_frontiers=self.x_frontiers,
            windows=self.windows, thresholds=self.thresholds, promise_checks=self.promise_checks,
            counts={name: self.counts.get(name, 0) for name in COUNTS}, audit=audit,
            core_version=self.core_version, core_versions=self.core_versions,
            sources=self.sources, latest=self.latest,
        )  # fmt: skip

    def row(self, publication: Publication) -> dict[str, Any]:
        """Return the row of the table `runs`."""
        counts = {f"n_{name}": count for name, count in publication.counts.items()}
        return {
            "run_id": self.run_id, "publication": publication.number,
            "mode": self.mode, "reason": self.reason, "status": "published",
            "config_version": self.config_version, "started_at": self.started_at,
            "finished_at": publication.published_at, "difference": self.difference,
            "reasons": list(self.reasons.items()), "notes": list(self.notes.items()), **counts,
        }  # fmt: skip
