"""Campaigns: the purpose for which a message used what is known of its customer."""

from __future__ import annotations

import pyarrow as pa

from rejse.transforms.columnar.event_table import Events
from rejse.transforms.dimensions.tables import Operational

#: Column that `with_purpose` adds for the core; it is no field of the contract and never published.
PURPOSE = "purpose"


def with_purpose(events: pa.Table, data: Operational) -> pa.Table:
    """Events with the purpose of their campaign as of their time, null without one.

    Consent is given for a purpose; where no campaign says one it is the message's kind
    (`facts.is_need_driven`). Without the table `campaigns` the events come back as they are.
    """
    if not data.has("campaigns") or "campaign_id" not in events.column_names:
        return events
    known = Events.of(events)
    rows = data.campaigns.rows(known.coded("campaign_id"), known.time)
    return events.append_column(PURPOSE, data.campaigns.text(PURPOSE, rows).arrow())
