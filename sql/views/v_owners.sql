-- purpose: scorecard of each department: its steps, its edges, its promises
-- grain: owner
-- key: owner
-- sources: v_steps, v_friction_evidence, v_edges, v_promises_kept
create or replace view v_owners as
with steps as (
    select
        owner,
        count(*) as n_steps,
        count(distinct journey_id) as n_journeys
    from v_steps
    where owner is not null
    group by owner
),

evidence as (
    select
        owner,
        sum(hazard) as hazard,
        sum(hazard) filter (locus = 'edge') as edge_hazard
    from v_friction_evidence
    where owner is not null
    group by owner
),

edges as (
    select
        from_owner,
        sum(n_handoffs) as n_handoffs,
        sum(n_context_known) as n_context_known,
        sum(n_none) as n_none
    from v_edges
    where from_owner is not null
    group by from_owner
),

promises as (
    select
        owner,
        sum(n_judged) as n_promises_judged,
        sum(n_kept) as n_promises_kept
    from v_promises_kept
    where owner is not null
    group by owner
),

joined as (
    select
        steps.owner,
        steps.n_steps,
        steps.n_journeys,
        coalesce(evidence.hazard, 0) as hazard,
        coalesce(evidence.edge_hazard, 0) as edge_hazard,
        coalesce(edges.n_handoffs, 0) as n_handoffs,
        coalesce(edges.n_context_known, 0) as n_context_known,
        coalesce(edges.n_none, 0) as n_no_context,
        coalesce(promises.n_promises_judged, 0) as n_promises_judged,
        coalesce(promises.n_promises_kept, 0) as n_promises_kept
    from steps
    left join evidence on steps.owner = evidence.owner
    left join edges on steps.owner = edges.from_owner
    left join promises on steps.owner = promises.owner
),

rated as (
    select
        *,
        share_of(hazard, sum(hazard) over ()) as hazard_share,
        share_of(edge_hazard, hazard) as edge_share,
        share_of(n_no_context, n_context_known) as no_context_share,
        wilson_lo(n_no_context, n_context_known) as no_context_share_lo,
        wilson_hi(n_no_context, n_context_known) as no_context_share_hi,
        share_of(n_context_known, n_handoffs) as context_known_share,
        wilson_lo(n_context_known, n_handoffs) as context_known_share_lo,
        wilson_hi(n_context_known, n_handoffs) as context_known_share_hi,
        share_of(n_promises_kept, n_promises_judged) as promises_kept_share,
        wilson_lo(n_promises_kept, n_promises_judged) as promises_kept_share_lo,
        wilson_hi(n_promises_kept, n_promises_judged) as promises_kept_share_hi
    from joined
)

select * from rated;

comment on column v_owners.n_steps is 'Steps it owns.';
comment on column v_owners.n_journeys is 'Journeys it takes part in.';
comment on column v_owners.hazard is 'Hazard of its steps and of the edges that leave them.';
comment on column v_owners.edge_hazard is 'Of this, on edges that leave it.';
comment on column v_owners.n_handoffs is 'Hand-offs that it gives.';
comment on column v_owners.n_no_context is 'Of these, without context.';
comment on column v_owners.n_promises_judged is 'Promises of it that can be judged.';
comment on column v_owners.n_promises_kept is 'Of these, kept.';
comment on column v_owners.hazard_share is 'Share of all hazard of known owners.';
comment on column v_owners.edge_share is 'Share of its hazard that lies on edges.';
comment on column v_owners.promises_kept_share is
'Share of its promises that were kept; null: none counted.';
