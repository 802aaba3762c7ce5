-- purpose: a promise is due within four hours, and nobody has delivered it yet
-- severity: warning
-- until: the promise was kept, moved or cancelled, or it is overdue
-- grain: promise
-- key: customer_key, subject
-- sources: v_promises, v_steps
select
    p.journey_id,
    p.customer_key,
    s.event_ids[1] as opening_event,
    p.promise_id as subject,
    'warning' as severity,
    p.owner,
    p.due_at - interval 4 hours as holds_from,
    'a promise of kind ' || p.kind || ' is due at '
    || strftime(p.due_at, '%Y-%m-%d %H:%M') || ' UTC and has not been delivered' as reason
from v_promises as p
inner join v_steps as s on p.step_id = s.step_id
where p.status = 'open' and p.due_at is not null
