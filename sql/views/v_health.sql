-- purpose: how healthy the journeys of each type and owner are: the one average that all quote
-- grain: journey type and owner, of those with a health that ranks
-- note: It is the median of journeys old enough to be judged whose ends are recorded; headline and
--       report quote it.
-- key: journey_type, owner
-- sources: v_ranked_journeys
create or replace view v_health as
with ranked as (
    select * from v_ranked_journeys
    where is_mature and health_ops is not null
),

-- The median: health and friction are bounded and heap up at their ends, where a mean would be of
-- no journey that there is. What is worse than the middle is in the tenth and quarter beside it.
counted as (
    select
        journey_type,
        owner,
        count(*) as n_health,
        median(health_ops) as health_ops_median,
        quantile_cont(health_ops, 0.1) as health_ops_p10,
        quantile_cont(health_ops, 0.25) as health_ops_p25,
        quantile_cont(health_ops, 0.75) as health_ops_p75,
        median(health_ops_lo) as health_ops_median_lo,
        median(health_ops_hi) as health_ops_median_hi,
        count(*) filter (health_band(health_ops) = 'good') as n_good,
        count(*) filter (health_band(health_ops) = 'fair') as n_fair,
        count(*) filter (health_band(health_ops) = 'poor') as n_poor
    from ranked
    group by journey_type, owner
),

rated as (
    select
        *,
        median_band(health_ops_median, n_health) as band
    from counted
)

select * from rated;

comment on column v_health.n_health is
'Closed journeys, old enough to be judged, with a health that ranks.';
comment on column v_health.health_ops_median is 'Median operational health [points of 100].';
comment on column v_health.health_ops_p10 is 'What nine of ten journeys exceed [points of 100].';
comment on column v_health.health_ops_p25 is 'Lower end of the middle half [points of 100].';
comment on column v_health.health_ops_p75 is 'Upper end of the middle half [points of 100].';
comment on column v_health.health_ops_median_lo is
'Median with all weights of friction at one and a half [points of 100].';
comment on column v_health.health_ops_median_hi is
'Median with all weights of friction at half [points of 100].';
comment on column v_health.n_good is 'Journeys with health of 80 or more.';
comment on column v_health.n_fair is 'Journeys with health from 60 to 80.';
comment on column v_health.n_poor is 'Journeys with health below 60.';
comment on column v_health.band is
'Band of the median: good, fair or poor; null: fewer than five journeys.';
