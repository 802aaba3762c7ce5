-- purpose: hand-offs seen between steps, with the context that went over; hand-offs asked for
-- grain:   one row per hand-off
-- key:     step (`handoff`); place of the request (`handoff_asked`)
-- sources: step, stepped, field_use, gift, types, journey, slas, settings
create or replace table handoff_step as
with
owned as (
    select
        *,
        if(changed(j), null, lag(owner) over ()) as owner_before,
        if(lead(j) over () = j, lead(owner) over (), null) as owner_after
    from (
        select
            j,
            step,
            owner,
            team,
            touchpoint,
            is_owner_from_table,
            direction,
            asks_handoff
        from step
        where owner is not null and not is_pushed
        order by step
    ) as every
),

neighbours as (
    select
        j,
        step,
        owner,
        if(changed(j), null, lag(step) over ()) as giver,
        changed(j) or changed(owner) as begins_run,
        -- work goes over where owner or team change, but for a table that changes them
        not changed(j)
        and (changed(owner) or coalesce(team <> lag(team) over (), false))
        and not (
            coalesce(touchpoint = lag(touchpoint) over (), false)
            and is_owner_from_table and lag(is_owner_from_table) over ()
        ) as is_handed
    from owned
    -- consultations go: internal, nothing handed over, between two steps of one other owner
    where
        not (
            direction = 'internal' and not asks_handoff
            and coalesce(owner_before = owner_after, false) and owner <> owner_before
        )
)

select
    *,
    running_sum(begins_run::int) as run
from neighbours;

create or replace table handoff as
with
runs as (
    select
        h.run,
        any_value(h.j) as j,
        any_value(h.owner) as owner,
        arg_max(s.outcome, h.step) as outcome,
        bool_or(s.is_worked) as is_worked
    from step as s
    inner join handoff_step as h on s.step = h.step
    group by h.run
),

seen as (
    select
        s.j,
        s.step,
        s.giver,
        s.begins_run and coalesce(b.owner = s.owner, false)
        and coalesce(
            m.outcome not in ('resolved', 'sold', 'informed', 'partly'),
            m.is_worked and w.is_worked
        )
            as is_ping_pong,
        if(m.outcome is null, 0.5, 1.0) as ping_pong_confidence
    from handoff_step as s
    left join runs as m on s.run - 1 = m.run and s.j = m.j
    left join runs as b on s.run - 2 = b.run and s.j = b.j
    inner join runs as w on s.run = w.run
    where s.is_handed
),

-- since which step a field is known, by what is observed and by what is declared too
given as (
    select
        j,
        field,
        min(step) filter (where basis = 0) as observed_step,
        min(step) as declared_step
    from gift
    where basis < 2
    group by j, field
),

known as (
    select
        s.step,
        count(*) filter (where g.observed_step < s.step) as n_observed,
        count(*) filter (where g.declared_step < s.step) as n_declared
    from seen as s
    inner join given as g on s.j = g.j
    group by s.step
),

used as (
    select
        step,
        field,
        basis = 0 as is_observed,
        op in ('passed', 'shown') as is_passed,
        op = 'given' as is_given
    from field_use
    where basis < 2 and op in ('passed', 'shown', 'asked', 'given')
),

-- an answer to a question that verifies identity is no re-ask
verified as (
    select distinct
        step,
        field
    from field_use
    where op = 'verify'
),

met as (
    select
        s.j,
        s.step,
        u.field,
        u.is_observed,
        u.is_passed,
        u.is_given
    from used as u
    inner join seen as s on u.step = s.step
    union all
    select
        s.j,
        s.step,
        u.field,
        u.is_observed,
        u.is_passed,
        u.is_given
    from used as u
    inner join seen as s on u.step = s.giver
    where u.is_passed
),

by_field as (
    select
        m.step,
        coalesce(bool_or(m.is_passed and m.is_observed), false) as has_observed,
        bool_or(m.is_passed) as has_declared,
        coalesce(bool_or(
            m.is_passed and m.is_observed and g.observed_step < m.step
        ), false) as is_passed_observed,
        coalesce(bool_or(m.is_passed and g.declared_step < m.step), false) as is_passed_declared,
        coalesce(bool_or(
            not m.is_passed and m.is_observed and g.observed_step < m.step
            and not (m.is_given and v.step is not null)
        ), false) as is_reasked_observed,
        coalesce(bool_or(
            not m.is_passed and g.declared_step < m.step
            and not (m.is_given and v.step is not null)
        ), false) as is_reasked_declared
    from met as m
    left join given as g on m.j = g.j and m.field = g.field
    left join verified as v on m.step = v.step and m.field = v.field
    group by m.step, m.field
),

