"""Find a customer by an identity and make their card, again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.publication.current_rows import CurrentTables
from rejse.pipelines.reporting.card import sentences
from rejse.pipelines.reporting.card.card import COLUMNS, Card, Rules, card_of
from rejse.pipelines.reporting.identity_links import pseudonym, store_key
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.errors import MisuseError
from rejse.transforms.identity.resolve import Links


class UnknownCustomerError(MisuseError):
    """Nothing is known of a customer."""


@dataclass(frozen=True)
class CardAnswer:
    """A card, and where its rows stand.

    `is_provisional`: some rows are in no publication yet.
    """

    card: Card
    publication: int
    is_provisional: bool

    def fields(self) -> dict[str, Any]:
        """For machines."""
        where = {"publication": self.publication, "is_provisional": self.is_provisional}
        return {**vars(self.card), **where}

    def text(self) -> str:
        """For people at a terminal."""
        kind = "with provisional rows since" if self.is_provisional else "all of it"
        return f"{sentences.text(self.card)}Publication {self.publication}, {kind}.\n"


def clock() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def rules(settings: Settings) -> Rules:
    """Return the settings that a card depends on."""
    types = settings.journey_types()
    default = types.get("other", settings.windows.default_type())
    windows = settings.windows
    return Rules(windows.lateness, windows.volatile_fields, types, default)


class Cards:
    """Makes cards of a store; threads may share it."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] = clock) -> None:
        """Take the configuration of the store, and a clock."""
        self._settings, self._now, self._rules = settings, now, rules(settings)
        self._tables = CurrentTables(settings.store, COLUMNS)
        self._links: tuple[pa.Table, Links] | None = None
        self._key_of: tuple[int, bytes] | None = None
        self._lock = threading.Lock()

    def prepare(self) -> int:
        """Read what cards of the newest publication need; return its number."""
        return self._tables.prepare()

    def of(self, identity: str) -> CardAnswer:
        """Return the card of the customer to whom `[TYPE:]IDENTITY`, or a pseudonym, belongs now.

        Raises:
            IdentityError: it is no identity.
            KeyChangedError: the store was made under another key.
            UnknownCustomerError: nothing of them is published.
            NotPublishedError, StoreDamagedError: there is nothing to read.
        """
        now = self._now()
        customer = self._owner(pseudonym(identity, self._key), now)
        rows = self._tables.rows([customer])
        until = min(rows.watermarks.values(), default=None)
        card = card_of(customer, rows.parts, until, now, self._rules)
        if not card.is_known:
            raise UnknownCustomerError(
                "expected an identity with events in this store, found none: look at its type and"
                " spelling; what was erased is not known either"
            )
        return CardAnswer(card, rows.publication.number, customer in rows.provisional)

    def _key(self) -> bytes:
        """Return the key of the store, looked up anew after each publication."""
        number = self._tables.publication
        if self._key_of is None or self._key_of[0] != number:
            self._key_of = (number, store_key(self._settings))
        return self._key_of[1]

    def _owner(self, key: str, now: datetime) -> str:
        """Return the customer to whom an identity belongs."""
        table = self._tables.links
        if not table.num_rows:
            return key
        with self._lock:
            if self._links is None or self._links[0] is not table:
                self._links = (table, Links.of(table, self._settings.windows.identity_wait))
            links = self._links[1]
        number = links.number(text([key]))
        if number[0] < 0:
            return key
        micros = np.array([int(now.timestamp() * 1_000_000)])
        return str(links.names[links.persons(number, micros)][0].decode())
