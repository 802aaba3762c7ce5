-- purpose: how many journeys somebody spoke of, who answered, and how often gratitude hid a failure
-- grain:   one row
-- sources: v_journey_experience, v_responses, v_experience
with

felt as (
    from v_journey_experience
),

responses as (
    from v_responses
),

asked as (
    select
        coalesce(sum(n_invited), 0)::bigint as n_invited,
        coalesce(sum(n_answered), 0)::bigint as n_answered
    from responses
    where respondent_type = 'customer'
),

spoken as (
    select
        count(*) as n_records,
        count(experience01) as n_felt,
        -- where no action was ever logged, nobody is known to be ignored
        case
            when (select count(acted_at) from v_experience) > 0 then coalesce(sum(n_ignored), 0)
            else 0
        end::bigint as n_ignored,
        count(is_relief) as n_relief_known,
        count(*) filter (is_relief) as n_relief
    from felt
),

totals as (
    select
        spoken.*,
        asked.*
    from spoken
    cross join asked
)

select * from totals
