-- purpose: what the customer does next by tenth of this journey's health: association, not cause
-- question: Does a bad journey go with a bad next one, with silence, with fewer purchases?
-- grain: measure, tenth
-- key: measure, tenth
-- sources: v_what_comes_next
with followed as (
    select * from v_what_comes_next
),

chosen as (
    select
        measure,
        tenth,
        points_from,
        points_to,
        n_journeys,
        n_next,
        n_next_open,
        n_next_health,
        next_health_ops_median,
        next_resolved_share,
        n_purchase_known,
        n_repurchase,
        repurchase_share,
        repurchase_share_lo,
        repurchase_share_hi,
        n_silence_known,
        silent_share,
        silent_share_lo,
        silent_share_hi
    from followed
)

select * from chosen
order by measure desc, tenth asc
