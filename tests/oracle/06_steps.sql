-- purpose: steps of a journey
-- grain:   one row per step (`step`, and its number in the journey: `step_name`)
-- key:     step (over all journeys, in their order); step_id
-- sources: stepped, journey
create or replace table step as
-- steps of one event, most of them, are read off it
with gathered as (
    select
        step,
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
    where not is_step
    group by step
)

select
    e.step,
    e.j,
    e.session,
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
    if(e.is_step, [e.source || '/' || e.id], g.event_ids) as event_ids,
    if(e.is_step, e.actor_id, g.actor_id) as actor_id,
    if(e.is_step, if(e.actor_type <> 'customer', e.actor_id, null), g.employee) as employee,
    if(e.is_step, e.intent, g.intent) as intent,
    if(e.is_step, e.product_id, g.product_id) as product_id,
    if(e.is_step, e.site_id, g.site_id) as site_id,
    if(e.is_step, e.tz, g.tz) as tz,
    if(e.is_step, e.t_start, g.started_t) as started_t,
    if(e.is_step, e.t_end, g.ended_t) as ended_t,
    coalesce(g.n_events, 1) as n_events,
    if(e.is_step, e.outcome, g.outcome) as outcome,
    coalesce(g.last_t, e.t) as last_t,
    if(e.is_step, e.waiting_for, g.last_waiting_for) as last_waiting_for,
    if(e.is_step, e.wait_s, g.wait_s) as wait_s,
    if(e.is_step, e.to_owner is not null, g.asks_handoff) as asks_handoff,
    if(
        e.is_step,
        not (e.direction = 'outbound' and e.actor_type in ('bot', 'system'))
        and not (e.actor_type = 'customer' and e.channel in ('web', 'app', 'chatbot', 'device')),
        g.is_worked
    ) as is_worked
from stepped as e
left join gathered as g on e.step = g.step
where e.begins_step;

create or replace table step_name as
with first_step as (
    select
        j,
        min(step) as step
    from step
    group by j
)

select
    s.step,
    1 + s.step - f.step as seq,
    j.journey_id || '-' || format('{:04d}', 1 + s.step - f.step) as step_id
from step as s
inner join journey as j on s.j = j.j
inner join first_step as f on s.j = f.j;
