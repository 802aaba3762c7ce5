"""Receipts of erasures: a tombstone for each erased identity, and the rows removed.

The table `erasures` holds no identity and no pseudonym. Its tombstones are hashes under the
pseudonym key: a run counts rows of these identities as `erased` and drops them. Tombstones cannot
be converted to a new key, under which the sources would bring the erased identities back; so a
store with tombstones refuses another key (`refuse_other_key`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store import staging
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.staged_file import StagedFile
from rejse.transforms.errors import MisuseError
from rejse.transforms.identity.erasure import Erased
from rejse.transforms.schema.log_tables import ERASURES


class KeyChangedError(MisuseError):
    """The key is not the one of the store's pseudonyms or tombstones."""


@dataclass(frozen=True)
class Tombstone:
    """A row of the table; `erased_at` in microseconds."""

    tombstone: str
    identitytype: str
    erased_at: int
    publication: int
    rows: Mapping[str, int]

    def row(self) -> dict[str, Any]:
        """Return the row as Arrow takes it."""
        return {**vars(self), "rows": sorted(self.rows.items())}


def receipt_files(store: Path, publication: Publication | None) -> dict[str, list[StagedFile]]:
    """Return the files of `erasures` in a publication by table name; empty without erasures."""
    version = -1 if publication is None else publication.versions.get(ERASURES.name, -1)
    return {} if version < 0 else {ERASURES.name: storage.named(store, ERASURES.name, version)}


def tombstones(store: Path, publication: Publication | None) -> list[Tombstone]:
    """Read all receipts of a publication."""
    files = receipt_files(store, publication).get(ERASURES.name, ())
    rows = [row for file in files for row in storage.read(store / file.path).to_pylist()]
    return [
        Tombstone(
            **{**row, "erased_at": storage.micros(row["erased_at"]), "rows": dict(row["rows"])}
        )
        for row in rows
    ]


def erased(store: Path, publication: Publication | None) -> Erased:
    """Return the erased identities, whose rows a run on this publication drops."""
    receipts = tombstones(store, publication)
    kinds = tuple(sorted({receipt.identitytype for receipt in receipts}))
    return Erased(frozenset(receipt.tombstone for receipt in receipts), kinds)


def staged(store: Path, tombstones: Sequence[Tombstone]) -> StagedFile:
    """Stage at least one receipt as a file of `erasures`."""
    rows = [tombstone.row() for tombstone in tombstones]
    file = staging.write(store, ERASURES.name, pa.Table.from_pylist(rows, schema=ERASURES.schema))
    assert file is not None
    return file


def is_under(publication: Publication, key_id: str) -> bool:
    """Return whether a publication was made under the key of this `fingerprint.key_id`."""
    return publication.core_version.endswith(f"-{key_id}")


def refuse_other_key(store: Path, publication: Publication | None, key_id: str) -> None:
    """Raise KeyChangedError where there are tombstones under another key than `key_id`."""
    if publication is None or is_under(publication, key_id):
        return
    n = len(erased(store, publication).tombstones)
    if n:
        raise KeyChangedError(
            f"expected the key under which {n:,} identities were erased, came another: tombstones"
            " are hashes under the key and cannot be carried over to a new one, so that the"
            " sources would bring the erased back. Put the former key back; or name a new, empty"
            " `store`, there `rejse forget` each of them again under the new key, then `rejse run`"
        )
