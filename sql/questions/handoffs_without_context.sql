-- purpose: hand-offs without context per pair of owners, the worst first
-- question: Between which departments is the context lost?
-- grain: from_owner, to_owner
-- key: from_owner, to_owner
-- sources: v_edges
with edges as (
    select * from v_edges
    where n_handoffs > 0
),

ranked as (
    select
        from_owner,
        to_owner,
        n_handoffs,
        n_context_known,
        n_none,
        no_context_share,
        no_context_share_lo,
        no_context_share_hi,
        n_fields_reasked,
        n_dropped,
        n_ping_pong,
        latency_s_median,
        hazard
    from edges
)

select * from ranked
order by n_none desc, n_handoffs desc, from_owner asc, to_owner asc
