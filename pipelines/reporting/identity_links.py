"""What the published links say of identities that somebody names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from rejse.pipelines.config.settings import Settings
from rejse.transforms.errors import MisuseError
from rejse.transforms.identity.link_audit import Hop, LinkAudit, OwnershipPeriod, Suspicion
from rejse.transforms.schema.contract import CUSTOMER_KEY

_PSEUDONYM = re.compile(r"[0-9a-f]{32}")


class IdentityError(MisuseError):
    """What was named is no identity."""


@dataclass(frozen=True)
class Answer:
    """The owners of an identity over time, the identities of the same person, and a comparison."""

    key: str
    periods: tuple[OwnershipPeriod, ...]
    people: tuple[tuple[str, int, tuple[Hop, ...]], ...]
    other: str | None
    is_same: bool | None
    kinds: dict[str, str]

    @property
    def turns(self) -> list[tuple[Any, ...]]:
        """Rows: from, until, person, chain."""
        return [(t.begin, t.end, self._named(t.person), _chain(t.chain)) for t in self.periods]

    @property
    def members(self) -> list[tuple[Any, ...]]:
        """Rows: identity, events, chain."""
        return [(self._named(key), n, _chain(hops)) for key, n, hops in self.people]

    @property
    def verdict(self) -> list[str]:
        """Whether both identities are one person now; nothing where one was named."""
        if self.other is None:
            return []
        relation = "are one person now" if self.is_same else "are not one person now"
        return [f"{self._named(self.key)} and {self._named(self.other)} {relation}"]

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "identity": self.key, "turns": [asdict(turn) for turn in self.periods],
            "members": [
                {"identity": key, "type": self.kinds.get(key), "events": n,
                 "chain": [asdict(hop) for hop in hops]}
                for key, n, hops in self.people
            ],
            "other": self.other, "is_same": self.is_same,
        }  # fmt: skip

    def _named(self, key: str) -> str:
        return f"{self.kinds.get(key, 'identity')} {key}"


def _chain(hops: Sequence[Hop]) -> str:
    if not hops:
        return "itself"
    return ", ".join(f"{_linked(hop)} ({hop.method}, {_since(hop)})" for hop in hops)


def _linked(hop: Hop) -> str:
    return f"is {hop.identity_type} {hop.identity_key[:8]}"


def _since(hop: Hop) -> str:
    return "always" if hop.valid_from is None else f"from {hop.valid_from:%Y-%m-%d %H:%M}"


class Asking:
    """Questions to the newest publication's links. Raises NotPublishedError."""

    def __init__(self, settings: Settings) -> None:
        from rejse.pipelines.publication.catalogue import connect

        self._settings, self._con = settings, connect(settings.store)

    @cached_property
    def _audit(self) -> LinkAudit:
        import pyarrow as pa

        from rejse.transforms.identity.link_table import LINKS

        names = ", ".join(LINKS.names)
        cursor = self._con.execute(f"select {names} from identity_links")
        rows = [dict(zip(LINKS.names, row, strict=True)) for row in cursor.fetchall()]
        table = pa.Table.from_pylist(rows, schema=LINKS)
        return LinkAudit(table, self._settings.windows.identity_wait)

    @property
    def n_links(self) -> int:
        """How many links there are."""
        return int(self._audit.table.num_rows)

    def suspicions(self) -> list[Suspicion]:
        """Links that look wrong."""
        return self._audit.suspicions(self._now)

    def person(self, identity: str, other: str | None) -> Answer:
        """All about one identity, and whether another one is the same person now."""
        key = self._key(identity)
        people = self._audit.members(key, self._now)
        counted = self._counted([name for name, _ in people])
        them = None if other is None else self._key(other)
        same = None if them is None else them in {name for name, _ in people}
        return Answer(
            key,
            tuple(self._audit.periods(key)),
            tuple((name, counted.get(name, 0), hops) for name, hops in people),
            them,
            same,
            self._audit.kinds(),
        )

    @property
    def _now(self) -> int:
        from rejse.pipelines.store import delta_store

        return delta_store.now()

    def _counted(self, keys: list[str]) -> dict[str, int]:
        """Events that bear each identity."""
        columns = self._con.execute("select column_name from (describe events)").fetchall()
        bears = CUSTOMER_KEY
        if ("identity_key",) in columns:
            bears = "coalesce(identity_key, customer_key)"
        query = f"select {bears} as identity, count(*) from events where {bears} in ? group by 1"
        return dict(self._con.execute(query, [keys]).fetchall())

    def _key(self, name_or_key: str) -> str:
        return pseudonym(name_or_key, lambda: store_key(self._settings))


def pseudonym(name_or_key: str, key: Callable[[], bytes]) -> str:
    """Return the pseudonym of `[TYPE:]IDENTITY`, or of a pseudonym itself.

    Errors do not repeat the identity. Raises IdentityError where it is none, and what `key` raises.
    """
    from rejse.transforms.identity.pseudonyms import customer_key, signer
    from rejse.transforms.schema.contract import IDENTITY_TYPES

    if _PSEUDONYM.fullmatch(name_or_key):
        return name_or_key
    kind, colon, name = name_or_key.partition(":")
    if not colon or kind not in IDENTITY_TYPES:
        kind, name = "customer", name_or_key
    if not name:
        raise IdentityError(
            f"expected an identity such as {kind}:NAME, or a pseudonym, came nothing after"
            " the colon"
        )
    return customer_key(kind, name, signer(key()))


def store_key(settings: Settings) -> bytes:
    """Return the key under which the newest publication was made.

    Raises KeyChangedError where that is known to be another than the configured one: under it every
    identity would seem to be nobody's.
    """
    from rejse.pipelines.config import fingerprint
    from rejse.pipelines.store import delta_store, erasure_receipts

    key, base = settings.key(), delta_store.latest(settings.store)
    if base is None or not base.core_version:  # an earlier version's, which does not say
        return key
    if not erasure_receipts.is_under(base, fingerprint.key_id(key)):
        raise erasure_receipts.KeyChangedError(
            f"expected the key under which publication {base.number} was made, came another:"
            " whose pseudonym is whose cannot be told; put that key back, or name a pseudonym"
        )
    return key
