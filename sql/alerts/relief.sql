-- purpose: a top rating after much friction: thank the customer, and mend what was wrong
-- severity: info
-- until: the rating, or the friction, is another one
-- grain: journey
-- key: journey_id
-- per: journey
-- sources: v_journey_experience, v_experience
select
    f.journey_id,
    f.customer_key,
    'info' as severity,
    any_value(f.owner) as owner,
    arg_max(x.x_id, (x.occurred_at, x.x_id)) as opening_event,
    'a top rating, after friction of ' || floor(any_value(f.friction_score))::int
    || ' of 100' as reason
from v_journey_experience as f
inner join v_experience as x on f.journey_id = x.journey_id
where f.is_relief and x.is_top_box and x.scored_as is not null
group by f.journey_id, f.customer_key
