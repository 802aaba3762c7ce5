-- purpose: something was offered for sale while a problem of the customer is open
-- severity: warning
-- until: no problem was open then
-- grain: offer
-- key: opening_event
-- sources: v_friction_evidence, v_journeys
select
    e.journey_id,
    e.customer_key,
    e.event_ids[-1] as opening_event,
    'warning' as severity,
    e.owner,
    'an offer was made' || coalesce(' by ' || e.owner, '')
    || ' while a problem of the customer is open' as reason
from v_friction_evidence as e
inner join v_journeys as j on e.journey_id = j.journey_id
where e.kind = 'upsell_in_problem' and j.state = 'open'
