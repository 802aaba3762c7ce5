"""Erased identities: what their rows were is gone, and rows of theirs that come again are not kept.

What stands for one is its tombstone: HMAC-SHA-256(key, 'erased' 0x1F identitytype ':' identity),
its first 32 hex digits (docs/reference/identity.md#erasure), of the one spelling of the identity.
It is no customer's key, and whoever lacks the key cannot tell whose it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Bools, Ints, arrow, flat, take, valid, values
from rejse.transforms.columnar.string_arrays import coded, hexadecimal, text
from rejse.transforms.identity.pseudonyms import DIGEST, Signer
from rejse.transforms.ingest.identity_spelling import (
    canonical,
    canonical_name,
    spellings,
    whole_number,
)

PREFIX = b"erased\x1f"
#: What parts the cells of a line, and the words of a cell.
CELLS, WORDS = re.compile(r"[,;\t|\n]"), re.compile(r"[\w@.+\-]+|\w+")
ESCAPES = re.compile(r"\\+u([0-9a-fA-F]{4})")
QUOTES = " \t\r\n\"'"


def tombstone(sign: Signer, kind: str, identity: str) -> str:
    """The tombstone of one identity, in whatever spelling."""
    name = canonical_name(kind, identity)
    return sign.digests([f"{kind}:{name}".encode()], PREFIX).hex()[:32]


@dataclass(frozen=True)
class Erased:
    """Tombstones that stand, and the identity types among them."""

    tombstones: frozenset[str] = frozenset()
    kinds: tuple[str, ...] = ()

    def rows(self, batch: pa.RecordBatch | pa.Table, sign: Signer, previous: str = "") -> Bools:
        """Rows of accepted batches, or links of a file, whose `identity` (with 'previous': that
        one) is erased: in its one spelling, or as it is spelled, as tombstones once were made.
        """
        kinds = flat(batch.column(f"{previous}identitytype"))
        if not self.tombstones:
            return np.zeros(len(kinds), bool)
        given = flat(batch.column(f"{previous}identity")).cast(pa.string())
        one = canonical(kinds, given).cast(pa.string())
        found = self._standing(kinds, one, sign)
        return found if one.equals(given) else found | self._standing(kinds, given, sign)

    def _standing(self, kinds: pa.Array, who: pa.Array, sign: Signer) -> Bools:
        named = pc.binary_join_element_wise(kinds.cast(pa.string()), who, ":")
        people = coded(named)
        said = people.dictionary.cast(pa.binary()).to_pylist()
        found = hexadecimal(sign.remembered(said, PREFIX), DIGEST, 32).to_pylist()
        chosen = np.array([*(one in self.tombstones for one in found), False])
        return np.asarray(chosen[np.where(valid(people), values(people.indices), -1)])

    def split(self, batch: pa.RecordBatch, sign: Signer) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        """The rows of a batch that stay, and those whose identity is erased."""
        gone = self.rows(batch, sign)
        if gone.any():
            batch, others = batch.filter(arrow(~gone)), batch.filter(arrow(gone))
        else:
            others = batch.slice(0, 0)
        return self.unlinked(batch, sign), others

    def unlinked(self, batch: pa.RecordBatch, sign: Signer) -> pa.RecordBatch:
        """The batch without previous identities that are erased: its rows are of somebody else."""
        if not self.tombstones or "previousidentity" not in batch.schema.names:
            return batch
        gone = self.rows(batch, sign, "previous")
        if not gone.any():
            return batch
        rows: Ints = np.where(gone, -1, np.arange(batch.num_rows))
        for name in ("previousidentity", "previousidentitytype"):
            place = batch.schema.get_field_index(name)
            field = batch.schema.field(place)
            blanked = take(batch.column(place), rows).cast(field.type)
            batch = batch.set_column(place, field, blanked)
        return batch

    def told(self, refused: pa.Table, sign: Signer) -> Bools:
        """Rejects (payload still raw) in which an erased identity stands as a word or a value.

        Nothing says where in a refused row its identity is, so that any of its words counts.
        """
        out = np.zeros(refused.num_rows, bool)
        if not self.tombstones:
            return out
        columns = (refused.column(name).to_pylist() for name in ("payload", "detail", "id"))
        for row, texts in enumerate(zip(*columns, strict=True)):
            if texts[0] is not None:  # of others nothing raw is kept
                out[row] = self._is_told(sorted(words(*texts)), sign)
        return out

    def _is_told(self, said: list[str], sign: Signer) -> bool:
        raw = [one.encode("utf-8", "replace") for one in said]
        for kind in self.kinds:
            digests = sign.digests(raw, PREFIX + f"{kind}:".encode()).hex()
            found = {digests[at : at + 32] for at in range(0, len(digests), 2 * DIGEST)}
            if not found.isdisjoint(self.tombstones):
                return True
        return False


#: Where nobody was erased.
NOTHING_ERASED = Erased(frozenset(), ())


def holds_any_key(column: pa.ChunkedArray | pa.Array, keys: tuple[str, ...]) -> Bools:
    """Rows of a column of pseudonyms that hold one of these."""
    held = flat(column).cast(pa.string())
    return np.asarray(values(pc.is_in(held, value_set=text(keys))))


def words(*texts: str | None) -> set[str]:
    """All values and words of some texts, also those inside of JSON; plain and in lower case."""
    found: set[str] = set()
    for said in {form for one in texts if one for form in (one, _plain(one))}:
        found.update(WORDS.findall(said))
        found.update(cell.strip(QUOTES) for cell in CELLS.split(said))
        found.update(_leaves(said))
    found |= {one.strip() for one in found}
    return {form for one in found for form in (one, one.lower(), whole_number(one))} - {""}


def _plain(text: str) -> str:
    """A text without the escapes of JSON, also where it is none."""
    plain = ESCAPES.sub(lambda found: chr(int(found[1], 16)), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _leaves(text: str) -> Iterator[str]:
    """Texts and numbers inside of a JSON text, and their words; of any other none."""
    try:
        left: list[Any] = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left += [*one, *one.values()]
        elif isinstance(one, list):
            left += one
        elif one is not None:
            said = str(one)
            yield said
            yield from WORDS.findall(said)


def identity_matcher(kind: str, identity: str) -> Callable[[str], bool]:
    """Whether a text holds an identity: whole, in any spelling, plain or as JSON writes it."""
    plain = spellings(kind, identity)
    forms = {*plain, *(json.dumps(one, ensure_ascii=False)[1:-1] for one in plain)}
    listed = "|".join(re.escape(form) for form in sorted(forms))
    whole_number = re.compile(rf"(?<!\w)(?:{listed})(?!\w)", re.IGNORECASE)
    return lambda text: bool(whole_number.search(text) or whole_number.search(_plain(text)))
