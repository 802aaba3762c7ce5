-- purpose: the same figures on four levels: product, touchpoint, journey type, life-cycle stage
-- grain: level and one of its values
-- key: level, level_value
-- sources: v_journeys, v_journey_cohorts, v_ranked_journeys, v_steps, v_journey_experience,
--          v_experience
create or replace view v_rollups as
with journeys as (
    select
        journeys.* exclude (health_ops, friction_score),
        case when cohorts.is_mature then ranked.health_ops end as health_ops,
        case when cohorts.is_mature then journeys.friction_score end as friction_score,
        cohorts.is_mature,
        cohorts.is_judged,
        cohorts.is_resolved_in_time,
        cohorts.is_undecided,
        felt.experience01,
        case when cohorts.is_mature and ranked.journey_id is not null then felt.health end
            as health
    from v_journeys as journeys
    inner join v_journey_cohorts as cohorts on journeys.journey_id = cohorts.journey_id
    left join v_ranked_journeys as ranked on journeys.journey_id = ranked.journey_id
    left join v_journey_experience as felt on journeys.journey_id = felt.journey_id
),

answers as (
    select
        journey_id,
        step_id,
        level,
        score01,
        scored_as,
        coalesce(instrument = 'nps' and scale_max = 10 and scale_min in (0, 1), false) as is_nps,
        round(scale_min + score01 * (scale_max - scale_min), 9) as points
    from v_experience
    where respondent_type = 'customer' and score01 is not null
),

whole_answers as (
    select
        journey_id,
        count(*) as n_nps,
        count(*) filter (points >= 9) as n_promoters,
        count(*) filter (points < 7) as n_detractors
    from answers
    where level = 'journey' and is_nps
    group by journey_id
),

place_answers as (
    select
        steps.journey_id,
        steps.touchpoint,
        avg(answers.score01) filter (answers.scored_as = 'step') as experience01,
        count(*) filter (answers.is_nps) as n_nps,
        count(*) filter (answers.is_nps and answers.points >= 9) as n_promoters,
        count(*) filter (answers.is_nps and answers.points < 7) as n_detractors
    from answers
    inner join v_steps as steps on answers.step_id = steps.step_id
    where answers.level = 'touchpoint'
    group by steps.journey_id, steps.touchpoint
),

places as (
    select
        touchpoint,
        journey_id,
        sum(hazard) as hazard
    from v_steps
    group by touchpoint, journey_id
),

of_journeys as (
    select
        unnest(['product', 'journey_type', 'lifecycle_stage']) as level,
        unnest([journeys.product_id, journeys.journey_type, journeys.lifecycle_stage])
            as level_value,
        journeys.state,
        journeys.is_mature,
        journeys.is_judged,
        journeys.is_resolved_in_time,
        journeys.is_undecided,
        journeys.friction_hazard as hazard,
        journeys.friction_score,
        journeys.health_ops,
        journeys.health,
        journeys.experience01,
        journeys.evidence_coverage,
        answers.n_nps,
        answers.n_promoters,
        answers.n_detractors
    from journeys
    left join whole_answers as answers on journeys.journey_id = answers.journey_id
),

of_places as (
    select
        'touchpoint' as level,
        places.touchpoint as level_value,
        journeys.state,
        journeys.is_mature,
        journeys.is_judged,
        journeys.is_resolved_in_time,
        journeys.is_undecided,
        places.hazard,
        case
            when journeys.friction_score is not null
                then 100 * (1 - exp(-coalesce(places.hazard, 0)))
        end as friction_score,
        journeys.health_ops,
        journeys.health,
        answers.experience01,
        journeys.evidence_coverage,
        answers.n_nps,
        answers.n_promoters,
        answers.n_detractors
    from places
    inner join journeys on places.journey_id = journeys.journey_id
    left join place_answers as answers
        on
            places.journey_id = answers.journey_id
            and places.touchpoint is not distinct from answers.touchpoint
),

units as (
    select * from of_journeys
    union all
    select * from of_places
),

counted as (
    select
        level,
        level_value,
        count(*) as n_journeys,
        count(*) filter (state = 'open') as n_open,
        count(*) filter (not is_mature) as n_too_young,
        count(*) filter (is_mature) as n_mature,
        count(*) filter (is_judged) as n_judged,
        count(*) filter (is_resolved_in_time) as n_resolved,
        count(*) filter (is_undecided) as n_undecided,
        count(friction_score) as n_scored,
        avg(friction_score) as friction_mean,
        median(friction_score) as friction_median,
        coalesce(sum(hazard), 0) as hazard,
        count(health_ops) as n_health_ops,
        median(health_ops) as health_ops_median,
        count(*) filter (health_band(health_ops) = 'good') as n_good,
        count(*) filter (health_band(health_ops) = 'fair') as n_fair,
        count(*) filter (health_band(health_ops) = 'poor') as n_poor,
        count(health) as n_health,
        median(health) as health_median,
        count(experience01) as n_experience,
        avg(experience01) as experience_mean,
        coalesce(sum(n_nps), 0)::bigint as n_nps,
        coalesce(sum(n_promoters), 0)::bigint as n_promoters,
        coalesce(sum(n_detractors), 0)::bigint as n_detractors,
        avg(evidence_coverage) as coverage_mean
    from units
    group by level, level_value
    -- a level of which nothing was logged says nothing of it
    qualify count(level_value) over (partition by level) > 0
),

