"""Erasure: all that the store holds of one identity goes, out of earlier publications too.

What is to be done is first written down without the identity (`.erasing.json`, 0600). Then, each
step such that it can be done again: its refused rows leave quarantine, reports that show a journey
of its are deleted, a publication without its rows and with a receipt (`erasures`) is made, and all
that only earlier publications need goes at once, so that whoever still reads one is cut off. A
killed erasure is finished by the next one or by the next run.

Rows of others are not computed anew: files that hold a row of the identity are written again
without it, all others stay. Where an event of somebody else named it as its previous identity, that
link is blanked.

Not found are: rejects whose payload has left quarantine (they hold hashes of payload and id only),
reports elsewhere than in the store, the configuration's and the current folder, what somebody wrote
into `rejse.duckdb`, and the sources themselves, which `rejse` only reads.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.pipelines.config import dimension_files, fingerprint
from rejse.pipelines.config.retention import JOURNEYS
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.maintenance import vacuum as cleaning
from rejse.pipelines.publication import audit_client, publish
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store import (
    erasure_receipts,
    file_index,
    parquet_files,
    private_texts,
    quarantine,
    staging,
)
from rejse.pipelines.store.carry_forward import BY_PUBLICATION
from rejse.pipelines.store.delta_store import PUBLICATIONS, Publication, Writer
from rejse.pipelines.store.erasure_receipts import ERASURES, KeyChangedError, Tombstone
from rejse.pipelines.store.key_index import KEY, holding, key_index
from rejse.pipelines.store.published_links import published_links
from rejse.pipelines.store.staging import LIVE, StagedFile
from rejse.pipelines.store.state_reader import PublishedTables
from rejse.transforms.columnar.arrays import arrow, flat, take, values
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.dimensions.tables import conform
from rejse.transforms.errors import MisuseError
from rejse.transforms.identity import erasure
from rejse.transforms.identity.link_table import LINKS, blocked_by_erasure
from rejse.transforms.identity.pseudonyms import exact_key, signer
from rejse.transforms.identity.resolve import Links, original_identity, resolve
from rejse.transforms.incremental.cross_customer_ids import leading
from rejse.transforms.incremental.merge_customers import LATE, TABLE_OF_KIND
from rejse.transforms.incremental.revisions import SUPERSEDED
from rejse.transforms.ingest import rejects
from rejse.transforms.ingest.identity_spelling import spellings
from rejse.transforms.scoring.output_tables import REJECTS

ASKED = ".erasing.json"
#: End of the names of columns that hold pseudonyms: links of a row to somebody else.
LINK = "_key"
#: Sides of a link, and tables of rows that bear an identity.
ENDS, BORNE = ("previous", "identity"), (*TABLE_OF_KIND.values(), LATE)
#: Words by which a page is known as a report of ours.
DRAWN = "Drawn by rejse"


class LinkedError(MisuseError):
    """The identity is another person's."""


@dataclass(frozen=True)
class Receipt:
    """What an erasure did, without the identity; `rows` by table, `reports` as paths.

    Of an identity that was erased before and of which nothing was found again, `rows` are those
    of its first erasure. `files` and `bytes` are what went with earlier publications.
    """

    status: Literal["erased", "already_erased"]
    tombstone: str
    erased_at: int
    publication: int
    rows: Mapping[str, int]
    quarantined: int
    reports: tuple[str, ...]
    files: int
    bytes: int


@dataclass(frozen=True)
class _Asked:
    """What is to be erased, as it may be written down; `spelled`: keys of earlier versions."""

    customer_key: str
    tombstone: str
    identitytype: str
    key_id: str
    payloads: tuple[str, ...]
    reports: tuple[str, ...]
    spelled: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """All pseudonyms of the identity."""
        return (self.customer_key, *self.spelled)

    def write(self, store: Path) -> None:
        draft = store / f"{ASKED}.making"
        draft.unlink(missing_ok=True)
        mode = file_modes.file(file_modes.of(store))
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as out:
            json.dump(asdict(self), out)
        draft.replace(store / ASKED)

    @staticmethod
    def read(store: Path) -> _Asked | None:
        place = store / ASKED
        if not place.exists():
            return None
        said = json.loads(place.read_text(encoding="utf-8"))
        lists = {name: tuple(said.get(name, ())) for name in ("payloads", "reports", "spelled")}
        return _Asked(**{**said, **lists})


