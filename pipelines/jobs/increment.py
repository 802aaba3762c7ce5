"""Decide what a run publishes: what is new, stored rows scored anew, or all files read again.

Where rules or code have changed on which accepted rows depend, such as the mapping of a source, or
the key, all sources are read again (`changed_parts`). Where only what is made of accepted rows has
changed, such as a weight, stored rows are scored anew together with new ones. A new source is read
beside stored rows. It, and operational tables, which have validity and grow every day, make
everything that is not final be rescored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from rejse.pipelines.config.fingerprint import core_version, fingerprint, key_id
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs import identity_links
from rejse.pipelines.jobs.archived_pieces import archived_pieces
from rejse.pipelines.jobs.changed_parts import changes, is_compatible
from rejse.pipelines.jobs.request import Mode, RunRequest
from rejse.pipelines.jobs.unchanged import after, is_published
from rejse.pipelines.sources import positions
from rejse.pipelines.sources.positions import Positions
from rejse.pipelines.store import attempts, carry_forward, erasure_receipts
from rejse.pipelines.store.delta_store import Publication, Writer
from rejse.pipelines.store.published_links import published_links
from rejse.transforms.errors import MisuseError
from rejse.transforms.incremental.merge_customers import LATE
from rejse.transforms.schema.moments import moment

if TYPE_CHECKING:
    import pyarrow as pa

    from rejse.pipelines.sources.kafka.topics import TopicShard
    from rejse.pipelines.sources.listing import SourceFile
    from rejse.pipelines.sources.shards import Shard
    from rejse.transforms.identity.changed_links import Relink
    from rejse.transforms.identity.erasure import Erased

#: Reasons why all is read or scored again.
ASKED = "asked for"
LINKS_OF_REFUSED = "identity links of somebody whose events were refused"


class NothingToBuildOnError(MisuseError):
    """There is no publication whose late events, or whose links, could be followed."""


class SourcesGoneError(MisuseError):
    """All sources must be read again, and files that were read before are gone."""


class RescoreRefusedError(MisuseError):
    """Stored rows do not suffice to score anew: the sources are needed."""


class SpanRefusedError(MisuseError):
    """All sources must be read again, and the run was asked for a part of their time only."""


@dataclass(frozen=True)
class Increment:
    """What one publication is made from.

    Attributes:
        request: What it answers: the run's request, or one of what comes before it.
        mode: What is done: what was requested, or what changes made of it.
        reason: Why all is read or scored again.
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
    mode: Mode
    reason: str | None
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
        return moment(self.now)

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
    new is left out. Where stored rows are scored anew and links have changed too, these rows come
    first, under the links that they were stored by.

    Raises:
        NothingToBuildOnError: a repair or reconcile finds no publication under these rules, a
            rescoring none at all.
        RescoreRefusedError: a rescoring was requested, and accepted rows would be others now.
        SourcesNeededError: of a customer to be rescored the rows are not stored.
        SourcesGoneError: all must be read again, and files are gone.
        SpanRefusedError: all must be read again, and a span is given.
        KeyChangedError: identities were erased under another key.
    """
    erased = erasure_receipts.erased(settings.store, writer.receipts)
    limit = now + settings.windows.future
    has_links, reread = identity_links.are_kept(settings), None

    @cache  # what the first increment has read the second need not read again
    def gather(shards: tuple[Shard, ...]) -> pa.Table:
        from rejse.pipelines.jobs.gather_links import gather_links

        return gather_links(settings, shards, erased, limit, request.workers)

    def with_links(increment: Increment) -> Increment:
        gathered = gather(increment.shards)
        links = identity_links.links_of_run(settings, increment.base, gathered, erased)
        return replace(increment, links=links)

    if has_links and decide(settings, writer.previous, request)[0] == "rescore":
        planned = with_links(plan_increment(settings, writer.previous, request, now, erased))
        assert planned.base is not None
        try:
            moved = identity_links.changed_links(settings, planned.base, planned.links)
        except identity_links.SourcesNeededError:
            if request.mode == "rescore":
                raise
            reread = LINKS_OF_REFUSED
        else:
            yield _of_stored_rows(settings, planned) if len(moved.customers) else planned
            if not len(moved.customers):
                return
            request = replace(request, mode="increment")
    if request.mode == "reconcile" or (has_links and request.mode in ("increment", "repair")):
        try:
            base = _compatible(settings, writer.previous)
            reconciling = replace(
                request, mode="reconcile", complete=False, complete_until={}, span=None
            )
            planned = with_links(plan_increment(settings, base, reconciling, now, erased))
            planned = _relinked(settings, base, planned)
        except NothingToBuildOnError:
            if request.mode != "increment":
                raise
        except identity_links.SourcesNeededError:
            if request.mode != "increment":
                raise
            reread = LINKS_OF_REFUSED
        else:
            if not is_empty(settings, planned):
                yield planned
    if request.mode == "reconcile":
        return
    planned = plan_increment(settings, writer.previous, request, now, erased, reread=reread)
    if not is_empty(settings, planned):
        yield with_links(planned) if has_links else planned


def _of_stored_rows(settings: Settings, increment: Increment) -> Increment:
    """Return the increment without files to read, under the links of its publication."""
    base = increment.base
    assert base is not None
    request = replace(increment.request, complete=False, complete_until={}, span=None)
    return replace(
        increment,
        request=request,
        shards=(),
        positions=positions.of(settings, base.positions),
        reread={},
        links=published_links(settings.store, base),
    )


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


def decide(
    settings: Settings, base: Publication | None, request: RunRequest, reread: str | None = None
) -> tuple[Mode, str | None]:
    """Return what is done to answer a request, and why all is read or scored again.

    Args:
        base: The last publication.
        reread: What else makes stored rows not suffice, in words.

    Raises:
        NothingToBuildOnError: there is no publication to score anew.
        RescoreRefusedError: a rescoring was requested, and accepted rows would be others now.
    """
    if request.mode not in ("increment", "rescore"):
        return request.mode, ASKED if request.mode == "rebuild" else None
    if base is None:
        if request.mode == "rescore":
            raise NothingToBuildOnError(
                "expected a publication whose rows can be scored anew, found none; `rejse run`"
                " makes it"
            )
        return "increment", None
    changed = changes(settings, base)
    if ingest := [*changed.ingest, *([reread] if reread else [])]:
        if request.mode == "rescore":
            raise RescoreRefusedError(
                "expected stored rows to suffice to be scored anew; other rows may be accepted"
                f" now, since this has changed: {'; '.join(ingest)}; read all sources again:"
                " rejse run --rebuild"
            )
        return "rebuild", f"changed: {'; '.join(ingest)}"
    if request.mode == "rescore":
        return "rescore", ASKED
    if changed.score:
        return "rescore", f"changed: {'; '.join(changed.score)}"
    return "increment", None


def plan_increment(
    settings: Settings, base: Publication | None, request: RunRequest, now: int, erased: Erased,
    *, reread: str | None = None,
) -> Increment:  # fmt: skip
    """Decide between an increment on `base`, a rescoring and a full rebuild; list files to read.

    Args:
        base: The last publication.
        now: Microseconds.
        reread: Why stored rows do not suffice, in words, where nothing else says so.

    Raises what `increments` raises.
    """
    if request.mode == "repair":
        base = _compatible(settings, base)
    key, core = settings.key(), core_version(settings)
    in_part = request.span is not None
    before = {} if base is None else positions.of(settings, base.positions)
    erasure_receipts.refuse_other_key(settings.store, base, key_id(key))
    mode, reason = decide(settings, base, request, reread)
    archived = archived_pieces(
        settings, tuple(request.inputs or ()), before, now,
        is_rebuild=base is None or mode == "rebuild",
    )  # fmt: skip
    inputs = archived.inputs
    run_id = attempts.new_run_id(now)
    if base is None or mode == "rebuild":
        if base is not None and request.mode != "rebuild":
            _refuse_gone(
                positions.missing(inputs, archived.not_covered(before)), len(before), reason
            )
            if in_part:
                raise SpanRefusedError(
                    f"all sources must be read again ({reason}), and --from or --until would"
                    " publish a part of them; run once without, or with --rebuild to publish that"
                    " part alone"
                )
        looked = positions.look(inputs, {}, key, now, in_part, anew=True)
        return Increment(
            request, mode, reason, run_id, now, None,
            (*_pieces(archived.pieces(looked.unread)), *archived.former()),
            looked.positions, core, False, {}, erased,
        )  # fmt: skip
    looked = positions.look(inputs, before, key, now, in_part)
    is_changed = base.config_version != settings.version
    return Increment(
        request, mode, reason, run_id, now, base, _pieces(archived.pieces(looked.unread)),
        after(before, looked), core, is_changed, looked.reread, erased,
    )  # fmt: skip


def is_empty(settings: Settings, increment: Increment) -> bool:
    """Return whether the publication would be the one to build on."""
    base, request = increment.base, increment.request
    if base is None or increment.mode == "rescore":
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


def _refuse_gone(missing: Sequence[str], n_before: int, reason: str | None) -> None:
    if missing:
        raise SourcesGoneError(
            f"all sources must be read again ({reason}); expected the {n_before:,} files and"
            f" partitions read before, {len(missing):,} are gone or begin later, such as"
            f" {', '.join(missing[:5])}; bring them back, or run with"
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
