-- purpose: the journeys whose health may rank them: all lists of best and worst read this view
-- grain: closed journey
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

comment on view v_ranked_journeys is
'One row per closed journey whose end is not merely assumed: its health may rank it.';
comment on column v_ranked_journeys.journey_id is 'Journey.';
comment on column v_ranked_journeys.customer_key is 'Keyed pseudonym of the customer.';
comment on column v_ranked_journeys.journey_type is 'Type of the journey.';
comment on column v_ranked_journeys.owner is 'Owner of the journey; null where unknown.';
comment on column v_ranked_journeys.started_at is 'Its first event [UTC].';
comment on column v_ranked_journeys.ended_at is 'Its last event [UTC].';
comment on column v_ranked_journeys.outcome is 'How it ended; null where no event says so.';
comment on column v_ranked_journeys.outcome01 is
'What came of it, 0 to 1; null where no event says so.';
comment on column v_ranked_journeys.friction_score is
'F [points of 100]; null where too little was logged.';
comment on column v_ranked_journeys.health_ops is
'Operational health [points of 100]; null without outcome or friction.';
comment on column v_ranked_journeys.health_ops_lo is
'The same with all weights of friction at one and a half [points of 100].';
comment on column v_ranked_journeys.health_ops_hi is
'The same with all weights of friction at half [points of 100].';
comment on column v_ranked_journeys.is_mature is
'Old enough to be judged (v_journey_cohorts): averages are of those only.';
