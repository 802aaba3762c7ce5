-- purpose: inbound digital contacts that a human one followed, by the touchpoint they ended at
-- question: Where does the digital way end and a human has to help?
-- grain: touchpoint, channel, owner
-- key: touchpoint, channel, owner
-- sources: v_friction_evidence, v_steps
with fallbacks as (
    select * from v_friction_evidence
    where kind = 'channel_fallback'
),

earlier as (
    select
        journey_id,
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
    from earlier
    group by touchpoint, channel, owner
),

counted as (
    select
        earlier.touchpoint,
        earlier.channel,
        earlier.owner,
        count(*) as n_fallbacks,
        count(distinct fallbacks.journey_id) as n_journeys,
        sum(fallbacks.hazard) as hazard
    from fallbacks
    inner join earlier
        on
            fallbacks.journey_id = earlier.journey_id
            and fallbacks.prev_step_id = earlier.step_id
    group by earlier.touchpoint, earlier.channel, earlier.owner
),

rated as (
    select
        counted.*,
        visits.n_steps,
        share_of(counted.n_fallbacks, visits.n_steps) as fallback_share,
        wilson_lo(counted.n_fallbacks, visits.n_steps) as fallback_share_lo,
        wilson_hi(counted.n_fallbacks, visits.n_steps) as fallback_share_hi
    from counted
    inner join visits
        on
            counted.touchpoint is not distinct from visits.touchpoint
            and counted.channel is not distinct from visits.channel
            and counted.owner is not distinct from visits.owner
)

select * from rated
order by n_fallbacks desc, touchpoint asc, channel asc, owner asc
