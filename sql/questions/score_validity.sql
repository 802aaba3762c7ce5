-- purpose: the tests of the friction score per journey type, over all months
-- question: Does the friction score mean anything, and which kind fits worst?
-- grain: journey_type
-- key: journey_type
-- sources: v_score_validity
with validity as (
    select * from v_score_validity
    where ended_month is null
),

rounded as (
    select
        journey_type,
        n_outcome_known,
        n_bad_ends,
        round(bad_end_auc, 3) as bad_end_auc,
        round(bad_end_auc_lo, 3) as auc_lo,
        round(bad_end_auc_hi, 3) as auc_hi,
        round(100 * tested_hazard_share) as tested_percent,
        round(calibration_intercept, 3) as intercept,
        round(calibration_slope, 2) as slope,
        round(calibration_slope_lo, 2) as slope_lo,
        round(calibration_slope_hi, 2) as slope_hi,
        n_first_contacts,
        round(repeat_contact_auc, 3) as repeat_contact_auc,
        n_ces,
        round(ces_spearman, 2) as ces_spearman,
        n_experience,
        round(experience_spearman, 2) as experience_spearman,
        misfit_kind,
        round(misfit_z, 1) as misfit_z,
        round(misfit_q, 3) as misfit_q
    from validity
)

select * from rounded
order by n_bad_ends desc, journey_type asc
