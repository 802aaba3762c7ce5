-- purpose: the steps of a journey are numbered from one without a gap
-- severity: critical
-- table: steps
-- sources: journey_steps
with numbered as (
    select
        journey_id,
        n_steps,
        first_seq,
        last_seq,
        seq_sum,
        seq_square_sum
    from journey_steps
),

-- of so many numbers from 1 to n, sum and sum of squares say that each is there once
wrong as (
    select *
    from numbered
    where
        first_seq != 1
        or last_seq != n_steps
        or 2 * seq_sum != n_steps * (n_steps + 1)
        or 6 * seq_square_sum != n_steps * (n_steps + 1) * (2 * n_steps + 1)
)

select * from wrong
