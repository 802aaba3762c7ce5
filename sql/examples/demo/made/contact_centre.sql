-- Purpose: what the contact centre logs. Grain: one entry of the call log. Source: `events`.
select
    'k' || number as entry_id,
    time_text as logged_at,
    customer_no,
    visit as call_no,
    activity as entry_kind,
    channel as medium,
    case direction when 'inbound' then 'in' else 'out' end as dialled,
    touchpoint as line,
    actor_id as agent,
    journey_type as flow,
    intent as reason,
    product_id as product,
    case_no,
    outcome as disposition,
    wait_s as queue_s,
    talk_s,
    to_owner as forward_to,
    nullif(
        array_to_string([i['name'] || '=' || i['answer'] for i in info if i['use'] = 'given'], ';'),
        ''
    ) as answers,
    nullif(
        array_to_string([i['name'] for i in info if i['use'] = 'asked'], ';'), ''
    ) as asked,
    nullif(
        array_to_string([i['name'] for i in info if i['use'] = 'shown'], ';'), ''
    ) as screen,
    promise_no,
    promise_kind,
    promise_op,
    strftime(promise_due, '%Y-%m-%d %H:%M:%S+00') as promise_due
from events
where system = 'contact_centre'
order by happened_at, number
