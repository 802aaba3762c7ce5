-- purpose: a hand-off was asked for, and nobody took it up by its due time
-- severity: critical
-- until: the hand-off was taken up
-- grain: hand-off that was asked for
-- key: opening_event
-- sources: v_friction_evidence
select
    journey_id,
    customer_key,
    event_ids[-1] as opening_event,
    'critical' as severity,
    coalesce(owner_to, owner) as owner,
    'a hand-off' || coalesce(' from ' || owner, '') || coalesce(' to ' || owner_to, '')
    || ' was not taken up in time' as reason
from v_friction_evidence
where kind = 'handoff_dropped'
