-- purpose: customers who are pressed, sold to in the middle of a problem, or asked and not heard
-- question: Whom do we press, sell to with a problem open, or ask without using the answer?
-- grain: customer_key
-- key: customer_key
-- sources: v_friction_evidence, v_ignored_feedback, v_experience
with pushing as (
    select
        customer_key,
        count(*) filter (kind = 'over_pressure') as n_over_pressure,
        max(raw_value) filter (kind = 'over_pressure') as pressure_max,
        count(*) filter (kind = 'upsell_in_problem') as n_upsells_in_problem,
        max(occurred_at) as last_pushed_at
    from v_friction_evidence
    where kind in ('over_pressure', 'upsell_in_problem')
    group by customer_key
),

ignored as (
    select
        customer_key,
        count(*) as n_ignored,
        min(score01) as score_lowest
    from v_ignored_feedback
    group by customer_key
),

asked as (
    select
        customer_key,
        count(*) filter (is_solicited) as n_asked,
        count(*) filter (is_solicited and is_answered) as n_answered
    from v_experience
    where respondent_type = 'customer'
    group by customer_key
),

pressed as (
    select
        coalesce(pushing.customer_key, ignored.customer_key) as customer_key,
        coalesce(pushing.n_over_pressure, 0) as n_over_pressure,
        pushing.pressure_max,
        coalesce(pushing.n_upsells_in_problem, 0) as n_upsells_in_problem,
        coalesce(ignored.n_ignored, 0) as n_ignored,
        ignored.score_lowest,
        pushing.last_pushed_at
    from pushing
    full join ignored on pushing.customer_key = ignored.customer_key
),

told as (
    select
        pressed.*,
        coalesce(asked.n_asked, 0) as n_asked,
        coalesce(asked.n_answered, 0) as n_answered
    from pressed
    left join asked on pressed.customer_key = asked.customer_key
)

select * from told
order by n_ignored + n_upsells_in_problem + n_over_pressure desc, customer_key asc
