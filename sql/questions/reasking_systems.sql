-- purpose: fields asked again, by the system that asks and the one that knows
-- question: Which pair of systems re-asks which field?
-- grain: field, system_known, system_asking, basis
-- key: field, system_known, system_asking, basis
-- sources: v_info_requests
with requests as (
    select * from v_info_requests
),

counted as (
    select
        field,
        system_known,
        system_asking,
        basis,
        count(*) filter (is_reask) as n_reasked,
        count(distinct journey_id) filter (is_reask) as n_journeys,
        count(*) filter (is_reask and not value_agrees) as n_conflicts
    from requests
    group by field, system_known, system_asking, basis
),

shared as (
    select
        *,
        share_of(n_reasked, sum(n_reasked) over ()) as reasked_share
    from counted
    where n_reasked > 0
)

select * from shared
order by n_reasked desc, field asc, system_known asc, system_asking asc, basis asc
