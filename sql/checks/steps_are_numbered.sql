-- purpose: the steps of a journey are numbered from one without a gap
-- severity: critical
-- table: steps
-- sources: v_steps
with steps as (
    select
        journey_id,
        seq
    from v_steps
),

numbered as (
    select
        journey_id,
        count(*) as n_steps,
        min(seq) as first_seq,
        max(seq) as last_seq,
        count(distinct seq) as n_numbers
    from steps
    group by journey_id
    having min(seq) != 1 or max(seq) != count(*) or count(distinct seq) != count(*)
)

select * from numbered
