"""Erase one identity from the store, out of earlier publications too.

The request is first written down without the identity (`.erasing.json`, 0600). Then, each step
repeatable: its rejects leave quarantine and messages that name it the archive of topics, reports
that show a journey of it are deleted, a publication without its rows and with a receipt
(`erasures`) is made, and all that only earlier publications need is removed at once, also under
their readers. A killed erasure is finished by the next erasure or run.

Rows of others are not computed again: files that hold a row of the identity are rewritten without
it, all others stay. Where an event of another customer names it as its previous identity, that link
is cleared.

Not covered: rejects whose payload has left quarantine (they hold hashes of payload and id only),
reports outside the store, the configuration's and the current folder, what users wrote into
`rejse.duckdb`, and the sources, which `rejse` only reads.
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
from rejse.pipelines.maintenance import archived_messages
from rejse.pipelines.maintenance import vacuum as cleaning
from rejse.pipelines.places import place
from rejse.pipelines.publication import audit, overlay, publish
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.sources.kafka import archive_folder
from rejse.pipelines.store import (
    alert_ledger,
    erasure_receipts,
    index_folders,
    parquet_files,
    private_texts,
    quarantine,
    staging,
)
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.delta_store import Publication, Writer
from rejse.pipelines.store.erasure_receipts import KeyChangedError, Tombstone
from rejse.pipelines.store.published_links import published_links
from rejse.pipelines.store.staged_file import StagedFile
from rejse.pipelines.store.state_reader import CustomerKeys, PublishedTables
from rejse.transforms import published_tables
from rejse.transforms.columnar.arrays import arrow, flat, take, values
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.dimensions.tables import conform
from rejse.transforms.errors import MisuseError
from rejse.transforms.identity import erasure
from rejse.transforms.identity.erasure import Erased
from rejse.transforms.identity.link_table import LINKS, blocked_by_erasure
from rejse.transforms.identity.pseudonyms import exact_key, signer
from rejse.transforms.identity.resolve import Links, original_identity, resolve
from rejse.transforms.incremental.merge_customers import LATE
from rejse.transforms.incremental.revisions import SUPERSEDED
from rejse.transforms.ingest import rejects
from rejse.transforms.ingest.identity_spelling import spellings
from rejse.transforms.ingest.rejects import REJECTS
from rejse.transforms.schema.contract import CUSTOMER_KEY
from rejse.transforms.schema.log_tables import ERASURES, PUBLICATIONS

#: End of the names of columns with pseudonyms: links of a row to another identity.
LINK = "_key"
#: Sides of a link.
ENDS = ("previous", "identity")
#: Words that every report of rejse contains.
DRAWN = "Drawn by rejse"


class LinkedError(MisuseError):
    """Identity links give the identity's rows to another person."""


@dataclass(frozen=True)
class Receipt:
    """Result of an erasure, without the identity; `rows` by table, `reports` as paths.

    For an identity that was erased before and not found again, `rows` are those of its first
    erasure. `quarantined` and `archived` are rejects and raw messages; `files` and `bytes` were
    removed with earlier publications.
    """

    status: Literal["erased", "already_erased"]
    tombstone: str
    erased_at: int
    publication: int
    rows: Mapping[str, int]
    quarantined: int
    archived: int
    reports: tuple[str, ...]
    files: int
    bytes: int


