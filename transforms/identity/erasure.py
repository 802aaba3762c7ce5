"""Erased identities: their rows are deleted, and refused when they arrive again.

An erased identity is kept as its tombstone: HMAC-SHA-256(key, 'erased' 0x1F identitytype ':'
identity), its first 32 hex digits (docs/reference/identity.md#erasure), of the canonical spelling.
It is no customer key, and without the key it does not reveal the identity.
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
#: Separators of the cells of a line; words of a cell.
CELLS, WORDS = re.compile(r"[,;\t|\n]"), re.compile(r"[\w@.+\-]+|\w+")
ESCAPES = re.compile(r"\\+u([0-9a-fA-F]{4})")
QUOTES = " \t\r\n\"'"


def tombstone(sign: Signer, kind: str, identity: str) -> str:
    """Return the tombstone of an identity in any spelling."""
    name = canonical_name(kind, identity)
    return sign.digests([f"{kind}:{name}".encode()], PREFIX).hex()[:32]


@dataclass(frozen=True)
class Erased:
    """Tombstones in force, and the identity types among them."""

    tombstones: frozenset[str] = frozenset()
    kinds: tuple[str, ...] = ()

    def rows(self, batch: pa.RecordBatch | pa.Table, sign: Signer, previous: str = "") -> Bools:
        """Return the mask of rows whose `identity` is erased.

        Args:
            batch: accepted rows, or links of a file.
            sign: the signer of the key.
            previous: 'previous' to check `previousidentity` instead.

        Both the canonical and the given spelling count: early tombstones were made of the latter.
        """
        kinds = flat(batch.column(f"{previous}identitytype"))
        if not self.tombstones:
            return np.zeros(len(kinds), bool)
        given = flat(batch.column(f"{previous}identity")).cast(pa.string())
        spelled = canonical(kinds, given).cast(pa.string())
        erased = self._is_erased(kinds, spelled, sign)
        return erased if spelled.equals(given) else erased | self._is_erased(kinds, given, sign)

    def _is_erased(self, kinds: pa.Array, identities: pa.Array, sign: Signer) -> Bools:
        named = pc.binary_join_element_wise(kinds.cast(pa.string()), identities, ":")
        people = coded(named)
        names = people.dictionary.cast(pa.binary()).to_pylist()
        tombstones = hexadecimal(sign.cached_digests(names, PREFIX), DIGEST, 32).to_pylist()
        chosen = np.array([*(tombstone in self.tombstones for tombstone in tombstones), False])
        return np.asarray(chosen[np.where(valid(people), values(people.indices), -1)])

    def split(self, batch: pa.RecordBatch, sign: Signer) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        """Split a batch into the rows that are kept and those whose identity is erased."""
        erased = self.rows(batch, sign)
        if erased.any():
            batch, erased_rows = batch.filter(arrow(~erased)), batch.filter(arrow(erased))
        else:
            erased_rows = batch.slice(0, 0)
        return self.without_erased_links(batch, sign), erased_rows

    def without_erased_links(self, batch: pa.RecordBatch, sign: Signer) -> pa.RecordBatch:
        """Set erased previous identities to null: these rows belong to another identity."""
        if not self.tombstones or "previousidentity" not in batch.schema.names:
            return batch
        erased = self.rows(batch, sign, "previous")
        if not erased.any():
            return batch
        rows: Ints = np.where(erased, -1, np.arange(batch.num_rows))
        for name in ("previousidentity", "previousidentitytype"):
            position = batch.schema.get_field_index(name)
            field = batch.schema.field(position)
            blanked = take(batch.column(position), rows).cast(field.type)
            batch = batch.set_column(position, field, blanked)
        return batch

    def rejects_mentioning(self, refused: pa.Table, sign: Signer) -> Bools:
        """Return the mask of rejects (payload still raw) that contain an erased identity.

        It counts as a word or as a value. A refused row does not say where its identity is, so that
        any of its words counts.
        """
        out = np.zeros(refused.num_rows, bool)
        if not self.tombstones:
            return out
        columns = (refused.column(name).to_pylist() for name in ("payload", "detail", "id"))
        for row, texts in enumerate(zip(*columns, strict=True)):
            if texts[0] is not None:  # only these keep raw values
                out[row] = self._mentions(sorted(words(*texts)), sign)
        return out

    def _mentions(self, mentioned: list[str], sign: Signer) -> bool:
        raw = [word.encode("utf-8", "replace") for word in mentioned]
        for kind in self.kinds:
            digests = sign.digests(raw, PREFIX + f"{kind}:".encode()).hex()
            tombstones = {digests[at : at + 32] for at in range(0, len(digests), 2 * DIGEST)}
            if not tombstones.isdisjoint(self.tombstones):
                return True
        return False


#: No identity is erased.
NOTHING_ERASED = Erased(frozenset(), ())


def holds_any_key(column: pa.ChunkedArray | pa.Array, keys: tuple[str, ...]) -> Bools:
    """Return the mask of rows of a column of pseudonyms that hold one of the keys."""
    pseudonyms = flat(column).cast(pa.string())
    return np.asarray(values(pc.is_in(pseudonyms, value_set=text(keys))))


def words(*texts: str | None) -> set[str]:
    """Return all values and words of some texts, as written and in lower case.

    Texts inside JSON count too.
    """
    parts: set[str] = set()
    raw = [line for line in texts if line]
    for line in {*raw, *map(_unescaped, raw)}:
        parts.update(WORDS.findall(line))
        parts.update(cell.strip(QUOTES) for cell in CELLS.split(line))
        parts.update(_leaves(line))
    parts |= {word.strip() for word in parts}
    return {form for word in parts for form in (word, word.lower(), whole_number(word))} - {""}


def _unescaped(text: str) -> str:
    """Resolve JSON escapes in a text, valid JSON or not."""
    plain = ESCAPES.sub(lambda escape: chr(int(escape[1], 16)), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _leaves(text: str) -> Iterator[str]:
    """Yield the texts and numbers in a JSON text, and their words; nothing for other texts."""
    try:
        nodes: list[Any] = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            nodes += [*node, *node.values()]
        elif isinstance(node, list):
            nodes += node
        elif node is not None:
            leaf = str(node)
            yield leaf
            yield from WORDS.findall(leaf)


def identity_matcher(kind: str, identity: str) -> Callable[[str], bool]:
    """Return a test whether a text contains an identity.

    The identity counts where it is whole, in any spelling, plain or escaped as JSON.
    """
    plain = spellings(kind, identity)
    forms = {*plain, *(json.dumps(form, ensure_ascii=False)[1:-1] for form in plain)}
    listed = "|".join(re.escape(form) for form in sorted(forms))
    pattern = re.compile(rf"(?<!\w)(?:{listed})(?!\w)", re.IGNORECASE)
    return lambda text: bool(pattern.search(text) or pattern.search(_unescaped(text)))
