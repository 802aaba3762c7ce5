-- Purpose: what customers and employees answered, and who was asked and stayed silent.
-- Grain: one question put to one person (a complaint: one letter).
select
    answer_no as id,
    time,
    customer_no as identity,
    'customer' as identitytype,
    who as respondent_type,
    instrument,
    level,
    place as touchpoint,
    case_no as case_id,
    target,
    visit as correlationid,
    flow as journey_type,
    points as raw_score,
    lowest as scale_min,
    highest as scale_max,
    is_up as higher_is_better,
    was_asked as solicited,
    invited_at as invited_time,
    responded_at as responded_time,
    acted_at as action_time
from source
