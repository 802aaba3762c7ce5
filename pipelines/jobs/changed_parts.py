"""What has changed since a publication, and whether its stored rows suffice.

Accepted rows depend on the `ingest` part of rules and code; where it has changed, all sources are
read again. Where only the `score` part has changed, stored rows are scored anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rejse.pipelines.config import fingerprint
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs import identity_links
from rejse.pipelines.store import erasure_receipts
from rejse.pipelines.store.delta_store import Publication
from rejse.transforms.dimensions.customer_records import CASES

#: Parts of rules and code in words.
WORDS = {
    "ingest.settings": "non_persons or windows.future, identity_wait or max_events",
    "ingest.code": "the code that accepts rows",
    "ingest.sources": "mapping, schema, kind or texts of the source",
    "score.settings": "windows, weights or journey types",
    "score.code": "the code of scores or views",
    "score.sources": "the columns declared by the source",
}


@dataclass(frozen=True)
class Changes:
    """What differs between a publication and the configuration, in words.

    Attributes:
        ingest: What makes other rows accepted: the sources are needed.
        score: What makes something else of accepted rows.
    """

    ingest: tuple[str, ...]
    score: tuple[str, ...]


def changes(settings: Settings, base: Publication) -> Changes:
    """Return what has changed since a publication; new sources and operational tables have not."""
    now = fingerprint.versions(settings)
    before = base.core_versions.items()
    changed = sorted(name for name, version in before if now.get(name, version) != version)
    removed = sorted({*base.sources} - {*settings.sources})
    return Changes(
        ingest=(
            *_of_rows(settings, base),
            *(f"the source {name}, which is gone" for name in removed),
            *_in_words(changed, "ingest"),
        ),
        score=tuple(_in_words(changed, "score")),
    )


def is_compatible(settings: Settings, base: Publication) -> bool:
    """Return whether rows of a publication can be combined with rows computed now."""
    changed = changes(settings, base)
    return not (changed.ingest or changed.score)


def _in_words(changed: list[str], part: str) -> Iterator[str]:
    for name in changed:
        words, _, source = name.partition(".sources.")
        if name.startswith(f"{part}."):
            yield f"{WORDS[f'{words}.sources']} {source}" if source else WORDS[name]


def _of_rows(settings: Settings, base: Publication) -> Iterator[str]:
    """Yield what no hash of a part says."""
    if not base.core_versions:
        yield "the version of rejse"
    if not erasure_receipts.is_under(base, fingerprint.key_id(settings.key())):
        yield "the key"
    # Else a new source would take the name that rows of another one carry.
    delivered = {name for _, source, name in base.latest if source != name}
    for name in sorted(delivered & ({*settings.sources} - {*base.sources})):
        yield f"the source {name}, whose name rows of another one carry"
    if not _same_case_links(settings, base):
        yield "whether cases give identity links"


def _same_case_links(settings: Settings, base: Publication) -> bool:
    """Return whether cases that were read before give links if and only if they did then."""
    before = [source for name, source in settings.sources.items() if name in base.sources]
    if all(source.kind != CASES for source in before):
        return True
    carry_cases = identity_links.carry_cases
    return carry_cases(before) == carry_cases(settings.sources.values())
