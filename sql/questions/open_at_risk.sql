-- purpose: open journeys by the friction they have gathered so far, with their three worst reasons
-- question: Which open journeys are going wrong, and why?
-- grain: journey_id
-- key: journey_id
-- sources: v_journeys, v_friction_evidence
with journeys as (
    select
        journey_id,
        customer_key,
        journey_type,
        owner,
        started_at,
        ended_at,
        friction_score
    from v_journeys
    where state = 'open' and friction_score > 0
),

reasons as (
    select
        journey_id,
        kind,
        sum(hazard) as hazard
    from v_friction_evidence
    group by journey_id, kind
),

worst as (
    select
        journey_id,
        list(kind order by hazard desc, kind asc)[1:3] as reasons
    from reasons
    group by journey_id
),

ranked as (
    select
        journeys.*,
        worst.reasons
    from journeys
    left join worst on journeys.journey_id = worst.journey_id
)

select * from ranked
order by friction_score desc, journey_id asc
