-- purpose: the flow map: which touchpoint leads to which
-- grain: journey type, touchpoint and the next one
-- key: journey_type, from_touchpoint, to_touchpoint
-- sources: v_steps, v_journeys
create or replace view v_flow as
with steps as (
    select
        v_steps.journey_id,
        v_journeys.journey_type,
        coalesce(v_steps.touchpoint, v_steps.activity, v_steps.channel) as touchpoint,
        v_steps.seq,
        v_steps.wait_before_s,
        v_steps.hazard
    from v_steps
    inner join v_journeys on v_steps.journey_id = v_journeys.journey_id
),

pairs as (
    select
        journey_id,
        journey_type,
        touchpoint as to_touchpoint,
        wait_before_s,
        hazard,
        lag(touchpoint) over (partition by journey_id order by seq) as from_touchpoint
    from steps
),

counted as (
    select
        journey_type,
        from_touchpoint,
        to_touchpoint,
        count(*) as n_transitions,
        count(distinct journey_id) as n_journeys,
        median(wait_before_s) as wait_s_median,
        sum(hazard) as hazard
    from pairs
    group by journey_type, from_touchpoint, to_touchpoint
),

shared as (
    select
        *,
        share_of(
            n_transitions, sum(n_transitions) over (partition by journey_type, from_touchpoint)
        ) as next_share
    from counted
)

select * from shared;

comment on column v_flow.from_touchpoint is
'Earlier touchpoint (activity or channel where none was logged); null: begin.';
comment on column v_flow.to_touchpoint is 'Next touchpoint.';
comment on column v_flow.n_transitions is 'Transitions.';
comment on column v_flow.n_journeys is 'Journeys with it.';
comment on column v_flow.wait_s_median is
'Median time between them, whoever paused; waiting is in v_waiting [s].';
comment on column v_flow.hazard is 'Hazard of the later step and the way to it.';
comment on column v_flow.next_share is 'Share of this next touchpoint among all that follow.';
