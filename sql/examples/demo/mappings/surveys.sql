-- Purpose: what customers and employees answered, and who was asked and stayed silent.
-- Grain: one question put to one person (a complaint: one letter).
select
    answer_no as id,
    coalesce(cast(answered_at as timestamptz), cast(asked_at as timestamptz)) as time,
    customer_no as identity,
    'customer' as identitytype,
    who as respondent_type,
    question as instrument,
    about as level,
    place as touchpoint,
    case_no as case_id,
    entry as target,
    visit as correlationid,
    flow as journey_type,
    survey as question_id,
    cast(points as double) as raw_score,
    cast(lowest as double) as scale_min,
    cast(highest as double) as scale_max,
    case when question != 'complaint' then cast(asked_at as timestamptz) end as invited_time,
    cast(answered_at as timestamptz) as responded_time,
    cast(acted_at as timestamptz) as action_time,
    words as text,
    language
from source
