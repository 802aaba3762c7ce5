-- Purpose: evidence of friction, ranked in its incident, with hazards. Grain: one piece.
-- The first select names the columns of all.
-- noqa: disable=AL03,AM07,AL08
create temp table found as
select
    'channel_switch' as kind,
    f.step,
    coalesce(o.step, f.last_step) as previous,
    f.pos,
    coalesce(o.last_pos, f.last_pos) as earlier_pos,
    f.us,
    1.0::double as raw,
    null::double as expected,
    0.05::double as weight,
    1.0::double as intensity,
    f.sure::double as confidence,
    null::double as minutes,
    0 as basis,
    null as detail
from switches as f
left join stood as o on f.earlier = o.earlier and f.pos = o.pos
union all
select
    'repeat_contact',
    f.step,
    coalesce(o.step, f.last_step),
    f.pos,
    coalesce(o.last_pos, f.last_pos),
    f.us,
    1,
    null,
    0.25,
    1,
    1,
    null,
    0,
    null
from repeats as f
left join stood as o on f.earlier = o.earlier and f.pos = o.pos
where f.earlier_outcome not in ('informed', 'sold')
union all
select
    'channel_fallback',
    f.step,
    coalesce(o.step, f.last_step),
    f.pos,
    coalesce(o.last_pos, f.last_pos),
    f.us,
    1,
    null,
    0.20,
    1,
    f.sure,
    null,
    0,
    null
from fallbacks as f
left join stood as o on f.earlier = o.earlier and f.pos = o.pos
union all
(
    with of_system as (
        select
            r.step,
            r.basis,
            coalesce(p.system, (t.owner)::varchar, (t.channel)::varchar) as detail,
            min(r.pos) as pos,
            arg_min(r.known_pos, (r.pos, r.known_pos)) as known_pos,
            arg_min(r.proof_pos, (r.pos, r.known_pos)) as proof_pos,
            count(*)::double as n
        from requests as r
        inner join told as t on r.known_pos = t.pos
        left join places as p on t.touchpoint = p.touchpoint
        where r.known_pos is not null
        group by all
    )

    select
        'reasked_info',
        o.step,
        case when t.pos > t.journey_pos then o.step - 1 end,
        o.proof_pos,
        o.known_pos,
        t.us,
        o.n,
        null,
        0.45,
        1 - exp(-o.n / 4),
        case o.basis when 0 then 1.0 when 1 then 0.6 else 0.3 end,
        null,
        o.basis,
        o.detail
    from of_system as o
    inner join told as t on o.pos = t.pos
)
union all
select
    'handoff_without_context',
    c.step,
    c.giver,
    c.pos,
    g.pos + g.n_events - 1,
    s.us,
    c.n_known - c.n_passed,
    c.n_known,
    0.30,
    1,
    (1 - c.n_passed / c.n_known) * case when c.is_declared then 0.6 else 1 end,
    null,
    (c.is_declared)::integer,
    null
from context as c
inner join steps as s on c.step = s.step
inner join steps as g on c.giver = g.step
where c.context in ('none', 'part')
union all
select
    'handoff_dropped',
    step,
    step,
    pos,
    null,
    due,
    1,
    null,
    0.50,
    1,
    1,
    null,
    0,
    to_owner::varchar
from asked
where is_dropped
union all
select
    'customer_wait',
    step,
    null,
    pos,
    null,
    us,
    (wait_s - expected_wait_s) / greatest(expected_wait_s, 1),
    expected_wait_s,
    0.30,
    1 - exp(-(wait_s - expected_wait_s) / greatest(expected_wait_s, 1)),
    1,
    wait_s / 60,
    0,
    null
from told
where wait_s > expected_wait_s
union all
select
    'promise_broken',
    step,
    null,
    pos,
    null,
    coalesce(due, us),
    1,
    (delivered_us - due) / 86400000000,
    case status when 'late' then 0.25 else 0.45 end,
    1,
    1,
    null,
    0,
    status
from promises
where status in ('broken', 'late')
union all
select
    'promise_broken',
    step,
    null,
    pos,
    null,
    due,
    1,
    (met_us - due) / 86400000000,
    case when is_late then 0.25 else 0.45 end,
    1,
    1,
    null,
    0,
    sla
from levels
where status = 'breached'
union all
select
    kind,
    step,
    previous,
    pos,
    earlier_pos,
    us,
    raw,
    expected,
    weight,
    intensity,
    1,
    null,
    0,
    detail
from later_kinds
union all
select
    'ping_pong',
    c.step,
    c.giver,
    c.pos,
    g.pos + g.n_events - 1,
    s.us,
    1,
    null,
    0.30,
    1,
    p.sure,
    null,
    0,
    null
