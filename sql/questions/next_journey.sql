-- purpose: the same customer's next journey by the health of this one: association, not cause
-- question: Does a bad journey go with a bad next one?
-- grain: tenth
-- key: tenth
-- sources: v_journeys
with journeys as (
    select
        customer_key,
        journey_id,
        started_at,
        health_ops,
        outcome01
    from v_journeys
    where state = 'closed'
),

followed as (
    select
        health_ops,
        lead(journey_id) over next_of as next_journey_id,
        lead(health_ops) over next_of as next_health_ops,
        lead(outcome01) over next_of as next_outcome01
    from journeys
    window next_of as (
        partition by customer_key
        order by started_at, journey_id
    )
),

tenths as (
    select
        *,
        ntile(10) over (order by health_ops) as tenth
    from followed
    where health_ops is not null
),

counted as (
    select
        tenth,
        count(*) as n_journeys,
        min(health_ops) as health_ops_from,
        max(health_ops) as health_ops_to,
        count(next_journey_id) as n_next,
        share_of(count(next_journey_id), count(*)) as next_share,
        median(next_health_ops) as next_health_ops_median,
        count(next_outcome01) as n_next_outcome,
        share_of(count(*) filter (next_outcome01 = 1), count(next_outcome01)) as next_resolved_share
    from tenths
    group by tenth
)

select * from counted
order by tenth asc
