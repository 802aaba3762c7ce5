-- purpose: steps of a journey
-- grain:   one row per step
-- key:     step_id
-- sources: stepped
create or replace table step as
select
    step_id,
    journey_id,
    customer_key,
    seq::int as seq,
    arg_min(session_id, pos) as session_id,
    list(source || '/' || id order by pos) as event_ids,
    list(place order by pos) as places,
    arg_min_null(touchpoint, pos) as touchpoint,
    arg_min_null(activity, pos) as activity,
    arg_min_null(channel, pos) as channel,
    arg_min_null(family, pos) as family,
    arg_min_null(direction, pos) as direction,
    arg_min_null(actor_type, pos) as actor_type,
    arg_min(actor_id, pos) as actor_id,
    arg_min(actor_id, pos) filter (actor_type <> 'customer') as employee,
    coalesce(arg_min_null(stage, pos), arg_min_null(tp_stage, pos)) as stage,
    arg_min_null(owner_eff, pos) as owner,
    arg_min_null(is_owner_from_table, pos) as is_owner_from_table,
    arg_min_null(team_eff, pos) as team,
    arg_min_null(is_team_from_place, pos) as is_team_from_place,
    arg_min_null(tier, pos) as tier,
    coalesce(arg_min_null(table_silo, pos), arg_min_null(owner_eff, pos)) as silo,
    coalesce(
        arg_min_null(system_logged, pos), arg_min_null(owner_eff, pos), arg_min_null(channel, pos)
    ) as system,
    arg_min(intent, pos) as intent,
    arg_min(product_id, pos) as product_id,
    arg_min(site_id, pos) as site_id,
    arg_min(tz, pos) as tz,
    min(t_start) as started_t,
    max(t_end) as ended_t,
    count(*)::int as n_events,
    arg_max(outcome, pos) as outcome,
    arg_min_null(is_moment_of_truth, pos) as is_moment_of_truth,
    arg_min_null(is_pushed, pos) as is_pushed,
    arg_min_null(t, pos) as first_t,
    arg_max_null(t, pos) as last_t,
    min(pos) as first_pos,
    arg_min_null(expected_wait_s, pos) as expected_wait_s,
    sum(wait_s) as wait_s,
    bool_or(to_owner is not null) as asks_handoff,
    bool_or(
        not (direction = 'outbound' and actor_type in ('bot', 'system'))
        and not (actor_type = 'customer' and channel in ('web', 'app', 'chatbot', 'device'))
    ) as is_worked
from stepped
group by step_id, journey_id, customer_key, seq;
