"""Vacuum: remove files that no readable publication needs; the current one stays.

A publication is kept for `retention.publications` after the next one was made (a day at least, so
that readers can finish). Then its catalogue is removed first, so that no reader starts; then the
files, audit reports and log entries that only it needed. Its row in `publications` stays. The next
call finishes an interrupted one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from rejse.pipelines.places import place
from rejse.pipelines.publication import audit, catalogue, catalogue_cache, publish
from rejse.pipelines.store import delta_log, index_folders
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.delta_store import Publication
from rejse.transforms.schema.log_tables import PUBLICATIONS


@dataclass(frozen=True)
class Vacuumed:
    """Files removed, or with `is_dry_run` to be removed; paths are relative to the store."""

    is_dry_run: bool
    kept: tuple[int, ...]
    expired: tuple[int, ...]
    files: tuple[str, ...]
    bytes: int
    by_table: Mapping[str, int] = field(default_factory=dict)


def vacuum(store: Path, keep_for: int, now: int, *, dry_run: bool = True) -> Vacuumed:
    """Remove what only publications need whose successor was made before `now - keep_for`.

    Times are microseconds. Raises NotPublishedError where there is no publication, AnotherWriter
    while a run holds the store (a dry run takes the same lock: it would count files of a run).
    """
    with publish.writing(store) as writer:
        if writer.previous is None:
            raise catalogue.none_published(store)
        return clean(store, now - keep_for, dry_run=dry_run)


def clean(store: Path, before: int, *, dry_run: bool = False) -> Vacuumed:
    """Remove what only publications need whose successor was made before `before`.

    `before` is in microseconds. Call it only while holding the store's lock.
    """
    publications = storage.publications(store)
    expired = list(_expired(store, publications, before))
    kept = publications[len(expired) :]
    removed = [*_catalogues(store, kept), *_audits(store, expired)]
    removed += _data(store, kept)
    removed += [
        path
        for name, at in _oldest(store, kept).items()
        for path in delta_log.before(store, name, at)
    ]
    sizes = [path.stat().st_size for path in removed]
    if not dry_run:
        _remove(store, removed, kept)
        index_folders.tidy(store)
    paths = tuple(path.relative_to(store).as_posix() for path in removed)
    kept_numbers = tuple(publication.number for publication in kept)
    numbers = tuple(publication.number for publication in expired)
    return Vacuumed(dry_run, kept_numbers, numbers, paths, sum(sizes), _counted(paths))


def _expired(
    store: Path, publications: Sequence[Publication], before: int
) -> Iterator[Publication]:
    """Yield the first publications, up to one whose successor is not older than `before`.

    One whose files are missing was removed under a shorter retention: it stays expired.
    """
    for publication, successor in pairwise(publications):
        if successor.published_at >= before and (
            catalogue.path(store, publication.number).exists()
            or catalogue_cache.is_readable(store, publication)
        ):
            return
        yield publication


def _remove(store: Path, removed: Sequence[Path], kept: Sequence[Publication]) -> None:
    """Remove files, catalogues first; shorten logs last, after a checkpoint."""
    place.of(store).remove(path for path in removed if path.parent.name != delta_log.LOG)
    for name, at in _oldest(store, kept).items():
        delta_log.shorten(store, name, at)


def _catalogues(store: Path, kept: Sequence[Publication]) -> list[Path]:
    """List catalogues of publications that are not kept."""
    numbers = {None, *(publication.number for publication in kept)}  # None: what is no catalogue
    files = sorted(store.glob("catalog-*"))
    return [path for path in files if catalogue.number(path.name) not in numbers]


def _audits(store: Path, expired: Sequence[Publication]) -> list[Path]:
    """List audit reports of runs whose publications have expired."""
    reports = [store / audit.FOLDER / f"{publication.run_id}.json" for publication in expired]
    return [path for path in dict.fromkeys(reports) if path.exists()]


def _data(store: Path, kept: Sequence[Publication]) -> Iterator[Path]:
    """Yield data files that no kept publication names."""
    for name, versions in _versions(store, kept).items():
        needed = delta_log.named(store, name, versions)
        for path in sorted((store / name).glob("part-*.parquet")):
            if path.name not in needed:
                yield path


def _versions(store: Path, kept: Sequence[Publication]) -> dict[str, set[int]]:
    """Return versions of every table, `publications` included, that kept publications name."""
    by_table: dict[str, set[int]] = {}
    for publication in kept:
        for name, version in publication.versions.items():
            by_table.setdefault(name, set()).add(version)
    committed = delta_log.versions_of(store, PUBLICATIONS.name)
    by_table[PUBLICATIONS.name] = {
        committed[publication.number] for publication in kept if publication.number in committed
    } | {storage.head(store, PUBLICATIONS.name)}
    return by_table


def _oldest(store: Path, kept: Sequence[Publication]) -> dict[str, int]:
    """Return the least version of every table that must stay readable."""
    return {name: min(versions) for name, versions in _versions(store, kept).items()}


def _counted(paths: Sequence[str]) -> dict[str, int]:
    """Count removed files by table; catalogues and reports under their own names."""
    counts: dict[str, int] = {}
    for path in paths:
        folder = path.rpartition("/")[0]
        group = "catalogues" if not folder else folder.replace(f"/{delta_log.LOG}", " (log)")
        counts[group] = counts.get(group, 0) + 1
    return dict(sorted(counts.items()))
