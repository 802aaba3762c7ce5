-- purpose: every step belongs to a journey of the same customer
-- severity: critical
-- table: steps
-- sources: v_steps, v_journeys
with steps as (
    select
        step_id,
        journey_id,
        customer_key
    from v_steps
),

journeys as (
    select
        journey_id,
        customer_key
    from v_journeys
),

lost as (
    select steps.*
    from steps
    left join journeys
        on
            steps.journey_id = journeys.journey_id
            and steps.customer_key = journeys.customer_key
    where journeys.journey_id is null
)

select * from lost
