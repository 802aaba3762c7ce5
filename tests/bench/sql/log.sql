-- purpose: the log as the oracle reads it: row rules, unknown values of enums, duplicates, keyed
--          pseudonyms
-- grain:   one row per accepted event (`events`), case (`cases`), answer (`records`)
-- key:     source, id
-- sources: mapped_events, mapped_cases, mapped_surveys (what the mappings make of the files),
--          variables ipad and opad (the key's two blocks of HMAC-SHA-256)
create macro keyed(text, digits) as
substr(
    sha256(getvariable('opad') || unhex(sha256(getvariable('ipad') || encode(text)))), 1, digits
);

create temp table people as
select
    identity,
    keyed(concat('customer:', identity), 32) as customer_key
from (
    select identity from mapped_events
    union
    select identity from mapped_cases
    union
    select identity from mapped_surveys
) as identities
where identity <> '';

create temp table doubled as
select id from mapped_events
group by id
having count(*) > 1;

create temp table accepted as
select
    p.customer_key,
    'events' as source,
    e.* exclude (identity, channel, outcome, message_kind, relevance_basis, info, promise),
    if(e.channel in (
        'web', 'app', 'chat', 'chatbot', 'ivr', 'phone', 'email', 'sms', 'letter', 'branch',
        'visit', 'social', 'campaign', 'partner', 'device', 'internal'
    ), e.channel, 'other') as channel,
    if(e.outcome is null or e.outcome in (
        'resolved', 'partly', 'unresolved', 'transferred', 'escalated', 'abandoned', 'declined',
        'error', 'no_result', 'informed', 'sold'
    ), e.outcome, 'other') as outcome,
    case
        when e.message_kind in ('service', 'reminder', 'marketing', 'upsell', 'survey')
            then e.message_kind
    end as message_kind,
    case
        when e.relevance_basis in ('due', 'need', 'preference', 'none') then e.relevance_basis
    end as relevance_basis,
    list_transform(  -- noqa: disable=RF01
        e.info,
        lambda i: struct_pack(
            field := i.field,
            op := i.op,
            value_hmac := case
                when i.value_hmac is not null
                    then keyed(concat(i.field, chr(31), i.value_hmac), 16)
            end
        )
    ) as info,  -- noqa: enable=RF01
    case
        when e.promise is not null
            then struct_pack(
                id := e.promise.id,
                kind := e.promise.kind,
                op := e.promise.op,
                due_time := e.promise.due_time,
                value := e.promise.value::varchar,
                owner := null::varchar,
                due_date := null::date
            )
    end as promise
from mapped_events as e
inner join people as p on e.identity = p.identity
where
    e.id is not null
    and e.time >= timestamptz '1970-01-01 00:00:00+00'
    and e.time < timestamptz '2200-01-01 00:00:00+00'
    and e.activity <> '' and e.channel <> ''
    and e.direction in ('inbound', 'outbound', 'internal')
    and e.actor_type in ('customer', 'human', 'bot', 'system', 'partner')
    and coalesce(e.wait_s >= 0, true) and coalesce(e.talk_s >= 0, true)
    and (not exists (select 1 from doubled) or e.id not in (select d.id from doubled as d));

insert into cases by name
select
    'cases/' || c.id as record_id,
    p.customer_key,
    c.case_id,
    c.journey_type,
    c.time as valid_from
from mapped_cases as c
inner join people as p on c.identity = p.identity;

insert into records by name
select
    p.customer_key,
    'surveys' as source,
    s.* exclude (identity)
from mapped_surveys as s
inner join people as p on s.identity = p.identity;
