-- purpose: what was felt at the places of one journey type; places nobody spoke of are not invented
-- grain:   place (touchpoint, else activity, else channel), the most spoken of
-- sources: v_journeys, v_steps, v_experience
with

journeys as (
    from v_journeys
),

answers as (
    select
        step_id,
        score01,
        coalesce(scored_as = 'step', false) as is_asked
    from v_experience
    where
        respondent_type = 'customer' and level = 'touchpoint'
        and step_id is not null and score01 is not null
),

felt as (
    select
        step_id,
        coalesce(avg(score01) filter (is_asked), avg(score01)) as emotion01,
        bool_or(is_asked) as is_asked
    from answers
    group by step_id
),

emotions as (
    select
        coalesce(v_steps.touchpoint, v_steps.activity, v_steps.channel) as place,
        count(*) as n_steps,
        count(*) filter (felt.is_asked) as n_asked,
        avg(felt.emotion01) as emotion01,
        mean_half(stddev_samp(felt.emotion01), count(*)) as emotion_half
    from felt
    inner join v_steps on felt.step_id = v_steps.step_id
    inner join journeys on v_steps.journey_id = journeys.journey_id
    where
        coalesce(journeys.journey_type, 'other') = $1
        and coalesce(v_steps.touchpoint, v_steps.activity, v_steps.channel) is not null
    group by coalesce(v_steps.touchpoint, v_steps.activity, v_steps.channel)
    order by n_steps desc, coalesce(v_steps.touchpoint, v_steps.activity, v_steps.channel) asc
    limit 24
)

select * from emotions
