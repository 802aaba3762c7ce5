-- Purpose: what the events of a journey say of its beginning and end, and when it closes.
-- Grain: one journey.
create temp table of_events as
select
    j,
    any_value(customer) as customer,
    any_value(kind) as kind,
    any_value(gap) as gap,
    any_value(reopen_window) as reopen_window,
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
    arg_max(us, pos) filter (where is_end or (value is not null and direction != 'outbound'))
        as settled_us,
    arg_max(is_end, pos) filter (where is_end or (value is not null and direction != 'outbound'))
        as is_ended,
    arg_max(struct_pack(
        outcome := outcome, value := value, is_end := is_end, us := us, pos := pos
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
with deadlines as (
    select
        e.j,
        e.first_us + t.cap as by_cap,
        case when e.is_ended then e.settled_us + e.reopen_window end as by_end,
        -- a case is not closed by silence: its gap is null
        case when not coalesce(e.is_ended, false) then e.last_us + e.gap end as by_silence,
        epoch_us(x.frontier) - 86400000000 as passed
    from of_events as e
    inner join types as t on e.kind = t.kind
    cross join found_texts as x
)

select
    *,
    coalesce(least(by_end, by_silence), by_cap) as by_rule,
    least(by_cap, by_end, by_silence) as deadline,
    least(by_cap, by_end, by_silence) < passed as is_closed
from deadlines;
