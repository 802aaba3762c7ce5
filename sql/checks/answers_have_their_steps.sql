-- purpose: what a record is about is there: its journey, and the step of that journey
-- severity: critical
-- table: experience
-- sources: v_experience, v_journeys, v_steps
with answers as (
    select
        x_id,
        journey_id,
        step_id,
        join_method
    from v_experience
),

wrong as (
    select answers.*
    from answers
    left join v_journeys as journeys on answers.journey_id = journeys.journey_id
    left join v_steps as steps
        on answers.step_id = steps.step_id and answers.journey_id = steps.journey_id
    where
        (answers.journey_id is not null and journeys.journey_id is null)
        or (answers.step_id is not null and steps.step_id is null)
        or (answers.journey_id is null) != (answers.join_method is null)
)

select * from wrong