def forget(settings: Settings, identitytype: str, identity: str) -> Receipt:
    """Erase one identity, in whatever spelling, from the store, for good.

    Of an identity that the store does not know, and in a store without a publication, only the
    tombstone is left. What identity links gave to it goes with it; the links are walled, so that
    what was linked is its own as long as they hold. Raises AnotherWriter while a run is at work,
    KeyChangedError where the key is not the store's: its pseudonyms could not be told,
    StoreDamagedError where a file of the store cannot be read, LinkedError where links give rows of
    the identity, or rows of others through it, to somebody else.
    """
    store = settings.store
    with (
        publish.writing(store) as writer,
        quarantine.accounted(store, settings.keep_quarantine, storage.now()),
        private_texts.accounted(store),
    ):
        begun = finish(settings, writer)
        asked = _asked(settings, writer.base, identitytype, identity)
        if begun is not None and begun.tombstone == asked.tombstone:
            return begun
        _refuse_damaged(store, writer.base)
        asked.write(store)
        found = finish(settings, writer)
        assert found is not None
        return found


def finish(settings: Settings, writer: Writer) -> Receipt | None:
    """Do what is asked for and not done yet; None where there is nothing.

    `writer` stands on the publication without the erased afterwards.
    """
    asked, store = _Asked.read(writer.store), writer.store
    if asked is None:
        return None
    key = settings.key()
    _refuse_other_key(writer.base, fingerprint.key_id(key), asked.key_id)
    gone = frozenset(asked.payloads)
    n_refused = quarantine.remove(
        store, lambda one: rejects.keyed_hash(key, "payload", one) in gone
    )
    for report in asked.reports:
        Path(report).unlink(missing_ok=True)
    number = writer.base.number if writer.base else 0
    _publish(writer, asked)
    assert writer.base is not None
    removed = _clean(store)
    (stone,) = (
        s for s in erasure_receipts.stones(store, writer.base) if s.tombstone == asked.tombstone
    )
    is_new = writer.base.number > number or n_refused or asked.reports
    (store / ASKED).unlink()
    return Receipt(
        "erased" if is_new else "already_erased", stone.tombstone, stone.erased_at,
        stone.publication, stone.rows, n_refused, asked.reports, *removed,
    )  # fmt: skip


# --- what is asked for ------------------------------------------------------------------------


def _asked(
    settings: Settings, base: Publication | None, identitytype: str, identity: str
) -> _Asked:
    key, store = settings.key(), settings.store
    key_id = fingerprint.key_id(key)
    _refuse_other_key(base, key_id, key_id)
    sign, naming = signer(key), erasure.identity_matcher(identitytype, identity)
    keys = tuple(exact_key(identitytype, one, sign) for one in spellings(identitytype, identity))
    refused = quarantine.payloads(store, naming)
    hashed = tuple(rejects.keyed_hash(key, "payload", one) for one in refused)
    _refuse_linked(settings, base, keys)
    ids = (*keys, *_journeys(store, keys))
    places = {place.resolve() for place in (store, settings.root, Path.cwd())}
    # "*" after it: a killed report leaves its draft.
    pages = sorted(page for place in places for page in place.glob("*.html*") if page.is_file())
    shown = (str(page) for page in pages if _shows(page, ids))
    stone = erasure.tombstone(sign, identitytype, identity)
    return _Asked(keys[0], stone, identitytype, key_id, hashed, tuple(shown), keys[1:])


def _refuse_other_key(base: Publication | None, *key_ids: str) -> None:
    if base is not None and not all(erasure_receipts.is_under(base, one) for one in key_ids):
        raise KeyChangedError(
            f"expected the key under which publication {base.number} was made, came another, or a"
            " store of an earlier version: whose rows are whose cannot be told; put that key back,"
            " or make a publication under this one with `rejse run`"
        )


