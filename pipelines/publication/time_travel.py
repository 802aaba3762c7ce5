"""Time travel: find the publication that was current at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

from rejse.pipelines.publication import catalogue
from rejse.pipelines.publication.catalogue import NotPublishedError
from rejse.pipelines.store import delta_store as storage
from rejse.transforms.errors import MisuseError


class AsOfError(MisuseError):
    """The text is neither a publication's number nor a time."""


def number(store: Path, text: str) -> int:
    """Return the publication that `text` names: its number, or a time at which it was current.

    That is the last one published at or before the time. A time without a zone is UTC, a day
    without a time its first instant. Raises AsOfError where it is neither, NotPublishedError where
    nothing was published by then or it can no longer be read.
    """
    named = int(text) if text.strip().isdecimal() else _at(store, text)
    if catalogue.path(store, named).exists():
        return named
    publications = storage.publications(store)
    if not any(
        publication.number == named and _is_readable(store, publication)
        for publication in publications
    ):
        raise _unreadable(store, text, named)
    return named


def _is_readable(store: Path, publication: storage.Publication) -> bool:
    """Return whether a publication can be read: it was not vacuumed."""
    if catalogue.path(store, publication.number).exists():
        return True
    from rejse.pipelines.publication import catalogue_cache

    return catalogue_cache.is_readable(store, publication)


def _unreadable(store: Path, text: str, named: int) -> NotPublishedError:
    """Return the error of a missing publication; it lists those that can be read."""
    publications = storage.publications(store)
    if not publications:
        return catalogue.none_published(store)
    numbers = [publication.number for publication in publications]
    readable = [str(p.number) for p in publications if _is_readable(store, p)]
    span = " to ".join(dict.fromkeys([*readable[:1], *readable[-1:]])) or "none"
    why = "its files are no longer kept" if named in numbers else "there is none of that number"
    if len(text.strip()) in (6, 8):  # as if digits alone were a month or a day
        why += " (a day is written 2026-03-01)"
    return NotPublishedError(
        f"expected a publication that can still be read ({span}), came {text!r}: {why};"
        ' `rejse sql "select publication, published_at from publications"` lists them,'
        " [retention] says how long they are kept"
    )


def is_naive(text: str) -> bool:
    """Return whether `text` is a time without a zone, which is UTC."""
    try:
        return not text.strip().isdecimal() and datetime.fromisoformat(text.strip()).tzinfo is None
    except ValueError:
        return False


def _at(store: Path, text: str) -> int:
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise AsOfError(
            f"expected a publication's number, or a time such as 2026-03-01T12:00Z, came {text!r}"
        ) from None
    moment = storage.micros(when if when.tzinfo else when.replace(tzinfo=UTC))
    publications = storage.publications(store)
    # An earlier version let times go back with the clock: none was current before the one before.
    since = accumulate((publication.published_at for publication in publications), max)
    before = [
        publication.number
        for publication, at in zip(publications, since, strict=True)
        if at <= moment
    ]
    if not before:
        raise NotPublishedError(
            f"expected a publication at {text}, found none in {store}: nothing was published by"
            " then; name a later time"
        )
    return before[-1]
