"""First contacts within each level: channel, channel family, owner."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.support.sql_world import DAY, contact, opened, rates, step
from tests.support.store_builder import key_of


def test_whether_a_contact_is_the_first_is_asked_within_each_level(tmp_path: Path) -> None:
    """Who visited the web page first has not called yet, nor been with another owner."""
    web = {"channel": "web", "outcome": None}
    call = {"channel": "phone", "channel_family": "voice"}
    given: list[tuple[int, timedelta, dict[str, Any]]] = [
        (1, 20 * DAY, web), (1, 21 * DAY, {**call, "outcome": "informed"}),
        (2, 20 * DAY, web), (2, 21 * DAY, {**call, "outcome": "resolved"}),
        (2, 23 * DAY, {**call, "outcome": "resolved"}),  # the call before it has failed
        (3, 20 * DAY, {**call, "outcome": "resolved"}), (3, 22 * DAY, web),  # so has this one
        (4, 20 * DAY, {**call, "outcome": None}),
        (5, 20 * DAY, {**call, "outcome": "transferred"}),
    ]  # fmt: skip
    owners = {"s1": "Online", "s2": "Care", "s3": "Online", "s4": "Care", "s5": "Back"}
    contacts = [
        contact(n, at, customer_key=key_of(customer), **own)
        for n, (customer, at, own) in enumerate(given, 1)
    ]
    steps = [step(n, name, owner=owner) for n, (name, owner) in enumerate(owners.items(), 1)]
    rows = {"sessions": [*contacts, contact(10, timedelta(), intent=None)], "steps": steps}
    with opened(tmp_path, rows) as session:
        everywhere = rates(session)
        voice = rates(session, "channel_family", "voice")
        phone = rates(session, "channel", "phone")
        digital = rates(session, "channel_family", "digital")
        care, back = rates(session, "owner", "Care"), rates(session, "owner", "Back")
    # Over all channels: two web visits, and the calls of the customers 3 to 5.
    assert (everywhere["fcr"], everywhere["fcr_unknown"]) == ((0, 2), (3, 5))
    # Calls: informed, then nothing; repeated; followed by the web; unknown; handed on.
    assert (voice["fcr"], voice["fcr_unknown"]) == (phone["fcr"], phone["fcr_unknown"])
    assert (voice["fcr"], voice["fcr_unknown"]) == ((1, 4), (1, 5))
    assert (digital["fcr"], digital["fcr_unknown"]) == ((0, 0), (3, 3))
    assert (care["fcr"], back["fcr"]) == ((1, 2), (1, 1))
