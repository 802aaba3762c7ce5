-- purpose: the journeys of each product: friction, health, experience, coverage
-- grain: product
-- key: product_id
-- sources: v_rollups
create or replace view v_by_product as
with rollups as (
    select * from v_rollups
    where level = 'product'
),

chosen as (
    select
        level_value as product_id,
        * exclude (level, level_value)
    from rollups
)

select * from chosen;

comment on view v_by_product is 'One row per product.';
comment on column v_by_product.product_id is 'First product of the journey; null: none logged.';
comment on column v_by_product.n_journeys is
'Journeys; of a touchpoint those that went through it.';
comment on column v_by_product.n_open is 'Of these still open.';
comment on column v_by_product.n_too_young is
'Of these too young to be judged: in no median, and in no share of those resolved.';
comment on column v_by_product.n_mature is 'Of these old enough (v_journey_cohorts).';
comment on column v_by_product.n_judged is
'Of n_mature, of a type of which outcomes are recorded: what resolved_share is of.';
comment on column v_by_product.n_resolved is
'Of n_judged, resolved within the horizon of the type, and held.';
comment on column v_by_product.n_undecided is
'Of n_judged, without any end on record: still open, or of unknown outcome.';
comment on column v_by_product.n_scored is 'Of n_mature, with friction measured.';
comment on column v_by_product.friction_mean is
'Mean F; of a touchpoint of what happened there and on the way to it [points of 100].';
comment on column v_by_product.friction_median is 'Median F of those [points of 100].';
comment on column v_by_product.hazard is 'Sum of hazards: the same total on each level.';
comment on column v_by_product.n_health_ops is
'Of n_mature, with health_ops that ranks (v_ranked_journeys).';
comment on column v_by_product.health_ops_median is
'Median health_ops; of a touchpoint of the journeys through it [points of 100].';
comment on column v_by_product.n_good is 'Journeys with health_ops from 80 on.';
comment on column v_by_product.n_fair is 'Journeys with health_ops from 60 to below 80.';
comment on column v_by_product.n_poor is 'Journeys with health_ops below 60.';
comment on column v_by_product.n_health is
'Of n_mature, with health that ranks, which needs answers of the customer.';
comment on column v_by_product.health_median is
'Median health; not on one scale with health_ops [points of 100].';
comment on column v_by_product.n_experience is
'Journeys with answers; of a touchpoint answers about it.';
comment on column v_by_product.experience_mean is
'Mean X; of a touchpoint mean of its answers, 0 to 1.';
comment on column v_by_product.n_nps is
'Answers to nps about the whole journey; of a touchpoint about it.';
comment on column v_by_product.n_promoters is 'Of these from 9 on.';
comment on column v_by_product.n_detractors is 'Of these below 7.';
comment on column v_by_product.coverage_mean is
'Mean share of the detectors that had their data: compare only where it is equal.';
comment on column v_by_product.band is
'Band of the median health_ops; null: fewer than five journeys with one.';
comment on column v_by_product.hazard_share is 'Share of all hazard.';
comment on column v_by_product.resolved_share is
'Share resolved within the horizon among n_judged, undecided ones included; null: none judged.';
comment on column v_by_product.resolved_share_lo is
'Lower end of its 95 % Wilson interval.';
comment on column v_by_product.resolved_share_hi is
'Upper end of its 95 % Wilson interval.';
comment on column v_by_product.experience_share is
'Journeys with answers among all; null: none counted.';
comment on column v_by_product.experience_share_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_by_product.experience_share_hi is 'Upper end of its 95 % Wilson interval.';
comment on column v_by_product.nps is 'NPS, -100 to 100; null: nobody answered.';
comment on column v_by_product.nps_lo is
'Lower end of its 95 % interval: normal, Wilson where all answered alike.';
comment on column v_by_product.nps_hi is 'Upper end of its 95 % interval.';
