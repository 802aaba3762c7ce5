"""Identity links of a run, compared with those of the last publication."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rejse.pipelines.config import dimension_files
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.carry_forward import published
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.published_links import published_links
from rejse.transforms.dimensions.customer_records import CASES
from rejse.transforms.dimensions.tables import conform
from rejse.transforms.errors import MisuseError
from rejse.transforms.identity import links_from_events
from rejse.transforms.identity.changed_links import relink
from rejse.transforms.identity.link_table import LINKS
from rejse.transforms.identity.links_from_events import stated_links, with_ends
from rejse.transforms.identity.resolve import CASE
from rejse.transforms.incremental.input_kinds import INPUTS
from rejse.transforms.incremental.merge_customers import EXCLUDED

if TYPE_CHECKING:
    import pyarrow as pa

    from rejse.transforms.identity.changed_links import Relink
    from rejse.transforms.identity.erasure import Erased


class SourcesNeededError(MisuseError):
    """Links have changed of customers whose rows are not stored."""


def are_kept(settings: Settings) -> bool:
    """Return whether the installation has identity links, or had some."""
    known = settings.operational.identity_links is not None
    known = known or storage.head(settings.store, dimension_files.LINKS) >= 0
    return known or bool(sources_with_links(settings))


def sources_with_links(settings: Settings) -> list[Any]:
    """Return the sources whose rows may give links."""
    sources = settings.sources.values()
    cases = [source for source in sources if source.kind == CASES]
    cases = cases if cases and carry_cases(sources) else []
    return [*cases, *(source for source in sources if _maps_previous(source))]


def _maps_previous(source: Any) -> bool:
    return (
        links_from_events.PREVIOUS in INPUTS[source.kind].contract.by_name
        and links_from_events.PREVIOUS in source.mapping_text().lower()
        and links_from_events.PREVIOUS in source.select().columns
    )


def carry_cases(sources: Iterable[Any]) -> bool:
    """Return whether rows of some source may carry a case as identity: then cases give links."""
    return any(source.select().may_give("identitytype", CASE) for source in sources)


def links_of_run(
    settings: Settings, base: Publication | None, gathered: pa.Table, erased: Erased
) -> pa.Table:
    """Return all links of a run (columns LINKS): of the table, of earlier rows and `gathered` ones.

    No link leads to an `erased` identity or from one: what was linked to it is a person of its own
    as long as the link is valid.
    """
    import pyarrow as pa

    before = [] if base is None else [stated_links(published_links(settings.store, base))]
    return with_ends(pa.concat_tables([_links_of_table(settings, erased), *before, gathered]))


def changed_links(settings: Settings, base: Publication, links: pa.Table) -> Relink:
    """Return the customers of a publication who are others under `links` than under its own.

    Raises:
        SourcesNeededError: rows of such a customer were refused as above `windows.max_events`, so
            that only the sources have them.
    """
    moved = relink(published_links(settings.store, base), links, settings.windows.identity_wait)
    if published(settings.store, base).rows(EXCLUDED.name, moved.customers) is not None:
        raise SourcesNeededError(
            "links have changed of somebody whose events were refused, since they were more than"
            " windows.max_events; expected to find them in the store; read all sources again:"
            " rejse run --rebuild"
        )
    return moved


def _links_of_table(settings: Settings, erased: Erased) -> pa.Table:
    """Return the links of the operational table `identity_links`; none where there is none."""
    path = settings.operational.identity_links
    if not path:
        return conform(None, LINKS)
    data = dimension_files.read(
        {dimension_files.LINKS: path},
        settings.key,
        non_persons=settings.non_persons,
        erased=erased,
    )
    return data.table(dimension_files.LINKS)
