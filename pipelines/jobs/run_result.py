"""What a run did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rejse.pipelines.jobs.request import Mode

Status = Literal["published", "nothing_new", "audit_failed"]


@dataclass(frozen=True)
class RunResult:
    """What a run did.

    `counts` balances: read = kept + duplicate + late + rejected + erased; what a repair takes out
    of `late` counts there as negative. A run that finds nothing new has no id and read nothing;
    `tables` (rows by table) and `frontiers` (watermarks by source) are those of the publication.
    `unjoined` are answers of the publication that join no journey, by reason. `mode` is what was
    done, and `reason` why all was read or scored again.
    """

    run_id: str | None
    status: Status
    publication: int | None
    counts: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    tables: Mapping[str, int] = field(default_factory=dict)
    frontiers: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    seconds: float = 0.0
    unjoined: Mapping[str, int] = field(default_factory=dict)
    mode: Mode | None = None
    reason: str | None = None
