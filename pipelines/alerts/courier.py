"""Deliver alerts to one receiver, at least once: what the ledger does not say was delivered."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from rejse.pipelines.alerts import messages
from rejse.pipelines.alerts.receivers import FileReceiver, Receiver, RefusedError, UnreachableError
from rejse.pipelines.runtime import logs
from rejse.pipelines.store import alert_ledger
from rejse.pipelines.store.alert_ledger import Ledger
from rejse.transforms.alerts.ledger import Entry
from rejse.transforms.alerts.schedule import Pace, Parcel, parcels

LOG = logging.getLogger(__name__)
#: Seconds to wait after the first failure, and at most.
FIRST_WAIT, LONGEST_WAIT = 0.5, 300.0
#: Seconds between two looks for what quiet hours or a full hour hold back.
LOOK = 20.0
#: Microseconds after which a message that cannot be delivered is given up.
GIVE_UP = 24 * 3_600_000_000


@dataclass
class Courier:
    """One receiver, by the name of its channel.

    Attributes:
        store: The store with the ledger.
        channel: Name of the receiver in the ledger.
        receiver: Takes the messages.
        pace: When and how often owners are told.
        clock: Returns the time, microseconds.
    """

    store: Path
    channel: str
    receiver: Receiver
    pace: Pace
    clock: Callable[[], int]

    def __post_init__(self) -> None:
        self._ledger = Ledger(self.store)
        self._dead = FileReceiver(self.store / alert_ledger.FOLDER / alert_ledger.UNDELIVERED)
        self._n_failures = 0

    def deliver(self) -> None:
        """Deliver what is to be told now.

        What the receiver refuses, or cannot take for too long, goes to a file of its own.

        Raises:
            UnreachableError: the receiver cannot take a message now.
        """
        alerts = self._ledger.alerts().values()
        for parcel in parcels(alerts, self.channel, self.clock(), self.pace):
            message = messages.of(parcel)
            try:
                self.receiver.send(message)
                self._note("delivered", parcel)
            except RefusedError as fault:
                self._give_up(parcel, message, fault)
            except UnreachableError as fault:
                if self.clock() < parcel.alerts[0].changed_at + GIVE_UP:
                    raise
                self._give_up(parcel, message, fault)

    def keep(self, wake: Event, stop: Event) -> None:
        """Deliver whenever `wake` is set, until `stop` is."""
        while not stop.is_set():
            wait = LOOK
            wake.clear()
            try:
                self.deliver()
                self._n_failures = 0
            except UnreachableError as fault:
                wait = self.wait(fault.after)
                LOG.error("alerts: %s: %s; trying again", self.channel, fault)
                stop.wait(wait)  # not sooner, however many alerts come
                continue
            except Exception as fault:
                LOG.error("alerts: %s: a delivery failed: %s", self.channel, logs.described(fault))
            wake.wait(wait)

    def wait(self, after: float | None) -> float:
        """Return the seconds to wait after one more failure: longer each time, never in step."""
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2**self._n_failures)
        self._n_failures = min(self._n_failures + 1, 32)
        return max(after or 0.0, random.uniform(longest / 2, longest))

    def _give_up(self, parcel: Parcel, message: messages.Message, fault: Exception) -> None:
        LOG.error("alerts: %s: %s; a message was given up", self.channel, fault)
        self._dead.send({"channel": self.channel, "problem": str(fault), "message": message})
        self._note("undelivered", parcel)

    def _note(self, kind: str, parcel: Parcel) -> None:
        at = self.clock()
        entries: list[Entry] = [
            {"kind": kind, "key": a.key, "at": at, "channel": self.channel, "n": a.n_announced}
            for a in parcel.alerts
        ]
        self._ledger.append(lambda _: entries)