@dataclass(frozen=True)
class _Request:
    """An erasure as it may be written down; `spelled`: keys of spellings by earlier versions.

    `messages` are those of the archive (`archived_messages.naming`).
    """

    customer_key: str
    tombstone: str
    identitytype: str
    key_id: str
    payloads: tuple[str, ...]
    reports: tuple[str, ...]
    spelled: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Return all pseudonyms of the identity."""
        return (self.customer_key, *self.spelled)

    def write(self, store: Path) -> None:
        draft = store / f"{file_modes.ERASING}.making"
        draft.unlink(missing_ok=True)
        mode = file_modes.file(file_modes.of(store))
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as out:
            json.dump(asdict(self), out)
        draft.replace(store / file_modes.ERASING)

    @staticmethod
    def read(store: Path) -> _Request | None:
        path = store / file_modes.ERASING
        if not path.exists():
            return None
        written = json.loads(path.read_text(encoding="utf-8"))
        names = ("payloads", "reports", "spelled", "messages")
        lists = {name: tuple(written.get(name, ())) for name in names}
        return _Request(**{**written, **lists})


def forget(settings: Settings, identitytype: str, identity: str) -> Receipt:
    """Erase one identity, in whatever spelling, from the store for good.

    Of an identity that the store does not know, and in a store without a publication, only the
    tombstone is written. Links through the identity are blocked: what was linked through it is its
    own from then on.

    Raises:
        AnotherWriter: a run holds the store.
        KeyChangedError: the key is not the store's, so that its pseudonyms cannot be computed.
        StoreDamagedError: a file of the store cannot be read.
        LinkedError: links give rows of the identity, or of others through it, to another
            person.
    """
    store = settings.store
    with (
        publish.writing(store) as writer,
        quarantine.accounted(store, settings.keep_quarantine, storage.now()),
        private_texts.accounted(store),
        archive_folder.accounted(store, settings.retention.archive, storage.now(), writer.run_ids),
    ):
        finished = finish(settings, writer)
        request = _make_request(settings, writer.previous, identitytype, identity)
        if finished is not None and finished.tombstone == request.tombstone:
            return finished
        _refuse_damaged(store, writer.previous)
        request.write(store)
        receipt = finish(settings, writer)
        assert receipt is not None
        return receipt


def finish(settings: Settings, writer: Writer) -> Receipt | None:
    """Carry out a request that is not finished yet; None where there is none.

    Afterwards `writer` stands on the publication without the identity.
    """
    request, store = _Request.read(writer.store), writer.store
    if request is None:
        return None
    key = settings.key()
    _refuse_other_key(writer.previous, fingerprint.key_id(key), request.key_id)
    payloads = frozenset(request.payloads)
    n_refused = quarantine.remove(
        store, lambda payload: rejects.keyed_hash(key, "payload", payload) in payloads
    )
    n_archived = archived_messages.remove(store, request.messages)
    for report in request.reports:
        Path(report).unlink(missing_ok=True)
    number = writer.previous.number if writer.previous else 0
    _publish(writer, request)
    assert writer.previous is not None
    alert_ledger.forget(store, request.keys)
    overlay.remove(store)  # the hot core lays another over the publication without it
    removed = _clean(store)
    (tombstone,) = (
        stored
        for stored in erasure_receipts.tombstones(store, writer.previous)
        if stored.tombstone == request.tombstone
    )
    is_new = writer.previous.number > number or n_refused or n_archived or request.reports
    (store / file_modes.ERASING).unlink()
    return Receipt(
        "erased" if is_new else "already_erased",
        tombstone.tombstone,
        tombstone.erased_at,
        tombstone.publication,
        tombstone.rows,
        n_refused,
        n_archived,
        request.reports,
        *removed,
    )


# --- the request ------------------------------------------------------------------------------


def _make_request(
    settings: Settings, publication: Publication | None, identitytype: str, identity: str
) -> _Request:
    key, store = settings.key(), settings.store
    key_id = fingerprint.key_id(key)
    _refuse_other_key(publication, key_id, key_id)
    sign, naming = signer(key), erasure.identity_matcher(identitytype, identity)
    keys = tuple(
        exact_key(identitytype, spelling, sign) for spelling in spellings(identitytype, identity)
    )
    payloads = quarantine.payloads(store, naming)
    hashed = tuple(rejects.keyed_hash(key, "payload", payload) for payload in payloads)
    _refuse_linked(settings, publication, keys)
    ids = (*keys, *_journeys(store, keys))
    places = {place.resolve() for place in (store, settings.root, Path.cwd())}
    # "*" after it: a killed report leaves its draft.
    pages = sorted(page for place in places for page in place.glob("*.html*") if page.is_file())
    shown = (str(page) for page in pages if _shows(page, ids))
    tombstone = erasure.tombstone(sign, identitytype, identity)
    erased = Erased(frozenset([tombstone]), (identitytype,))
    messages = archived_messages.naming(settings, erased, sign)
    return _Request(
        keys[0], tombstone, identitytype, key_id, hashed, tuple(shown), keys[1:], tuple(messages)
    )


def _refuse_other_key(publication: Publication | None, *key_ids: str) -> None:
    if publication is not None and not all(
        erasure_receipts.is_under(publication, key_id) for key_id in key_ids
    ):
        raise KeyChangedError(
            f"expected the key under which publication {publication.number} was made, came another,"
            " or a store of an earlier version: whose rows are whose cannot be told; put that key"
            " back, or make a publication under this one with `rejse run`"
        )


def _refuse_damaged(store: Path, publication: Publication | None) -> None:
    """Raise StoreDamagedError before the request is written.

    Each run starts with pending requests: one that cannot be carried out would block a rebuild too.
    """
    for name, version in publication.versions.items() if publication else ():
        for path in storage.files(store, name, version):
            parquet_files.metadata(store / path)


def _refuse_linked(
    settings: Settings, publication: Publication | None, keys: tuple[str, ...]
) -> None:
    """Raise LinkedError where links move rows between the identity and other persons."""
    links = published_links(settings.store, publication) if publication else conform(None, LINKS)
    through = [erasure.holds_any_key(links.column(f"{end}_key"), keys).any() for end in ENDS]
    if publication is None or not any(through):
        return
    without = Links.of(_blocked_links(links, keys), settings.windows.identity_wait)
    for name, version in publication.versions.items():
        if not (published_tables.table_of(name).lifecycle == "input" or name == LATE):
            continue
        for path in storage.files(settings.store, name, version):
            if _moves(parquet_files.rows(settings.store / path), without, keys):
                raise LinkedError(
                    "expected an identity of its own, came one whose rows, or such as come to their"
                    " person through it, are another person's by identity links; erase that person,"
                    " or end the link, `rejse reconcile`, and erase this one then"
                )


def _blocked_links(links: pa.Table, keys: tuple[str, ...]) -> pa.Table:
    return blocked_by_erasure(
        links, *(erasure.holds_any_key(links.column(f"{end}_key"), keys) for end in ENDS)
    )


def _moves(rows: pa.Table, links: Links, keys: tuple[str, ...]) -> bool:
    """Return whether rows of others than these keys belong to another person by these links."""
    time = rows.column("time" if "time" in rows.column_names else "valid_from")
    names, place = resolve(original_identity(rows), values(flat(time)), links)
    person, now = (
        names.take(arrow(place, pa.int64())),
        flat(rows.column(CUSTOMER_KEY)).cast(pa.string()),
    )
    moved = pc.and_(pc.not_equal(person, now), arrow(~erasure.holds_any_key(now, keys)))
    return bool(pc.any(moved, min_count=0).as_py())


def _journeys(store: Path, keys: tuple[str, ...]) -> list[str]:
    """List ids of all journeys of a customer in any file of the store."""
    tables = (*published_tables.TABLES[JOURNEYS].stored, SUPERSEDED.name)
    files = {
        name: [
            StagedFile(name, f"{name}/{path.name}", 0, 0)
            for path in sorted((store / name).glob("part-*.parquet"))
        ]
        for name in tables
    }
    parts = (PublishedTables(store, files).rows(name, text(sorted(keys))) for name in tables)
    columns = [part.column("journey_id").to_pylist() for part in parts if part is not None]
    return sorted({ident for column in columns for ident in column})


def _shows(page: Path, ids: tuple[str, ...]) -> bool:
    page_text = page.read_text(encoding="utf-8", errors="replace")
    return DRAWN in page_text and any(ident in page_text for ident in ids)


# --- the publication without it ---------------------------------------------------------------


def _publish(writer: Writer, request: _Request) -> None:
    """Publish the tables without the identity, with a receipt; nothing where that is done."""
    store, previous = writer.store, writer.previous
    before = (
        {}
        if previous is None
        else {name: storage.named(store, name, at) for name, at in previous.versions.items()}
    )
    after = {
        name: files
        if published_tables.table_of(name).lifecycle == "log"
        else [kept for file in files for kept in _without_identity(store, file, request)]
        for name, files in before.items()
    }
    removed = {name: _rows(before[name]) - _rows(files) for name, files in after.items()}
    publication = _draft(previous, request.key_id)
    is_known = request.tombstone in erasure_receipts.erased(store, previous).tombstones
    if not is_known:
        tombstone = Tombstone(
            request.tombstone,
            request.identitytype,
            publication.published_at,
            publication.number,
            {name: n for name, n in removed.items() if n},
        )
        after[ERASURES.name] = [
            erasure_receipts.staged(
                store, [*erasure_receipts.tombstones(store, previous), tombstone]
            )
        ]
    # Also where nothing changes: this replaces what a crashed run has committed.
    versions = {
        name: publish.commit_table(store, name, files, publication) for name, files in after.items()
    }
    if is_known and after == before:
        return
    rows = {name: _rows(files) for name, files in after.items()}
    published = replace(publication, versions=versions, rows=rows)
    paths = {name: [file.path for file in files] for name, files in after.items()}
    publish.announce(writer, published, paths)


def _rows(files: list[StagedFile]) -> int:
    return sum(file.rows for file in files)


def _draft(previous: Publication | None, key_id: str) -> Publication:
    """Return the next publication; in a store without one, the first, which is empty."""
    now = storage.after(previous)
    if previous is not None:
        return replace(previous, number=previous.number + 1, published_at=now)
    return Publication(1, "forget", "", "", now, core_version=f"-{key_id}")


def _without_identity(store: Path, file: StagedFile, request: _Request) -> Iterator[StagedFile]:
    """Yield the file as it is where it holds nothing of the identity, else a new one without."""
    path = store / file.path
    links = [n for n in parquet_files.schema(path).names if n.endswith(LINK) and n != CUSTOMER_KEY]
    if not _may_hold(store, file, links, request):
        yield file
        return
    rows = parquet_files.rows(path)
    if file.table == dimension_files.LINKS:
        kept = _blocked_links(rows, request.keys)
    else:
        kept = rows.filter(pc.invert(_is_of_identity(rows, file.table, links, request)))
        for name in links:
            kept = _unlinked(kept, name, request)
    if kept.equals(rows):
        yield file
        return
    rewritten = staging.write(store, file.table, kept)
    if rewritten is not None:
        yield rewritten


def _may_hold(store: Path, file: StagedFile, links: list[str], request: _Request) -> bool:
    """Return whether a file may hold a row of the identity, or a link to it."""
    path, keys = store / file.path, CustomerKeys(text(sorted(request.keys)))
    if CUSTOMER_KEY not in parquet_files.schema(path).names or keys.have_rows_in(store, file):
        return True
    if file.table == REJECTS.name and request.payloads:
        return True
    if not links:
        return False
    rows = parquet_files.rows(path, links)
    return any(erasure.holds_any_key(rows.column(name), request.keys).any() for name in links)


def _is_of_identity(rows: pa.Table, table: str, links: list[str], request: _Request) -> pa.Array:
    """Return which rows are of the identity (bool a row).

    In a table without customers, rows that name it.
    """
    if table == REJECTS.name:
        hashed = flat(rows.column("payload_hmac")).cast(pa.string())
        return pc.is_in(hashed, value_set=text(sorted(request.payloads)))
    matches = np.zeros(rows.num_rows, bool)
    for name in [CUSTOMER_KEY] if CUSTOMER_KEY in rows.column_names else links:
        matches |= erasure.holds_any_key(rows.column(name), request.keys)
    return arrow(matches)


def _unlinked(rows: pa.Table, name: str, request: _Request) -> pa.Table:
    """Return the rows, of others, without their links to the identity."""
    place, linked = (
        rows.column_names.index(name),
        erasure.holds_any_key(rows.column(name), request.keys),
    )
    if not linked.any():
        return rows
    kept = np.where(linked, -1, np.arange(rows.num_rows))
    column = take(flat(rows.column(place)).cast(pa.string()), kept)
    return rows.set_column(place, rows.schema.field(place), column.cast(rows.schema.types[place]))


# --- files of earlier publications ------------------------------------------------------------


def _clean(store: Path) -> tuple[int, int]:
    """Remove all that the current publication does not need; return number of files and bytes."""
    publications = storage.publications(store)
    vacuumed = cleaning.clean(
        store, 1 + max(publication.published_at for publication in publications)
    )
    reports = sorted((store / audit.FOLDER).glob("*.json"))  # they name rows; also of failed runs
    sizes = [path.stat().st_size for path in reports]
    at = place.of(store)
    at.remove(reports)
    needed = {*publications[-1].versions, PUBLICATIONS.name}
    for folder in sorted(store.iterdir()):  # tables that no publication has, or has any more
        if (folder / "_delta_log").is_dir() and folder.name not in needed:
            at.remove(path for path in folder.rglob("*") if path.is_file())
            shutil.rmtree(folder)
    index_folders.tidy(store)
    return len(vacuumed.files) + len(reports), vacuumed.bytes + sum(sizes)
