-- purpose: kinds of friction whose journeys end badly more or less often than their weight says
-- grain: journey type, month and kind; null month: all months
-- key: journey_type, ended_month, kind
-- sources: v_calibration_line, v_scored_ends, v_friction_evidence, v_validity_tests
create or replace view v_kind_misfit as
with ends as (
    select
        journey_id,
        journey_type,
        ended_month,
        customer_key,
        predicted,
        is_bad_end::int as bad_end
    from v_scored_ends
    where is_bad_end is not null
),

cohorts as (
    select * from ends
    union all
    select * replace (null::date as ended_month) from ends
),

tests as (
    select * from v_validity_tests
    where test = 'bad_end'
),

circular as (
    select unnest(left_out) as kind
    from tests
),

found as (
    select distinct
        friction.journey_id,
        friction.kind
    from v_friction_evidence as friction
    left join circular on friction.kind = circular.kind
    where circular.kind is null
),

lines as (
    select
        journey_type,
        ended_month,
        calibration_intercept,
        calibration_slope
    from v_calibration_line
),

met as (
    select
        cohorts.journey_type,
        cohorts.ended_month,
        found.kind,
        cohorts.customer_key,
        cohorts.bad_end,
        lines.calibration_intercept + lines.calibration_slope * cohorts.predicted as expected
    from cohorts
    inner join found on cohorts.journey_id = found.journey_id
    inner join lines
        on
            cohorts.journey_type = lines.journey_type
            and cohorts.ended_month is not distinct from lines.ended_month
),

customers as (
    select
        journey_type,
        ended_month,
        kind,
        customer_key,
        count(*) as n_journeys,
        sum(bad_end) as n_bad_ends,
        sum(expected) as expected,
        sum(bad_end - expected) as misfit,
        sum(greatest(expected * (1 - expected), 0)) as chance
    from met
    group by journey_type, ended_month, kind, customer_key
),

counted as (
    select
        journey_type,
        ended_month,
        kind,
        sum(n_journeys)::bigint as n_journeys,
        sum(n_bad_ends)::bigint as n_bad_ends,
        sum(expected) as expected_bad_ends,
        sum(misfit) as misfit,
        -- What chance alone would give, or what customers show, whichever is larger.
        greatest(sum(misfit * misfit), sum(chance)) as variance
    from customers
    group by journey_type, ended_month, kind
),

rated as (
    select
        journey_type,
        ended_month,
        kind,
        n_journeys,
        n_bad_ends,
        expected_bad_ends,
        case when n_journeys >= 10 and variance > 1e-9 then misfit / sqrt(variance) end as misfit_z,
        share_of(n_bad_ends, n_journeys) as bad_end_share,
        wilson_lo(n_bad_ends, n_journeys) as bad_end_share_lo,
        wilson_hi(n_bad_ends, n_journeys) as bad_end_share_hi,
        share_of(expected_bad_ends, n_journeys) as expected_share
    from counted
),

-- Of many kinds some stand out by chance: Benjamini and Hochberg 1995, over all types and kinds.
-- The single months are a family of their own.
placed as (
    select
        *,
        ended_month is null as is_of_all_months,
        two_sided(misfit_z) as p,
        count(misfit_z) over (partition by ended_month is null) as n_tested,
        rank() over (partition by ended_month is null order by abs(misfit_z) desc nulls last)
        + count(*) over (partition by ended_month is null, abs(misfit_z))
        - 1 as place
    from rated
),

tested as (
    select
        placed.* exclude (is_of_all_months, n_tested, place),
        case
            when placed.misfit_z is not null
                then least(1, min(placed.p * placed.n_tested / placed.place) over (
                    partition by placed.is_of_all_months
                    order by placed.place desc
                    range between unbounded preceding and current row
                ))
        end as q,
        coalesce(q < 0.05, false) as is_misfit,
        tests.left_out
    from placed
    cross join tests
)

select * from tested;

comment on column v_kind_misfit.n_journeys is
'Closed journeys with a score, an outcome and such evidence.';
comment on column v_kind_misfit.expected_bad_ends is
'Bad ends by the line of their type (v_calibration_line); null where there is no line.';
comment on column v_kind_misfit.misfit_z is
'(seen - expected) / standard error: above 0 its weight is small, below large; null: below ten
journeys, or no line. One among many is large by chance: see q.';
comment on column v_kind_misfit.expected_share is 'Share of bad ends expected.';
comment on column v_kind_misfit.p is
'Chance of a misfit_z as far from 0, on either side, if the kind fitted; null: none.';
comment on column v_kind_misfit.q is
'The same with all kinds and types that were tried allowed for (Benjamini-Hochberg; single months
among themselves).';
comment on column v_kind_misfit.is_misfit is
'q below .05: the kind goes with more or fewer bad ends than its weight says.';
