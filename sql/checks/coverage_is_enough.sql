-- purpose: at least half of the closed journeys carry enough data to be scored
-- severity: warning
-- table: journeys
-- scope: table
-- sources: v_journeys
with journeys as (
    select
        state,
        friction_score
    from v_journeys
),

scored as (
    select
        count(*) as n_closed,
        count(friction_score) as n_scored
    from journeys
    where state = 'closed'
    having count(friction_score) < 0.5 * count(*)
)

select * from scored
