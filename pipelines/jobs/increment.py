"""What a run stands on: the last publication and the files that are new, or everything anew.

Rules, code and key make the core version: under another one, or where the mapping of a source has
changed or one is gone, nothing that was published can stand beside what is computed now, so that
all sources are read again. A new source is read beside what stands. It, and operational tables,
which have validity and grow every day, make everything that is not final be looked at again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rejse.pipelines.config.fingerprint import core_version, key_id
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.sources import positions as places
from rejse.pipelines.sources.positions import Place, Position
from rejse.pipelines.store import erasure_receipts
from rejse.pipelines.store.delta_store import Publication
from rejse.transforms.dimensions.customer_records import CASES
from rejse.transforms.errors import MisuseError
from rejse.transforms.identity.resolve import CASE


class SourcesGoneError(MisuseError):
    """All sources must be read again, and files that were read before are gone."""


@dataclass(frozen=True)
class Increment:
    """The publication to build on (None: everything anew), and the pieces of files to read.

    `positions` are those after the run; `standing` are the publication's own where it has read the
    same content of the same files. `again` are files, by source and name, that were read before.
    """

    base: Publication | None
    shards: tuple[Any, ...]
    positions: Mapping[Place, Position]
    standing: Mapping[str, str]
    core_version: str
    is_changed: bool
    again: frozenset[tuple[str, str]] = frozenset()


class AllAnewError(MisuseError):
    """All sources must be read again, and the run was asked for a part of their time only."""


def ground(
    settings: Settings, base: Publication | None, shards: Sequence[Any], rebuild: bool, now: int,
    in_part: bool = False, anew: bool = False,
) -> Increment:  # fmt: skip
    """Whether the run is an increment on `base`, and what it reads; `now` in microseconds;
    `in_part`: not all rows of the files, so that they count as not read yet; `anew`: it can be no
    increment.

    Raises SourcesGoneError where all must be read anew but files read before are gone, AllAnewError
    where only a part would be, unless `rebuild` says that what was published is to go;
    KeyChangedError where identities were erased under another key.
    """
    key, core = settings.key(), core_version(settings)
    before = {} if base is None else places.of(settings, base.positions)
    erasure_receipts.refuse_other_key(settings.store, base, key_id(key))
    if base is None or rebuild or anew or not stands(settings, base):
        if base is not None and not rebuild:
            _refuse_gone(before, places.paths(shards))
            if in_part:
                raise AllAnewError(
                    "rules, mappings, key or version have changed, so that all sources must be"
                    " read again, and --from or --until would publish a part of them; run once"
                    " without, or with --rebuild to publish that part alone"
                )
        here = places.look(shards, {}, key, now, in_part, anew=True).positions
        return Increment(None, tuple(shards), here, places.published(settings, here), core, False)
    looked = places.look(shards, before, key, now, in_part)
    new = tuple(one for one in shards if _place(one) in looked.unread)
    again = frozenset((one.source, one.file) for one in new if _place(one) in before)
    stays = {place: at for place, at in before.items() if place not in looked.left}
    here = {**stays, **looked.positions}
    is_same = places.are_alike(before, here)
    standing = base.positions if is_same else places.published(settings, here)
    changed = base.config_version != settings.version
    return Increment(base, new, here, standing, core, changed, again)


def _place(shard: Any) -> Place:
    return Place(shard.source, str(shard.path))


def _refuse_gone(before: Collection[Place], here: Collection[Place]) -> None:
    gone = sorted(set(before) - set(here))
    if gone:
        names = ", ".join(Path(place.path).name for place in gone[:5])
        raise SourcesGoneError(
            "rules, mappings, key or version have changed, so that all sources must be read again;"
            f" expected the {len(before):,} files read before, {len(gone):,} are gone, such"
            f" as {names}; bring them back, or run with --rebuild to publish without them"
        )


def stands(settings: Settings, base: Publication) -> bool:
    """Whether what was published can stand beside what is computed under the settings."""
    now = settings.source_versions
    delivered = {name for _, source, name in base.latest if source != name}
    return (
        base.core_version == core_version(settings)
        and all(now.get(name) == told for name, told in base.sources.items())
        and delivered.isdisjoint({*now} - {*base.sources})  # else rows of others were of this name
        and _cases_tell_alike(settings, base)
    )


def bear_cases(sources: Iterable[Any]) -> bool:
    """Whether rows of some source may bear a case as their identity: then cases tell of it."""
    return any(source.select().may_give("identitytype", CASE) for source in sources)


def _cases_tell_alike(settings: Settings, base: Publication) -> bool:
    """Whether cases that were read before tell of identities if and only if they did then."""
    before = [source for name, source in settings.sources.items() if name in base.sources]
    if all(source.kind != CASES for source in before):
        return True
    return bear_cases(before) == bear_cases(settings.sources.values())
