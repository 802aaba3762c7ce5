-- Purpose: what the back office logs. Grain: one task. Source: `events`.
select
    'b' || number as task_id,
    happened_at as done_at,
    customer_no,
    activity as task,
    channel as place,
    direction,
    actor_type as who,
    touchpoint as desk,
    actor_id as employee,
    journey_type as flow,
    intent as topic,
    product_id as product,
    case_no,
    outcome as ended_as,
    wait_s as waited_s,
    talk_s as worked_s,
    to_owner as forward_to,
    message_kind as offered,
    lifecycle as state,
    waiting_for as waits_for,
    finished_at,
    claim_topic as said_of,
    claim_value as said,
    info as fields,
    promise_no,
    promise_kind,
    promise_op,
    promise_due
from events
where system = 'back_office'
order by happened_at, number
