-- purpose: what was felt on journeys of each type and owner, beside how many nobody spoke of
-- grain:   journey type and owner, those with most answers first
-- sources: v_journeys, v_journey_experience, v_ranked_journeys
with

journeys as (
    from v_journeys
),

ranked as (
    from v_ranked_journeys
    where is_mature
),

felt as (
    from v_journey_experience
),

types as (
    select
        coalesce(journeys.journey_type, 'other') as journey_type,
        journeys.owner,
        count(*) as n_journeys,
        count(ranked.health_ops) as n_health_ops,
        median(ranked.health_ops) as health_ops,
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
        count(felt.health) filter (ranked.journey_id is not null) as n_health,
        quantile_cont(felt.health, [0.25, 0.5, 0.75]) filter (ranked.journey_id is not null)
            as health,
        median_band(
            median(felt.health) filter (ranked.journey_id is not null),
            count(felt.health) filter (ranked.journey_id is not null)
        ) as band
    from journeys
    left join felt on journeys.journey_id = felt.journey_id
    left join ranked on journeys.journey_id = ranked.journey_id
    group by all
    having count(felt.journey_id) > 0
    order by n_felt desc, n_journeys desc, coalesce(journeys.journey_type, 'other') asc, owner asc
    limit 24
)

select * from types
