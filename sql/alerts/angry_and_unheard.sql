-- purpose: nobody acted on a complaint, or on an answer of at most a fifth of its scale, in time
-- severity: critical
-- until: somebody has acted on it
-- grain: X-record
-- key: opening_event
-- sources: v_experience, v_journeys
select
    x.journey_id,
    x.customer_key,
    x.x_id as opening_event,
    'critical' as severity,
    coalesce(x.owner, j.owner) as owner,
    'nobody has acted on '
    || case
        when
            x.instrument = 'complaint' then 'a complaint' else
            'an answer of '
            || round(100 * x.score01)::int || ' of 100 points'
    end as reason
from v_experience as x
left join v_journeys as j on x.journey_id = j.journey_id
where
    x.is_ignored and x.acted_at is null and x.respondent_type = 'customer'
    and (x.instrument = 'complaint' or x.score01 <= 0.2)