def _refuse_damaged(store: Path, base: Publication | None) -> None:
    """Raise StoreDamagedError before anything is asked for: each run begins with what is, so that
    none could read the sources again and so mend the store.
    """
    for name, version in base.versions.items() if base else ():
        for path in storage.files(store, name, version):
            parquet_files.metadata(store / path)


def _refuse_linked(settings: Settings, base: Publication | None, keys: tuple[str, ...]) -> None:
    """Rows that links give to somebody else, through this identity, are that person's journeys."""
    links = published_links(settings.store, base) if base else conform(None, LINKS)
    through = [erasure.holds_any_key(links.column(f"{end}_key"), keys).any() for end in ENDS]
    if base is None or not any(through):
        return
    without = Links.of(_walled(links, keys), settings.windows.identity_wait)
    for name, version in base.versions.items():
        for path in storage.files(settings.store, name, version) if name in BORNE else ():
            if _moves(parquet_files.rows(settings.store / path), without, keys):
                raise LinkedError(
                    "expected an identity of its own, came one whose rows, or such as come to their"
                    " person through it, are another person's by identity links; erase that person,"
                    " or end the link, `rejse reconcile`, and erase this one then"
                )


def _walled(links: pa.Table, keys: tuple[str, ...]) -> pa.Table:
    return blocked_by_erasure(
        links, *(erasure.holds_any_key(links.column(f"{end}_key"), keys) for end in ENDS)
    )


def _moves(rows: pa.Table, links: Links, keys: tuple[str, ...]) -> bool:
    """Whether rows of others than these keys are not theirs by these links."""
    time = rows.column("time" if "time" in rows.column_names else "valid_from")
    names, place = resolve(original_identity(rows), values(flat(time)), links)
    person, now = names.take(arrow(place, pa.int64())), flat(rows.column(KEY)).cast(pa.string())
    moved = pc.and_(pc.not_equal(person, now), arrow(~erasure.holds_any_key(now, keys)))
    return bool(pc.any(moved, min_count=0).as_py())


def _journeys(store: Path, keys: tuple[str, ...]) -> list[str]:
    """Ids of all journeys of a customer that any file in the store has."""
    tables = (JOURNEYS, JOURNEYS + LIVE, SUPERSEDED.name)
    files = {
        name: [f"{name}/{path.name}" for path in sorted((store / name).glob("part-*.parquet"))]
        for name in tables
    }
    found = (PublishedTables(store, files).rows(name, text(sorted(keys))) for name in tables)
    columns = [one.column("journey_id").to_pylist() for one in found if one is not None]
    return sorted({ident for column in columns for ident in column})


def _shows(page: Path, ids: tuple[str, ...]) -> bool:
    said = page.read_text(encoding="utf-8", errors="replace")
    return DRAWN in said and any(ident in said for ident in ids)


# --- the publication without it ---------------------------------------------------------------


def _publish(writer: Writer, asked: _Asked) -> None:
    """Publish the tables without what is asked for, with its receipt; nothing where that stands."""
    store, base = writer.store, writer.base
    before = {} if base is None else {
        name: storage.named(store, name, at) for name, at in base.versions.items()
    }  # fmt: skip
    after = {
        name: files
        if name in BY_PUBLICATION
        else [kept for file in files for kept in _without(store, file, asked)]
        for name, files in before.items()
    }
    removed = {name: _rows(before[name]) - _rows(files) for name, files in after.items()}
    draft = _draft(base, asked.key_id)
    is_known = asked.tombstone in erasure_receipts.erased(store, base).tombstones
    if not is_known:
        stone = Tombstone(
            asked.tombstone, asked.identitytype, draft.published_at, draft.number,
            {name: n for name, n in removed.items() if n},
        )  # fmt: skip
        after[ERASURES.name] = [
            erasure_receipts.staged(store, [*erasure_receipts.stones(store, base), stone])
        ]
    # Also where nothing changes: what a crashed run has committed on top goes.
    versions = {name: publish.settled(store, name, files, draft) for name, files in after.items()}
    if is_known and after == before:
        return
    rows = {name: _rows(files) for name, files in after.items()}
    done = replace(draft, versions=versions, rows=rows)
    paths = {name: [file.path for file in files] for name, files in after.items()}
    writer.base = publish.announce(writer, done, paths)
    writer.read_version = storage.head(store, PUBLICATIONS.name)


