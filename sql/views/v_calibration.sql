-- purpose: friction read as the chance of a bad end, against the bad ends seen, by tenths
-- grain: journey type and tenth of the predicted chance
-- key: journey_type, tenth
-- sources: v_scored_ends, v_validity_tests
create or replace view v_calibration as
with ends as (
    select
        journey_type,
        predicted,
        is_bad_end
    from v_scored_ends
    where is_bad_end is not null
),

-- Equals stay together, so a tenth may be large and others empty: no order of rows decides.
tenths as (
    select
        *,
        ceil(10 * cume_dist() over (partition by journey_type order by predicted))::int as tenth
    from ends
),

counted as (
    select
        journey_type,
        tenth,
        count(*) as n_journeys,
        min(predicted) as predicted_from,
        max(predicted) as predicted_to,
        avg(predicted) as predicted_mean,
        count(*) filter (is_bad_end) as n_bad_ends
    from tenths
    group by journey_type, tenth
),

tests as (
    select * from v_validity_tests
    where test = 'bad_end'
),

rated as (
    select
        counted.*,
        share_of(n_bad_ends, n_journeys) as bad_end_share,
        wilson_lo(n_bad_ends, n_journeys) as bad_end_share_lo,
        wilson_hi(n_bad_ends, n_journeys) as bad_end_share_hi,
        tests.left_out
    from counted
    cross join tests
)

select * from rated;

comment on column v_calibration.tenth is
'Tenth of the journeys by predicted, 10 = most friction; equals share the highest of theirs.';
comment on column v_calibration.n_journeys is 'Closed journeys with a score and an outcome.';
comment on column v_calibration.predicted_from is 'Least predicted chance in it.';
comment on column v_calibration.predicted_to is 'Largest predicted chance in it.';
comment on column v_calibration.predicted_mean is
'Mean predicted chance: F without the kinds left out, over 100.';
comment on column v_calibration.n_bad_ends is 'Bad ends seen.';
comment on column v_calibration.bad_end_share is
'Share of bad ends among these journeys; null: none counted.';