rated as (
    select
        *,
        median_band(health_ops_median, n_health_ops) as band,
        share_of(hazard, sum(hazard) over (partition by level)) as hazard_share,
        share_of(n_resolved, n_judged) as resolved_share,
        wilson_lo(n_resolved, n_judged) as resolved_share_lo,
        wilson_hi(n_resolved, n_judged) as resolved_share_hi,
        share_of(n_experience, n_journeys) as experience_share,
        wilson_lo(n_experience, n_journeys) as experience_share_lo,
        wilson_hi(n_experience, n_journeys) as experience_share_hi,
        net_of(n_promoters, n_detractors, n_nps) as nps,
        net_lo(n_promoters, n_detractors, n_nps) as nps_lo,
        net_hi(n_promoters, n_detractors, n_nps) as nps_hi
    from counted
)

select * from rated;

comment on column v_rollups.level is 'product, touchpoint, journey_type or lifecycle_stage.';
comment on column v_rollups.level_value is 'Which one; null: unknown.';
comment on column v_rollups.n_journeys is 'Journeys; of a touchpoint those that went through it.';
comment on column v_rollups.n_open is 'Of these still open.';
comment on column v_rollups.n_too_young is
'Of these too young to be judged: in no median, and in no share of those resolved.';
comment on column v_rollups.n_mature is 'Of these old enough (v_journey_cohorts).';
comment on column v_rollups.n_judged is
'Of n_mature, of a type of which outcomes are recorded: what resolved_share is of.';
comment on column v_rollups.n_resolved is
'Of n_judged, resolved within the horizon of the type, and held.';
comment on column v_rollups.n_undecided is
'Of n_judged, without any end on record: still open, or of unknown outcome.';
comment on column v_rollups.n_scored is 'Of n_mature, with friction measured.';
comment on column v_rollups.friction_mean is
'Mean F; of a touchpoint of what happened there and on the way to it [points of 100].';
comment on column v_rollups.friction_median is 'Median F of those [points of 100].';
comment on column v_rollups.hazard is 'Sum of hazards: the same total on each level.';
comment on column v_rollups.n_health_ops is
'Of n_mature, with health_ops that ranks (v_ranked_journeys).';
comment on column v_rollups.health_ops_median is
'Median health_ops; of a touchpoint of the journeys through it [points of 100].';
comment on column v_rollups.n_good is 'Journeys with health_ops from 80 on.';
comment on column v_rollups.n_fair is 'Journeys with health_ops from 60 to below 80.';
comment on column v_rollups.n_poor is 'Journeys with health_ops below 60.';
comment on column v_rollups.n_health is
'Of n_mature, with health that ranks, which needs answers of the customer.';
comment on column v_rollups.health_median is
'Median health; not on one scale with health_ops [points of 100].';
comment on column v_rollups.n_experience is
'Journeys with X; of a touchpoint those through it with measured answers about that step.';
comment on column v_rollups.experience_mean is
'Mean X over n_experience journeys, 0 to 1; of a touchpoint each journey counts once, with the mean
of its answers about it.';
comment on column v_rollups.n_nps is
'Answers to nps about the whole journey; of a touchpoint about it.';
comment on column v_rollups.n_promoters is 'Of these from 9 on.';
comment on column v_rollups.n_detractors is 'Of these below 7.';
comment on column v_rollups.coverage_mean is
'Mean share of the detectors that had their data: compare only where it is equal.';
comment on column v_rollups.band is
'Band of the median health_ops; null: fewer than five journeys with one.';
comment on column v_rollups.hazard_share is 'Share of all hazard.';
comment on column v_rollups.resolved_share is
'Share resolved within the horizon among n_judged, undecided ones included; null: none judged.';
comment on column v_rollups.experience_share is
'Journeys with answers among all; null: none counted.';
comment on column v_rollups.nps is 'NPS, -100 to 100; null: nobody answered.';
comment on column v_rollups.nps_lo is
'Lower end of its 95 % interval: normal, Wilson where all answered alike.';
