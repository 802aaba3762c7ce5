-- purpose: what a record is about is there: its journey, and the step of that journey
-- severity: critical
-- table: experience
-- sources: v_experience, v_journeys, v_steps
with without_journey as (
    select
        answers.customer_key,
        answers.x_id
    from v_experience as answers
    anti join v_journeys as journeys
        on
            answers.customer_key = journeys.customer_key
            and answers.journey_id = journeys.journey_id
    where answers.journey_id is not null
),

without_step as (
    select
        answers.customer_key,
        answers.x_id
    from v_experience as answers
    anti join v_steps as steps
        on
            answers.customer_key = steps.customer_key
            and answers.journey_id = steps.journey_id
            and answers.step_id = steps.step_id
    where answers.step_id is not null
),

wrong as (
    select * from without_journey
    union
    select * from without_step
    union
    select
        customer_key,
        x_id
    from v_experience
    where (journey_id is null) != (join_method is null)
)

select * from wrong
