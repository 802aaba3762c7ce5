"""Campaigns: the purpose for which a message uses data of its customer."""

from __future__ import annotations

import pyarrow as pa

from rejse.transforms.columnar.event_table import Events
from rejse.transforms.dimensions.tables import Operational

#: Column that `with_purpose` adds for the core; not in the contract, never published.
PURPOSE = "purpose"


def with_purpose(events: pa.Table, data: Operational) -> pa.Table:
    """Add the purpose of each event's campaign as of its time, null without one.

    Consent is given for a purpose. Where no campaign states one, the message's kind decides
    (`event_flags.is_need_driven`). Without the table `campaigns` events are returned unchanged.
    """
    if not data.has("campaigns") or "campaign_id" not in events.column_names:
        return events
    columns = Events.of(events)
    rows = data.campaigns.rows(columns.coded("campaign_id"), columns.time)
    return events.append_column(PURPOSE, data.campaigns.text(PURPOSE, rows).arrow())
