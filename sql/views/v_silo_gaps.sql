-- purpose: how much better the parts are rated than the whole, where both were asked
-- grain: journey type and owner
-- key: journey_type, owner
-- sources: v_journey_experience
create or replace view v_silo_gaps as
with journeys as (
    select * from v_journey_experience
),

counted as (
    select
        journey_type,
        owner,
        count(*) as n_journeys,
        sum(n_invited)::bigint as n_invited,
        sum(n_answered)::bigint as n_answered,
        count(silo_gap) as n_gaps,
        avg(touchpoint_score_mean) filter (silo_gap is not null) as touchpoint_score,
        avg(journey_score) filter (silo_gap is not null) as journey_score,
        avg(silo_gap) as silo_gap,
        mean_half(stddev_samp(silo_gap), count(silo_gap)) as gap_half
    from journeys
    group by journey_type, owner
),

spanned as (
    select
        * exclude (gap_half),
        silo_gap - gap_half as silo_gap_lo,
        silo_gap + gap_half as silo_gap_hi,
        share_of(n_answered, n_invited) as response_share,
        wilson_lo(n_answered, n_invited) as response_share_lo,
        wilson_hi(n_answered, n_invited) as response_share_hi
    from counted
)

select * from spanned;

comment on column v_silo_gaps.n_journeys is 'Journeys that somebody was asked about or spoke of.';
comment on column v_silo_gaps.n_gaps is 'Journeys asked about both, as places and as a whole.';
comment on column v_silo_gaps.touchpoint_score is 'Mean of their touchpoint scores, 0 to 1.';
comment on column v_silo_gaps.journey_score is 'Mean of their journey scores, 0 to 1.';
comment on column v_silo_gaps.silo_gap is 'Mean of touchpoint mean minus journey score.';
comment on column v_silo_gaps.silo_gap_lo is
'Lower end of its 95 % interval (normal); null below two journeys.';
