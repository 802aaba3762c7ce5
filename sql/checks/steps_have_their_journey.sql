-- purpose: every step belongs to a journey of the same customer
-- severity: critical
-- table: steps
-- sources: journey_steps, v_journeys
with journeys as (
    select
        customer_key,
        journey_id
    from v_journeys
),

lost as (
    select
        steps.customer_key,
        steps.journey_id,
        steps.n_steps
    from journey_steps as steps
    anti join journeys
        on
            steps.customer_key = journeys.customer_key
            and steps.journey_id = journeys.journey_id
)

select * from lost
