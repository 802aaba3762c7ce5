-- Purpose: read, row rules, enums, keyed pseudonyms, duplicates. Grain: one event.
-- Variables: tables (folder), ipad and opad (the key's two blocks of HMAC-SHA-256).
-- Sources: raw, raw_cases, raw_answers, slas, cost_rates, made where this file is run.
-- Low-cardinality texts become enums: sorts and windows then move one byte a value.
create type channel as enum(
    'web', 'app', 'chat', 'chatbot', 'ivr', 'phone', 'email', 'sms', 'letter', 'branch', 'visit',
    'social', 'campaign', 'partner', 'device', 'internal', 'other'
);
create type direction as enum('inbound', 'outbound', 'internal');
create type actor_type as enum('customer', 'human', 'bot', 'system', 'partner');
create type outcome as enum(
    'resolved', 'partly', 'unresolved', 'transferred', 'escalated', 'abandoned', 'declined',
    'error', 'no_result', 'informed', 'sold', 'other'
);
create type message_kind as enum('service', 'reminder', 'marketing', 'upsell', 'survey');
create type relevance_basis as enum('due', 'need', 'preference', 'none');

create macro keyed(said, digits) as
substr(
    sha256(getvariable('opad') || unhex(sha256(getvariable('ipad') || encode(said)))), 1, digits
);

-- Over rows that already lie in order: these windows stream, nothing is sorted again.
-- noqa: disable=PRS
create macro running_sum(x) as
sum(x) over (rows between unbounded preceding and current row);
create macro running_max(x) as
max(x) over (rows between unbounded preceding and current row);
create macro changed(x) as
x is distinct from lag(x) over ();
-- noqa: enable=PRS

create temp table touchpoints as
select * from read_csv(concat(getvariable('tables'), '/touchpoints.csv'));

create temp table touchpoint_fields as
select * from
    read_csv(
        concat(getvariable('tables'), '/touchpoint_fields.csv'),
        types = { 'valid_from': 'timestamptz', 'valid_to': 'timestamptz' }
    );

create temp table found_texts as
select
    list(distinct activity) as activity,
    list(distinct touchpoint) as touchpoint,
    list(distinct intent) as intent,
    list(distinct owner) as owner,
    list(distinct to_owner) as to_owner,
    list(distinct journey_type) as journey_type,
    max(time) as frontier
from raw;

-- noqa: disable=CV07,LT01,LT02
create type activity as enum (select unnest(activity) from found_texts);
create type touchpoint as enum (select unnest(touchpoint) from found_texts);
create type intent as enum (select unnest(intent) from found_texts);
create type owner as enum (
    select unnest(owner) as owner from found_texts
    union
    select unnest(to_owner) as owner from found_texts
    union
    select owner from touchpoints
    where owner is not null
);
create type silo as enum (
    select unnest(enum_range(cast(null as owner))) as silo
    union
    select silo from touchpoints
    where silo is not null
);
create type stage as enum ('before', 'during', 'after');
create type team as enum (
    select distinct team from touchpoints
    where team is not null
);
create type journey_type as enum (
    select unnest(journey_type) as journey_type from found_texts
    union
    select journey_type from raw_cases
    where journey_type is not null
    union
    select 'other' as journey_type
    union
    select journey_type from touchpoints
    where journey_type is not null
);

-- noqa: enable=CV07,LT01,LT02
create temp table places as
select
    t.* exclude (touchpoint, owner, team, journey_type, stage, valid_from, valid_to),
    cast(t.touchpoint as touchpoint) as touchpoint,
    cast(t.owner as owner) as owner,
    cast(t.team as team) as team,
    cast(t.journey_type as journey_type) as journey_type,
    cast(t.stage as stage) as stage,
    cast(coalesce(t.silo, t.owner) as silo) as place_silo
from touchpoints as t
where try_cast(t.touchpoint as touchpoint) is not null;

create temp table types as
select
    every.kind,
    t.owner,
    coalesce(cast(rtrim(t.gap, 'd') as bigint), 30) * 86400000000 as gap,
    coalesce(cast(rtrim(t.case_gap, 'd') as bigint), 90) * 86400000000 as case_gap,
    coalesce(cast(rtrim(t.reopen_window, 'd') as bigint), 14) * 86400000000 as reopen_window,
    coalesce(cast(rtrim(t.cap, 'd') as bigint), 365) * 86400000000 as cap,
    coalesce(cast(rtrim(t.handoff_due, 'd') as bigint), 3) * 86400000000 as handoff_due,
    coalesce(string_split(t.end_outcomes, ';'), ['resolved', 'sold']) as end_outcomes,
    t.expects_outcome,
    coalesce(t.is_problem, false) as is_problem
from (select unnest(enum_range(cast(null as journey_type))) as kind) as every
left join
    read_csv(
        concat(getvariable('tables'), '/journey_types.csv'),
        types = { 'expects_outcome': 'boolean', 'is_problem': 'boolean' }
    ) as t
    on every.kind = t.journey_type;

create temp table largest_gap as
select greatest(30 * 86400000000, max(gap)) as gap from types;

create temp table customers as
select
    identity,
    cast(row_number() over () as integer) as customer,
    keyed(concat('customer:', identity), 32) as customer_key
from (
    select identity from raw
    where identity != ''
    union
    select customer_no as identity from raw_answers
) as people;

-- Cases as numbers; what the desk says of each comes before what its events say.
create temp table cases as
select
    n.case_no,
    cast(row_number() over () as integer) as case_code,
    cast(k.journey_type as journey_type) as kind,
    k.opened_at
from (
    select distinct case_no from raw
    where case_no is not null
) as n
left join raw_cases as k on n.case_no = k.case_no;

create temp table doubled as
select id from raw
group by id
having count(*) > 1;

-- noqa: disable=RF01
create temp table events as
select
    c.customer,
    cast(r.id as varchar) as id,
    r.time,
    try_cast(coalesce(r.channel, '') as channel) as channel,
    cast(r.activity as activity) as activity,
    cast(r.direction as direction) as direction,
    cast(r.actor_type as actor_type) as actor_type,
    cast(r.touchpoint as touchpoint) as touchpoint,
    cast(r.owner as owner) as owner,
    cast(r.journey_type as journey_type) as journey_type,
    r.visit as correlationid,
    r.case_no as case_id,
    cast(r.intent as intent) as intent,
    case when r.outcome is not null then coalesce(try_cast(r.outcome as outcome), 'other') end
        as outcome,
    cast(r.to_owner as owner) as to_owner,
    r.wait_s,
    r.talk_s,
    try_cast(r.message_kind as message_kind) as message_kind,
    try_cast(r.relevance_basis as relevance_basis) as relevance_basis,
    list_transform(
        r.info,
        lambda i: struct_pack(
            field := i.name,
            op := i.use,
            value_hmac := case
                when i.answer is not null
                    then keyed(concat(i.name, chr(31), i.answer), 16)
            end
        )
    ) as info,
    case
        when r.promise_no is not null
            then
                struct_pack(
                    id := r.promise_no,
                    kind := r.promise_kind,
                    op := r.promise_op,
                    due_time := r.promise_due
                )
    end as promise
from raw as r
inner join customers as c on r.identity = c.identity
where
    r.id is not null
    and r.time >= timestamptz '1970-01-01 00:00:00+00'
    and r.time < timestamptz '2200-01-01 00:00:00+00'
    and r.activity != '' and r.channel != ''
    and r.direction in ('inbound', 'outbound', 'internal')
    and r.actor_type in ('customer', 'human', 'bot', 'system', 'partner')
    and coalesce(r.wait_s >= 0, true) and coalesce(r.talk_s >= 0, true)
    and (
        not exists (select 1 from doubled)
        or r.id not in (select d.id from doubled as d)
    );
