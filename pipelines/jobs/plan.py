"""From settings and ground to the plan of one Beam graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rejse.pipelines.config import dimension_files
from rejse.pipelines.config.settings import DECLARING, Settings
from rejse.pipelines.jobs.beam_graph import Plan
from rejse.pipelines.jobs.increment import Increment
from rejse.pipelines.store import id_index
from rejse.pipelines.store.carry_forward import history
from rejse.pipelines.store.delta_store import Publication, micros
from rejse.pipelines.store.id_index import KnownIds
from rejse.pipelines.store.state_reader import PublishedTables
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.identity.pseudonyms import Signer
from rejse.transforms.identity.resolve import Links
from rejse.transforms.incremental.input_kinds import INPUTS, InputWatermarks
from rejse.transforms.incremental.merge_customers import TABLE_OF_KIND
from rejse.transforms.journeys.watermarks import Watermarks
from rejse.transforms.schema.parameters import Rules

if TYPE_CHECKING:
    import pyarrow as pa

    from rejse.transforms.identity.changed_links import Relink
    from rejse.transforms.identity.erasure import Erased

EVENTS_A_GROUP = 76_000
LEAST_GROUPS = 4
#: Records of ids are narrow: those of so many groups are compared at once.
GROUPS_A_PART = 8
#: What the key makes the salt of that ids are compared under.
SALT = b"salt of ids"
BYTES_A_ROW = 150  # of text; a Parquet file says itself how many rows it has


def plan(
    settings: Settings, found: Increment, scratch: Path, run_id: str, clock: datetime,
    stated: Mapping[str, int], complete: bool, repair: tuple[int, int] | None,
    span: tuple[int, int] | None, linked: tuple[pa.Table | None, Relink | None], erased: Erased,
) -> Plan:  # fmt: skip
    """All that the graph needs, checked; `linked`: identity links (None where none are kept), and
    whose stored rows follow them anew; rows of whom is `erased` are not kept. Raises what mappings
    and operational tables raise.
    """
    of_kind = {kind: settings.of_kind(kind) for kind in INPUTS}
    mappings = {
        kind: {name: source.select().close() for name, source in said.items()}
        for kind, said in of_kind.items()
        if said
    }
    declared = {
        name: frozenset(
            mappings[kind][name].columns if source.declares is None else source.declares
        )
        for kind in DECLARING
        for name, source in of_kind[kind].items()
    }
    rules = settings.rules(declared)
    links, relink = linked
    tables = {name: at for name, at in settings.operational if name != dimension_files.LINKS}
    data = dimension_files.read(tables, settings.key, rules.types)
    if links is not None:
        data = replace(data, tables={**data.tables, dimension_files.LINKS: links})
    groups = _groups(found.shards) if relink is None else 1  # whose rows move, move together
    now = micros(clock)
    before = None if found.base is None else history(settings.store, found.base)
    salt = Signer(settings.key()).digests([SALT])

    def frontiers(kind: str) -> Watermarks:
        disorder = {n: source.disorder for n, source in of_kind[kind].items() if not source.retired}
        return Watermarks(disorder, stated, complete, *_before(found.base, kind))

    return Plan(
        shards=found.shards, mappings=mappings, key=settings.key,
        non_persons=settings.non_persons,
        data=data, links=_links(data, rules),
        rules=rules, clocks=InputWatermarks(frontiers("interaction"), frontiers("experience")),
        groups=groups, parts=-(-groups // GROUPS_A_PART), scratch=scratch,
        store=settings.store, run_id=run_id,
        config_version=settings.version, known_at=clock, salt=salt,
        history=before, known={} if before is None else _known(settings.store, before, salt),
        is_changed=found.is_changed, repair=repair, span=span, relink=relink,
        limit=now + settings.windows.future,
        erased=erased, texts=settings.texts,
        texts_from=settings.texts.kept_from(now), since=settings.retention.since(now),
    )  # fmt: skip


def _known(store: Path, before: PublishedTables, salt: bytes) -> dict[str, KnownIds]:
    """Ids that the last publication holds, by kind of input; files without an index get theirs."""
    files = {kind: before.files.get(table, ()) for kind, table in TABLE_OF_KIND.items()}
    id_index.make(store, chain(*files.values()), salt)
    return {kind: KnownIds(store, some, salt) for kind, some in files.items() if some}


def _links(data: Operational, rules: Rules) -> Links | None:
    """Identity links to be followed; None where the installation keeps none."""
    if not data.has(dimension_files.LINKS):
        return None
    return Links.of(data.table(dimension_files.LINKS), rules.windows.identity_wait)


def _before(
    base: Publication | None, kind: str
) -> tuple[dict[tuple[str, str], int], Mapping[str, int]]:
    """Latest times and frontiers of a kind's sources in the publication to build on."""
    if base is None:
        return {}, {}
    latest = {(source, name): at for (one, source, name), at in base.latest.items() if one == kind}
    return latest, base.frontiers if kind == "interaction" else base.x_frontiers


def _groups(shards: Sequence[Any]) -> int:
    """Groups of buckets, so that one holds about 76,000 events: memory follows the largest."""
    rows = sum(_rows(path) for path in {Path(shard.path) for shard in shards})
    return min(4096, max(LEAST_GROUPS, -(-rows // EVENTS_A_GROUP)))


def _rows(path: Path) -> int:
    """About how many rows a file has; only memory depends on it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.suffix == ".parquet":
        try:
            return int(pq.read_metadata(path).num_rows)
        except (pa.ArrowException, OSError):
            return 0  # the reader will say what is wrong with it
    return path.stat().st_size // BYTES_A_ROW
