-- purpose: friction between departments: who hands over to whom, with what context
-- grain: owner and the next owner
-- key: from_owner, to_owner
-- sources: v_friction_evidence, v_handoffs
create or replace view v_edges as
with evidence as (
    select
        owner as from_owner,
        owner_to as to_owner,
        count(*) as n_evidence,
        count(distinct journey_id) as n_journeys,
        sum(hazard) as hazard
    from v_friction_evidence
    where locus = 'edge'
    group by owner, owner_to
),

handoffs as (
    select
        from_owner,
        to_owner,
        count(*) as n_handoffs,
        count(*) filter (context = 'full') as n_full,
        count(*) filter (context = 'part') as n_part,
        count(*) filter (context = 'none') as n_none,
        count(*) filter (context != 'unknown') as n_context_known,
        count(*) filter (is_dropped) as n_dropped,
        count(*) filter (is_ping_pong) as n_ping_pong,
        sum(n_fields_reasked) as n_fields_reasked,
        median(latency_s) as latency_s_median
    from v_handoffs
    group by from_owner, to_owner
),

joined as (
    select
        coalesce(evidence.from_owner, handoffs.from_owner) as from_owner,
        coalesce(evidence.to_owner, handoffs.to_owner) as to_owner,
        coalesce(evidence.n_evidence, 0) as n_evidence,
        coalesce(evidence.n_journeys, 0) as n_journeys,
        coalesce(evidence.hazard, 0) as hazard,
        coalesce(handoffs.n_handoffs, 0) as n_handoffs,
        coalesce(handoffs.n_full, 0) as n_full,
        coalesce(handoffs.n_part, 0) as n_part,
        coalesce(handoffs.n_none, 0) as n_none,
        coalesce(handoffs.n_context_known, 0) as n_context_known,
        coalesce(handoffs.n_dropped, 0) as n_dropped,
        coalesce(handoffs.n_ping_pong, 0) as n_ping_pong,
        handoffs.n_fields_reasked,
        handoffs.latency_s_median
    from evidence
    full join handoffs
        on
            evidence.from_owner is not distinct from handoffs.from_owner
            and evidence.to_owner is not distinct from handoffs.to_owner
),

rated as (
    select
        *,
        share_of(n_none, n_context_known) as no_context_share,
        wilson_lo(n_none, n_context_known) as no_context_share_lo,
        wilson_hi(n_none, n_context_known) as no_context_share_hi,
        share_of(n_context_known, n_handoffs) as context_known_share,
        wilson_lo(n_context_known, n_handoffs) as context_known_share_lo,
        wilson_hi(n_context_known, n_handoffs) as context_known_share_hi
    from joined
)

select * from rated;

comment on column v_edges.from_owner is 'Owner of the earlier step; null where unknown.';
comment on column v_edges.to_owner is 'Owner of the later step; null where unknown.';
comment on column v_edges.n_evidence is 'Pieces of evidence on this edge.';
comment on column v_edges.n_journeys is 'Journeys with evidence on this edge.';
comment on column v_edges.hazard is 'Sum of hazards on this edge.';
comment on column v_edges.n_handoffs is 'Hand-offs, seen or asked for.';
comment on column v_edges.n_full is 'With all known fields passed.';
comment on column v_edges.n_part is 'With some of them passed.';
comment on column v_edges.n_none is 'With none of them passed.';
comment on column v_edges.n_context_known is 'Hand-offs whose context could be measured.';
comment on column v_edges.n_dropped is 'Asked for and not received in time.';
comment on column v_edges.n_ping_pong is 'Back to the owner it came from.';
comment on column v_edges.latency_s_median is
'Median from the giving step''s end to the receiving step''s start [s].';
comment on column v_edges.no_context_share is
'Share without context among those measured, which may be few (context_known_share); null: none
was.';
comment on column v_edges.context_known_share is
'Share of the hand-offs whose context could be measured: what no_context_share speaks for.';
