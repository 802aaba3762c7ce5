-- purpose: whether the friction score means what it says, by what it does not know
-- grain: journey type and month in which journeys ended; null month: all months together
-- key: journey_type, ended_month
-- sources: v_validity_rank, v_scored_ends, v_validity_auc, v_calibration_line, v_kind_misfit,
--          v_validity_tests
create or replace view v_score_validity as
with ends as (
    select
        journey_type,
        ended_month,
        customer_key,
        friction_hazard,
        hazard_apart
    from v_scored_ends
),

cohorts as (
    select
        journey_type,
        ended_month,
        count(*) as n_journeys,
        count(distinct customer_key) as n_customers,
        share_of(sum(hazard_apart), sum(friction_hazard)) as tested_hazard_share
    from ends
    group by grouping sets ((journey_type, ended_month), (journey_type))
),

-- One reading of each view below: planning takes longer with every further one.
ranks as (
    select
        journey_type,
        ended_month,
        any_value(n_journeys) filter (answer = 'ces') as n_ces,
        any_value(spearman) filter (answer = 'ces') as ces_spearman,
        any_value(spearman_lo) filter (answer = 'ces') as ces_spearman_lo,
        any_value(spearman_hi) filter (answer = 'ces') as ces_spearman_hi,
        any_value(n_journeys) filter (answer = 'experience') as n_experience,
        any_value(spearman) filter (answer = 'experience') as experience_spearman,
        any_value(spearman_lo) filter (answer = 'experience') as experience_spearman_lo,
        any_value(spearman_hi) filter (answer = 'experience') as experience_spearman_hi
    from v_validity_rank
    group by journey_type, ended_month
),

areas as (
    select
        journey_type,
        ended_month,
        any_value(auc) filter (target = 'bad_end') as bad_end_auc,
        any_value(auc_lo) filter (target = 'bad_end') as bad_end_auc_lo,
        any_value(auc_hi) filter (target = 'bad_end') as bad_end_auc_hi,
        any_value(n_hits) filter (target = 'repeat_contact') as n_repeated,
        any_value(n_others) filter (target = 'repeat_contact') as n_not_repeated,
        any_value(auc) filter (target = 'repeat_contact') as repeat_contact_auc,
        any_value(auc_lo) filter (target = 'repeat_contact') as repeat_contact_auc_lo,
        any_value(auc_hi) filter (target = 'repeat_contact') as repeat_contact_auc_hi
    from v_validity_auc
    group by journey_type, ended_month
),

lines as (
    select * from v_calibration_line
),

misfits as (
    select
        journey_type,
        ended_month,
        max_by(kind, (abs(misfit_z), kind)) as kind,
        max_by(n_journeys, (abs(misfit_z), kind)) as n_journeys,
        max_by(misfit_z, (abs(misfit_z), kind)) as misfit_z,
        max_by(q, (abs(misfit_z), kind)) as q
    from v_kind_misfit
    where is_misfit
    group by journey_type, ended_month
),

left_out as (
    select
        any_value(left_out) filter (test = 'bad_end') as bad_end,
        any_value(left_out) filter (test = 'repeat_contact') as repeat_contact
    from v_validity_tests
),

validity as (
    select
        cohorts.journey_type,
        cohorts.ended_month,
        cohorts.n_journeys,
        cohorts.n_customers,
        coalesce(ranks.n_ces, 0) as n_ces,
        ranks.ces_spearman,
        ranks.ces_spearman_lo,
        ranks.ces_spearman_hi,
        coalesce(ranks.n_experience, 0) as n_experience,
        ranks.experience_spearman,
        ranks.experience_spearman_lo,
        ranks.experience_spearman_hi,
        coalesce(lines.n_journeys, 0) as n_outcome_known,
        coalesce(lines.n_bad_ends, 0) as n_bad_ends,
        areas.bad_end_auc,
        areas.bad_end_auc_lo,
        areas.bad_end_auc_hi,
        left_out.bad_end as bad_end_left_out,
        cohorts.tested_hazard_share,
        coalesce(areas.n_repeated + areas.n_not_repeated, 0) as n_first_contacts,
        coalesce(areas.n_repeated, 0) as n_repeated,
        areas.repeat_contact_auc,
        areas.repeat_contact_auc_lo,
        areas.repeat_contact_auc_hi,
        left_out.repeat_contact as repeat_contact_left_out,
        lines.predicted_mean,
        lines.bad_end_share,
        lines.calibration_intercept,
        lines.calibration_intercept_lo,
        lines.calibration_intercept_hi,
        lines.calibration_slope,
        lines.calibration_slope_lo,
        lines.calibration_slope_hi,
        misfits.kind as misfit_kind,
        misfits.n_journeys as n_misfit,
        misfits.misfit_z,
        misfits.q as misfit_q
    from cohorts
    cross join left_out
    left join ranks
        on
            cohorts.journey_type = ranks.journey_type
            and cohorts.ended_month is not distinct from ranks.ended_month
    left join areas
        on
            cohorts.journey_type = areas.journey_type
            and cohorts.ended_month is not distinct from areas.ended_month
    left join lines
        on
            cohorts.journey_type = lines.journey_type
            and cohorts.ended_month is not distinct from lines.ended_month
    left join misfits
        on
            cohorts.journey_type = misfits.journey_type
            and cohorts.ended_month is not distinct from misfits.ended_month
)

select * from validity;

comment on column v_score_validity.n_journeys is 'Closed, final journeys with a friction score.';
comment on column v_score_validity.n_ces is 'Journeys with an answered question on effort.';
comment on column v_score_validity.ces_spearman is
'Rank correlation of friction with ease, -1 to 1; valid is below 0; null: too few, or all alike.';
comment on column v_score_validity.n_experience is 'Journeys with X.';
comment on column v_score_validity.experience_spearman is
'Rank correlation of friction with X, -1 to 1; valid is below 0; null: too few, or all alike.';
comment on column v_score_validity.n_outcome_known is 'Journeys with a recorded outcome.';
comment on column v_score_validity.bad_end_auc is
'Chance that a bad end has more hazard_apart than another, 0 to 1; null: below ten on one side, or
none has any.';
comment on column v_score_validity.bad_end_left_out is
'Kinds that are in no figure on bad ends, for an end makes or unmakes them (list, see v_kinds).';
comment on column v_score_validity.tested_hazard_share is
'What the kinds left in carry of all hazard of these journeys, 0 to 1: the rest is not tested.';
comment on column v_score_validity.n_first_contacts is 'Journeys with a matured first contact.';
comment on column v_score_validity.n_repeated is 'Of these, repeated within the window.';
comment on column v_score_validity.repeat_contact_auc is
'Chance that a repeated one had more hazard than another, 0 to 1; null: below ten on one side.';
comment on column v_score_validity.repeat_contact_left_out is
'Kinds that are in no figure on repeated contacts, for what follows makes or unmakes them (list).';
comment on column v_score_validity.predicted_mean is
'Mean chance of a bad end if F / 100 were one; without the kinds in bad_end_left_out.';
comment on column v_score_validity.bad_end_share is
'Share of bad ends seen among journeys with an outcome; null: none counted.';
comment on column v_score_validity.misfit_kind is
'Kind whose bad ends differ most from the line (v_kind_misfit); null: none with q below .05.';
comment on column v_score_validity.n_misfit is 'Journeys with an outcome that have this kind.';
comment on column v_score_validity.misfit_z is
'Seen less expected bad ends, in standard errors: above 0 its weight is small, below large.';
comment on column v_score_validity.misfit_q is
'Chance of such a misfit among all that were tried (Benjamini-Hochberg).';
