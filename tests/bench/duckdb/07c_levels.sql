-- Purpose: service levels and whether they were achieved. Grain: one level of a journey.
-- The log never waits for the customer, and no promise of it is a level: clocks never stand.
create temp table answered as
with opened as (
    select
        j,
        pos,
        us,
        not is_pushed and (
            (direction = 'outbound' and actor_type not in ('customer', 'bot', 'system'))
            or (
                direction = 'inbound' and actor_type = 'human'
                and channel in ('phone', 'branch', 'visit', 'chat')
            )
        ) as is_answer,
        running_max(case when is_need_driven then pos end) >= journey_pos as is_open
    from told
)

select
    j,
    min(us) as us
from opened
where is_answer and is_open
group by j;

create temp table levels as
with judged as (
    select
        e.j,
        l.sla,
        l.level,
        e.opening_step as step,
        e.opening_pos as pos,
        e.opening_us as us,
        e.opening_us + l.span as due,
        case
            when l.level = 'response' then a.us
            when c.is_held and e.decided.pos >= e.opening_pos then e.decided.us
        end as met_us,
        l.level = 'response' or c.is_closed as is_settled,
        c.passed
    from of_events as e
    inner join agreed as l
        on e.kind = l.kind and e.opening_us >= l.since and e.opening_us < l.until
    inner join closing as c on e.j = c.j
    left join answered as a on e.j = a.j
    where l.level in ('response', 'resolution')
)

select
    *,
    case
        when met_us > due then 'breached'
        when met_us is not null and is_settled then 'achieved'
        when met_us is null and due < passed then 'breached'
        else 'open'
    end as status,
    coalesce(met_us <= due + 30 * 86400000000, due + 30 * 86400000000 >= passed) as is_late
from judged;