def _rows(files: list[StagedFile]) -> int:
    return sum(file.rows for file in files)


def _draft(base: Publication | None, key_id: str) -> Publication:
    """The next publication; in a store without one, the first, which holds nothing else."""
    now = storage.after(base)
    if base is not None:
        return replace(base, number=base.number + 1, published_at=now)
    return Publication(1, "forget", "", "", now, core_version=f"-{key_id}")


def _without(store: Path, file: StagedFile, asked: _Asked) -> Iterator[StagedFile]:
    """The file as it is where it holds nothing of the identity, else a new one without that."""
    place = store / file.path
    links = [n for n in parquet_files.schema(place).names if n.endswith(LINK) and n != KEY]
    if not _may_hold(store, file, links, asked):
        yield file
        return
    rows = parquet_files.rows(place)
    if file.table == dimension_files.LINKS:
        kept = _walled(rows, asked.keys)
    else:
        kept = rows.filter(pc.invert(_gone(rows, file.table, links, asked)))
        for name in links:
            kept = _unlinked(kept, name, asked)
    if kept.equals(rows):
        yield file
        return
    again = staging.write(store, file.table, kept)
    if again is not None:
        yield again


def _may_hold(store: Path, file: StagedFile, links: list[str], asked: _Asked) -> bool:
    """Whether a file may hold a row of the identity, or a link to it."""
    place, who = store / file.path, leading(text(sorted(asked.keys)))
    if KEY not in parquet_files.schema(place).names or holding(key_index(store).of(file.path), who):
        return True
    if file.table == REJECTS.name and asked.payloads:
        return True
    if not links:
        return False
    rows = parquet_files.rows(place, links)
    return any(erasure.holds_any_key(rows.column(name), asked.keys).any() for name in links)


def _gone(rows: pa.Table, table: str, links: list[str], asked: _Asked) -> pa.Array:
    """Which rows are of the identity; of a table that has no customers, those that name it."""
    if table == REJECTS.name:
        hashed = flat(rows.column("payload_hmac")).cast(pa.string())
        return pc.is_in(hashed, value_set=text(sorted(asked.payloads)))
    gone = np.zeros(rows.num_rows, bool)
    for name in [KEY] if KEY in rows.column_names else links:
        gone |= erasure.holds_any_key(rows.column(name), asked.keys)
    return arrow(gone)


def _unlinked(rows: pa.Table, name: str, asked: _Asked) -> pa.Table:
    """The rows, of others, without their links to the identity."""
    place, linked = (
        rows.column_names.index(name),
        erasure.holds_any_key(rows.column(name), asked.keys),
    )
    if not linked.any():
        return rows
    kept = np.where(linked, -1, np.arange(rows.num_rows))
    column = take(flat(rows.column(place)).cast(pa.string()), kept)
    return rows.set_column(place, rows.schema.field(place), column.cast(rows.schema.types[place]))


# --- what earlier publications leave ----------------------------------------------------------


def _clean(store: Path) -> tuple[int, int]:
    """Remove all that the current publication does not need; how many files and bytes."""
    every = storage.publications(store)
    done = cleaning.clean(store, 1 + max(one.published_at for one in every))
    gone = sorted(
        (store / audit_client.FOLDER).glob("*.json")
    )  # they name rows; also of failed runs
    sizes = [path.stat().st_size for path in gone]
    for path in gone:
        path.unlink()
    needed = {*every[-1].versions, PUBLICATIONS.name}
    for folder in sorted(store.iterdir()):  # tables that no publication has, or has any more
        if (folder / "_delta_log").is_dir() and folder.name not in needed:
            shutil.rmtree(folder)
    file_index.tidy(store)
    return len(done.files) + len(gone), done.bytes + sum(sizes)
