"""Decide what a run publishes: an increment on the last publication, or all files read again.

Rules, code and key make the core version. Under another one, or where the mapping of a source has
changed or a source is gone, stored rows cannot be combined with new ones, and all sources are read
again. A new source is read beside stored rows. It, and operational tables, which have validity and
grow every day, make everything that is not final be rescored.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from rejse.pipelines.config.fingerprint import core_version, fingerprint, key_id
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs import identity_links
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.unchanged import after, is_published
from rejse.pipelines.sources import positions
from rejse.pipelines.sources.positions import Positions
from rejse.pipelines.store import carry_forward, erasure_receipts
from rejse.pipelines.store.delta_store import Publication, Writer
from rejse.transforms.dimensions.customer_records import CASES
from rejse.transforms.errors import MisuseError
from rejse.transforms.incremental.merge_customers import LATE

if TYPE_CHECKING:
    import pyarrow as pa

    from rejse.pipelines.sources.kafka.topics import TopicShard
    from rejse.pipelines.sources.listing import SourceFile
    from rejse.pipelines.sources.shards import Shard
    from rejse.transforms.identity.changed_links import Relink
    from rejse.transforms.identity.erasure import Erased

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NothingToBuildOnError(MisuseError):
    """There is no publication whose late events, or whose links, could be followed."""


class SourcesGoneError(MisuseError):
    """All sources must be read again, and files that were read before are gone."""


class SpanRefusedError(MisuseError):
    """All sources must be read again, and the run was asked for a part of their time only."""


@dataclass(frozen=True)
class Increment:
    """What one publication is made from.

    Attributes:
        request: What it answers: the run's request, or a `reconcile` that comes before it.
        run_id: Its id in the table `runs`.
        now: The clock of the run, microseconds.
        base: The publication to build on; None: all files are read again.
        shards: Pieces of files to read.
        positions: How far each file is read afterwards.
        core_version: Hash of rules, code and key.
        is_changed: Whether the configuration is another than that of `base`.
        reread: Files, by source and name, that were read before and have changed, and partitions
            of which messages are read again, with the first offset.
        erased: Identities whose rows are counted and not kept.
        links: Identity links; None where the installation keeps none.
        relink: Customers whose stored rows follow other links.
    """

    request: RunRequest
    run_id: str
    now: int
    base: Publication | None
    shards: tuple[Shard, ...]
    positions: Positions
    core_version: str
    is_changed: bool
    reread: Mapping[tuple[str, str], int]
    erased: Erased
    links: pa.Table | None = None
    relink: Relink | None = None

    @property
    def clock(self) -> datetime:
        """`now` as a time in UTC."""
        return EPOCH + timedelta(microseconds=self.now)

    def fingerprint(self, settings: Settings, read: Mapping[str, str]) -> str:
        """Return the fingerprint of its publication, with these positions."""
        request = self.request
        return fingerprint(
            settings, self.core_version, read, request.complete_until, request.complete, self.now,
            request.span,
        )  # fmt: skip


def increments(
    settings: Settings, writer: Writer, request: RunRequest, now: int
) -> Iterator[Increment]:
    """Yield what a run publishes: customers whose links have changed, then what was requested.

    The second is planned when the first is published, and builds on it. What would publish nothing
    new is left out.

    Raises:
        NothingToBuildOnError: a repair or reconcile finds no publication under these rules.
        SourcesNeededError: of a customer to be rescored the rows are not stored.
        SourcesGoneError: all must be read again, and files are gone.
        SpanRefusedError: all must be read again, and a span is given.
        KeyChangedError: identities were erased under another key.
    """
    erased = erasure_receipts.erased(settings.store, writer.receipts)
    limit = now + settings.windows.future
    has_links, reread_all = identity_links.are_kept(settings), False

    @cache  # what the first increment has read the second need not read again
    def gather(shards: tuple[Shard, ...]) -> pa.Table:
        from rejse.pipelines.jobs.gather_links import gather_links

        return gather_links(settings, shards, erased, limit, request.workers)

    def with_links(increment: Increment) -> Increment:
        gathered = gather(increment.shards)
        links = identity_links.links_of_run(settings, increment.base, gathered, erased)
        return replace(increment, links=links)

    if request.mode == "reconcile" or (has_links and request.mode != "rebuild"):
        try:
            base = _compatible(settings, writer.previous)
            reconciling = replace(
                request, mode="reconcile", complete=False, complete_until={}, span=None
            )
            planned = with_links(plan_increment(settings, base, reconciling, now, erased))
            planned = _relinked(settings, base, planned)
        except (NothingToBuildOnError, identity_links.SourcesNeededError):
            if request.mode != "increment":
                raise
            reread_all = True
        else:
            if not is_empty(settings, planned):
                yield planned
    if request.mode == "reconcile":
        return
    planned = plan_increment(settings, writer.previous, request, now, erased, reread_all=reread_all)
    if not is_empty(settings, planned):
        yield with_links(planned) if has_links else planned


def _relinked(settings: Settings, base: Publication, increment: Increment) -> Increment:
    """Return the increment with the customers whose links have changed, and without files to read.

    Raises:
        SourcesNeededError: rows of such a customer are not stored.
    """
    return replace(
        increment,
        shards=(),
        positions=positions.of(settings, base.positions),
        reread={},
        relink=identity_links.changed_links(settings, base, increment.links),
    )


def plan_increment(
    settings: Settings, base: Publication | None, request: RunRequest, now: int, erased: Erased,
    *, reread_all: bool = False,
) -> Increment:  # fmt: skip
    """Decide between an increment on `base` and a full rebuild; list the files to read.

    Args:
        base: The last publication.
        now: Microseconds.
        reread_all: Stored rows do not suffice: read all files again.

    Raises what `increments` raises.
    """
    if request.mode == "repair":
        base = _compatible(settings, base)
    key, core, inputs = settings.key(), core_version(settings), tuple(request.inputs or ())
    is_rebuild, in_part = request.mode == "rebuild", request.span is not None
    before = {} if base is None else positions.of(settings, base.positions)
    erasure_receipts.refuse_other_key(settings.store, base, key_id(key))
    run_id = f"{EPOCH + timedelta(microseconds=now):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    if base is None or is_rebuild or reread_all or not is_compatible(settings, base):
        if base is not None and not is_rebuild:
            _refuse_gone(positions.missing(inputs, before), len(before))
            if in_part:
                raise SpanRefusedError(
                    "rules, mappings, key or version have changed, so that all sources must be"
                    " read again, and --from or --until would publish a part of them; run once"
                    " without, or with --rebuild to publish that part alone"
                )
        looked = positions.look(inputs, {}, key, now, in_part, anew=True)
        return Increment(
            request, run_id, now, None, _pieces(looked.unread), looked.positions, core, False, {},
            erased,
        )  # fmt: skip
    looked = positions.look(inputs, before, key, now, in_part)
    is_changed = base.config_version != settings.version
    return Increment(
        request, run_id, now, base, _pieces(looked.unread), after(before, looked), core, is_changed,
        looked.reread, erased,
    )  # fmt: skip


def is_empty(settings: Settings, increment: Increment) -> bool:
    """Return whether the publication would be the one to build on."""
    base, request = increment.base, increment.request
    if base is None:
        return False
    if increment.relink is not None:
        return not len(increment.relink.customers)
    if request.mode == "repair":
        assert request.span is not None
        tables = carry_forward.published(settings.store, base)
        return not tables.is_among(LATE, "time", *request.span)
    return is_published(
        settings, base, request, increment.core_version, increment.positions, increment.now
    )


def _pieces(inputs: Sequence[SourceFile | TopicShard]) -> tuple[Shard, ...]:
    """Divide files into pieces to read; partitions stay as they are."""
    if not inputs:
        return ()
    from rejse.pipelines.sources.shards import pieces

    return tuple(shard for given in inputs for shard in pieces(given))


def _refuse_gone(missing: Sequence[str], n_before: int) -> None:
    if missing:
        raise SourcesGoneError(
            "rules, mappings, key or version have changed, so that all sources must be read again;"
            f" expected the {n_before:,} files and partitions read before, {len(missing):,} are"
            f" gone or begin later, such as {', '.join(missing[:5])}; bring them back, or run with"
            " --rebuild to publish without them"
        )


def _compatible(settings: Settings, base: Publication | None) -> Publication:
    """Return `base`. Raises NothingToBuildOnError for none, or one under other rules."""
    if base is None or not is_compatible(settings, base):
        raise NothingToBuildOnError(
            "expected a publication under the rules of the configuration, found "
            + ("none" if base is None else "one under others")
            + "; `rejse run` makes it"
        )
    return base


def is_compatible(settings: Settings, base: Publication) -> bool:
    """Return whether rows of a publication can be combined with rows computed now."""
    now = settings.source_versions
    delivered = {name for _, source, name in base.latest if source != name}
    return (
        base.core_version == core_version(settings)
        and all(now.get(name) == version for name, version in base.sources.items())
        # Else a new source would take the name that rows of another one carry.
        and delivered.isdisjoint({*now} - {*base.sources})
        and _same_case_links(settings, base)
    )


def _same_case_links(settings: Settings, base: Publication) -> bool:
    """Return whether cases that were read before give links if and only if they did then."""
    before = [source for name, source in settings.sources.items() if name in base.sources]
    if all(source.kind != CASES for source in before):
        return True
    carry_cases = identity_links.carry_cases
    return carry_cases(before) == carry_cases(settings.sources.values())
