-- Purpose: what the events of a journey say of its beginning and end, and when it closes.
-- Grain: one journey.
create temp table of_events as
select
    j,
    any_value(customer) as customer,
    any_value(kind) as kind,
    any_value(gap) as gap,
    any_value(reopen_window) as reopen_window,
    max(end_of(us, talk_s)) as end_us,
    max(us) filter (where not is_unasked) as going_us,
    count(intent) > 0 as has_intent,
    coalesce(bool_and(coalesce(outcome = 'sold', false)) filter (where is_end), false)
        as is_sold_only,
    count(owner) > 0 as has_owner,
    count(touchpoint) > 0 as has_touchpoint,
    any_value(case_code) as case_code,
    min(pos) as pos,
    count(*) as n_events,
    min(us) as first_us,
    max(us) as last_us,
    min(us) filter (where is_need_driven or direction = 'internal') as start_us,
    min(pos) filter (where is_need_driven) as opening_pos,
    min(us) filter (where is_need_driven) as opening_us,
    arg_min(step, pos) filter (where is_need_driven) as opening_step,
    arg_min(id, pos) as first_id,
    arg_min(owner, pos) as first_owner,
    bit_count(bit_or(cast(1 as bigint) << cast(enum_code(channel) as integer))) as n_channels,
    count(*) filter (where direction = 'internal') as n_internal,
    count(distinct case when direction = 'internal' then activity end) as n_internal_kinds,
    cast(sum(wait_s) as bigint) as customer_wait_s,
    arg_max(struct_pack(us := us, is_end := is_end, is_weak := is_weak), pos)
    filter (where settles) as settled,
    arg_max(struct_pack(
        outcome := outcome, value := value, is_end := is_end, is_weak := is_weak, us := us,
        pos := pos
    ), pos)
    filter (
        where is_end
        or (
            value is not null
            and not (direction = 'outbound' and coalesce(last_end >= journey_pos, false))
        )
    ) as decided
from told
group by j;

-- The cut of 02 leaves the cap out, which needs a fold; no journey of this log reaches it.
select
    case
        when count(*) > 0 then error('a journey outlives its cap: this rival cannot cut it')
    end as checked
from of_events as e
inner join types as t on e.kind = t.kind
where e.last_us - e.first_us > t.cap;

create temp table closing as
with ends as (
    select
        e.j,
        e.first_us + t.cap as by_cap,
        e.last_us + e.gap as last_silence,
        e.settled.us + e.reopen_window as window_us,
        -- a bad end holds if nothing but what the company drives came after it
        coalesce(
            e.settled.is_end
            or (e.settled.is_weak and coalesce(e.going_us <= e.settled.us, true)), false
        ) as is_ended,
        p.us as by_need,
        e.decided.is_end
        or (e.decided is not null and coalesce(e.going_us <= e.decided.us, true)) as is_recorded,
        epoch_us(x.frontier) - 86400000000 as passed
    from of_events as e
    inner join types as t on e.kind = t.kind
    left join of_events as f on e.j + 1 = f.j
    left join purchases as p on f.pos = p.pos
    cross join found_texts as x
),

deadlines as (
    select
        *,
        case when is_ended then window_us end as by_end,
        case when not is_ended then last_silence end as by_silence
    from ends
)

select
    d.* exclude (window_us, last_silence, is_ended),
    coalesce(d.by_end, d.by_silence) as by_rule,
    least(d.by_need, d.by_cap, d.by_end, d.by_silence) as deadline,
    least(d.by_need, d.by_cap, d.by_end, d.by_silence) < d.passed as is_closed,
    d.is_recorded
    and (e.decided.is_end or (e.decided.is_weak and e.decided.value > 0)) as is_held
from deadlines as d
inner join of_events as e on d.j = e.j;
