-- purpose: the friction of an open journey has reached 50 of 100
-- severity: warning
-- until: its friction is below 50 again
-- per: journey
-- grain: journey
-- key: journey_id
-- sources: v_journeys, v_friction_evidence
with gathered as (
    select
        j.journey_id,
        j.customer_key,
        j.owner,
        j.friction_score,
        e.kind,
        e.hazard,
        e.event_ids[-1] as opening_event,
        -- a sum in another order may be less by the last digit
        sum(e.hazard) over so_far >= -ln(0.5) - 1e-9 as is_reached,
        row_number() over so_far as place
    from v_journeys as j
    inner join v_friction_evidence as e on j.journey_id = e.journey_id
    where j.state = 'open' and j.friction_score >= 50
    window
        so_far as (
            partition by j.journey_id
            order by e.occurred_at, e.evidence_id rows unbounded preceding
        )
)

select
    journey_id,
    customer_key,
    arg_min(opening_event, place) filter (where is_reached) as opening_event,
    'warning' as severity,
    any_value(owner) as owner,
    'friction has reached ' || floor(any_value(friction_score))::int
    || ' of 100, the worst of it ' || replace(arg_max(kind, hazard), '_', ' ') as reason
from gathered
group by journey_id, customer_key
