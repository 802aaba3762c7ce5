-- purpose: the age at which a journey of each type is judged: resolved by then, or not
-- grain: journey type that a journey has
-- key: journey_type
-- sources: v_journeys, v_durations, v_type_rules
create or replace view v_horizons as
with types as (
    select
        journey_type,
        count(*) as n_journeys,
        -- an outcome that is only assumed says nothing of whether outcomes are logged
        count(outcome01) filter (outcome_basis is distinct from 'assumed') as n_outcome_known
    from v_journeys
    group by journey_type
),

durations as (
    select
        journey_type,
        n_seen,
        p90_s
    from v_durations
    where scope = 'journey_type' and measure = 'throughput_s'
),

rest as (
    select * from v_type_rules
    where journey_type = 'other'
),

joined as (
    select
        types.journey_type,
        types.n_journeys,
        types.n_outcome_known,
        durations.n_seen as n_over,
        -- ten at least: below that a quantile is a rumour
        case when durations.n_seen >= 10 then durations.p90_s end as measured_s,
        coalesce(own.horizon_s, rest.horizon_s) as set_s,
        least(coalesce(own.cap_s, rest.cap_s), 7776000) as default_s
    from types
    cross join rest
    left join durations on types.journey_type is not distinct from durations.journey_type
    left join v_type_rules as own on types.journey_type = own.journey_type
),

horizons as (
    select
        *,
        coalesce(set_s, measured_s, default_s) as horizon_s,
        case
            when set_s is not null then 'set'
            when measured_s is not null then 'measured'
            else 'default'
        end as basis
    from joined
)

select * from horizons;

comment on column v_horizons.n_journeys is 'Journeys of the type.';
comment on column v_horizons.n_outcome_known is
'Of these, with an outcome that is not merely assumed; 0: outcomes of the type are not recorded, so
none is judged.';
comment on column v_horizons.n_over is 'Of these, over as far as that is known.';
comment on column v_horizons.measured_s is
'Nine of ten are over by then (Kaplan-Meier: closed ones alone are the quick ones where many are
open); null: fewer are over so far, or below ten that are [s].';
comment on column v_horizons.set_s is 'Horizon that the user has set; null: none [s].';
comment on column v_horizons.default_s is 'The type''s cap, 90 days at most [s].';
comment on column v_horizons.horizon_s is
'Horizon: the one set, else the measured one, else the default [s].';
comment on column v_horizons.basis is 'set, measured or default.';
