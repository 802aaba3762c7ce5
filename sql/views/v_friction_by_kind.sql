-- purpose: where the friction comes from, by kind; what was observed apart from what was inferred
-- grain: kind of friction, locus and basis
-- key: kind, locus, basis
-- sources: v_friction_evidence, v_journeys
create or replace view v_friction_by_kind as
with evidence as (
    select * from v_friction_evidence
),

journeys as (
    select count(friction_score) as n_scored
    from v_journeys
),

counted as (
    select
        kind,
        locus,
        basis,
        count(*) as n_evidence,
        count(distinct journey_id) as n_journeys,
        sum(hazard) as hazard,
        avg(severity) as severity_mean,
        sum(minutes_customer) as minutes_customer
    from evidence
    group by kind, locus, basis
),

rated as (
    select
        counted.*,
        journeys.n_scored,
        share_of(counted.hazard, sum(counted.hazard) over ()) as hazard_share,
        share_of(counted.n_journeys, journeys.n_scored) as journey_share,
        wilson_lo(counted.n_journeys, journeys.n_scored) as journey_share_lo,
        wilson_hi(counted.n_journeys, journeys.n_scored) as journey_share_hi
    from counted
    cross join journeys
)

select * from rated;

comment on column v_friction_by_kind.n_evidence is 'Pieces of evidence.';
comment on column v_friction_by_kind.n_journeys is 'Journeys with such evidence.';
comment on column v_friction_by_kind.hazard is 'Sum of hazards: what this kind adds to H.';
comment on column v_friction_by_kind.severity_mean is 'Mean severity.';
comment on column v_friction_by_kind.minutes_customer is
'Minutes of customers, where measured [min].';
comment on column v_friction_by_kind.n_scored is 'Journeys with a friction score.';
comment on column v_friction_by_kind.hazard_share is 'Share of all hazard.';
comment on column v_friction_by_kind.journey_share is
'Share of scored journeys that have it; null: none counted.';
