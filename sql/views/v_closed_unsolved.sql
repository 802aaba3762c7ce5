-- purpose: journeys that closed without a solution: passed on, given up, or forgotten
-- grain: closed journey whose outcome counts nothing
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

comment on view v_closed_unsolved is
'One row per journey that closed unsolved: a fact of weight 0, since it is the outcome itself.';
comment on column v_closed_unsolved.journey_id is 'Journey.';
comment on column v_closed_unsolved.customer_key is 'Keyed pseudonym of the customer.';
comment on column v_closed_unsolved.case_id is 'Its case; null: none.';
comment on column v_closed_unsolved.journey_type is 'Type of the journey.';
comment on column v_closed_unsolved.owner is 'Owner of the journey.';
comment on column v_closed_unsolved.started_at is 'Start of the journey [UTC].';
comment on column v_closed_unsolved.ended_at is 'Last event of the journey [UTC].';
comment on column v_closed_unsolved.outcome is
'Its last outcome; unresolved also where an outcome is expected and none came.';
comment on column v_closed_unsolved.close_reason is 'Which deadline closed it.';
comment on column v_closed_unsolved.friction_score is 'F of the journey [points of 100].';
comment on column v_closed_unsolved.last_touchpoint is 'Where it was last.';
comment on column v_closed_unsolved.last_owner is 'Who had it last.';
comment on column v_closed_unsolved.next_contact_after_s is
'From its end to the next inbound contact of the customer; null: none so far [s].';
comment on column v_closed_unsolved.is_silent is
'The customer has not been heard of within the follow-up window; null: it has not passed.';
