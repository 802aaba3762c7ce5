-- purpose: what was felt on journeys of each type and owner, beside how many nobody spoke of
-- grain:   journey type and owner, those with most answers first
-- sources: v_journeys, v_journey_cohorts, v_journey_experience
with

journeys as (
    select
        journeys.* exclude (health_ops),
        case when cohorts.is_mature then journeys.health_ops end as health_ops,
        cohorts.is_mature
    from v_journeys as journeys
    inner join v_journey_cohorts as cohorts on journeys.journey_id = cohorts.journey_id
),

felt as (
    from v_journey_experience
),

types as (
    select
        coalesce(journeys.journey_type, 'other') as journey_type,
        journeys.owner,
        count(*) as n_journeys,
        count(journeys.health_ops) as n_health_ops,
        median(journeys.health_ops) as health_ops,
        count(felt.journey_id) as n_records,
        coalesce(sum(felt.n_invited), 0)::bigint as n_invited,
        coalesce(sum(felt.n_answered), 0)::bigint as n_answered,
        count(felt.experience01) as n_felt,
        median(felt.experience01) as experience01,
        count(felt.silo_gap) as n_gaps,
        avg(felt.touchpoint_score_mean) filter (felt.silo_gap is not null) as touchpoint_score,
        avg(felt.journey_score) filter (felt.silo_gap is not null) as journey_score,
        avg(felt.silo_gap) as silo_gap,
        mean_half(stddev_samp(felt.silo_gap), count(felt.silo_gap)) as silo_gap_half,
        count(felt.is_relief) as n_relief_known,
        count(*) filter (felt.is_relief) as n_relief,
        count(felt.health) filter (journeys.is_mature) as n_health,
        quantile_cont(felt.health, [0.25, 0.5, 0.75]) filter (journeys.is_mature) as health
    from journeys
    left join felt on journeys.journey_id = felt.journey_id
    group by all
    having count(felt.journey_id) > 0
    order by n_felt desc, n_journeys desc, coalesce(journeys.journey_type, 'other') asc, owner asc
    limit 24
)

select * from types
