"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rejse.pipelines.publication.audit import Audit, Report
    from rejse.pipelines.sources.kafka.topics import TopicShard
    from rejse.pipelines.sources.listing import SourceFile
    from rejse.pipelines.store.carry_forward import CarriedFiles
    from rejse.pipelines.store.staged_file import StagedFile

#: `increment`: publish what is new. `rebuild`: read all files again and drop what came from others.
#: `rescore`: score all stored rows anew, and those that are new, as a rebuild would score them.
#: `repair`: publish the late events of a span as revisions of final rows. `reconcile`: rescore the
#: customers whose identity links have changed, as revisions with reason `identity`.
Mode = Literal["increment", "rebuild", "rescore", "repair", "reconcile"]
#: From the first microsecond to before the second.
TimeSpan = tuple[int, int]


def audit(
    store: Path, staged: Mapping[str, Sequence[StagedFile]], carried: CarriedFiles | None,
    run_id: str,
) -> Report:  # fmt: skip
    """Audit as `publication.audit` does, which is imported where there is something to audit."""
    from rejse.pipelines.publication import audit as auditing

    return auditing.audit(store, staged, carried, run_id)


@dataclass(frozen=True)
class RunRequest:
    """What a run is asked to do.

    Attributes:
        mode: What to publish, see `Mode`. `repair` and `reconcile` read no source.
        complete: The files hold all there is up to their ends.
        complete_until: Source, or name that its rows carry -> time (microseconds) up to which it
            is complete.
        span: Of a repair the times of the late events to publish. Else only rows of these times
            are taken, and the files count as not read yet; records without a time are taken whole.
        inputs: Files and partitions to look at; None: those of the configuration.
        beam_args: Options of Beam; without them the run does without Beam.
        workers: Processes that read and score at most; None: one for each core.
        min_groups: Fewest groups of customer buckets; no result depends on it.
        audit: Audits what is staged; None publishes without.
    """

    mode: Mode = "increment"
    complete: bool = False
    complete_until: Mapping[str, int] = field(default_factory=dict)
    span: TimeSpan | None = None
    inputs: Sequence[SourceFile | TopicShard] | None = None
    beam_args: Sequence[str] = ()
    workers: int | None = None
    min_groups: int = 1
    audit: Audit | None = audit

    def __post_init__(self) -> None:
        if self.mode == "repair" and self.span is None:
            raise ValueError("expected the span of a repair")

    @property
    def reads_sources(self) -> bool:
        """Whether files are read; else only stored rows."""
        return self.mode in ("increment", "rebuild", "rescore")
