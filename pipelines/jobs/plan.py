"""From an increment to the plan of one graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from rejse.pipelines.config import dimension_files
from rejse.pipelines.config.settings import DECLARING, Settings
from rejse.pipelines.config.texts import TextSettings
from rejse.pipelines.jobs import worker_pool
from rejse.pipelines.jobs.increment import Increment
from rejse.pipelines.jobs.request import TimeSpan
from rejse.pipelines.sources import positions
from rejse.pipelines.sources.kafka.topics import TopicShard
from rejse.pipelines.store import id_index
from rejse.pipelines.store.carry_forward import published
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.id_index import KnownIds
from rejse.pipelines.store.state_reader import PublishedTables
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.identity.changed_links import Relink
from rejse.transforms.identity.erasure import Erased
from rejse.transforms.identity.pseudonyms import Signer
from rejse.transforms.identity.resolve import Links
from rejse.transforms.incremental.input_kinds import INPUTS, InputWatermarks
from rejse.transforms.incremental.merge_customers import (
    EVENTS,
    LATE,
    TABLE_OF_KIND,
    CustomerMerger,
    StateReader,
)
from rejse.transforms.ingest.mapping import SourceMapping
from rejse.transforms.journeys.watermarks import Watermarks
from rejse.transforms.schema.parameters import Rules
from rejse.transforms.scoring.pending import PENDING

#: Rows of a group of customers, about: new ones, and stored deadlines of theirs.
EVENTS_PER_GROUP, PENDING_PER_GROUP = 76_000, 300_000
MAX_GROUPS = 4096
#: Groups for each worker beside the first, at least: the last groups are not done by all.
GROUPS_PER_WORKER = 4
#: Records of ids are narrow: those of so many groups are compared at once.
GROUPS_PER_PART = 8
#: What the key signs to make the salt under which ids are compared.
SALT = b"salt of ids"
#: All times that a row can have: a rescoring accepts late events, as a rebuild does.
EVER = (-(2**63), 2**63 - 1)
BYTES_PER_ROW = 150  # of text; a Parquet file says itself how many rows it has


@dataclass(frozen=True)
class Plan:
    """Everything one graph needs; it holds no secret, `key` is called where it is used.

    Attributes:
        shards: Pieces of files to read.
        n_workers: Processes that do the work, where it is not Beam's.
        mappings: By kind of input and source.
        links: Identity links to follow; None where the installation keeps none.
        groups: Groups of customer buckets: memory follows the largest.
        parts: Parts in which ids are compared.
        salt: Under which ids are compared; no result depends on it.
        history: The tables of the last publication; None where all files are read again.
        is_changed: Operational tables are others than the last publication's.
        repair: Late events of these times are published.
        span: Only rows of these times are taken.
        limit: Rows later than this time lie in the future (microseconds).
        relink: Customers whose stored rows follow other links.
        rescores: All stored rows are scored anew.
        n_stored: How many events these are.
        known: Ids of stored rows, by kind of input.
        texts_from: Texts of records before this time are not kept (microseconds).
        since: Time from which final rows are kept, by table (microseconds).
        erased: Identities whose rows are counted and not kept.
        archived: Sources whose messages are kept in the archive.
    """

    shards: tuple[Any, ...]
    n_workers: int
    mappings: Mapping[str, Mapping[str, SourceMapping]]
    key: Callable[[], bytes]
    non_persons: tuple[str, ...]
    data: Operational
    links: Links | None
    rules: Rules
    clocks: InputWatermarks
    groups: int
    parts: int
    scratch: Path
    store: Path
    run_id: str
    config_version: str
    known_at: datetime
    salt: bytes
    history: StateReader | None = None
    is_changed: bool = False
    repair: TimeSpan | None = None
    span: TimeSpan | None = None
    limit: int | None = None
    relink: Relink | None = None
    rescores: bool = False
    n_stored: int = 0
    known: Mapping[str, KnownIds] = field(default_factory=dict)
    texts: TextSettings = field(default_factory=TextSettings)
    texts_from: int | None = None
    since: Mapping[str, int] = field(default_factory=dict)
    erased: Erased = field(default_factory=Erased)
    archived: frozenset[str] = frozenset()

    @property
    def mappings_to_read(self) -> dict[str, Mapping[str, SourceMapping]]:
        """Mappings of the kinds of input that have pieces of files to read: a graph has a fixed
        cost for each kind.
        """
        sources = {shard.source for shard in self.shards}
        return {
            kind: of_kind for kind, of_kind in self.mappings.items() if sources & of_kind.keys()
        }

    @property
    def merger(self) -> CustomerMerger:
        """What merges new rows with stored ones."""
        windows = self.rules.windows
        until = partial(self.clocks.events.too_late, lateness=windows.lateness)
        return CustomerMerger(
            self.history, windows.max_events, windows.lateness, until, self.repair,
            self.is_changed, self.relink, self.rescores,
        )  # fmt: skip


def plan_graph(settings: Settings, increment: Increment, scratch: Path) -> Plan:
    """Return all that the graph of an increment needs, checked.

    `scratch` is a folder for files of the run. Raises what mappings and operational tables raise.
    """
    request, base = increment.request, increment.base
    of_kind = {kind: settings.of_kind(kind) for kind in INPUTS}
    mappings = {
        kind: {name: source.select().close() for name, source in sources.items()}
        for kind, sources in of_kind.items()
        if sources
    }
    declared = {
        name: frozenset(
            mappings[kind][name].columns if source.declares is None else source.declares
        )
        for kind in DECLARING
        for name, source in of_kind[kind].items()
    }
    rules = settings.rules(declared)
    tables = {name: at for name, at in settings.operational if name != dimension_files.LINKS}
    data = dimension_files.read(tables, settings.key, rules.types)
    if increment.links is not None:
        data = replace(data, tables={**data.tables, dimension_files.LINKS: increment.links})
    # Customers whose rows move to another one must be in one group with them.
    n_rows = count_rows(increment.shards)
    rescores = increment.mode == "rescore"
    n_stored = base.rows.get(EVENTS, 0) if base and rescores else 0
    n_workers = worker_pool.n_workers(n_rows + n_stored, request.workers)
    least = max(request.min_groups, GROUPS_PER_WORKER * (n_workers - 1))
    n_pending = 0 if base is None else base.rows.get(PENDING.name, 0)
    needed = max(-(-n_rows // EVENTS_PER_GROUP), -(-n_pending // PENDING_PER_GROUP), least)
    groups = min(MAX_GROUPS, needed) if increment.relink is None else 1
    stored = None if base is None else published(settings.store, base)
    salt = Signer(settings.key()).digests([SALT])
    # Stored rows alone share no id; an index of all their ids is of no use to them.
    ids_arrive = not rescores or bool(increment.shards or (base and base.rows.get(LATE)))

    def watermarks(kind: str) -> Watermarks:
        disorder = {n: source.disorder for n, source in of_kind[kind].items() if not source.retired}
        latest, before = _watermarks_of(base, kind)
        before = {} if rescores else before  # what was final before need not be so
        idle = {name: source.idle for name, source in of_kind[kind].items()}
        return Watermarks(disorder, request.complete_until, request.complete, latest, before, idle)

    return Plan(
        shards=increment.shards, n_workers=n_workers, mappings=mappings, key=settings.key,
        non_persons=settings.non_persons,
        data=data, links=_links(data, rules),
        rules=rules, clocks=InputWatermarks(watermarks("interaction"), watermarks("experience")),
        groups=groups, parts=-(-groups // GROUPS_PER_PART), scratch=scratch,
        store=settings.store, run_id=increment.run_id,
        config_version=settings.version, known_at=increment.clock, salt=salt,
        history=stored,
        known=_known_ids(settings.store, stored, salt) if stored and ids_arrive else {},
        is_changed=increment.is_changed, relink=increment.relink,
        rescores=rescores, n_stored=n_stored,
        repair=EVER if rescores else request.span if request.mode == "repair" else None,
        span=request.span if request.reads_sources else None,
        limit=increment.now + settings.windows.future,
        erased=increment.erased, texts=settings.texts,
        texts_from=settings.texts.kept_from(increment.now),
        since=settings.retention.since(increment.now), archived=settings.archived,
    )  # fmt: skip


def _known_ids(store: Path, stored: PublishedTables, salt: bytes) -> dict[str, KnownIds]:
    """Return the ids of the last publication by kind of input; files without an index get one."""
    files = {
        kind: [file.path for file in stored.files.get(table, ())]
        for kind, table in TABLE_OF_KIND.items()
    }
    id_index.make(store, chain(*files.values()), salt)
    return {kind: KnownIds(store, of_kind, salt) for kind, of_kind in files.items() if of_kind}


def _links(data: Operational, rules: Rules) -> Links | None:
    """Return the identity links to follow; None where the installation keeps none."""
    if not data.has(dimension_files.LINKS):
        return None
    return Links.of(data.table(dimension_files.LINKS), rules.windows.identity_wait)


def _watermarks_of(
    base: Publication | None, kind: str
) -> tuple[dict[tuple[str, str], int], Mapping[str, int]]:
    """Return latest times and watermarks of a kind's sources in the publication to build on."""
    if base is None:
        return {}, {}
    latest = {
        (source, name): at for (of_kind, source, name), at in base.latest.items() if of_kind == kind
    }
    return latest, base.frontiers if kind == "interaction" else base.x_frontiers


def count_rows(shards: Iterable[Any]) -> int:
    """Return about how many rows some shards have: those of files count with the whole file."""
    shards = tuple(shards)
    messages = sum(s.stop - s.start for s in shards if isinstance(s, TopicShard))
    return messages + sum(_n_rows(path) for path in {*positions.paths(shards).values()})


def _n_rows(path: Path) -> int:
    """Return about how many rows a file has; no result depends on it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.suffix == ".parquet":
        try:
            return int(pq.read_metadata(path).num_rows)
        except (pa.ArrowException, OSError):
            return 0  # the reader will say what is wrong with it
    return path.stat().st_size // BYTES_PER_ROW
