-- purpose: friction between owners, from giver to taker
-- grain:   owner of the earlier step and owner of the later step
-- sources: v_friction_evidence
with

evidence as (
    from v_friction_evidence
),

kinds as (
    select
        owner,
        owner_to,
        kind,
        count(*) as n_pieces,
        sum(hazard) as hazard
    from evidence
    where locus = 'edge' and owner is not null and owner_to is not null
    group by all
),

edges as (
    select
        owner,
        owner_to,
        sum(n_pieces) as n_pieces,
        sum(hazard) as hazard,
        arg_max(kind, hazard) as worst_kind
    from kinds
    group by all
    order by hazard desc, owner asc, owner_to asc
    limit 400
)

select * from edges
