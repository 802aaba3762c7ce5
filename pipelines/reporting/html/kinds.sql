-- purpose: friction by kind; what was observed, declared and inferred stays apart
-- grain:   kind of friction, the greatest hazard first
-- sources: v_friction_evidence
with

evidence as (
    from v_friction_evidence
),

kinds as (
    select
        kind,
        count(*) as n_evidence,
        count(distinct journey_id) as n_journeys,
        sum(hazard) as hazard,
        coalesce(sum(hazard) filter (basis = 'observed'), 0) as observed,
        coalesce(sum(hazard) filter (basis = 'declared'), 0) as declared,
        coalesce(sum(hazard) filter (basis = 'inferred'), 0) as inferred,
        sum(hazard) filter (locus = 'edge') as edge_hazard,
        sum(sum(hazard)) over () as all_hazard
    from evidence
    group by kind
    order by hazard desc, kind asc
    limit 24
)

select * from kinds
