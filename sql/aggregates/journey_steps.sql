-- purpose: what the steps of a journey add up to
-- grain: journey with steps
-- key: customer_key, journey_id
-- sources: v_steps
with steps as (
    select
        customer_key,
        journey_id,
        seq,
        hazard
    from v_steps
),

summed as (
    select
        customer_key,
        journey_id,
        count(*) as n_steps,
        min(seq) as first_seq,
        max(seq) as last_seq,
        sum(seq) as seq_sum,
        sum(seq::bigint * seq) as seq_square_sum,
        sum(hazard) as hazard_sum
    from steps
    group by customer_key, journey_id
)

select * from summed
