-- purpose: what a record is about is there: its journey, and the step of that journey
-- severity: critical
-- table: experience
-- sources: v_experience, v_journeys, lost_steps
with without_journey as (
    select
        answers.customer_key,
        answers.journey_id,
        null as step_id
    from v_experience as answers
    anti join v_journeys as journeys
        on
            answers.customer_key = journeys.customer_key
            and answers.journey_id = journeys.journey_id
    where answers.journey_id is not null
),

wrong as (
    select * from without_journey
    union
    select
        customer_key,
        journey_id,
        step_id
    from lost_steps
    where named_by = 'feedback'
    union
    select
        customer_key,
        journey_id,
        step_id
    from v_experience
    where (journey_id is null) != (join_method is null)
)

select * from wrong
