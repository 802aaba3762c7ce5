-- purpose: complaints and low answers that nobody acted on within seven days: call these customers
-- grain: X-record that was ignored
-- note: Sources that log no action at all are left out.
-- key: customer_key, x_id
-- sources: v_experience, v_journeys
create or replace view v_ignored_feedback as
with ignored as (
    select * from v_experience
    -- a source without a single action logs none: whether somebody acted is unknown
    qualify is_ignored and count(acted_at) over (partition by split_part(x_id, '/', 1)) > 0
),

journeys as (
    select
        journey_id,
        owner
    from v_journeys
),

listed as (
    select
        ignored.x_id,
        ignored.customer_key,
        ignored.journey_id,
        ignored.step_id,
        ignored.instrument,
        ignored.level,
        ignored.touchpoint,
        ignored.journey_type,
        coalesce(ignored.owner, journeys.owner) as owner,
        ignored.occurred_at,
        ignored.raw_score,
        ignored.score01,
        ignored.acted_at,
        ignored.acted_at is null as is_still_open,
        (epoch_us(ignored.acted_at) - epoch_us(ignored.occurred_at)) / 1e6 as close_s
    from ignored
    left join journeys on ignored.journey_id = journeys.journey_id
)

select * from listed;

comment on column v_ignored_feedback.owner is 'Owner of the step, else of the journey.';
comment on column v_ignored_feedback.is_still_open is 'Nobody has acted on it yet.';
comment on column v_ignored_feedback.close_s is 'From the record to the late action [s].';
