"""Vacuum: what no publication needs that may still be read goes; what is current never does.

A publication is kept for `retention.publications` after the next one was made (a day at least, so
that whoever began to read it can finish). Then its catalogue goes first, so that nobody begins;
then the files, audit reports and log entries that only it needed. Its row in `publications` stays:
what was published when is history. Whatever is interrupted is finished by the next call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from rejse.pipelines.publication import audit_client, catalogue, catalogue_cache, publish
from rejse.pipelines.store import delta_log, file_index
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.delta_store import Publication
from rejse.transforms.schema.log_tables import PUBLICATIONS


@dataclass(frozen=True)
class Vacuumed:
    """What was, or with `is_dry_run` would be, removed; paths are relative to the store."""

    is_dry_run: bool
    kept: tuple[int, ...]
    expired: tuple[int, ...]
    files: tuple[str, ...]
    bytes: int
    by_table: Mapping[str, int] = field(default_factory=dict)


def vacuum(store: Path, keep_for: int, now: int, *, dry_run: bool = True) -> Vacuumed:
    """Remove what only publications need that were followed by another one before `now - keep_for`.

    Times are microseconds. Raises NotPublishedError where there is no publication, AnotherWriter
    while a run is at work (a dry run takes the same lock: it would count files of a run).
    """
    with publish.writing(store) as writer:
        if writer.base is None:
            raise catalogue.NotPublishedError(
                f"expected a publication in {store}, found none; `rejse run` makes the first one"
            )
        return clean(store, now - keep_for, dry_run=dry_run)


def clean(store: Path, before: int, *, dry_run: bool = False) -> Vacuumed:
    """The same for whoever holds the store: what only publications need that were followed by
    another one before `before` (microseconds).
    """
    every = storage.publications(store)
    expired = list(_expired(store, every, before))
    kept = every[len(expired) :]
    gone = [*_catalogues(store, kept), *_audits(store, expired)]
    gone += _data(store, kept)
    gone += [path for name, at in _oldest(store, kept).items()
             for path in delta_log.before(store, name, at)]  # fmt: skip
    sizes = [path.stat().st_size for path in gone]
    if not dry_run:
        _remove(store, gone, kept)
        file_index.tidy(store)
    paths = tuple(path.relative_to(store).as_posix() for path in gone)
    return Vacuumed(
        dry_run, tuple(one.number for one in kept), tuple(one.number for one in expired),
        paths, sum(sizes), _counted(paths),
    )  # fmt: skip


def _expired(store: Path, every: Sequence[Publication], before: int) -> Iterator[Publication]:
    """The first publications, up to one whose successor was not yet published then.

    One whose files are gone was removed before, when less was kept: it does not come back.
    """
    for one, after in pairwise(every):
        if after.published_at >= before and (
            catalogue.path(store, one.number).exists() or catalogue_cache.is_readable(store, one)
        ):
            return
        yield one


def _remove(store: Path, gone: Sequence[Path], kept: Sequence[Publication]) -> None:
    """Catalogues come first in `gone`; logs are shortened last, by a checkpoint and then."""
    for path in gone:
        if path.parent.name != delta_log.LOG:
            path.unlink(missing_ok=True)
    for name, at in _oldest(store, kept).items():
        delta_log.shorten(store, name, at)


def _catalogues(store: Path, kept: Sequence[Publication]) -> list[Path]:
    """Catalogues of publications that are not kept."""
    numbers = {None, *(one.number for one in kept)}  # None: what is no catalogue
    found = sorted(store.glob("catalog-*"))
    return [path for path in found if catalogue.number(path.name) not in numbers]


def _audits(store: Path, expired: Sequence[Publication]) -> list[Path]:
    """Audit reports of runs whose publications have expired."""
    found = [store / audit_client.FOLDER / f"{one.run_id}.json" for one in expired]
    return [path for path in dict.fromkeys(found) if path.exists()]


def _data(store: Path, kept: Sequence[Publication]) -> Iterator[Path]:
    """Data files that no kept publication names."""
    for name, versions in _versions(store, kept).items():
        needed = delta_log.named(store, name, versions)
        for path in sorted((store / name).glob("part-*.parquet")):
            if path.name not in needed:
                yield path


def _versions(store: Path, kept: Sequence[Publication]) -> dict[str, set[int]]:
    """Versions of every table, `publications` included, that kept publications name."""
    found: dict[str, set[int]] = {}
    for one in kept:
        for name, version in one.versions.items():
            found.setdefault(name, set()).add(version)
    committed = delta_log.versions_of(store, PUBLICATIONS.name)
    found[PUBLICATIONS.name] = {
        committed[one.number] for one in kept if one.number in committed
    } | {storage.head(store, PUBLICATIONS.name)}
    return found


def _oldest(store: Path, kept: Sequence[Publication]) -> dict[str, int]:
    """Least version of every table that must still be readable."""
    return {name: min(versions) for name, versions in _versions(store, kept).items()}


def _counted(paths: Sequence[str]) -> dict[str, int]:
    """How many files go, by table; catalogues and reports under their own names."""
    found: dict[str, int] = {}
    for path in paths:
        folder = path.rpartition("/")[0]
        what = "catalogues" if not folder else folder.replace(f"/{delta_log.LOG}", " (log)")
        found[what] = found.get(what, 0) + 1
    return dict(sorted(found.items()))
