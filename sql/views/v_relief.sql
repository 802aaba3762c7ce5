-- purpose: gratitude after a long failure, and what such customers did next (association only)
-- grain: journey with the relief flag
-- note: Its last answer is in the top box although its friction is high.
-- key: journey_id
-- sources: v_journey_experience, v_next_journeys
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
