"""Decide without reading a row, or importing what reads rows, that there is nothing new."""

from __future__ import annotations

from rejse.pipelines.config.fingerprint import core_version, fingerprint
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.sources import positions
from rejse.pipelines.sources.positions import Look, Positions
from rejse.pipelines.store import delta_store
from rejse.pipelines.store.delta_store import Publication

#: Tables by which a run may publish something where no file has changed.
LINKED = ("identity_links", "erasures")


def is_unchanged(
    settings: Settings, base: Publication | None, request: RunRequest, now: int
) -> bool:
    """Return whether an increment on `base` would surely publish what is published.

    False also where only rows can say it: those of identity links, and of erased identities.
    """
    if base is None or request.mode != "increment":
        return False
    if settings.operational.identity_links is not None or any(
        delta_store.head(settings.store, table) >= 0 for table in LINKED
    ):
        return False
    before = positions.of(settings, base.positions)
    looked = positions.look(
        request.inputs or (), before, settings.key(), now, request.span is not None
    )
    return not looked.unread and is_published(
        settings, base, request, core_version(settings), after(before, looked), now
    )


def after(before: Positions, looked: Look) -> Positions:
    """Return how far each file is read when those that must be read are."""
    kept = {place: at for place, at in before.items() if place not in looked.left}
    return {**kept, **looked.positions}


def is_published(
    settings: Settings, base: Publication, request: RunRequest, core: str,
    read: Positions, now: int,
) -> bool:  # fmt: skip
    """Return whether `base` is what an increment with these positions would publish."""
    is_same = positions.are_alike(positions.of(settings, base.positions), read)
    published = base.positions if is_same else positions.published(settings, read)
    return base.fingerprint == fingerprint(
        settings, core, published, request.complete_until, request.complete, now, request.span
    )
