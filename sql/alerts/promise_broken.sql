-- purpose: a promise was not kept by its due time, and nobody has delivered it since
-- severity: critical
-- until: the promise was kept, moved or cancelled
-- grain: promise
-- key: customer_key, subject
-- sources: v_promises, v_steps
select
    p.journey_id,
    p.customer_key,
    s.event_ids[1] as opening_event,
    p.promise_id as subject,
    'critical' as severity,
    p.owner,
    'a promise of kind ' || p.kind || ' was due at '
    || strftime(p.due_at, '%Y-%m-%d %H:%M') || ' UTC and has not been delivered' as reason
from v_promises as p
inner join v_steps as s on p.step_id = s.step_id
where p.status in ('late', 'broken') and p.delivered_at is null and p.due_at is not null
