-- purpose: a journey is at least as bad as its worst piece of evidence
-- severity: critical
-- table: journeys
-- sources: v_journeys, v_friction_evidence
with journeys as (
    select
        journey_id,
        friction_score
    from v_journeys
),

worst as (
    select
        journey_id,
        max(severity) as severity_max
    from v_friction_evidence
    group by journey_id
),

wrong as (
    select
        journeys.journey_id,
        journeys.friction_score,
        worst.severity_max
    from journeys
    inner join worst on journeys.journey_id = worst.journey_id
    where journeys.friction_score < 100 * worst.severity_max - 1e-9
)

select * from wrong
