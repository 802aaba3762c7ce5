-- purpose: steps of a journey
-- grain:   one row per step
-- key:     step_id
-- sources: stepped
create or replace table step as
with grouped as (
    select
        j,
        seq,
        list(source || '/' || id order by pos) as event_ids,
        arg_min(actor_id, pos) as actor_id,
        arg_min(actor_id, pos) filter (actor_type <> 'customer') as employee,
        arg_min(intent, pos) as intent,
        arg_min(product_id, pos) as product_id,
        arg_min(site_id, pos) as site_id,
        arg_min(tz, pos) as tz,
        min(t_start) as started_t,
        max(t_end) as ended_t,
        count(*)::int as n_events,
        arg_max(outcome, pos) as outcome,
        arg_max(t, pos) as last_t,
        arg_max_null(waiting_for, pos) as last_waiting_for,
        sum(wait_s)::bigint as wait_s,
        bool_or(to_owner is not null) as asks_handoff,
        bool_or(
            not (direction = 'outbound' and actor_type in ('bot', 'system'))
            and not (actor_type = 'customer' and channel in ('web', 'app', 'chatbot', 'device'))
        ) as is_worked
    from stepped
    group by j, seq
)

select
    e.step_id,
    e.j,
    e.journey_id,
    e.customer_key,
    e.seq::int as seq,
    e.session_id,
    e.place as first_place,
    e.touchpoint,
    e.activity,
    e.channel,
    e.family,
    e.direction,
    e.actor_type,
    coalesce(e.stage, e.tp_stage) as stage,
    e.owner_eff as owner,
    e.is_owner_from_table,
    e.team_eff as team,
    e.is_team_from_place,
    e.tier,
    coalesce(e.table_silo, e.owner_eff) as silo,
    coalesce(e.system_logged, e.owner_eff, e.channel) as system,
    e.is_moment_of_truth,
    e.is_pushed,
    e.t as first_t,
    e.pos as first_pos,
    e.expected_wait_s,
    g.* exclude (j, seq)
from stepped as e
inner join grouped as g on e.j = g.j and e.seq = g.seq
where e.begins_step;
