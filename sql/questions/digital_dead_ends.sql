-- purpose: contacts that failed, and digital ones that a human one followed, by where they ended
-- question: Where does the way end, and where must a human help after a digital one?
-- grain: touchpoint, channel, owner
-- key: touchpoint, channel, owner
-- sources: v_friction_evidence, v_steps
with ends as (
    select
        kind,
        journey_id,
        hazard,
        -- a fallback hangs on the contact that came after, a dead end on the one that failed
        case when kind = 'dead_end' then step_id else prev_step_id end as step_id
    from v_friction_evidence
    where kind in ('channel_fallback', 'dead_end')
),

steps as (
    select
        step_id,
        touchpoint,
        channel,
        owner
    from v_steps
),

visits as (
    select
        touchpoint,
        channel,
        owner,
        count(*) as n_steps
    from steps
    group by touchpoint, channel, owner
),

counted as (
    select
        steps.touchpoint,
        steps.channel,
        steps.owner,
        count(*) filter (ends.kind = 'channel_fallback') as n_fallbacks,
        count(*) filter (ends.kind = 'dead_end') as n_dead_ends,
        count(distinct ends.journey_id) as n_journeys,
        sum(ends.hazard) as hazard
    from ends
    inner join steps on ends.step_id = steps.step_id
    group by steps.touchpoint, steps.channel, steps.owner
),

rated as (
    select
        counted.*,
        visits.n_steps,
        share_of(counted.n_fallbacks, visits.n_steps) as fallback_share,
        wilson_lo(counted.n_fallbacks, visits.n_steps) as fallback_share_lo,
        wilson_hi(counted.n_fallbacks, visits.n_steps) as fallback_share_hi,
        share_of(counted.n_dead_ends, visits.n_steps) as dead_end_share,
        wilson_lo(counted.n_dead_ends, visits.n_steps) as dead_end_share_lo,
        wilson_hi(counted.n_dead_ends, visits.n_steps) as dead_end_share_hi
    from counted
    inner join visits
        on
            counted.touchpoint is not distinct from visits.touchpoint
            and counted.channel is not distinct from visits.channel
            and counted.owner is not distinct from visits.owner
)

select * from rated
order by hazard desc, touchpoint asc, channel asc, owner asc
