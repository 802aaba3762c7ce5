-- Purpose: the synthetic company as one log, for measuring. Grain: one event. Source: `events`.
-- Cases are left out, so that every thread is cut by its silences.
select
    number as id,
    happened_at as time,
    customer_no as identity,
    activity,
    channel,
    direction,
    actor_type,
    touchpoint,
    owner,
    journey_type,
    intent,
    outcome,
    to_owner,
    wait_s,
    talk_s,
    message_kind,
    relevance_basis,
    info,
    promise_no,
    promise_kind,
    promise_op,
    promise_due
from events
order by happened_at, number
