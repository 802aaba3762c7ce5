"""Receipts of erasures: a tombstone for each erased identity, and what the erasure removed.

The table `erasures` holds no identity and no pseudonym. Its tombstones are hashes under the
pseudonym key: a run counts rows of these identities as `erased` and keeps none of them. They cannot
be carried over to a new key, under which the sources would bring the erased ones back; so with
tombstones in a store another key is refused (`refuse_other_key` says what to do instead).
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
from rejse.pipelines.store.staging import StagedFile
from rejse.transforms.errors import MisuseError
from rejse.transforms.identity.erasure import Erased
from rejse.transforms.schema.log_tables import ERASURES


class KeyChangedError(MisuseError):
    """The key is not the one under which the store's pseudonyms or tombstones were made."""


@dataclass(frozen=True)
class Tombstone:
    """A row of the table; `erased_at` in microseconds."""

    tombstone: str
    identitytype: str
    erased_at: int
    publication: int
    rows: Mapping[str, int]

    def row(self) -> dict[str, Any]:
        """The row as Arrow takes it."""
        return {**vars(self), "rows": sorted(self.rows.items())}


def standing(store: Path, base: Publication | None) -> dict[str, list[StagedFile]]:
    """Files of the table in a publication, by its name; nothing where nobody was erased."""
    version = -1 if base is None else base.versions.get(ERASURES.name, -1)
    return {} if version < 0 else {ERASURES.name: storage.named(store, ERASURES.name, version)}


def stones(store: Path, base: Publication | None) -> list[Tombstone]:
    """All receipts of a publication."""
    files = standing(store, base).get(ERASURES.name, ())
    rows = [row for file in files for row in storage.read(store / file.path).to_pylist()]
    return [
        Tombstone(
            **{**row, "erased_at": storage.micros(row["erased_at"]), "rows": dict(row["rows"])}
        )
        for row in rows
    ]


def erased(store: Path, base: Publication | None) -> Erased:
    """Whose rows a run on this publication does not keep."""
    found = stones(store, base)
    kinds = tuple(sorted({one.identitytype for one in found}))
    return Erased(frozenset(one.tombstone for one in found), kinds)


def staged(store: Path, stones: Sequence[Tombstone]) -> StagedFile:
    """A table of these receipts, one at least, staged as one file."""
    rows = [one.row() for one in stones]
    file = staging.write(store, ERASURES.name, pa.Table.from_pylist(rows, schema=ERASURES.schema))
    assert file is not None
    return file


def is_under(publication: Publication, key_id: str) -> bool:
    """Whether a publication was made under the key of this `fingerprint.key_id`."""
    return publication.core_version.endswith(f"-{key_id}")


def refuse_other_key(store: Path, base: Publication | None, key_id: str) -> None:
    """Raise KeyChangedError where tombstones stand that were made under another key than that of
    this `fingerprint.key_id`.
    """
    if base is None or is_under(base, key_id):
        return
    n = len(erased(store, base).tombstones)
    if n:
        raise KeyChangedError(
            f"expected the key under which {n:,} identities were erased, came another: tombstones"
            " are hashes under the key and cannot be carried over to a new one, so that the"
            " sources would bring the erased back. Put the former key back; or name a new, empty"
            " `store`, there `rejse forget` each of them again under the new key, then `rejse run`"
        )
