-- purpose: the journeys whose health may rank them: all lists of best and worst read this view
-- grain: closed journey whose end is not merely assumed
-- key: journey_id
-- sources: v_journeys, v_journey_cohorts
create or replace view v_ranked_journeys as
with ranked as (
    select
        journeys.journey_id,
        journeys.customer_key,
        journeys.journey_type,
        journeys.owner,
        journeys.started_at,
        journeys.ended_at,
        journeys.outcome,
        journeys.outcome01,
        journeys.friction_score,
        journeys.health_ops,
        journeys.health_ops_lo,
        journeys.health_ops_hi,
        cohorts.is_mature
    from v_journeys as journeys
    inner join v_journey_cohorts as cohorts on journeys.journey_id = cohorts.journey_id
    -- the one place that says whose end and health count: an assumed end ranks nothing
    where journeys.state = 'closed' and journeys.outcome_basis is distinct from 'assumed'
)

select * from ranked;
