-- Service desk log -> interactions, one row each: a row is an update of an incident.
-- What is damaged in this copy, and what becomes of it (no row is rejected):
--   header: ident_state stands for incident_state; `category` stands there twice, the second,
--           read as category_1, is the subcategory.
--   ids:    (number, sys_mod_count) is no key: five incidents have one count twice, at different
--           times (one of them long before the others). With the time of the update it is.
--   times:  day/month/year, without zone and seconds: taken for UTC; sys_mod_count gives the order
--           within a minute.
--   `?`:    missing; becomes null.
--   -100:   five updates of two incidents have this state, which the log does not explain: they
--           stay events, their activity is `unknown state`.
-- The first update (sys_mod_count 0) is the caller's contact; all others are work inside. A row
-- does not know the one before it, so that a re-opening shows only as the log's own counter: an
-- open state with reopen_count above 0 is mapped as unresolved, which takes the end away.
-- The caller may be a person: it goes to `info`, whose values are kept as keyed hashes only.
select
    number || '/' || sys_mod_count || '/' || sys_updated_at as id,
    number as identity,
    'case' as identitytype,
    number as case_id,
    'incident' as journey_type,
    cast(sys_mod_count as bigint) as sequence,
    strptime(sys_updated_at, '%d/%m/%Y %H:%M') as time,
    case ident_state when '-100' then 'unknown state' else ident_state end as activity,
    case
        when sys_mod_count <> '0' then 'internal'
        when contact_type = 'Phone' then 'phone'
        when contact_type = 'Email' then 'email'
        when contact_type = 'IVR' then 'ivr'
        when contact_type = 'Self service' then 'web'
        else 'other'
    end as channel,
    case sys_mod_count when '0' then 'inbound' else 'internal' end as direction,
    case sys_mod_count when '0' then 'customer' else 'human' end as actor_type,
    nullif(assignment_group, '?') as owner,
    nullif(assignment_group, '?') as team,
    nullif(sys_updated_by, '?') as actor_id,
    nullif(category, '?') as intent,
    case
        when ident_state in ('Resolved', 'Closed') then 'resolved'
        when cast(reopen_count as integer) > 0 then 'unresolved'
    end as outcome,
    case ident_state
        when 'Awaiting User Info' then 'customer'
        when 'Awaiting Evidence' then 'customer'
        when 'Awaiting Vendor' then 'third_party'
        when 'Awaiting Problem' then 'company'
    end as waiting_for,
    case
        when caller_id <> '?'
            then [struct_pack(field := 'caller', op := 'shown', value := caller_id)]
    end as info,
    map {
        'state': ident_state,
        'contact_type': contact_type,
        'subcategory': category_1,
        'priority': priority,
        'closed_code': closed_code,
        'reassignment_count': reassignment_count,
        'reopen_count': reopen_count,
        'made_sla': made_sla,
        'opened_at': opened_at,
        'resolved_at': resolved_at,
        'closed_at': closed_at
    } as attrs
from source
