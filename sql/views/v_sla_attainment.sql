-- purpose: which service levels are achieved; the clock stands while it waits for the customer
-- grain: journey type, service level, kind and owner
-- key: journey_type, sla, kind, owner
-- sources: v_sla_results, v_journeys
create or replace view v_sla_attainment as
with results as (
    select * from v_sla_results
),

journeys as (
    select * from v_journeys
),

counted as (
    select
        journeys.journey_type,
        results.sla,
        results.kind,
        results.owner,
        count(*) as n_results,
        count(*) filter (results.status = 'achieved') as n_achieved,
        count(*) filter (results.status = 'breached') as n_breached,
        count(*) filter (results.status = 'open') as n_open,
        count(*) filter (results.status <> 'open') as n_judged,
        median(results.elapsed_s) as elapsed_s_median
    from results
    inner join journeys on results.journey_id = journeys.journey_id
    group by journeys.journey_type, results.sla, results.kind, results.owner
),

rated as (
    select
        *,
        share_of(n_achieved, n_judged) as attainment_share,
        wilson_lo(n_achieved, n_judged) as attainment_share_lo,
        wilson_hi(n_achieved, n_judged) as attainment_share_hi
    from counted
)

select * from rated;

comment on column v_sla_attainment.n_results is 'Journeys with this level.';
comment on column v_sla_attainment.n_achieved is 'Achieved: the numerator.';
comment on column v_sla_attainment.n_breached is 'Breached.';
comment on column v_sla_attainment.n_open is
'Not judged yet, or the clock stands: the customer is awaited.';
comment on column v_sla_attainment.n_judged is 'Achieved or breached: the denominator.';
comment on column v_sla_attainment.elapsed_s_median is
'Median time on the clock until met, of those met [s].';
comment on column v_sla_attainment.attainment_share is
'Achieved / (achieved + breached); null: none judged.';
