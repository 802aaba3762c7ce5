-- purpose: whom the customer waited for, and how long; the customer's own pauses are no waiting
-- grain: cause and owner
-- note: Steps of the company, and those whose cause was logged. Time between the customer's own
--       steps, and before messages, is none; queues are in v_channels (wait_s_median).
-- key: wait_cause, owner
-- sources: v_steps
create or replace view v_waiting as
with steps as (
    select
        wait_cause,
        owner,
        wait_before_s,
        journey_id
    from v_steps
    -- what the customer does next comes when the customer likes, and nobody waits for an
    -- advertisement: only a logged cause makes a wait of that
    where
        wait_before_s is not null
        and (
            wait_cause is not null
            or (direction is distinct from 'inbound' and not is_pushed)
        )
),

counted as (
    select
        wait_cause,
        owner,
        count(*) as n_steps,
        count(distinct journey_id) as n_journeys,
        sum(wait_before_s) as wait_s,
        median(wait_before_s) as wait_s_median,
        quantile_cont(wait_before_s, 0.9) as wait_s_p90
    from steps
    group by wait_cause, owner
),

shared as (
    select
        *,
        share_of(wait_s, sum(wait_s) over ()) as wait_share
    from counted
)

select * from shared;

comment on column v_waiting.wait_cause is 'customer, company or third party; null where unknown.';
comment on column v_waiting.owner is
'Owner of the step that came after the wait; null where unknown.';
comment on column v_waiting.n_steps is 'Steps with a known wait before them.';
comment on column v_waiting.n_journeys is 'Journeys with such a step.';
comment on column v_waiting.wait_s is 'Sum of waits [s].';
comment on column v_waiting.wait_s_median is 'Median wait [s].';
comment on column v_waiting.wait_s_p90 is 'Wait that one in ten exceeds [s].';
comment on column v_waiting.wait_share is 'Share of all waiting.';
