-- purpose: gratitude after a long failure, by type and owner, and what such customers did next
-- question: Where do top ratings hide a bad journey, and do those customers come back?
-- grain: journey_type, owner
-- key: journey_type, owner
-- sources: v_relief, v_journey_experience, v_next_journeys
with judged as (
    select
        journey_id,
        journey_type,
        owner
    from v_journey_experience
    where is_relief is not null
),

relieved as (
    select * from v_relief
),

followed as (
    select
        journey_id,
        next_journey_id,
        next_health_ops,
        is_repurchase,
        is_silent
    from v_next_journeys
),

counted as (
    select
        judged.journey_type,
        judged.owner,
        count(*) as n_judged,
        count(relieved.journey_id) as n_relief,
        median(relieved.friction_score) as friction_median,
        count(followed.next_journey_id) as n_next,
        median(followed.next_health_ops) as next_health_ops_median,
        count(followed.is_repurchase) as n_purchase_known,
        count(*) filter (followed.is_repurchase) as n_repurchase,
        count(followed.is_silent) as n_silence_known,
        count(*) filter (followed.is_silent) as n_silent
    from judged
    left join relieved on judged.journey_id = relieved.journey_id
    left join followed on relieved.journey_id = followed.journey_id
    group by judged.journey_type, judged.owner
),

rated as (
    select
        *,
        share_of(n_relief, n_judged) as relief_share,
        wilson_lo(n_relief, n_judged) as relief_share_lo,
        wilson_hi(n_relief, n_judged) as relief_share_hi
    from counted
)

select * from rated
order by n_relief desc, journey_type asc, owner asc