from context as c
inner join ping_pongs as p on c.step = p.step
inner join steps as s on c.step = s.step
inner join steps as g on c.giver = g.step
union all
(
    with returns as (
        select
            t.pos,
            t.step,
            t.us,
            t.j,
            t.last_end,
            t.intent,
            coalesce(e.outcome = 'sold', false) as is_after_sale
        from told as t
        inner join told as e on t.last_end = e.pos
        where
            t.last_end >= t.journey_pos and t.direction = 'inbound' and not t.is_end
            and t.us - e.us > 1800000000 and t.us - e.us <= t.reopen_window
            and t.session_pos != e.session_pos
    ),

    -- intents that a journey had, and since when
    intents as (
        select
            j,
            intent,
            min(pos) as pos
        from told
        where intent is not null and j in (select r.j from returns as r)
        group by j, intent
    ),

    known_since as (
        select
            j,
            min(pos) as pos
        from intents
        group by j
    ),

    firsts as (
        select
            r.last_end,
            any_value(r.j) as j,
            min(r.pos) as pos,
            arg_min(r.step, r.pos) as step,
            min(r.us) as us
        from returns as r
        left join intents as i on r.j = i.j and r.intent = i.intent
        left join known_since as k on r.j = k.j
        -- the log states no objects: after a sale only a known intent tells
        where
            i.pos <= r.last_end
            or (
                not r.is_after_sale
                and (r.intent is null or coalesce(k.pos > r.last_end, true))
            )
        group by r.last_end
    ),

    sure as (
        select
            f.pos,
            count(*) as n
        from told as t
        inner join firsts as f on t.j = f.j
        where t.pos > f.last_end and t.value is not null and t.direction != 'outbound'
        group by f.pos
    )

    select
        'reopened',
        f.step,
        null,
        f.pos,
        f.last_end,
        f.us,
        1,
        null,
        0.35,
        1,
        case when s.n > 0 then 1 else 0.5 end,
        null,
        0,
        null
    from firsts as f
    left join sure as s on f.pos = s.pos
);

-- noqa: enable=AL03,AM07,AL08
create temp table weighed as
with severe as (
    select
        *,
        round(weight * intensity * confidence, 12) as severity,
        round(0.5 * weight * intensity * confidence, 12) as severity_lo,
        round(least(1.5 * weight, 0.95) * intensity * confidence, 12) as severity_hi
    from found
),

ranked as (
    select
        *,
        row_number()
            over (partition by step order by severity desc, kind asc, us asc, pos asc, detail asc)
        - 1
            as kind_rank,
        row_number()
            over (partition by step, kind order by severity desc, us asc, pos asc, detail asc)
            as number
    from severe
    where severity > 0
)

select
    *,
    -ln(1 - severity) / (1 << kind_rank) as hazard,
    -ln(1 - severity_lo) / (1 << kind_rank) as hazard_lo,
    -ln(1 - severity_hi) / (1 << kind_rank) as hazard_hi
from ranked;

drop table found;

create temp table is_priced as
select count(*) > 0 as yes from cost_rates;

-- What holds when, of rates: as of levels; a kind without a row of its own has the default one.
create temp table priced as
with moments as (
    select -9223372036854775807 as us
    union
    select epoch_us(valid_from) as us from cost_rates
    union
    select epoch_us(valid_to) as us from cost_rates
),

pieces as (
    select
        us as since,
        lead(us, 1, 9223372036854775807) over (order by us) as until
    from moments
    where us is not null
),

found_kinds as (
    select distinct kind from weighed
)

select
    k.kind,
    p.since,
    p.until,
    r.* exclude (kind, valid_from, valid_to)
from pieces as p
cross join found_kinds as k
inner join cost_rates as r
    on
        r.kind in (k.kind, 'default')
        and coalesce(epoch_us(r.valid_from) <= p.since, true)
        and coalesce(p.since < epoch_us(r.valid_to), true)
qualify
    row_number() over (
        partition by k.kind, p.since
        order by r.kind = 'default' asc, r.valid_from desc nulls last
    ) = 1;

-- Work done again is measured by its event, whose time is shared by the incidents (steps) that it
-- proves something of.
create temp table worked as
select
    e.pos,
    any_value(t.talk_s) / count(distinct e.step) / 60 as minutes
from weighed as e
inner join told as t on e.pos = t.pos
where
    t.talk_s is not null and (select y.yes from is_priced as y)
    and e.kind in (
        'reasked_info', 'repeat_contact', 'channel_fallback', 'reopened', 'rework', 'transfer'
    )
group by e.pos;

create temp table evidence as
with timed as (
    select
        e.* exclude (minutes),
        r.* exclude (kind, since, until, minutes_customer, minutes_company),
        e.minutes is not null as is_waited,
        w.minutes is not null as is_worked,
        coalesce(e.minutes, r.minutes_customer) as some_customer,
        coalesce(w.minutes, r.minutes_company) as some_company
    from weighed as e
    left join priced as r on e.kind = r.kind and e.us >= r.since and e.us < r.until
    left join worked as w
        on
            e.pos = w.pos and e.kind in (
                'reasked_info', 'repeat_contact', 'channel_fallback', 'reopened', 'rework',
                'transfer'
            )
),

-- An incident has its minutes once, with the piece of the most measured ones, else of the most
-- assumed ones; the others have none.
numbered as (
    select
        *,
        row_number() over (
            partition by step
            order by
                some_customer is null asc, is_waited desc, some_customer desc, kind_rank asc
        ) as place_customer,
        row_number() over (
            partition by step
            order by some_company is null asc, is_worked desc, some_company desc, kind_rank asc
        ) as place_company
    from timed
),

once as (
    select
        * exclude (some_customer, some_company, place_customer, place_company),
        case
            when place_customer = 1 then some_customer
            when some_customer is not null then 0.0
        end as minutes_customer,
        case
            when place_company = 1 then some_company
            when some_company is not null then 0.0
        end as minutes_company
    from numbered
),

halves as (
    select
        *,
        minutes_customer * rate_customer as of_customer,
        minutes_company * rate_company as of_company
    from once
)

select
    * exclude (currency, rate_customer, rate_company, of_customer, of_company),
    coalesce(of_customer + of_company, of_customer, of_company) as cost,
    case when coalesce(of_customer, of_company) is not null then currency end as currency,
    (of_customer is not null)::integer + (of_company is not null)::integer as n_priced
from halves;

drop table weighed;
