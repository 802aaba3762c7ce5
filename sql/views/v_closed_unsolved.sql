-- purpose: journeys that closed without a solution: passed on, given up, or forgotten
-- grain: closed journey whose outcome counts nothing
-- note: A fact of weight 0, since it is the outcome itself.
-- key: journey_id
-- sources: v_journeys, v_steps, v_next_journeys
create or replace view v_closed_unsolved as
with journeys as (
    select * from v_journeys
    where state = 'closed' and outcome01 = 0
),

last_steps as (
    select
        journey_id,
        arg_max(touchpoint, seq) filter (touchpoint is not null) as last_touchpoint,
        arg_max(owner, seq) filter (owner is not null) as last_owner
    from v_steps
    where not is_pushed
    group by journey_id
),

listed as (
    select
        journeys.journey_id,
        journeys.customer_key,
        journeys.case_id,
        journeys.journey_type,
        journeys.owner,
        journeys.started_at,
        journeys.ended_at,
        journeys.outcome,
        journeys.close_reason,
        journeys.friction_score,
        last_steps.last_touchpoint,
        last_steps.last_owner,
        followed.next_contact_after_s,
        followed.is_silent
    from journeys
    left join last_steps on journeys.journey_id = last_steps.journey_id
    left join v_next_journeys as followed on journeys.journey_id = followed.journey_id
)

select * from listed;

comment on column v_closed_unsolved.last_touchpoint is 'Where it was last.';
comment on column v_closed_unsolved.last_owner is 'Who had it last.';
