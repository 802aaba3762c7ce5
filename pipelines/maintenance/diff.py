"""Compare two publications: which journeys changed band, and why.

Both are read by their files, in a locked-down session. A journey that only one of them has is
`absent` in the other.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rejse.pipelines.store.delta_store import Publication
from rejse.sql import SESSION
from rejse.transforms.errors import MisuseError

#: Causes of a changed band; the first that applies is named.
CAUSES: Mapping[str, str] = {
    "identity": "events of another person became this one's",
    "erasure": "an erasure took something of it",
    "late events": "events from before the frontier came",
    "new events": "events came",
    "withdrawn events": "events are no longer there",
    "answers": "answers came or changed",
    "records": "records of the customer or the case changed",
    "rules": "the configuration or its tables changed",
    "time": "deadlines passed, nothing came",
    "program": "none of these: another version of rejse",
}


class CompareError(MisuseError):
    """The two cannot be compared; the message says what was expected."""


@dataclass(frozen=True)
class Difference:
    """Journeys that changed band: `rows` in `COLUMNS`; `notes` say what limits the answer."""

    older: str
    newer: str
    n_journeys: int
    rows: tuple[tuple[Any, ...], ...]
    notes: tuple[str, ...] = ()

    COLUMNS = (
        "journey_id", "journey_type", "band_before", "band_after", "health_before",
        "health_after", "cause",
    )  # fmt: skip

    def counted(self) -> list[tuple[str, str, str, int]]:
        """Return cause, bands before and after, number of journeys; by cause, most first."""
        counts: dict[tuple[str, str, str], int] = {}
        for row in self.rows:
            key = (row[6], row[2], row[3])
            counts[key] = counts.get(key, 0) + 1
        ranks = list(CAUSES)
        ordered = sorted(
            counts.items(), key=lambda item: (ranks.index(item[0][0]), -item[1], item[0])
        )
        return [(*key, n) for key, n in ordered]

    def as_dict(self) -> dict[str, Any]:
        """Return counts and journeys for JSON."""
        names = ("cause", "band_before", "band_after", "n_journeys")
        return {
            "older": self.older,
            "newer": self.newer,
            "n_journeys": self.n_journeys,
            "n_changed": len(self.rows),
            "changes": [dict(zip(names, row, strict=True)) for row in self.counted()],
            "journeys": [dict(zip(self.COLUMNS, row, strict=True)) for row in self.rows],
            "notes": list(self.notes),
        }


def publications(store: Path, older: int, newer: int) -> Difference:
    """Compare two publications of one store, given by number.

    Raises CompareError where both are the same, NotPublishedError where one cannot be read.
    """
    from rejse.pipelines.publication import time_travel
    from rejse.pipelines.store import delta_store as storage

    if older == newer:
        raise CompareError(f"expected two different publications, came {older} twice")
    for number in (older, newer):
        time_travel.number(store, str(number))
    by_number = {publication.number: publication for publication in storage.publications(store)}
    rows, n = _compared((store, by_number[older]), (store, by_number[newer]))
    return Difference(f"publication {older}", f"publication {newer}", n, rows)


def configurations(
    settings: Any, other: Any, run: Callable[[Any, Mapping[str, int]], None]
) -> Difference:
    """Compare the newest publication with the result of `other` (Settings) on the same events.

    `run` publishes as `rejse run` does, from settings with a temporary store and the watermarks by
    source. These are those of the publication, and its erasures hold. Raises CompareError where
    the keys differ.
    """
    from rejse.pipelines.config.fingerprint import key_id
    from rejse.pipelines.publication import catalogue
    from rejse.pipelines.sources import positions
    from rejse.pipelines.store import delta_store as storage
    from rejse.pipelines.store import erasure_receipts

    current = storage.latest(settings.store)
    if current is None:
        raise catalogue.NotPublishedError(
            f"expected a publication in {settings.store}, found none; `rejse run` makes one"
        )
    if settings.key() != other.key():
        raise CompareError(
            "expected both configurations to have the same key: pseudonyms would differ for every"
            " customer; name the same key_file, or set REJSE_KEY"
        )
    frontiers = {
        name: at
        for name, at in {**current.frontiers, **current.x_frontiers}.items()
        if name in other.sources or name not in settings.sources
    }
    with tempfile.TemporaryDirectory(prefix="rejse-compare-") as folder:
        _erase_in(
            Path(folder),
            erasure_receipts.tombstones(settings.store, current),
            key_id(settings.key()),
        )
        scratch = other.model_copy(update={"store": Path(folder)})
        run(scratch, frontiers)
        made = storage.latest(Path(folder))
        if made is None:
            raise CompareError("expected the other configuration to publish, it did not")
        rows, n = _compared((settings.store, current), (Path(folder), made))
    before = positions.of(settings, current.positions)
    is_same = positions.are_alike(positions.of(other, made.positions), before)
    notes = () if is_same else (_moved(current),)
    return Difference(f"publication {current.number}", "other configuration", n, rows, notes)


def _erase_in(store: Path, tombstones: Sequence[Any], key_id: str) -> None:
    """Start a store with receipts of erasures: the sources still hold the erased identities."""
    from rejse.pipelines.publication import publish
    from rejse.pipelines.store import delta_store as storage
    from rejse.pipelines.store import erasure_receipts
    from rejse.transforms.schema.log_tables import ERASURES

    if not tombstones:
        return
    name = ERASURES.name
    with publish.writing(store) as writer:
        publication = Publication(1, "compare", "", "", storage.now(), core_version=f"-{key_id}")
        file = erasure_receipts.staged(store, tombstones)
        versions = {name: publish.commit_table(store, name, [file], publication)}
        published = replace(publication, versions=versions, rows={name: file.rows})
        publish.announce(writer, published, {name: [file.path]})


def _moved(publication: Publication) -> str:
    return (
        f"the files are not those of publication {publication.number} any more: what is new"
        " or gone is told apart by its cause; `rejse run` first leaves only what the configuration"
        " does"
    )


def _compared(
    older: tuple[Path, Publication], newer: tuple[Path, Publication]
) -> tuple[tuple[tuple[Any, ...], ...], int]:
    """Return the changed journeys, and the number of journeys of both together."""
    from rejse.sql import scripts

    with _side_by_side(older, newer) as con:
        result = con.execute(scripts("compare")["changed_bands"].text)
        names = [column[0] for column in result.description]
        places = [names.index(column) for column in Difference.COLUMNS]
        rows = tuple(tuple(row[place] for place in places) for row in result.fetchall())
        (n,) = con.execute(
            "select count(*) from (select journey_id from older.v_journeys"
            " union select journey_id from newer.v_journeys)"
        ).fetchall()[0]
        return rows, n


@contextmanager
def _side_by_side(
    older: tuple[Path, Publication], newer: tuple[Path, Publication]
) -> Iterator[Any]:
    """Open a session with two publications in the schemas `older` and `newer`."""
    import duckdb

    from rejse.pipelines.publication import catalogue, catalogue_build, publish
    from rejse.sql import scripts

    with duckdb.connect(config={"python_enable_replacements": "false"}) as con:
        con.execute(SESSION)
        for schema, (root, publication) in (("older", older), ("newer", newer)):
            con.execute(f"create schema {schema}")
            con.execute(f"use {schema}")
            catalogue_build.define_tables(con, root, publish.files_of(root, publication))
            con.execute(
                f"create view told as select * from publications"
                f" where publication = {publication.number}"
            )
        con.execute("use main")
        con.execute(scripts("macros")["bands"].text)
        catalogue.lock_down(con, sorted({older[0].resolve(), newer[0].resolve()}))
        yield con