counted as (
    select
        step,
        bool_or(has_observed) as has_observed,
        bool_or(has_declared) as has_declared,
        sum(is_passed_observed::int)::bigint as n_passed_observed,
        sum(is_passed_declared::int)::bigint as n_passed_declared,
        sum(is_reasked_observed::int)::bigint as n_reasked_observed,
        sum(is_reasked_declared::int)::bigint as n_reasked_declared
    from by_field
    group by step
),

measured as (
    select
        s.*,
        coalesce(k.n_observed, 0) as n_observed,
        coalesce(k.n_declared, 0) as n_declared,
        coalesce(c.n_passed_observed, 0) as n_passed_observed,
        coalesce(c.n_passed_declared, 0) as n_passed_declared,
        coalesce(c.n_reasked_observed, 0) as n_reasked_observed,
        coalesce(c.n_reasked_declared, 0) as n_reasked_declared,
        coalesce(k.n_observed > 0 and (c.has_observed or c.n_reasked_observed > 0), false)
            as is_observed,
        coalesce(k.n_declared > 0 and (c.has_declared or c.n_reasked_declared > 0), false)
            as is_measured
    from seen as s
    left join known as k on s.step = k.step
    left join counted as c on s.step = c.step
),

chosen as (
    -- observed where that is measured or nothing is; declared only where it alone is measured
    select
        * exclude (
            n_observed, n_declared, n_passed_observed, n_passed_declared, n_reasked_observed,
            n_reasked_declared, is_observed, is_measured
        ),
        is_observed or is_measured as has_context,
        is_measured and not is_observed as is_declared,
        if(is_measured and not is_observed, n_declared, n_observed) as n_known,
        if(is_measured and not is_observed, n_passed_declared, n_passed_observed) as n_passed,
        if(is_measured and not is_observed, n_reasked_declared, n_reasked_observed) as n_reasked
    from measured
)

select
    * exclude (has_context),
    case
        when not has_context then 'unknown'
        when n_passed = 0 then 'none'
        when n_passed < n_known then 'part'
        else 'full'
    end as context
from chosen;

create or replace table handoff_asked as
with
agreed as (
    select
        e.place,
        coalesce(s.is_working_time, false) as is_working,
        (extract(epoch from s.due::interval) * 1000000)::bigint as span
    from stepped as e
    inner join journey as j on e.j = j.j
    inner join slas as s
        on
            s.kind = 'handoff' and j.journey_type = s.journey_type
            and (s.to_owner is null or e.to_owner = s.to_owner)
            and coalesce(epoch_us(s.valid_from) <= e.t, true)
            and coalesce(e.t < epoch_us(s.valid_to), true)
    where e.to_owner is not null or e.to_team is not null
    qualify row_number() over (
        partition by e.place
        order by s.to_owner is null asc, s.valid_from desc nulls last, s.json asc
    ) = 1
),

asked as (
    select
        e.j,
        e.step,
        e.session,
        e.place,
        e.t,
        e.source,
        e.id,
        e.waiting_for,
        e.to_owner,
        e.to_team,
        e.to_channel,
        coalesce(
            if(a.is_working, reached_t(e.to_owner, e.t, a.span), e.t + a.span),
            e.t + c.handoff_due
        ) as due_t
    from stepped as e
    inner join journey as j on e.j = j.j
    inner join types as c on j.journey_type = c.name
    left join agreed as a on e.place = a.place
    where e.to_owner is not null or e.to_team is not null
),

received as (
    select
        a.place,
        min(x.place) as received_place,
        arg_min(x.step, x.place) as received_step,
        arg_min(x.t, x.place) as received_t
    from asked as a
    inner join stepped as x on a.j = x.j and a.place < x.place
    where
        (
            coalesce(x.owner_eff = a.to_owner, false)
            or coalesce(x.team_eff = a.to_team, false)
        )
        and x.actor_type <> 'customer'
        and (x.direction <> 'inbound' or x.session = a.session or x.actor_type = 'human')
    group by a.place
)

select
    a.*,
    r.received_step,
    r.received_t,
    r.received_place,
    case
        when r.place is not null then false
        when coalesce(j.w > a.due_t + j.lateness, false) then true
    end as is_dropped
from asked as a
inner join journey as j on a.j = j.j
left join received as r on a.place = r.place;
