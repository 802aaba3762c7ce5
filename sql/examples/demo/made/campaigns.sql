-- Purpose: what the campaign tool logs. Grain: one message. Source: `events`.
select
    'm' || number as message_no,
    epoch_ms(happened_at) as sent_ms,
    customer_no as recipient,
    activity as subject,
    channel as medium,
    touchpoint as sender,
    journey_type as flow,
    product_id as product,
    case_no,
    message_kind as kind,
    case when message_kind in ('marketing', 'upsell') then 'spring' end as campaign,
    relevance_basis as basis
from events
where system = 'campaigns'
order by happened_at, number
