-- purpose: the customer of an open journey was asked for the same field a third time
-- severity: warning
-- until: the field was asked less often than it seemed
-- grain: journey and field
-- key: subject
-- sources: v_info_requests, v_journeys, v_steps
with asked as (
    select
        r.journey_id,
        r.customer_key,
        r.step_id,
        r.field,
        r.owner,
        r.is_reask,
        row_number() over (
            partition by r.journey_id, r.field order by r.occurred_at, r.step_id
        ) as place
    from v_info_requests as r
    where r.basis in ('observed', 'declared')
)

select
    a.journey_id,
    a.customer_key,
    s.event_ids[1] as opening_event,
    s.event_ids[1] || ' ' || a.field as subject,
    'warning' as severity,
    a.owner,
    'the customer was asked for the field ' || a.field || ' a third time' as reason
from asked as a
inner join v_journeys as j on a.journey_id = j.journey_id
inner join v_steps as s on a.step_id = s.step_id
where a.place = 3 and a.is_reask and j.state = 'open'
