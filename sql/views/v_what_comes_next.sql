-- purpose: what customers do next by tenth of this journey's friction or health; no cause
-- grain: measure and tenth
-- note: A bad journey and a bad next one may share a cause, such as the customer's situation.
-- key: measure, tenth
-- sources: v_next_journeys, v_journey_experience, v_ranked_journeys
create or replace view v_what_comes_next as
with followed as (
    select * from v_next_journeys
    -- who has had less time to come back says nothing of who does not
    where state = 'closed' and is_matured
),

felt as (
    select
        journey_id,
        health
    from v_journey_experience
),

-- Health whose end is only assumed puts a journey into no tenth.
ranked as (
    select journey_id from v_ranked_journeys
),

measured as (
    select
        *,
        'friction_score' as measure,
        friction_score as points
    from followed
    union all
    select
        *,
        'health_ops' as measure,
        health_ops as points
    from followed
    where journey_id in (select journey_id from ranked)
    union all
    select
        followed.*,
        'health' as measure,
        felt.health as points
    from followed
    inner join felt on followed.journey_id = felt.journey_id
    inner join ranked on followed.journey_id = ranked.journey_id
),

-- Equal journeys are in one tenth, whatever their order: tenths may differ in size.
tenths as (
    select
        *,
        10 * (rank() over (partition by measure order by points) - 1)
        // count(*) over (partition by measure) + 1 as tenth
    from measured
    where points is not null
),

counted as (
    select
        measure,
        tenth,
        min(points) as points_from,
        max(points) as points_to,
        count(*) as n_journeys,
        count(next_journey_id) as n_next,
        count(*) filter (next_state = 'open') as n_next_open,
        count(next_health_ops) as n_next_health,
        median(next_health_ops) as next_health_ops_median,
        avg(next_health_ops) as next_health_ops_mean,
        stddev_samp(next_health_ops) as next_health_ops_deviation,
        count(is_next_resolved_in_time) as n_next_judged,
        count(*) filter (is_next_resolved_in_time) as n_next_resolved,
        count(is_repurchase) as n_purchase_known,
        count(*) filter (is_repurchase) as n_repurchase,
        count(is_silent) as n_silence_known,
        count(*) filter (is_silent) as n_silent
    from tenths
    group by measure, tenth
),

rated as (
    select
        * exclude (next_health_ops_deviation),
        next_health_ops_mean - mean_half(next_health_ops_deviation, n_next_health)
            as next_health_ops_lo,
        next_health_ops_mean + mean_half(next_health_ops_deviation, n_next_health)
            as next_health_ops_hi,
        share_of(n_next_resolved, n_next_judged) as next_resolved_share,
        wilson_lo(n_next_resolved, n_next_judged) as next_resolved_share_lo,
        wilson_hi(n_next_resolved, n_next_judged) as next_resolved_share_hi,
        share_of(n_repurchase, n_purchase_known) as repurchase_share,
        wilson_lo(n_repurchase, n_purchase_known) as repurchase_share_lo,
        wilson_hi(n_repurchase, n_purchase_known) as repurchase_share_hi,
        share_of(n_silent, n_silence_known) as silent_share,
        wilson_lo(n_silent, n_silence_known) as silent_share_lo,
        wilson_hi(n_silent, n_silence_known) as silent_share_hi
    from counted
)

select * from rated;

comment on column v_what_comes_next.measure is
'friction_score, health_ops, or health (journeys with answers only); never on one scale.';
comment on column v_what_comes_next.tenth is
'From 1, the lowest values, to 10; equal journeys are in one tenth.';
comment on column v_what_comes_next.points_from is 'Least value in it [points of 100].';
comment on column v_what_comes_next.points_to is 'Greatest value in it [points of 100].';
comment on column v_what_comes_next.n_journeys is
'Closed journeys with that measure whose follow-up window has passed; others count nowhere.';
comment on column v_what_comes_next.n_next is
'Of these, followed by another journey of the customer so far, within the window or after it.';
comment on column v_what_comes_next.n_next_open is
'Of these next journeys, still open: undecided, in no figure of their health.';
comment on column v_what_comes_next.n_next_health is 'Next journeys with health_ops.';
comment on column v_what_comes_next.next_health_ops_median is
'Median of their health_ops [points of 100].';
comment on column v_what_comes_next.next_health_ops_mean is
'Mean of their health_ops [points of 100].';
comment on column v_what_comes_next.n_next_judged is
'Next journeys that are judged (v_journey_cohorts): old enough, of a type with outcomes.';
comment on column v_what_comes_next.n_next_resolved is
'Of these, resolved within the horizon of their type, and held.';
comment on column v_what_comes_next.n_purchase_known is
'Of n_journeys, all, or 0 where no purchase is recorded at all.';
comment on column v_what_comes_next.n_repurchase is
'Of these, followed by a purchase (event or step with outcome sold) within the window.';
comment on column v_what_comes_next.n_silence_known is
'Journeys of which it is known whether a contact followed in the window.';
comment on column v_what_comes_next.n_silent is 'Of these, without any inbound contact in it.';
comment on column v_what_comes_next.next_health_ops_lo is
'Lower end of the 95 % interval of the mean (normal); null below two.';
comment on column v_what_comes_next.next_health_ops_hi is
'Upper end of the 95 % interval of the mean.';
comment on column v_what_comes_next.next_resolved_share is
'Share resolved in time among n_next_judged, undecided ones included; null: none judged.';
comment on column v_what_comes_next.repurchase_share is
'Share followed by a purchase within the window; null: none known.';
comment on column v_what_comes_next.silent_share is
'Share silent through the window: silence need not be churn; null: none counted.';
