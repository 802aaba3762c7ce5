-- purpose: promises by kind, owner and status with the operational health of their journeys
-- question: Which promises break, and what health goes with it?
-- grain: kind, owner, status
-- key: kind, owner, status
-- sources: v_promises, v_ranked_journeys
with promises as (
    select
        kind,
        owner,
        status,
        journey_id,
        delivered_at
    from v_promises
),

journeys as (
    select
        journey_id,
        health_ops
    from v_ranked_journeys
    where is_mature
),

counted as (
    select
        promises.kind,
        promises.owner,
        promises.status,
        count(*) as n_promises,
        count(*) filter (promises.status = 'late' and promises.delivered_at is null) as n_overdue,
        count(journeys.health_ops) as n_health,
        median(journeys.health_ops) as health_ops_median
    from promises
    left join journeys on promises.journey_id = journeys.journey_id
    group by promises.kind, promises.owner, promises.status
),

shared as (
    select
        *,
        share_of(n_promises, sum(n_promises) over (partition by kind, owner)) as status_share
    from counted
)

select * from shared
order by kind asc, owner asc, status asc
