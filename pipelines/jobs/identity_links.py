"""Identity links of a run beside those of the last publication: what stored rows must follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rejse.pipelines.config import dimension_files
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.sources import positions
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.published_links import published_links
from rejse.transforms.errors import MisuseError

if TYPE_CHECKING:
    import pyarrow as pa

    from rejse.transforms.identity.changed_links import Relink
    from rejse.transforms.identity.erasure import Erased


class SourcesNeededError(MisuseError):
    """Links have changed of customers whose rows are not stored."""


def are_kept(settings: Settings) -> bool:
    """Whether the installation has links, or had."""
    from rejse.pipelines.jobs import beam_links as event_links

    known = settings.operational.identity_links is not None
    known = known or storage.head(settings.store, dimension_files.LINKS) >= 0
    return known or bool(event_links.telling(settings))


@dataclass(frozen=True)
class Gathering:
    """Links that rows tell, by the pieces of files that were looked at; each is read once.

    What happens after `limit` (microseconds) tells none.
    """

    limit: int | None = None
    beam_args: Sequence[str] = ()
    _found: dict[frozenset[Any], pa.Table] = field(default_factory=dict)

    def of(self, settings: Settings, shards: Sequence[Any], erased: Erased) -> pa.Table:
        """Links of some pieces of files; those of `erased` identities are walled."""
        from rejse.pipelines.jobs import beam_links as event_links

        here = positions.paths(shards).items()
        key = frozenset((place, positions.stat(path)) for place, path in here)
        if key not in self._found:
            self._found[key] = event_links.gather(
                settings, shards, erased, self.beam_args, self.limit
            )
        return self._found[key]


def of_run(
    settings: Settings, base: Publication | None, shards: Sequence[Any], gathering: Gathering,
    erased: Erased,
) -> pa.Table:  # fmt: skip
    """All links of a run: those of the table, and those that rows told before or tell now.

    None leads to an `erased` identity or from one: what was linked to it is its own as long as
    the link holds.
    """
    import pyarrow as pa

    from rejse.transforms.identity import links_from_events as event_links

    before = (
        [] if base is None else [event_links.stated_links(published_links(settings.store, base))]
    )
    told = gathering.of(settings, shards, erased)
    return event_links.with_ends(pa.concat_tables([_of_table(settings, erased), *before, told]))


def relinked(settings: Settings, base: Publication, now: pa.Table) -> Relink:
    """Customers of a publication whom other links tell apart otherwise than its own.

    Raises SourcesNeededError where rows of one of them were refused as those of no person, so that
    only the sources have them.
    """
    from rejse.pipelines.store.carry_forward import history
    from rejse.transforms.identity.changed_links import relink
    from rejse.transforms.incremental.merge_customers import EXCLUDED

    found = relink(published_links(settings.store, base), now, settings.windows.identity_wait)
    if history(settings.store, base).rows(EXCLUDED.name, found.customers) is not None:
        raise SourcesNeededError(
            "links have changed of somebody whose events were refused, since they were more than"
            " windows.max_events; expected to find them in the store; read all sources again:"
            " rejse run --rebuild"
        )
    return found


def _of_table(settings: Settings, erased: Erased) -> pa.Table:
    from rejse.transforms.dimensions.tables import conform
    from rejse.transforms.identity.link_table import LINKS

    place = settings.operational.identity_links
    data = dimension_files.read(
        {dimension_files.LINKS: place},
        settings.key,
        non_persons=settings.non_persons,
        erased=erased,
    )
    return data.table(dimension_files.LINKS) if place else conform(None, LINKS)
