"""The bounded graph: files in, staged Parquet out (batch, increments, the live loop).

    each kind of input: read -> normalise -> accept -> pseudonymise -> buckets
    all kinds of a group of buckets: merge with stored rows -> score -> revise -> stage

Bucket files carry the shuffle, on disk or through the runner (`shuffle_media`): memory follows the
largest group of buckets, not the data. The steps are pure: `beam_graph` wires them for Beam's
runners, `local_graph` runs them on this machine. What is published does not depend on which of
them does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from rejse.pipelines.config import retention
from rejse.pipelines.config.dimension_files import LINKS
from rejse.pipelines.jobs.id_steps import CompareIds
from rejse.pipelines.jobs.plan import Plan
from rejse.pipelines.store.staged_file import StagedFile
from rejse.transforms.core import Core, Retain
from rejse.transforms.incremental.table_rows import REPLACED
from rejse.transforms.journeys.watermarks import Delivery
from rejse.transforms.steps import Score


@dataclass(frozen=True)
class GraphOutput:
    """What the graph of a run made.

    Attributes:
        files: Staged files.
        counts: Rows by name of the count.
        latest: Latest time by kind and delivery, microseconds.
        replaced: Files that list the customers whose published rows are replaced.
        deferred: Least time in the future of each file, by source and name, microseconds.
    """

    files: tuple[StagedFile, ...]
    counts: Mapping[str, int]
    latest: Mapping[tuple[str, Delivery], int]
    replaced: tuple[Path, ...]
    deferred: Mapping[tuple[str, str], int] = field(default_factory=dict)


def score_step(plan: Plan) -> Score:
    """Return the step that scores a group of buckets."""
    return Score(plan.merger, core(plan), plan.clocks, retain(plan), plan.groups, plan.salt)


def core(plan: Plan) -> Core:
    """Return what scores whole customers."""
    # Links are followed where rows are read; the core needs none of them.
    tables = {name: table for name, table in plan.data.tables.items() if name != LINKS}
    return Core(replace(plan.data, tables=tables), plan.rules)


def retain(plan: Plan) -> Retain:
    """Return what drops rows past their retention."""
    return partial(retention.kept, plan.since)


def compare_step(plan: Plan) -> CompareIds:
    """Return the step that compares ids."""
    return CompareIds(plan.salt, plan.known)


def groups_to_look_at(plan: Plan) -> Sequence[int]:
    """Return the groups of buckets that are scored even if no new rows are in them.

    Where there is a publication that is every group: customers may be due without new rows.
    """
    return range(plan.groups) if plan.history else ()


def graph_output(
    plan: Plan,
    files: Iterable[StagedFile],
    counts: Mapping[str, int],
    latest: Mapping[tuple[str, Delivery], int],
    deferred: Iterable[tuple[tuple[str, str], int]],
) -> GraphOutput:
    """Return the output of a graph from what its workers made."""
    files, least = tuple(files), dict[tuple[str, str], int]()
    for file, time in deferred:
        least[file] = min(time, least.get(file, time))
    return GraphOutput(
        files=tuple(file for file in files if file.table != REPLACED),
        counts=counts,
        latest=latest,
        replaced=tuple(plan.scratch / file.path for file in files if file.table == REPLACED),
        deferred=least,
    )
