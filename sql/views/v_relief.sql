-- purpose: gratitude after a long failure, and what such customers did next (association only)
-- grain: journey with the relief flag
-- key: journey_id
-- sources: v_next_journeys, v_journey_experience
create or replace view v_relief as
with followed as (
    select * from v_next_journeys
),

felt as (
    select
        journey_id,
        customer_key,
        journey_type,
        owner,
        ended_at,
        friction_score,
        experience01,
        emotion_end,
        health
    from v_journey_experience
    where is_relief
),

relieved as (
    select
        felt.*,
        followed.next_journey_id,
        followed.next_journey_type,
        followed.next_after_s,
        followed.next_health_ops,
        followed.is_repurchase,
        followed.is_silent
    from felt
    inner join followed on felt.journey_id = followed.journey_id
)

select * from relieved;

comment on view v_relief is
'One row per journey whose last answer is in the top box although its friction is high.';
comment on column v_relief.journey_id is 'Journey.';
comment on column v_relief.customer_key is 'Keyed pseudonym of the customer.';
comment on column v_relief.journey_type is 'Type of the journey.';
comment on column v_relief.owner is 'Owner of the journey.';
comment on column v_relief.ended_at is 'Last event of the journey [UTC].';
comment on column v_relief.friction_score is 'F of the journey [points of 100].';
comment on column v_relief.experience01 is 'X of the journey, 0 to 1.';
comment on column v_relief.emotion_end is 'Emotion of its last step with one, 0 to 1.';
comment on column v_relief.health is 'Health, which the gratitude does not repair [points of 100].';
comment on column v_relief.next_journey_id is
'Journey of this customer that came next; null: none.';
comment on column v_relief.next_journey_type is 'Its type.';
comment on column v_relief.next_after_s is 'From the end of this one to its start [s].';
comment on column v_relief.next_health_ops is
'Its health_ops; null while open, and where its end was assumed [points of 100].';
comment on column v_relief.is_repurchase is
'The customer bought within the follow-up window after its end (v_next_journeys); null: not known
yet.';
comment on column v_relief.is_silent is
'No inbound contact within the follow-up window; null: it has not passed.';
