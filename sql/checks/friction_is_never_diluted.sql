-- purpose: a journey is at least as bad as its worst piece of evidence
-- severity: critical
-- table: journeys
-- sources: v_journeys, journey_evidence
with journeys as (
    select
        customer_key,
        journey_id,
        friction_score
    from v_journeys
),

wrong as (
    select
        journeys.journey_id,
        journeys.friction_score,
        worst.severity_max
    from journeys
    inner join journey_evidence as worst
        on
            journeys.customer_key = worst.customer_key
            and journeys.journey_id = worst.journey_id
    where journeys.friction_score < 100 * worst.severity_max - 1e-9
)

select * from wrong
